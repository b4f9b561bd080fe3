from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_laws import ROSTER, context, harvested
from strategies import UNDOSED

from semimech.experiment import Condition, Context, Edit, effective_history
from semimech.model import ContextArrays, Plan, Roster, context_arrays, harvest_times, make_plan


def as_numbers(contexts: ContextArrays, *place: int) -> tuple[float, ...]:
    return tuple(np.concatenate([value[place] for value in vars(contexts).values()]).tolist())


def course_walked(plan: Plan, row: int) -> list[tuple[tuple[float, ...], float]]:
    """Contexts and hours that the solver goes through before it reads a row, from the arrays of the plan alone."""
    number = max(i for i, stage in enumerate(plan.stages) if row in stage.condition)
    stage = plan.stages[number]
    read = list(stage.condition).index(row)
    course, settles = stage.course[read], bool(stage.is_settled[read])
    end = len(stage.hours) - 1 if settles else stage.time[read]
    walked = []
    while True:
        gaps = np.diff(stage.hours)[:end]
        here = [(as_numbers(stage.contexts, i, course), float(gap)) for i, gap in enumerate(gaps)]
        last = as_numbers(stage.contexts, len(stage.hours) - 1 if settles else end, course)
        walked = [*here, (last, math.inf if settles else 0.0), *walked]
        course, number = stage.start[course], number - 1
        if course < 0:
            return merged(walked)
        stage, settles = plan.stages[number], True
        end = len(stage.hours) - 1


def course_asked(condition: Condition, roster: Roster) -> list[tuple[tuple[float, ...], float]]:
    return merged([(as_numbers(context_arrays([p.context], roster), 0), p.hours) for p in effective_history(condition)])


def merged(walked: list[tuple[tuple[float, ...], float]]) -> list[tuple[tuple[float, ...], float]]:
    """Without intervals shorter than the rounding of hours, and neighbours in one context joined."""
    found: list[tuple[tuple[float, ...], float]] = []
    for numbers, hours in walked:
        if hours > 1e-6:
            before = found.pop()[1] if found and found[-1][0] == numbers else 0.0
            found.append((numbers, before + hours))
    return found


def roster_of(conditions: list[Condition]) -> Roster:
    contexts = [period.context for condition in conditions for period in condition.history]
    genes = sorted({edit.gene for context in contexts for edit in context.edits})
    media = sorted({context.medium for context in contexts if context.medium is not None})
    return Roster(genes=tuple(genes[::2]), targets=tuple(genes[1::2]), media=tuple(media))


@given(st.lists(UNDOSED, min_size=1, max_size=5))
def test_every_row_is_read_after_exactly_its_own_history(experiments):
    conditions = [condition for experiment in experiments for condition in experiment.conditions.values()]
    roster = roster_of(conditions)
    plan = make_plan(conditions, roster)
    for row, condition in enumerate(conditions):
        walked, asked = course_walked(plan, row), course_asked(condition, roster)
        assert [numbers for numbers, _ in walked] == [numbers for numbers, _ in asked]
        assert [hours for _, hours in walked] == pytest.approx([hours for _, hours in asked], abs=1e-5)


def test_conditions_that_share_their_beginning_share_a_course():
    protocols = ["edit A > wait 24h > harvest", "edit A > wait 72h > harvest", "edit A > wait settled > harvest"]
    stage = make_plan([harvested(p) for p in protocols], ROSTER).stages[0]
    assert len(set(stage.course[:3])) == 1
    assert stage.hours == (0.0, 24.0, 72.0)


def test_a_branch_gets_a_course_of_its_own():
    protocols = ["edit A > wait 24h > medium M > wait 24h > harvest", "edit A > wait 72h > harvest"]
    stage = make_plan([harvested(p) for p in protocols], ROSTER).stages[0]
    assert len(set(stage.course[:2])) == 2


def test_courses_of_equal_length_stand_in_the_order_of_their_conditions():
    # Not in the order of a set, which differs between processes and with it the rounding of sums over courses.
    protocols = [f"edit {gene} > wait {hours}h > harvest" for hours in (24, 72) for gene in "DBTCA"]
    stage = make_plan([harvested(p) for p in protocols], ROSTER).stages[0]
    assert stage.course[:10].tolist() == [0, 1, 2, 3, 4] * 2


