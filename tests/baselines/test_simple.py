from __future__ import annotations

import math

import numpy as np
import pytest
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.baselines import Effects, fit_baseline, fit_baselines
from semimech.baselines.simple import Additive, MeanOfEdits, NearestEdit
from semimech.data.dataset import ControlMoments
from semimech.data.scale import log1p_scale
from semimech.experiment import Edit, Experiment, Harvest, Wait

N = 8
CONTROL = np.full(N, 10.0)
RNG = np.random.default_rng(0)
EFFECT = {f"G{i}": np.where(np.arange(N) == i, -8.0, RNG.normal(size=N)) for i in range(N)}


def screen(singles, doubles=(), hours=(48.0,)):
    """A world where effects add up and grow linearly with time."""
    conditions, means = [], []
    for t in hours:
        conditions.append(condition("control", t))
        means.append(CONTROL)
        for name in (*singles, *doubles):
            conditions.append(condition(name, t))
            means.append(CONTROL + t / 48.0 * sum(EFFECT[g] for g in name.split("+")))
    return dataset(conditions, np.array(means))


def test_no_change_leaves_all_genes_but_the_target_at_the_control():
    predicted = fit_baseline("no change", screen(["G0", "G1"])).predict_conditions([condition("G5", 48)]).mean[0]
    assert np.delete(predicted, 5) == pytest.approx(np.delete(CONTROL, 5))


def test_no_change_sets_the_target_to_the_median_remaining_fraction_of_training_edits_on_the_state_scale():
    scale = log1p_scale()
    left = {"G0": 0.1, "G1": 0.2, "G2": 0.7}
    state = [np.full(N, 10.0)] + [np.where(np.arange(N) == int(g[1]), 10.0 * f, 10.0) for g, f in left.items()]
    data = dataset([condition(p, 48) for p in ("control", *left)], scale.to_observed(np.array(state)), scale=scale)
    predicted = fit_baseline("no change", data).predict_conditions([condition("G5", 48)]).mean[0]
    assert predicted[5] == pytest.approx(math.log1p(2.0), rel=1e-3)


@pytest.mark.parametrize(("kind", "left"), [("crispri", 0.3), ("knockout", 1.0), ("drug", 1.0)])
def test_without_training_edits_only_crispri_is_taken_to_lower_its_targets_mrna(kind, left):
    data = dataset([condition("control", 48)], CONTROL[None])
    query = Experiment(id="q", steps=(Edit(gene="G3", kind=kind, efficacy=0.7), Wait(hours=48), Harvest()))
    predicted = fit_baseline("no change", data).predict_conditions([query.conditions["harvest"]]).mean[0]
    assert predicted[3] == pytest.approx(left * 10.0)


def test_the_loss_of_a_weaker_edit_is_scaled_by_its_efficacy():
    kd = [condition(f"G{i}", 48, kind="crispri 0.5") for i in range(3)]
    mean = [CONTROL] + [np.where(np.arange(N) == i, 6.0, 10.0) for i in range(3)]
    data = dataset([condition("control", 48), *kd], np.array(mean))
    predicted = fit_baseline("no change", data).predict_conditions([condition("G5", 48, kind="crispri 1.0")]).mean[0]
    assert predicted[5] == pytest.approx(2.0)


def test_the_mean_of_edits_leaves_each_edits_own_target_out():
    predicted = fit_baseline("mean of edits", screen(["G0", "G1", "G2"])).predict_conditions([condition("G5", 48)])
    expected = np.mean([EFFECT[g] for g in ("G0", "G1", "G2")], axis=0)
    expected[:3] = [np.mean([EFFECT[g][i] for g in ("G0", "G1", "G2") if g != f"G{i}"]) for i in range(3)]
    assert predicted.mean[0] - CONTROL == pytest.approx(expected)


def test_the_mean_with_target_differs_from_the_mean_only_at_the_target():
    data = screen(["G0", "G1", "G2"])
    mean, both = (
        fit_baseline(name, data).predict_conditions([condition("G5", 48)]).mean[0]
        for name in ("mean of edits", "mean of edits + target")
    )
    assert np.flatnonzero(mean != both) == pytest.approx([5])
    assert both[5] == pytest.approx(2.0)


def test_additive_is_exact_for_unseen_combinations_in_an_additive_world():
    data = screen(["G0", "G1", "G2"], ["G0+G1"], hours=(24.0, 48.0))
    predicted = fit_baseline("additive", data).predict_conditions([condition("G1+G2", 36), condition("G0+G1+G2", 48)])
    assert predicted.mean[0] == pytest.approx(CONTROL + 0.75 * (EFFECT["G1"] + EFFECT["G2"]))
    assert predicted.mean[1] == pytest.approx(CONTROL + EFFECT["G0"] + EFFECT["G1"] + EFFECT["G2"])


