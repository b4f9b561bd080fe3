"""Parts of conditions, residuals between harvests, and what is held out to find their shares, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_data import condition, dataset

from semimech.experiment import Condition, parse_experiment
from semimech.fit.compose import Seen, merged
from semimech.fit.held_out import (
    BETWEEN,
    LAW_ALONE,
    find_shares,
    held_out_composites,
    held_out_tests,
    linear_effects,
    shrunk,
)

RNG = np.random.default_rng(0)


def asked(text: str) -> Condition:
    return parse_experiment(f"{text} > harvest").conditions["harvest"]


def seen(*texts: str, is_stationary: bool = True) -> Seen:
    conditions = tuple(asked(text) for text in texts)
    residual = RNG.normal(size=(len(conditions), 3))
    return Seen(conditions=conditions, residual=residual, pool=np.arange(3.0) if is_stationary else None)


def terms(known: Seen, text: str) -> list[tuple[float, Condition]] | None:
    found = known.terms(asked(text))
    return None if found is None else list(found)


def test_a_double_is_made_of_its_singles_and_no_edit():
    known = seen("edit A > wait 24h", "edit B > wait 48h")
    no_edit, a, b = asked("wait 48h"), asked("edit A > wait 48h"), asked("edit B > wait 48h")
    expected = [(1.0, no_edit), (1.0, a), (-1.0, no_edit), (1.0, b), (-1.0, no_edit)]
    assert terms(known, "edit A > edit B > wait 48h") == expected


def test_each_edit_counts_from_its_own_moment():
    known = seen("edit A > wait 24h", "edit B > wait 48h")
    found = terms(known, "edit A > wait 20h > edit B > wait 10h")
    assert found[1:4:2] == [(1.0, asked("edit A > wait 30h")), (1.0, asked("edit B > wait 10h"))]


def test_an_edit_seen_in_the_same_medium_is_taken_from_there_else_from_maintenance_medium():
    query = "medium M > wait 24h > edit A > wait 12h"
    far = seen("edit A > wait 24h", "medium M > wait 24h")
    assert terms(far, query)[1:] == [(1.0, asked("edit A > wait 12h")), (-1.0, asked("wait 12h"))]
    near = seen("edit A > wait 24h", "edit A > medium M > wait 24h")
    assert terms(near, query)[1:] == [
        (1.0, asked("edit A > medium M > wait 12h")),
        (-1.0, asked("medium M > wait 12h")),
    ]


def test_an_edit_seen_in_other_media_only_is_their_mean():
    known = seen("edit A > wait 24h", "medium N > edit A > wait 24h", "medium N > wait 24h", "medium M > wait 24h")
    found = terms(known, "medium M > edit A > wait 12h")
    assert found[0] == (1.0, asked("medium M > wait 12h"))
    assert found[1:] == [
        (0.5, asked("edit A > wait 12h")),
        (-0.5, asked("wait 12h")),
        (0.5, asked("medium N > edit A > wait 12h")),
        (-0.5, asked("medium N > wait 12h")),
    ]


def test_an_edit_made_before_the_medium_is_taken_from_other_media_at_the_same_moment():
    query = "edit A > wait 2h > medium M > wait 12h"
    known = seen("edit A > wait 24h", "edit A > wait 2h > medium N > wait 12h", "wait 2h > medium N > wait 12h")
    assert terms(known, query)[1:] == [
        (0.5, asked("edit A > wait 14h")),
        (-0.5, asked("wait 14h")),
        (0.5, asked("edit A > wait 2h > medium N > wait 12h")),
        (-0.5, asked("wait 2h > medium N > wait 12h")),
    ]


def test_edits_made_together_in_another_medium_are_one_part_although_each_was_made_alone_too():
    known = seen("edit A > edit B > wait 24h", "edit A > wait 24h", "edit B > wait 24h")
    found = terms(known, "medium M > edit A > edit B > wait 12h")
    assert found[1:] == [(1.0, asked("edit A > edit B > wait 12h")), (-1.0, asked("wait 12h"))]


@pytest.mark.parametrize(
    "query",
    ["edit A > edit C > wait 24h", "edit A crispri 0.5 > wait 24h", "medium M > wait 24h", "edit A > wait 24h"],
    ids=["an edit unseen", "another kind of edit", "no edit", "seen itself"],
)
def test_without_parts_that_were_seen_apart_there_is_no_composition(query):
    assert terms(seen("edit A > wait 24h", "edit B > wait 24h"), query) is None


def test_contexts_that_did_not_last_and_equal_neighbours_leave_no_trace():
    moving = seen("edit A > wait 24h", is_stationary=False)
    same = [("medium M > medium N > edit A > wait 24h", "edit A > medium N > wait 1h")]
    same += [("edit A > wait 2h > wait 3h", "edit A > wait 1h")]
    for one, other in same:
        assert moving.shape(asked(one)) == moving.shape(asked(other))
    kept = merged(asked("wait 2h > edit A > wait 3h"), lambda context: context)
    assert [period.hours for period in kept.history] == [2.0, 3.0]


def test_waiting_before_the_first_change_is_idle_only_where_unedited_cells_are_stationary():
    late, at_once = asked("wait 2h > edit A > wait 3h"), asked("edit A > wait 3h")
    still, moving = seen("edit A > wait 3h"), seen("edit A > wait 3h", is_stationary=False)
    assert still.reduced(late) == at_once and still.knows(late)
    np.testing.assert_array_equal(still.residual_of(late), still.residual[0])
    assert not moving.knows(late)


def test_unedited_cells_are_a_pool_in_maintenance_medium_only_where_they_are_stationary():
    texts = ("wait 24h", "wait 48h", "medium M > wait 24h", "medium M > wait 48h")
    still, moving = seen(*texts), seen(*texts, is_stationary=False)
    law = np.array([0.5, 0.25, 4.0])
    np.testing.assert_array_equal(still.unedited(asked("wait 36h"), law), np.arange(3.0) - law)
    np.testing.assert_allclose(moving.unedited(asked("wait 36h"), law), moving.residual[:2].mean(axis=0))
    in_medium = asked("medium M > wait 36h")
    np.testing.assert_allclose(still.unedited(in_medium, law), still.residual[2:].mean(axis=0))
    assert not still.unedited(asked("medium N > wait 24h"), law).any()


def test_a_residual_is_linear_in_time_from_zero_and_persists():
    known = seen("edit A > wait 48h", "edit A > wait 24h")
    late, early = known.residual
    at = lambda hours: known.residual_of(asked(f"edit A > wait {hours}h"))
    for hours, expected in [(12, 0.5 * early), (24, early), (30, 0.75 * early + 0.25 * late), (48, late), (96, late)]:
        np.testing.assert_allclose(at(hours), expected, rtol=1e-12)
    assert known.is_beyond(asked("edit A > wait 49h"))
    assert not known.is_beyond(asked("edit A > wait 48h"))


def test_a_harvest_after_the_last_of_its_course_is_the_newest_of_all_only_if_no_edited_cells_were_harvested_as_late():
    known = seen("edit A > wait 48h", "edit B > wait 72h", "wait 96h")
    assert known.is_beyond(asked("edit A > wait 60h")) and not known.is_newest(asked("edit A > wait 60h"))
    assert not known.is_newest(asked("edit A > wait 72h")) and known.is_newest(asked("edit A > wait 73h"))


def test_a_residual_of_two_contexts_is_that_of_the_nearest_time_of_the_change_and_persists_before_its_first_harvest():
    known = seen("edit A > wait 48h > medium M > wait 6h", "edit A > wait 10h > medium M > wait 6h")
    np.testing.assert_array_equal(known.residual_of(asked("edit A > wait 40h > medium M > wait 2h")), known.residual[0])


def test_settled_cells_are_apart_from_those_harvested_in_time():
    known = seen("edit A > wait 24h", "edit A > wait settled")
    np.testing.assert_array_equal(known.residual_of(asked("edit A > wait settled")), known.residual[1])
    np.testing.assert_array_equal(known.residual_of(asked("edit A > wait 500h")), known.residual[0])


def test_a_third_of_the_combinations_whose_parts_were_seen_are_held_out_at_all_times():
    singles = [f"edit {gene} > wait {hours}h" for gene in "ABCD" for hours in (24, 48)]
    doubles = [f"edit {pair[0]} > edit {pair[1]} > wait {hours}h" for pair in ("AB", "CD", "AE") for hours in (24, 48)]
    out = held_out_composites(seen(*singles, *doubles), seed=0)
    assert not out[: len(singles)].any() and not out[-2:].any()
    assert out.reshape(-1, 2).all(axis=1).sum() == out.sum() / 2 == 1


def test_combinations_of_edits_that_others_carry_too_are_held_out_although_no_edit_was_made_alone():
    doubles = [f"edit {a} > edit {b} > wait 24h" for a, b in ("AB", "BC", "CA", "AD")]
    found = [held_out_composites(seen(*doubles), seed=seed) for seed in range(20)]
    assert {int(out.sum()) for out in found} == {1}
    np.testing.assert_array_equal(np.any(found, axis=0), [True, True, True, False])  # D was made nowhere else


def test_what_all_conditions_say_of_the_edits_stands_in_for_parts_that_were_not_seen_alone():
    known = seen("edit A drug 0.9 > wait 24h", "edit A drug 0.9 > edit B drug 0.5 > wait 24h")
    query, change = asked("edit A drug 0.9 > edit B drug 0.9 > wait 24h"), RNG.normal(size=3)
    assert known.terms(query) is None and known.told_terms(query, None) is None
    found = known.told_terms(query, change)
    by_law = RNG.normal(size=(len(found), 3))
    made = known.composition(found, by_law, change)
    np.testing.assert_allclose(made.additive, by_law[0] + by_law[1] - by_law[2] + by_law[3] - by_law[4])
    np.testing.assert_allclose(made.additive + made.beyond, by_law[0] + change)
    assert not made.linear.any()


def test_all_last_harvests_are_held_out_of_edited_curves_and_again_every_second_one_with_one_between_of_the_others():
    names = ("control", "A", "B", "C", "D")
    conditions = [condition(name, hours) for name in names for hours in (12.0, 24.0, 48.0, 72.0)]
    blank = np.ones((len(conditions), 2))
    last, mixed = held_out_tests(dataset(conditions, blank), has_composites=True, seed=0)
    held = lambda out: [(c.perturbation, c.hours) for c, is_out in zip(conditions, out, strict=True) if is_out]
    assert held(last) == [(name, 72.0) for name in "ABCD"]
    assert held(mixed) == [("A", 24.0), ("B", 72.0), ("C", 48.0), ("D", 72.0)]
    once = dataset([condition("A", 24.0), condition("control", 24.0)], blank[:2])
    assert held_out_tests(once, has_composites=True, seed=0) == []


@pytest.mark.parametrize(
    "wanted", [(0.0, 1.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.4, 0.3, 0.7, 0.5), (0.0, 1.0, 1.0, 1.0)]
)
def test_shares_of_a_composition_that_was_made_with_them_are_found(wanted):
    """Laws are right on singles but for a residual each; doubles obey the composition exactly."""
    names = ["control", *"ABCD", "A+B", "C+D", "A+C", "B+D"]
    conditions = [condition(name, 24.0) for name in names]
    law = dict(zip(conditions, RNG.normal(size=(len(names), 6)), strict=True))
    residual = {c: RNG.normal(size=6) * (len(c.edits) < 2) for c in conditions}
    single = {c.perturbation: c for c in conditions}
    mean = np.array([law[c] + residual[c] for c in conditions])
    blank = dataset(conditions, mean, standard_error=1e-6)
    (test,) = held_out_tests(blank, has_composites=True, seed=0)
    assert {c.perturbation for c, out in zip(conditions, test, strict=True) if out} < {"A+B", "C+D", "A+C", "B+D"}
    linear = linear_effects(blank.subset(np.flatnonzero(~test)))
    for row in np.flatnonzero(test):
        c = conditions[row]
        parts = [single[edit.gene] for edit in c.edits]
        control = law[single["control"]]
        additive = control + sum(law[part] - control for part in parts)
        base = residual[single["control"]]
        beyond = sum(residual[part] - base for part in parts)
        together = control + linear.change(c) - additive - beyond
        steps = (law[c] - additive, base, beyond, together)
        mean[row] = additive + sum(share * step for share, step in zip(wanted, steps, strict=True))
    data = dataset(conditions, mean, standard_error=1e-6)
    predicted = np.array([law[c] for c in conditions])

    def ask(asked):
        return np.array([law[c] for c in asked])

    shares = find_shares(data, [test], [predicted], [ask], untested=BETWEEN)
    np.testing.assert_allclose(shares.compose, wanted, atol=1e-5)
    assert set(shares.widths) == {"parts"}
    assert shares.widths["parts"].half_width(np.zeros((1, 6)), np.zeros((1, 6), bool)).max() < 1e-2


@pytest.mark.parametrize("wanted", [(0.2, 0.7, 0.5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_shares_after_the_last_harvest_of_a_course_are_those_of_courses_that_others_outlast(wanted):
    """Each course's last harvest is what the laws say and these shares of its corrections; no courses but those with an odd number are asked."""
    names, times = ("control", *"ABCDEFGH"), (24.0, 48.0)
    conditions = [condition(name, hours) for name in names for hours in times]
    law = {c: RNG.normal(size=6) for c in conditions}
    residual = {c: RNG.normal(size=6) for c in conditions}
    at = {(c.perturbation, c.hours): c for c in conditions}
    mean = {c: law[c] + residual[c] for c in conditions}
    for name in "BDFH":
        last, before, base = at[name, 48.0], at[name, 24.0], residual[at["control", 48.0]]
        steps = (base, residual[before] - base, law[before] - law[last])
        mean[last] = law[last] + sum(share * step for share, step in zip(wanted, steps, strict=True))
    data = dataset(conditions, np.array([mean[c] for c in conditions]), standard_error=1e-9, differentiating=True)
    tests = held_out_tests(data, has_composites=True, seed=0)
    predicted = np.array([law[c] for c in conditions])
    ask = lambda asked: np.array([law[c] for c in asked])
    shares = find_shares(data, tests, [predicted] * 2, [ask] * 2, untested=BETWEEN)
    np.testing.assert_allclose(shares.carry_over[1], wanted, atol=1e-5)
    assert set(shares.widths) == {"late", "later"}