def test_plans_of_similar_size_have_equal_shapes():
    small, large = (
        make_plan([harvested(f"edit {g} > wait 24h > harvest") for g in genes], ROSTER) for genes in ("A", "ABCD")
    )
    assert small.n_rows == large.n_rows
    assert small.stages[0].contexts.activity.shape == large.stages[0].contexts.activity.shape


def test_usual_times_are_on_the_grid_up_to_the_last_that_is_asked():
    asked = [harvested("edit A > wait 36h > harvest"), harvested("wait 72h > harvest")]
    plan = make_plan(asked, ROSTER, times=(24.0, 48.0, 96.0))
    assert plan.stages[0].hours == (0.0, 24.0, 36.0, 48.0, 72.0)
    assert [sum(hours for _, hours in course_walked(plan, row)) for row in (0, 1)] == [36.0, 72.0]
    assert make_plan([harvested("edit A > wait settled > harvest")], ROSTER, times=(24.0,)).stages[0].hours == (0.0,)


def test_harvest_times_are_finite_sorted_and_each_once():
    asked = ("wait 72h", "edit A > wait 24h", "edit B > wait 24h", "wait settled")
    assert harvest_times([harvested(f"{text} > harvest") for text in asked]) == (24.0, 72.0)


def test_waits_whose_sums_round_differently_find_their_time():
    tenths = harvested("edit A > " + " > ".join(f"wait 0.1h > medium {m} > wait 0.2h" for m in "MNMN") + " > harvest")
    plan = make_plan([tenths, harvested("edit A > wait 1.2h > harvest")], ROSTER)
    assert course_walked(plan, 0)[-1][1] == pytest.approx(0.2)
    assert sum(hours for _, hours in course_walked(plan, 1)) == pytest.approx(1.2)


def test_no_condition_gives_an_empty_plan():
    assert make_plan([], ROSTER).stages == ()


def test_a_knockout_takes_the_activity_and_marks_its_own_transcript():
    numbers = context(Edit(gene="B", kind="knockout", efficacy=0.75))
    np.testing.assert_allclose(numbers.activity, [1, 0.25, 1, 1, 1])
    np.testing.assert_allclose(numbers.knocked, [0, 0.75, 0, 0])
    np.testing.assert_allclose(numbers.production, 1.0)
    np.testing.assert_allclose(numbers.n_edits, [0.75])


def test_a_drug_takes_the_activity_and_leaves_the_transcript():
    numbers = context(Edit(gene="B", kind="drug", efficacy=0.75))
    np.testing.assert_allclose(numbers.activity, [1, 0.25, 1, 1, 1])
    np.testing.assert_allclose(numbers.knocked, 0.0)
    np.testing.assert_allclose(numbers.production, 1.0)


@pytest.mark.parametrize(("kind", "factor"), [("crispri", 0.25), ("crispra", 1.75)])
def test_crispri_and_crispra_scale_production_and_leave_the_activity_of_what_is_made(kind, factor):
    numbers = context(Edit(gene="C", kind=kind, efficacy=0.75))
    np.testing.assert_allclose(numbers.production, [1, 1, factor, 1])
    np.testing.assert_allclose(numbers.activity, 1.0)
    np.testing.assert_allclose(numbers.knocked, 0.0)


@pytest.mark.parametrize(("kind", "factor"), [("crispri", 0.25), ("crispra", 1.75), ("knockout", 0.25), ("drug", 0.25)])
def test_any_edit_of_an_unmeasured_target_acts_on_its_activity(kind, factor):
    numbers = context(Edit(gene="T", kind=kind, efficacy=0.75))
    np.testing.assert_allclose(numbers.activity, [1, 1, 1, 1, factor])
    np.testing.assert_allclose(numbers.production, 1.0)
    np.testing.assert_allclose(numbers.knocked, 0.0)


def test_an_edit_of_an_unknown_gene_counts_as_an_edit_only():
    known, unknown = context(), context(Edit(gene="elsewhere", efficacy=0.5))
    assert as_numbers(unknown)[:-1] == as_numbers(known)[:-1]
    assert unknown.n_edits == 0.5


def test_the_maintenance_medium_is_all_zero_and_each_other_medium_has_its_place():
    encoded = context_arrays([Context(medium=m) for m in (None, "M", "N")], ROSTER)
    np.testing.assert_array_equal(encoded.medium, [[0, 0], [1, 0], [0, 1]])


def test_regulators_are_measured_genes_then_unmeasured_targets():
    assert ROSTER.regulators == ("A", "B", "C", "D", "T")
