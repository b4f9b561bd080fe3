"""Arms change one assumption each, and what moves is measured against held-out changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_fits import QUICK, asked, linear_conditions, linear_data

from semimech._errors import ConfigError, DataError
from semimech.assumptions.catalogue import ADDITIVE, COMMUTING, INSTANTANEOUS, MEDIUM_INDEPENDENT, SETTLED
from semimech.data.split import Split, unseen_combination
from semimech.evaluate import sensitivity
from semimech.evaluate.arms import SEED, causal_order, make_arms
from semimech.evaluate.sensitivity import NEW_CELLS
from semimech.fit import FitConfig, fit

COMBINED = replace(QUICK, pooling="none", borrowing="none")


@pytest.fixture(scope="module")
def data():
    """A linear world with two pairs of edits."""
    return linear_data(conditions=[*linear_conditions(), asked("G0+G3", 48.0), asked("G1+G4", 48.0)])


@pytest.fixture(scope="module")
def found(data):
    splits = unseen_combination(data)
    return sensitivity(data, splits, COMBINED, assumptions=(ADDITIVE.id,), rng=np.random.default_rng(0))


def test_where_effects_add_up_imposing_it_costs_next_to_nothing(found):
    row = found.table.set_index("assumption").loc[ADDITIVE.id]
    assert row["change"] == "imposed"
    assert abs(row["error_ratio"] - 1.0) < 0.5
    assert row["shift"] < 0.1
    assert row["n_conditions"] == row["n_edits"] == 2


def test_saved_is_the_share_of_the_error_that_the_imposed_assumption_adds(found):
    row = found.table.iloc[0]
    assert row["saved"] == pytest.approx(1.0 - 1.0 / row["error_ratio"])
    assert row["saved_lower"] <= row["saved"] <= row["saved_upper"]
    errors = found.predictions[["error", "base_error"]].sum()
    assert row["error_ratio"] == pytest.approx(errors["error"] / errors["base_error"])


def test_every_prediction_says_how_far_it_moves_with_an_interval(found):
    table = found.predictions
    assert table["perturbation"].tolist() == ["G0+G3", "G1+G4"]
    assert (table["shift_lower"] <= table["shift"]).all()
    assert (table["shift"] <= table["shift_upper"]).all()


def test_arms_are_those_that_the_design_can_show(data):
    quick = replace(COMBINED, n_steps=1, validation_steps=1, checkpoint_every=1)
    base = fit(data, quick)
    arms = {arm.assumption: arm for arm in make_arms(base, data, quick, None, [])}
    assert {SEED, SETTLED.id, INSTANTANEOUS.id, ADDITIVE.id} <= set(arms)
    assert COMMUTING.id not in arms  # no edit before or after a medium
    assert MEDIUM_INDEPENDENT.id not in arms  # no edit in the other medium
    assert all(np.isinf(c.hours) for c in arms[SETTLED.id].dataset.conditions if not c.is_control)
    slow = {e.turnover_hours for c in arms[INSTANTANEOUS.id].dataset.conditions for e in c.edits}
    assert slow == {24.0}
    assert arms[SEED].config.seed == quick.seed + 1


def test_a_network_without_feedback_is_kept_whole_by_its_order():
    edges = pd.DataFrame({"source": ["C", "A", "C"], "target": ["A", "B", "B"], "weight": [1.0, -2.0, 0.5]})
    assert causal_order(("A", "B", "C"), edges) == ("C", "A", "B")


def test_of_a_loop_the_weakest_edge_runs_against_the_order():
    edges = pd.DataFrame({"source": ["A", "B", "C"], "target": ["B", "C", "A"], "weight": [3.0, -2.0, 0.1]})
    assert causal_order(("A", "B", "C"), edges) == ("A", "B", "C")


def test_models_of_single_cells_are_refused():
    config = FitConfig(likelihood="energy")
    with pytest.raises(ConfigError, match="use likelihood = 'pseudobulk'"):
        sensitivity(linear_data(), (), config, rng=np.random.default_rng(0))


def test_something_must_be_held_out():
    with pytest.raises(DataError, match="nothing is held out"):
        sensitivity(linear_data(), (), COMBINED, rng=np.random.default_rng(0))


def test_a_split_that_leaks_is_refused(data):
    rows = np.arange(len(data.conditions))
    leaking = Split(name=NEW_CELLS, train=rows, test=rows[-1:])
    with pytest.raises(DataError, match="train and test share"):
        sensitivity(data, (leaking,), COMBINED, rng=np.random.default_rng(0))
