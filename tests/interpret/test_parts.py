"""The parts of a prediction sum to it, and each is what its name says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fitted_by_hand import by_hand
from small_laws import N_GENES, ROSTER, UNIT, harvested, mechanistic, neural, states

from semimech.data.scale import log1p_scale
from semimech.interpret import PARTS, decompose, shares

pytestmark = pytest.mark.usefixtures("x64")

SEEN = harvested("edit A crispri 0.6 > wait 20h > harvest")
UNSEEN = harvested("edit B knockout > wait 12h > medium M > wait 8h > harvest")
CONTROL = harvested("wait 20h > harvest")
RESIDUAL = np.array([0.5, -2.0, 0.1, 0.0])


def model(*laws, **fields):
    return by_hand(*laws, training=[SEEN], residual=RESIDUAL[None], carry_over=0.5, trust=(1.0, 0.4, 0.8), **fields)


@pytest.mark.parametrize("make", [mechanistic, lambda seed: mechanistic(seed, residual=True), neural])
def test_the_parts_sum_to_the_predicted_change_against_unedited_cells_of_the_same_age(make):
    found = model(make(1), make(2), scale=log1p_scale())
    table = decompose(found, [SEEN, UNSEEN, CONTROL])
    mean = found.predict_conditions([SEEN, UNSEEN, CONTROL]).mean
    np.testing.assert_allclose(table["predicted"], mean.ravel(), rtol=1e-5)
    np.testing.assert_allclose(table["change"], (mean - mean[2]).ravel(), atol=1e-5)
    np.testing.assert_allclose(table[list(PARTS)].sum(axis=1), table["change"], atol=1e-9)
    assert table["gene"].tolist() == 3 * list(ROSTER.genes)
    assert set(table["hours"]) == {20.0}


def test_only_seen_edits_carry_over_and_only_unseen_ones_are_pooled():
    table = decompose(model(mechanistic(1)), [SEEN, UNSEEN])
    seen, unseen = table.iloc[:N_GENES], table.iloc[N_GENES:]
    np.testing.assert_allclose(seen["carried_residual"], 0.5 * RESIDUAL, atol=1e-9)
    np.testing.assert_allclose(seen["pooling"], 0.0, atol=1e-9)
    np.testing.assert_allclose(unseen["carried_residual"], 0.0, atol=1e-9)
    assert unseen["pooling"].abs().max() > 1e-3


def test_the_mechanism_is_the_law_whose_neural_part_is_taken_out():
    table = decompose(model(mechanistic(3, residual=True)), [UNSEEN])
    bare = states(mechanistic(3), [UNSEEN, CONTROL], by_hand(mechanistic(3)).solver, start=np.ones(N_GENES)) * UNIT
    np.testing.assert_allclose(table["mechanism"], bare[0] - bare[1], rtol=1e-4, atol=1e-6)
    assert table["learned_residual"].abs().max() > 1e-2
    without = decompose(model(mechanistic(3)), [UNSEEN])
    np.testing.assert_allclose(without["learned_residual"], 0.0, atol=1e-9)


def test_shares_are_projections_on_the_change_and_sum_to_one():
    parts = pd.DataFrame(
        {
            "gene": ["A", "A", "B", "C"],
            "change": [2.0, 1.0, -1.0, 0.0],
            "mechanism": [1.0, 1.0, -1.5, 0.0],
            "learned_residual": [0.0, 0.0, 0.5, 0.0],
            "carried_residual": [1.0, 0.0, 0.0, 0.0],
            "pooling": [0.0, 0.0, 0.0, 0.0],
        }
    )
    found = shares(parts).set_index("gene")
    assert found.loc["A", list(PARTS)].tolist() == pytest.approx([3 / 5, 0.0, 2 / 5, 0.0])
    assert found.loc["B", list(PARTS)].tolist() == pytest.approx([1.5, -0.5, 0.0, 0.0])
    assert found.loc["C", list(PARTS)].isna().all()
    assert found.loc["A", "size"] == pytest.approx(np.sqrt(2.5))
