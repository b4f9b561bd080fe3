"""Arms change one assumption each, and what moves is measured against held-out changes; models are made by hand."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fitted_by_hand import by_hand
from small_data import dataset
from small_fits import QUICK, linear_data
from small_laws import ROSTER, mechanistic

from semimech._errors import ConfigError, DataError
from semimech.assumptions.catalogue import (
    ACYCLIC,
    ADDITIVE,
    COMMUTING,
    INSTANTANEOUS,
    KNOWN_WIRING,
    MEDIUM_INDEPENDENT,
    SETTLED,
    SHARED_RESPONSE,
    STATIONARY_CONTROLS,
)
from semimech.data import Dataset
from semimech.data.split import Split
from semimech.evaluate import sensitivity
from semimech.evaluate.arms import SEED, causal_order, make_arms
from semimech.evaluate.sensitivity import NEW_CELLS, Sensitivity
from semimech.experiment import Condition, parse_experiment
from semimech.fit import FitConfig
from semimech.fit.candidates import Candidate
from semimech.model import PriorNetwork

LAWS = {0: mechanistic(1, strength=0.2), 1: mechanistic(2, strength=0.2)}
ALONE = ("wait 24h", "edit A > wait 24h", "edit B > wait 24h", "edit A > edit B > wait 24h")
IN_MEDIUM = ("medium M > wait 24h", "medium M > edit A > wait 24h", "medium M > wait 12h > edit A > wait 12h")


NOISE = 0.1 * np.random.default_rng(0).normal(size=(4, 4))


def made(*texts: str) -> list[Condition]:
    return [parse_experiment(f"{text} > harvest").conditions["harvest"] for text in texts]


def measured(*texts: str) -> Dataset:
    """What the first law predicts, without noise."""
    conditions = made(*texts)
    data = dataset(conditions, by_hand(LAWS[0]).predict_conditions(conditions).mean, media=ROSTER.media)
    return replace(data, genes=ROSTER.genes)


@pytest.fixture(scope="module")
def found() -> Sensitivity:
    """Fits with the first seed find the law; those with another seed find another one."""
    data = measured(*ALONE)
    data = replace(data, mean=data.mean + NOISE)
    split = Split(name="A and its pair", train=np.array([0, 2]), test=np.array([1, 3]))
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.import_module("semimech.evaluate.sensitivity")
        patch.setattr(module, "fit", lambda data, settings, **known: by_hand(LAWS[settings.seed]))
        asked = (SEED, ADDITIVE.id)
        return sensitivity(data, (split,), QUICK, assumptions=asked, rng=np.random.default_rng(0))


def test_every_arm_counts_tables_of_wiring_as_inner_validation_chose_for_the_model_as_it_is(monkeypatch):
    given = []

    def fit_with(data, settings, *, prior, **known):
        given.append(prior)
        model = by_hand(LAWS[0])
        model.record = replace(model.record, chosen=Candidate(tables=(3.0,)))
        return model

    monkeypatch.setattr(importlib.import_module("semimech.evaluate.sensitivity"), "fit", fit_with)
    network = PriorNetwork(edges=pd.DataFrame({"source": ["A"], "target": ["B"]}))
    split = Split(name="A", train=np.array([0, 2]), test=np.array([1, 3]))
    asked, rng = (SEED, SETTLED.id, KNOWN_WIRING.id), np.random.default_rng(0)
    sensitivity(measured(*ALONE), (split,), QUICK, prior=network, assumptions=asked, rng=rng)
    assert [None if prior is None else prior.counts for prior in given] == [(), (3.0,), (3.0,), (3.0,), None]


def test_a_model_that_is_right_errs_by_noise_alone_and_another_law_by_its_changes_too(found):
    rows = found.predictions[found.predictions["assumption"] == SEED].set_index("perturbation")
    noise = (NOISE[1] - NOISE[0])[1:]  # the edited gene A is left out
    assert rows.loc["A", "base_error"] == pytest.approx(np.mean(noise**2), rel=1e-3)
    control, *edited = made(*ALONE)
    change = [by_hand(law).predict_conditions([control, *edited]).mean for law in LAWS.values()]
    change = [mean[1:] - mean[0] for mean in change]
    apart = (change[1] - change[0])[0][1:]
    assert rows.loc["A", "error"] == pytest.approx(np.mean((apart - noise) ** 2), rel=1e-3)
    assert rows.loc["A", "shift"] == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-3)
    assert (rows["shift_lower"] <= rows["shift"]).all() and (rows["shift"] <= rows["shift_upper"]).all()


def test_imposed_additivity_moves_pairs_by_their_interaction_and_no_single_edit(found):
    rows = found.predictions[found.predictions["assumption"] == ADDITIVE.id].set_index("perturbation")
    mean = by_hand(LAWS[0]).predict_conditions(made(*ALONE)).mean
    interaction = (mean[3] - mean[1] - mean[2] + mean[0])[2:]  # A and B are left out
    assert rows.loc["A", "shift"] == pytest.approx(0.0, abs=1e-6)
    assert rows.loc["A+B", "shift"] == pytest.approx(np.sqrt(np.mean(interaction**2)), rel=1e-3)


def test_the_table_sums_up_predictions(found):
    for row in found.table.to_dict("records"):
        part = found.predictions[found.predictions["assumption"] == row["assumption"]]
        assert row["error_ratio"] == pytest.approx(part["error"].sum() / part["base_error"].sum())
        assert row["saved"] == pytest.approx(1.0 - 1.0 / row["error_ratio"])
        assert row["shift"] == pytest.approx(np.sqrt((part["shift"] ** 2).sum() / (part["size"] ** 2).sum()))
        assert row["n_edits"] == row["n_conditions"] == 2


def arms_of(data: Dataset, **settings):
    config = replace(QUICK, **settings)
    return {arm.assumption: arm for arm in make_arms(by_hand(LAWS[0]), data, config, None, [])}


def test_arms_are_those_that_the_design_can_show():
    always = {SEED, SETTLED.id, INSTANTANEOUS.id, ACYCLIC.id, SHARED_RESPONSE.id}
    assert set(arms_of(measured(*ALONE[:3]))) == always
    assert set(arms_of(measured(*ALONE), pooling="none")) == {*always, ADDITIVE.id} - {SHARED_RESPONSE.id}
    assert set(arms_of(measured(*ALONE[:2], *IN_MEDIUM))) == {*always, COMMUTING.id, MEDIUM_INDEPENDENT.id}
    assert set(arms_of(measured(*ALONE[:3], "wait 48h"))) == {*always, STATIONARY_CONTROLS.id}
    assert set(arms_of(measured("wait settled", "edit A > wait settled"))) == always - {SETTLED.id, INSTANTANEOUS.id}


def test_an_arm_changes_the_data_and_settings_that_its_assumption_is_about_and_nothing_else():
    data = measured(*ALONE, "wait 48h")
    arms = arms_of(data)
    assert [c.hours for c in arms[SETTLED.id].dataset.conditions] == [24.0, *[np.inf] * 3, 48.0]
    assert {e.turnover_hours for c in arms[INSTANTANEOUS.id].dataset.conditions for e in c.edits} == {24.0}
    assert not arms[STATIONARY_CONTROLS.id].dataset.system.is_stationary
    assert arms[STATIONARY_CONTROLS.id].change == "lifted"
    assert arms[SHARED_RESPONSE.id].config == replace(QUICK, pooling="none")
    assert arms[ADDITIVE.id].dataset is arms[ACYCLIC.id].dataset is data
    moving = replace(data, system=replace(data.system, is_differentiating=True))
    imposed = arms_of(moving)[STATIONARY_CONTROLS.id]
    assert imposed.change == "imposed"
    assert imposed.dataset.system.is_stationary
    assert [c.hours for c in imposed.dataset.conditions if c.is_control] == [np.inf]  # one pool


def test_a_network_without_feedback_has_no_edge_against_its_order():
    mask = arms_of(measured(*ALONE))[ACYCLIC.id].prior
    assert mask is not None and mask.use == "mask"
    pairs = set(zip(mask.edges["source"], mask.edges["target"], strict=True))
    assert len(pairs) == 6
    assert not pairs & {(target, source) for source, target in pairs}


def test_a_graph_without_loops_is_kept_whole_by_its_order():
    edges = pd.DataFrame({"source": ["C", "A", "C"], "target": ["A", "B", "B"], "weight": [1.0, -2.0, 0.5]})
    assert causal_order(("A", "B", "C"), edges) == ("C", "A", "B")


def test_of_a_loop_the_weakest_edge_runs_against_the_order():
    edges = pd.DataFrame({"source": ["A", "B", "C"], "target": ["B", "C", "A"], "weight": [3.0, -2.0, 0.1]})
    assert causal_order(("A", "B", "C"), edges) == ("A", "B", "C")


def test_models_of_single_cells_are_refused():
    with pytest.raises(ConfigError, match="use likelihood = 'pseudobulk'"):
        sensitivity(linear_data(), (), FitConfig(likelihood="energy"), rng=np.random.default_rng(0))


def test_something_must_be_held_out():
    with pytest.raises(DataError, match="nothing is held out"):
        sensitivity(linear_data(), (), QUICK, rng=np.random.default_rng(0))


def test_a_split_that_leaks_is_refused():
    leaking = Split(name=NEW_CELLS, train=np.arange(4), test=np.array([3]))
    with pytest.raises(DataError, match="train and test share"):
        sensitivity(measured(*ALONE), (leaking,), QUICK, rng=np.random.default_rng(0))
