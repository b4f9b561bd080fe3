"""Pooling against closed forms and a grid search."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from semimech.experiment import parse_experiment
from semimech.fit.pooling import ANY_EDIT, MEASURED, Nested, anonymous, cross_fitted, find_trust, unedited

RNG = np.random.default_rng(0)
SHAPE = (40, 5)
WEIGHT = RNG.uniform(0.5, 2.0, SHAPE)
EDIT = np.arange(SHAPE[0]) // 2
NO_GROUPS = np.zeros(SHAPE[0], int)


def nested() -> Nested:
    start = RNG.normal(size=SHAPE)
    shared = start + RNG.normal(size=SHAPE)
    control = start + RNG.normal(size=SHAPE)
    return Nested(
        unedited=start,
        control=control,
        shared=shared,
        specific=shared + RNG.normal(size=SHAPE),
        borrowed=RNG.normal(size=(*SHAPE, 3)),
    )


@pytest.mark.parametrize(
    "wanted", [(0.0,) * 6, (1.0,) * 6, (0.5, 0.3, 0.8, 0.2, 0.6, 0.9), (1.0, 1.0, 0.0) * 2, (0.0, 0.0, 1.0) * 2]
)
def test_a_truth_on_the_way_is_found(wanted):
    levels = nested()
    truth = levels.pooled(np.array(wanted))
    found = find_trust(levels, truth, WEIGHT, EDIT)
    np.testing.assert_allclose(found.trust, wanted, atol=1e-6)
    np.testing.assert_allclose(found.held_out, truth, atol=1e-5)


def test_what_one_edit_alone_tells_is_not_expected_of_the_next():
    """One edit goes far along a step, all others a little against it: without that edit the step has no share."""
    start, direction = np.zeros(SHAPE), np.random.default_rng(1).normal(size=SHAPE)
    levels = Nested(unedited=start, control=start, shared=start, specific=direction, borrowed=np.zeros((*SHAPE, 3)))
    truth = np.where(EDIT[:, None] == 3, 100.0, -0.2) * direction
    assert cross_fitted(levels.steps, truth, WEIGHT, NO_GROUPS)[0][2] == pytest.approx(1.0)
    found = find_trust(levels, truth, WEIGHT, EDIT)
    assert found.trust[2] == pytest.approx(0.0)
    np.testing.assert_allclose(found.held_out, levels.control, atol=1e-9)


@pytest.mark.parametrize("anchor", [MEASURED, ANY_EDIT])
def test_where_left_out_edits_contradict_every_step_the_prediction_is_the_anchor(anchor):
    """Two edits that would each go the way that is wrong for the other: the slope is below zero, and nothing is left."""
    levels = nested()
    group, sign = np.arange(SHAPE[0]) % 2, np.where(np.arange(SHAPE[0]) % 2, 1.0, -1.0)[:, None]
    direction = np.ones(SHAPE)
    levels = replace(
        levels,
        control=levels.unedited,
        shared=levels.unedited,
        specific=levels.unedited + direction,
        borrowed=np.stack([-direction, 0 * direction, 0 * direction], axis=-1),
    )
    found = find_trust(levels, levels.unedited + sign * direction, WEIGHT, group, anchor=anchor)
    np.testing.assert_allclose(found.trust, anchor, atol=1e-12)
    np.testing.assert_allclose(found.held_out, levels.pooled(anchor), atol=1e-12)


def test_steps_are_shrunk_by_the_slope_of_truth_on_what_others_predict():
    """One step of one gene: shares, predictions without the edit, and their slope in closed form."""
    step = np.array([[1.0], [1.0], [1.0]])
    truth = np.array([[0.9], [0.6], [0.3]])
    levels = Nested(unedited=0 * step, control=0 * step, shared=0 * step, specific=step, borrowed=np.zeros((3, 1, 3)))
    found = find_trust(levels, truth, np.ones((3, 1)), np.arange(3))
    without = np.array([0.45, 0.6, 0.75])
    slope = (without @ truth[:, 0]) / (without @ without)
    np.testing.assert_allclose(found.trust[2], 0.6 * slope, atol=1e-6)
    np.testing.assert_allclose(found.held_out[:, 0], slope * without, atol=1e-6)


@pytest.mark.parametrize("credit", [1.0, 8.0])
def test_credit_is_as_many_more_edits_of_which_the_law_is_true(credit):
    """Share and slope of one step of one gene, in closed form: three edits, and some more with a share of 1."""
    step, truth = np.ones((3, 1)), np.array([0.9, 0.6, -0.6])
    levels = Nested(unedited=0 * step, control=0 * step, shared=0 * step, specific=step, borrowed=np.zeros((3, 1, 3)))
    found = find_trust(levels, truth[:, None], np.ones((3, 1)), np.arange(3), credit=credit)
    share = (truth.sum() + credit) / (3 + credit)
    without = np.array([(truth.sum() - own + credit) / (2 + credit) for own in truth])
    slope = (without @ truth / (without @ without) + credit / 3) / (1 + credit / 3)
    np.testing.assert_allclose(found.trust[2], slope * share, atol=1e-6)
    np.testing.assert_allclose(found.held_out[:, 0], slope * without, atol=1e-6)


def test_with_much_credit_the_law_stands_against_what_few_edits_say_and_without_any_it_does_not():
    levels = nested()
    truth = levels.control + 0.0
    assert find_trust(levels, truth, WEIGHT, EDIT).trust[2] == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(
        find_trust(levels, truth, WEIGHT, EDIT, credit=1e9).trust, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], atol=1e-6
    )


@pytest.mark.parametrize(
    "outside",
    [(0.5, 1.4, 0.5, 0.0, 0.0, 0.0), (0.0, -0.6, 0.2, 0.5, 1.3, 0.0), (1.2, 0.5, -1.0, 0.5, 0.5, 0.5), (2.0,) * 6],
)
def test_a_truth_beyond_the_ends_gives_the_best_point_between_them(outside):
    levels = nested()
    truth = levels.pooled(np.array(outside)) + 0.1 * RNG.normal(size=SHAPE)
    found, _ = cross_fitted(levels.steps, truth - levels.unedited, WEIGHT, NO_GROUPS)
    error = lambda trust: float((WEIGHT * (levels.pooled(np.array(trust)) - truth) ** 2).sum())
    grid = itertools.product((0.0, 0.5, 1.0), repeat=6)
    assert error(found) <= min(map(error, grid)) + 1e-9
    assert ((found >= 0.0) & (found <= 1.0)).all()


def test_pooling_is_never_worse_on_what_it_was_found_on():
    levels = nested()
    truth = RNG.normal(size=SHAPE)
    found = levels.pooled(cross_fitted(levels.steps, truth - levels.unedited, WEIGHT, NO_GROUPS)[0])
    error = lambda predicted: float((WEIGHT * (predicted - truth) ** 2).sum())
    assert (
        error(found) <= min(error(x) for x in (levels.unedited, levels.control, levels.shared, levels.specific)) + 1e-9
    )


def test_a_step_that_changes_nothing_is_trusted_and_nan_is_left_out():
    still = nested()
    still = replace(still, shared=still.unedited)
    truth = still.pooled(np.array([0.25, 0.0, 0.5, 0.0, 1.0, 0.5]))
    truth[0] = np.nan
    np.testing.assert_allclose(find_trust(still, truth, WEIGHT, EDIT).trust, [0.25, 1.0, 0.5, 0.0, 1.0, 0.5], atol=1e-6)
    blank = np.full(SHAPE, np.nan)
    nothing = Nested(unedited=blank, control=blank, shared=blank, specific=blank, borrowed=np.zeros((*SHAPE, 3)))
    assert find_trust(nothing, truth, WEIGHT, EDIT).trust.tolist() == [1.0] * 6


def test_conditions_without_names_or_edits_keep_times_and_media():
    asked = parse_experiment("medium M > edit A crispri 0.4 > wait 1d > edit B > wait 2d > harvest").conditions[
        "harvest"
    ]
    for changed in (anonymous(asked), unedited(asked)):
        assert [p.hours for p in changed.history] == [p.hours for p in asked.history]
        assert changed.media == asked.media
    assert [(e.kind, e.efficacy) for e in anonymous(asked).edits] == [(e.kind, e.efficacy) for e in asked.edits]
    assert not {e.gene for e in anonymous(asked).edits} & {"A", "B"}
    assert not unedited(asked).edits


def test_an_edit_keeps_its_place_without_its_name_when_another_joins_it():
    asked = parse_experiment("edit B turnover 8h > wait 5h > edit A > wait 5h > harvest").conditions["harvest"]
    hidden = anonymous(asked)
    kept = [{e.gene for e in period.context.edits if e.turnover_hours} for period in hidden.history]
    assert kept[0] == kept[1] and len(kept[0]) == 1


def test_without_its_edits_a_condition_has_no_compound_either():
    asked = parse_experiment("dose X 1uM > wait 5h > harvest").conditions["harvest"]
    assert unedited(asked).is_control


def test_what_shares_are_worth_is_told_by_shares_found_without_each_group():
    """Two conditions, one step: each is moved by the other's share, and alone a step is taken whole."""
    steps, target = np.array([[[1.0]], [[2.0]]]), np.array([[0.25], [1.6]])
    together, taken = cross_fitted(steps, target, np.ones((2, 1)), np.array([0, 1]))
    assert together == pytest.approx([(0.25 + 2 * 1.6) / 5])
    np.testing.assert_allclose(taken, [[0.8], [2 * 0.25]], rtol=1e-6)
    np.testing.assert_allclose(cross_fitted(steps, target, np.ones((2, 1)), np.zeros(2, int))[1], steps[..., 0])
