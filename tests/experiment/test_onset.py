"""Delayed edits as staircases of plain ones."""

from __future__ import annotations

import itertools
import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from strategies import EXPERIMENTS

from semimech.experiment import (
    Condition,
    Edit,
    Experiment,
    Harvest,
    Wait,
    effective_history,
    parse_experiment,
    remaining_history,
)

ONSETS, TURNOVERS = st.floats(0, 100), st.floats(0.01, 50)


def history(text: str) -> Condition:
    return list(parse_experiment(f"{text} > harvest").conditions.values())[-1]


def delayed(hours: float, **edit: float) -> Condition:
    steps = (Edit(gene="A", kind="crispri", **edit), Wait(hours=hours), Harvest())
    return Experiment(id="e", steps=steps).conditions["harvest"]


def staircase(condition: Condition, **options: int) -> list[tuple[float, float]]:
    """Efficacy and hours of each period of a history with one edit."""
    return [(sum(e.efficacy for e in p.context.edits), p.hours) for p in effective_history(condition, **options)]


@hypothesis.given(EXPERIMENTS)
def test_a_history_without_delays_is_its_own_effective_history(experiment):
    for condition in experiment.conditions.values():
        edits = [edit for period in condition.history for edit in period.context.edits]
        if not any(edit.onset_hours or edit.turnover_hours for edit in edits):
            assert effective_history(condition) is condition.history


@hypothesis.given(EXPERIMENTS)
def test_an_effective_history_takes_as_long_and_has_only_plain_edits(experiment):
    for condition in experiment.conditions.values():
        parts = effective_history(condition)
        assert sum(p.hours for p in parts) == pytest.approx(condition.hours, rel=1e-9, abs=1e-6)
        assert all(e.onset_hours == e.turnover_hours == 0 for p in parts for e in p.context.edits)
        assert all(a.context != b.context for a, b in itertools.pairwise(parts))
        assert parts[-1].context.medium == condition.medium
        assert parts[-1].context.doses == condition.context.doses


@hypothesis.given(ONSETS.filter(lambda x: x > 0.01), TURNOVERS, st.floats(0.1, 1))
def test_an_edit_is_absent_before_its_onset(onset, turnover, part):
    condition = delayed(onset * part, onset_hours=onset, turnover_hours=turnover)
    assert [p.context.edits for p in effective_history(condition)] == [()]


@hypothesis.given(ONSETS, st.floats(0.01, 100), st.floats(0.1, 1))
def test_without_turnover_an_edit_acts_in_full_from_its_onset(onset, later, efficacy):
    condition = delayed(onset + later, onset_hours=onset, efficacy=efficacy)
    whole = Edit(gene="A", kind="crispri", efficacy=efficacy)
    assert effective_history(condition)[-1].context.edits == (whole,)
    assert sum(hours for e, hours in staircase(condition) if not e) == pytest.approx(onset, abs=1e-8)


@hypothesis.given(ONSETS, TURNOVERS, st.floats(0.1, 1), st.floats(5, 100))
def test_the_integral_of_the_efficacy_is_that_of_the_exponential(onset, turnover, efficacy, n_turnovers):
    # Once the stairs end: the integral of e (1 - exp(-t/τ)) over T ≫ τ is e (T - τ).
    hours = n_turnovers * turnover
    condition = delayed(onset + hours, onset_hours=onset, turnover_hours=turnover, efficacy=efficacy)
    found = sum(e * h for e, h in staircase(condition))
    assert found == pytest.approx(efficacy * (hours - turnover), rel=1e-6, abs=1e-6)


@hypothesis.given(TURNOVERS, st.integers(1, 7))
def test_the_integral_is_that_of_the_exponential_at_the_end_of_every_step(turnover, step):
    hours = -turnover * math.log1p(-step / 8)
    found = sum(e * h for e, h in staircase(delayed(hours, turnover_hours=turnover)))
    assert found == pytest.approx(hours - turnover * -math.expm1(-hours / turnover), rel=1e-6, abs=1e-8)


def test_the_stairs_approach_the_exponential_as_they_get_finer():
    times = np.linspace(0, 40, 4001)[1:-1]
    exact = 1 - np.exp(-times / 8)
    errors = []
    for pieces in (4, 8, 16, 64, 256):
        stairs = staircase(delayed(1000.0, turnover_hours=8.0), pieces=pieces)
        ends = np.cumsum([hours for _, hours in stairs])
        errors.append(np.abs(np.array([e for e, _ in stairs])[np.searchsorted(ends, times)] - exact).max())
    assert all(fine < coarse for coarse, fine in itertools.pairwise(errors))
    assert errors[-1] < 0.01


def test_a_turnover_towards_zero_is_an_edit_at_once():
    fast = effective_history(delayed(24.0, turnover_hours=1e-3))
    at_once = delayed(24.0)
    assert fast[-1].context == at_once.context
    assert fast[-1].hours == pytest.approx(24.0, abs=0.01)
    assert effective_history(delayed(24.0, turnover_hours=1e-12)) == at_once.history


def test_an_edit_settles_in_full():
    assert staircase(delayed(math.inf, onset_hours=12.0)) == [(0.0, 12.0), (1.0, math.inf)]
    assert staircase(delayed(math.inf, turnover_hours=8.0))[-1] == (1.0, math.inf)


def test_the_delay_counts_from_the_edit_through_changes_of_medium():
    steps = effective_history(history("wait 5h > edit A onset 12h > wait 4h > medium M > wait 24h"))
    assert [(p.context.medium, p.context.edits, p.hours) for p in steps] == [
        (None, (), 9.0),
        ("M", (), 8.0),
        ("M", (Edit(gene="A"),), 16.0),
    ]


def test_a_delay_counts_anew_after_cells_have_settled():
    steps = effective_history(history("wait settled > edit A onset 12h > wait 24h"))
    assert [(p.context.edits, p.hours) for p in steps] == [((), math.inf), ((Edit(gene="A"),), 12.0)]


def test_edits_are_delayed_each_by_its_own_time():
    steps = effective_history(history("edit A onset 6h > edit B onset 10h > wait 24h"))
    assert [({e.gene for e in p.context.edits}, p.hours) for p in steps] == [
        (set(), 6.0),
        ({"A"}, 4.0),
        ({"A", "B"}, 14.0),
    ]


@hypothesis.given(st.floats(0.1, 40), st.floats(0.1, 40), ONSETS, TURNOVERS)
def test_a_later_harvest_does_not_change_what_an_earlier_one_saw(first, second, onset, turnover):
    edit = {"onset_hours": onset, "turnover_hours": turnover}
    early, late = delayed(first, **edit), delayed(first + second, **edit)
    before, after = effective_history(early), effective_history(late)
    assert before[:-1] == after[: len(before) - 1]
    assert before[-1].context == after[len(before) - 1].context
    rest = remaining_history(early, late)
    assert sum(p.hours for p in rest) == pytest.approx(second, abs=1e-6)
    assert rest[-1].context == after[-1].context


def test_what_remains_of_a_plain_protocol_is_its_own_rest():
    before, after = history("edit A > wait 24h"), history("edit A > wait 72h > medium M > wait 24h")
    assert [(p.context.medium, p.hours) for p in remaining_history(before, after)] == [(None, 48.0), ("M", 24.0)]
    assert remaining_history(after, after) == ()
    with pytest.raises(ValueError, match="continued"):
        remaining_history(after, before)