@pytest.mark.parametrize("wanted", [(0.2, 0.7, 0.5), (1.0, 0.0, 1.0), (0.0, 0.0, 0.0)])
def test_shares_between_harvests_of_a_course_are_those_of_courses_that_one_was_held_out_of(wanted):
    """The middle harvest of every second course is what the laws say and these shares of its corrections, the last one a line through its neighbours."""
    names, times = ("control", *"ABCDEFGH"), (24.0, 48.0, 72.0)
    conditions = [condition(name, hours) for name in names for hours in times]
    law = {c: RNG.normal(size=6) for c in conditions}
    residual = {c: RNG.normal(size=6) for c in conditions}
    at = {(c.perturbation, c.hours): c for c in conditions}
    mean = {c: law[c] + residual[c] for c in conditions}
    for name in "ACEG":
        here, base = at[name, 48.0], residual[at["control", 48.0]]
        beyond = 0.5 * (residual[at[name, 24.0]] + residual[at[name, 72.0]]) - base
        change = [mean[at[name, hours]] - mean[at["control", hours]] for hours in (24.0, 72.0)]
        line = mean[at["control", 48.0]] + 0.5 * (change[0] + change[1]) - law[here] - base - beyond
        steps = (base, beyond, line)
        mean[here] = law[here] + sum(share * step for share, step in zip(wanted, steps, strict=True))
    data = dataset(conditions, np.array([mean[c] for c in conditions]), standard_error=1e-9, differentiating=True)
    tests = held_out_tests(data, has_composites=True, seed=0)
    predicted = np.array([law[c] for c in conditions])
    ask = lambda asked: np.array([law[c] for c in asked])
    shares = find_shares(data, tests, [predicted] * 2, [ask] * 2, untested=BETWEEN)
    np.testing.assert_allclose(shares.carry_over[0], wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("untested", "compose", "carried"),
    [(LAW_ALONE, [1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0]), (BETWEEN, [0.25, 1.0, 1.0, 0.5], [1.0, 1.0, 0.5])],
)
def test_where_nothing_was_held_out_predictions_stand_between_the_law_and_what_was_measured(untested, compose, carried):
    data = dataset([condition("A", 24.0), condition("control", 24.0)], RNG.random((2, 3)))
    shares = find_shares(data, [], [], [], untested=untested)
    assert shares.carry_over[1:].tolist() == [carried] * 2 and shares.compose.tolist() == compose
    assert shares.carry_over[0].tolist() == [*carried[:2], untested.between]
    assert not shares.widths
    moving = find_shares(
        replace(data, system=replace(data.system, is_differentiating=True)), [], [], [], untested=untested
    )
    assert (
        moving.carry_over[1:].tolist() == [[1.0, 0.0, 0.0]] * 2
    )  # unedited cells that were harvested later carry their residual