def test_additive_takes_an_edit_never_made_alone_from_a_pair_less_its_partner():
    data = screen(["G0", "G2"], ["G0+G1"])
    predicted = fit_baseline("additive", data).predict_conditions([condition("G1+G2", 48)]).mean[0]
    assert predicted == pytest.approx(CONTROL + EFFECT["G1"] + EFFECT["G2"])


def test_additive_scales_an_edit_in_proportion_to_its_efficacy():
    half = condition("G0", 48, kind="crispri 0.5")
    data = dataset([condition("control", 48), half], np.stack([CONTROL, CONTROL + 0.5 * EFFECT["G1"]]))
    predicted = fit_baseline("additive", data).predict_conditions([condition("G0", 48, kind="crispri 1.0")]).mean[0]
    assert predicted == pytest.approx(CONTROL + EFFECT["G1"])


def test_an_edit_in_a_new_medium_is_added_to_the_controls_of_that_medium():
    shifted = CONTROL + 3.0
    data = dataset(
        [condition("control", 48), condition("G0", 48), condition("control", 48, medium="M")],
        np.stack([CONTROL, CONTROL + EFFECT["G0"], shifted]),
        media=("M",),
    )
    predicted = fit_baseline("additive", data).predict_conditions([condition("G0", 48, medium="M")]).mean[0]
    assert predicted == pytest.approx(shifted + EFFECT["G0"])


def test_the_nearest_edit_is_the_one_whose_target_varies_with_the_query_in_controls():
    covariance = 0.1 * np.eye(N)
    covariance[5, 1] = covariance[1, 5] = 0.08
    moments = ControlMoments(covariance=covariance, noise=np.zeros(N), n_cells=500)
    base = screen(["G0", "G1", "G2"])
    data = dataset(base.conditions, base.mean, control_moments=moments)
    predicted = NearestEdit(Effects(data)).predict_conditions([condition("G5", 48)]).mean[0]
    others = [0, 2, 3, 4, 6, 7]
    assert (predicted - CONTROL)[others] == pytest.approx(EFFECT["G1"][others])


def test_without_control_moments_likeness_comes_from_the_training_changes():
    twin = {g: e.copy() for g, e in EFFECT.items()}
    for effect in twin.values():
        effect[6] = effect[2]
    twin["G2"][6] = 0.0
    conditions = [condition(p, 48) for p in ("control", "G0", "G1", "G2", "G3", "G4")]
    data = dataset(conditions, np.stack([CONTROL] + [CONTROL + twin[f"G{i}"] for i in range(5)]))
    predicted = NearestEdit(Effects(data)).predict_conditions([condition("G6", 48)]).mean[0]
    assert (predicted - CONTROL)[[0, 1, 3, 4, 5, 7]] == pytest.approx(twin["G2"][[0, 1, 3, 4, 5, 7]])


def test_controls_are_predicted_as_their_matched_control():
    for baseline in fit_baselines(screen(["G0", "G1", "G2", "G3", "G4"], hours=(24.0, 48.0))):
        assert baseline.predict_conditions([condition("control", 48)]).mean[0] == pytest.approx(CONTROL), baseline.name


def test_predictions_are_never_below_an_abundance_of_zero():
    data = dataset([condition("control", 48), condition("G0", 48)], np.stack([CONTROL, CONTROL - 9.0]))
    assert Additive(Effects(data)).predict_conditions([condition("G0+G1", 48)]).mean.min() >= 0.0


def test_a_gene_that_every_training_edit_targets_does_not_change_in_the_mean():
    data = dataset([condition("control", 48), condition("G0", 48)], np.stack([CONTROL, CONTROL + EFFECT["G0"]]))
    assert MeanOfEdits(Effects(data)).predict_conditions([condition("G5", 48)]).mean[0, 0] == pytest.approx(10.0)


def test_every_fitted_baseline_predicts_unseen_edits_or_says_why_not():
    data = screen(["G0", "G1", "G2", "G3", "G4"], ["G0+G1"], hours=(24.0, 48.0))
    names = set()
    for baseline in fit_baselines(data):
        names.add(baseline.name)
        try:
            mean = baseline.predict_conditions([condition("G6", 48), condition("G6+unmeasured", 72)]).mean
            assert np.isfinite(mean).all(), baseline.name
        except DataError as error:
            assert "training has not" in str(error)
    assert "gaussian conditioning" not in names
    assert {"ridge", "low-rank linear", "nearest edit", "time trend"} <= names


def test_only_no_change_is_available_without_edits():
    assert [b.name for b in fit_baselines(dataset([condition("control", 48)], CONTROL[None]))] == ["no change"]
