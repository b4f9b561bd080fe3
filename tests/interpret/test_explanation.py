"""Contributions of paths are those of closed forms, and sum to the prediction."""

from __future__ import annotations

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from fitted_by_hand import by_hand
from scipy.linalg import expm
from small_laws import N_GENES, ROSTER, UNIT, harvested, linear, mechanistic, neural

from semimech._errors import DataError
from semimech.data.scale import log1p_scale
from semimech.interpret import decompose, explain, secant
from semimech.interpret.explanation import OTHER_PATHS
from semimech.model import LinearDynamics

pytestmark = pytest.mark.usefixtures("x64")

RATE = np.array([0.05, 0.1, 0.2, 0.4])
UNITS = dict(zip(ROSTER.genes, UNIT, strict=True))


def wired(**edges: float) -> LinearDynamics:
    """A linear law with these edges, for instance ``AB=0.5`` from A to B; without edges cells are stationary."""
    weight = np.zeros((N_GENES, len(ROSTER.regulators)))
    for (source, target), value in edges.items():
        weight[ROSTER.genes.index(target), ROSTER.regulators.index(source)] = value
    return LinearDynamics(
        weight=jnp.asarray(weight), bias=jnp.zeros(N_GENES), log_degradation=jnp.asarray(np.log(RATE))
    )


def contributions(explanation) -> dict[str, float]:
    return explanation.table.set_index("term")["contribution"].to_dict()


def test_at_steady_state_a_path_contributes_the_product_of_its_edges():
    model = by_hand(wired(AB=0.5, BC=-0.4, AC=0.3, TD=0.2))
    found = contributions(explain(model, "edit A crispri 0.8 > wait settled", "C"))
    assert found["A → B ⊣ C"] == pytest.approx(-0.8 * 0.5 * -0.4 * UNITS["C"], rel=1e-4)
    assert found["A → C"] == pytest.approx(-0.8 * 0.3 * UNITS["C"], rel=1e-4)
    assert set(found) == {"A → B ⊣ C", "A → C", OTHER_PATHS, "carried residual", "pooling"}
    assert abs(found[OTHER_PATHS]) < 1e-4 * UNITS["C"]


def test_feedback_is_a_geometric_series_of_which_what_is_cut_off_is_the_remainder():
    loop = 0.6 * -0.5
    model = by_hand(wired(AB=0.7, BC=0.6, CB=-0.5))
    explanation = explain(model, "edit A crispri 0.5 > wait settled", "C", max_edges=4)
    found = contributions(explanation)
    first = -0.5 * 0.7 * 0.6 * UNITS["C"]
    assert found["A → B → C"] == pytest.approx(first, rel=1e-4)
    assert found["A → B → C ⊣ B → C"] == pytest.approx(first * loop, rel=1e-4)
    assert found[OTHER_PATHS] == pytest.approx(first * loop**2 / (1 - loop), rel=1e-3)
    assert explanation.change == pytest.approx(first / (1 - loop), rel=1e-4)


@pytest.mark.parametrize("hours", [3.0, 30.0])
def test_in_time_a_path_is_filtered_by_the_decay_of_each_gene_on_it(hours):
    model = by_hand(wired(AB=0.5, BD=0.4, AD=-0.3))
    found = contributions(explain(model, f"edit A crispri 0.6 > wait {hours}h", "D"))
    for path in ("ABD", "AD"):
        rates = [RATE[ROSTER.genes.index(gene)] for gene in path]
        weights = {"AB": 0.5, "BD": 0.4, "AD": -0.3}
        gains = [-0.6, *(weights[a + b] for a, b in pairwise(path))]
        chain = np.zeros((len(path) + 1, len(path) + 1))  # the last state is the constant 1 that drives the first
        for row, (rate, gain) in enumerate(zip(rates, gains, strict=True)):
            chain[row, row] = -rate
            chain[row, row - 1] = rate * gain
        exact = expm(hours * chain)[len(path) - 1, -1] * UNITS["D"]
        term = "A → B → D" if path == "ABD" else "A ⊣ D"
        assert found[term] == pytest.approx(exact, rel=5e-3)
    assert abs(found[OTHER_PATHS]) < 5e-3 * UNITS["D"]


def test_a_knockout_acts_through_activity_even_where_the_transcript_stays():
    law = wired(AB=0.5, BC=0.4, CB=0.1)
    found = contributions(explain(by_hand(law), "edit A knockout > wait settled", "B", max_edges=8))
    assert found["A → B"] == pytest.approx(-0.5 * UNITS["B"], rel=1e-4)
    assert found["A → B → C → B"] == pytest.approx(-0.5 * 0.04 * UNITS["B"], rel=1e-4)