def test_a_residual_beyond_that_of_unedited_cells_keeps_the_share_of_its_variance_that_is_not_noise():
    conditions = [condition(name, 24.0) for name in ("control", *(f"E{i}" for i in range(2000)))]
    misfit, noise, control = np.array([0.3, 0.1, 0.0]), 0.2, np.array([1.0, -2.0, 3.0])
    beyond = RNG.normal(size=(2000, 3)) * np.sqrt(misfit**2 + 2 * noise**2)  # the control's mean is as noisy as each
    data = dataset(conditions, np.ones((2001, 3)), standard_error=noise)
    kept = shrunk(data, np.vstack([control, control + beyond]))
    np.testing.assert_array_equal(kept[0], control)
    alone = misfit**2 / (misfit**2 + 2 * noise**2)
    together = (misfit**2).mean() / (misfit**2 + 2 * noise**2).mean()
    expected = alone + (1 - alone) * together
    np.testing.assert_allclose((kept[1:] - control) / beyond, np.broadcast_to(expected, (2000, 3)), atol=0.05)


def test_what_edited_and_unedited_cells_of_one_medium_share_is_no_noise():
    """A misfit of a medium is in both: their difference, which is the edit's effect, must not gain from it."""
    base, rich = condition("control", 24.0), condition("control", 24.0, medium="M")
    conditions = [base, rich, *(condition(f"E{i}", 24.0, medium="M") for i in range(50))]
    misfit = np.array([0.5, -0.5, 1.0])
    residual = np.vstack([np.zeros(3), np.tile(misfit, (51, 1))])
    data = dataset(conditions, np.ones((52, 3)), standard_error=2.0, media=("M",))
    np.testing.assert_allclose(shrunk(data, residual), residual)


def test_residuals_that_are_no_larger_than_their_noise_are_left_out():
    conditions = [condition(name, 24.0) for name in ("control", *(f"E{i}" for i in range(2000)))]
    residual = np.vstack([np.zeros(3), 0.2 * RNG.normal(size=(2000, 3))])
    kept = shrunk(dataset(conditions, np.ones((2001, 3)), standard_error=0.2), residual)
    np.testing.assert_array_equal(kept, 0.0)


def test_an_unknown_error_keeps_as_much_of_a_residual_as_the_typical_one_of_other_conditions():
    conditions = [condition(name, 24.0) for name in ("control", "A", "B", "C")]
    error = np.array([0.1, 0.4, 0.4, np.nan])[:, None] * np.ones(3)
    residual = np.vstack([np.zeros(3), RNG.normal(size=(3, 3))])
    told, untold = (
        dataset(conditions, np.ones((4, 3)), standard_error=each) for each in (np.nan_to_num(error, nan=0.4), error)
    )
    np.testing.assert_allclose(shrunk(untold, residual), shrunk(told, residual))