def test_the_edited_gene_itself_changes_by_a_path_without_edges():
    explanation = explain(by_hand(wired(AB=0.5)), "edit A crispri 0.8 > wait settled", "A")
    assert contributions(explanation)["A"] == pytest.approx(-0.8 * UNITS["A"], rel=1e-4)
    assert explanation.table["n_edges"].iloc[0] == 0


def test_paths_are_the_same_where_memory_holds_one_regulator_at_a_time(monkeypatch):
    model, protocol = by_hand(wired(AB=0.5, BC=-0.4, AC=0.3, CB=0.2)), "edit A crispri 0.8 > wait 20h"
    at_once = explain(model, protocol, "C").table
    monkeypatch.setattr(secant, "_BYTES", 1)
    pd.testing.assert_frame_equal(explain(model, protocol, "C").table, at_once)


@pytest.mark.parametrize("make", [mechanistic, lambda seed: mechanistic(seed, residual=True), neural, linear])
@pytest.mark.parametrize(
    "protocol",
    [
        "edit A knockout > wait 20h > medium M > wait 10h",
        "edit T crispri 0.7 onset 3h turnover 5h > edit B crispra 0.5 > wait 30h",
        "medium M > wait settled > edit C crispri 0.9 > wait 12h",
        "medium N > edit D knockout > wait settled",
    ],
)
def test_contributions_sum_to_the_predicted_change_whatever_the_law_and_the_protocol(make, protocol):
    model = by_hand(make(1), make(2), scale=log1p_scale(), trust=(1.0, 0.5, 0.7))
    explanation = explain(model, protocol, "B", max_edges=6, n_paths=10**6)
    condition = model.operator(protocol).condition
    control = harvested(f"wait {'settled' if np.isinf(condition.hours) else f'{condition.hours}h'} > harvest")
    predicted = model.predict_conditions([condition, control]).mean[:, 1]
    assert explanation.change == pytest.approx(predicted[0] - predicted[1], abs=1e-4)
    assert explanation.table["contribution"].sum() == pytest.approx(explanation.change, abs=1e-9)


@pytest.mark.parametrize(
    ("law", "wait"),
    [
        (lambda: mechanistic(3, strength=0.25), "settled"),
        (lambda: mechanistic(3, strength=0.25), "25h"),
        (lambda: mechanistic(3, residual=True, strength=0.2), "settled"),
        (lambda: neural(3, scale=0.05), "25h"),
    ],
)
def test_where_no_path_is_dropped_long_paths_leave_little_of_the_law(law, wait):
    model = by_hand(law(), scale=log1p_scale())
    protocol = f"edit A crispri 0.7 > medium M > wait {wait}"
    table = explain(model, protocol, "C", max_edges=8, n_paths=10**6).table
    short = explain(model, protocol, "C", max_edges=1, n_paths=10**6).table
    rest = [abs(t.loc[t["kind"] == "other paths", "contribution"].iloc[0]) for t in (short, table)]
    parts = decompose(model, [model.operator(protocol).condition]).set_index("gene").loc["C"]
    assert rest[1] < 0.02 * abs(table["contribution"]).max()
    assert rest[1] < 0.3 * rest[0]
    assert parts["change"] == pytest.approx(table["contribution"].sum(), abs=1e-9)


def test_spread_and_agreement_are_those_of_the_members():
    model = by_hand(wired(AB=0.5), wired(AB=-0.1), wired(AB=0.2))
    table = explain(model, "edit A crispri 0.5 > wait settled", "B").table.set_index("term")
    effects = -0.5 * np.array([0.5, -0.1, 0.2]) * UNITS["B"]
    row = table.loc["A → B"]
    assert row["contribution"] == pytest.approx(effects.mean(), rel=1e-4)
    assert row["spread"] == pytest.approx(effects.std(ddof=1), rel=1e-4)
    assert row["agreement"] == pytest.approx(2 / 3)


def test_a_protocol_that_does_nothing_leaves_nothing_to_explain():
    explanation = explain(by_hand(mechanistic(1)), "wait 20h", "A")
    assert explanation.change == 0
    assert (explanation.table["contribution"].abs() < 1e-12).all()
    assert "path" not in set(explanation.table["kind"])


def test_unknown_names_and_lengths_below_one_are_refused():
    model = by_hand(mechanistic(1))
    with pytest.raises(DataError, match="gene 'Z' is not measured"):
        explain(model, "edit A > wait 2h", "Z")
    with pytest.raises(DataError, match="gene 'Q' is neither measured nor edited"):
        explain(model, "edit Q > wait 2h", "A")
    with pytest.raises(ValueError, match="at least 1"):
        explain(model, "edit A > wait 2h", "A", max_edges=0)
