"""Delayed edits and compounds in laws whose answer is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import expm
from small_laws import N_GENES, ROSTER, START, context, harvested, linear, mechanistic, states

from semimech._errors import ExperimentError
from semimech.experiment import Compound, Condition, effective_history, resolve_doses
from semimech.model import ExponentialSolver, make_plan

pytestmark = pytest.mark.usefixtures("x64")

SOLVER = ExponentialSolver(0.05)
DRUG = Compound(name="X", targets=("A", "T"), ic50=2.0, hill=1.5)
BLOCKER = Compound(name="Y", targets=("T",), ic50=1.0)


def dosed(protocol: str) -> Condition:
    return resolve_doses(harvested(f"{protocol} > harvest"), (DRUG, BLOCKER))


def at_rest(law, numbers) -> np.ndarray:
    matrix, constant = law.coefficients(numbers)
    return np.linalg.solve(matrix, -constant)


def relaxed(law, numbers, start: np.ndarray, hours: float) -> np.ndarray:
    matrix, constant = law.coefficients(numbers)
    rest = np.linalg.solve(matrix, -constant)
    return rest + expm(hours * np.asarray(matrix)) @ (start - rest)


def setting_in(law, start: np.ndarray, hours: float, *, efficacy: float, onset: float, turnover: float) -> np.ndarray:
    """Cells in which the loss of T sets in exponentially: a linear system with the activity lost as one more variable."""
    start = relaxed(law, context(), start, onset)
    matrix, constant = (np.asarray(x) for x in law.coefficients(context()))
    lost = efficacy * np.exp(np.asarray(law.log_degradation)) * np.asarray(law.weight)[:, N_GENES]
    whole = np.zeros((N_GENES + 2, N_GENES + 2))
    whole[:N_GENES, :N_GENES] = matrix
    whole[:N_GENES, N_GENES], whole[:N_GENES, N_GENES + 1] = lost, constant - lost
    whole[N_GENES, N_GENES] = -1.0 / turnover
    return (expm((hours - onset) * whole) @ np.array([*start, 1.0, 1.0]))[:N_GENES]


def test_an_edit_with_an_onset_relaxes_from_its_onset_on():
    law = linear(1)
    found = states(law, ["edit T drug 0.7 onset 10h > wait 24h > harvest"], SOLVER)[0]
    numbers = context(harvested("edit T drug 0.7 > harvest").edits[0])
    waited = relaxed(law, context(), START, 10.0)
    np.testing.assert_allclose(found, relaxed(law, numbers, waited, 14.0), rtol=1e-5)


@pytest.mark.parametrize("hours", [13.0, 20.0, 48.0, 96.0])
@pytest.mark.parametrize("turnover", [2.0, 8.0, 24.0])
def test_an_edit_with_a_turnover_is_within_three_percent_of_the_exponential_law(hours, turnover):
    law = linear(2, strength=0.6)
    asked = f"edit T drug 0.9 onset 10h turnover {turnover}h > wait {hours}h > harvest"
    found = states(law, [asked], SOLVER)[0]
    exact = setting_in(law, START, hours, efficacy=0.9, onset=10.0, turnover=turnover)
    unedited = relaxed(law, context(), START, hours)
    scale = max(np.abs(exact - unedited).max(), 0.1)
    assert np.abs(found - exact).max() < 0.03 * scale


def test_finer_stairs_converge_to_the_exponential_law():
    law = linear(2, strength=0.6)
    condition = harvested("edit T drug 0.9 onset 10h turnover 8h > wait 30h > harvest")
    exact = setting_in(law, START, 30.0, efficacy=0.9, onset=10.0, turnover=8.0)
    errors = [
        np.abs(states(law, [Condition(history=effective_history(condition, pieces=n))], SOLVER)[0] - exact).max()
        for n in (2, 8, 64)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4


def test_a_settled_edit_does_not_remember_its_delay():
    law = mechanistic(3)
    asked = ["edit A onset 12h turnover 8h > wait settled > harvest", "edit A > wait settled > harvest"]
    np.testing.assert_allclose(*states(law, asked, SOLVER), rtol=1e-6)


def test_harvests_of_one_delayed_protocol_share_a_course():
    protocols = [f"edit A onset 12h turnover 8h > wait {hours}h > harvest" for hours in (6, 24, 72)]
    stage = make_plan([harvested(p) for p in protocols], ROSTER).stages[0]
    assert len(set(stage.course[:3])) == 1


def test_cells_go_back_to_the_unedited_steady_state_when_a_compound_is_taken_away():
    law = linear(4)
    kept, removed, washed = (
        states(law, [dosed(f"dose X 3uM > wait settled > {then}wait settled")], SOLVER)[0]
        for then in ("", "dose X 0uM > ", "medium M > ")
    )
    unedited = at_rest(law, context())
    np.testing.assert_allclose(removed, unedited, rtol=1e-5)
    np.testing.assert_allclose(washed, unedited, rtol=1e-5)
    numbers = context(*dosed("dose X 3uM > wait 1h").edits)
    np.testing.assert_allclose(kept, at_rest(law, numbers), rtol=1e-5)
    assert np.abs(kept / unedited - 1).max() > 0.05


def test_cells_relax_from_the_dosed_state_in_the_time_that_is_left():
    law = linear(5)
    found = states(law, [dosed("dose X 3uM > wait 20h > dose X 0uM > wait 7h")], SOLVER)[0]
    numbers = context(*dosed("dose X 3uM > wait 1h").edits)
    np.testing.assert_allclose(found, relaxed(law, context(), relaxed(law, numbers, START, 20.0), 7.0), rtol=1e-5)


def test_the_activities_that_two_compounds_leave_on_one_target_multiply():
    numbers = context(*dosed("dose X 2uM > dose Y 1uM > wait 1h").edits)
    np.testing.assert_allclose(numbers.activity, [0.5, 1, 1, 1, 0.25])


def test_a_dose_that_nobody_resolved_is_refused():
    with pytest.raises(ExperimentError, match="doses of X are not resolved: call resolve_doses first"):
        make_plan([harvested("dose X 1uM > wait 24h > harvest")], ROSTER)


def test_a_plan_of_a_delay_of_no_length_is_that_of_a_plain_edit():
    plain, zero = (
        make_plan([harvested(f"edit A{delay} > wait 24h > harvest")], ROSTER) for delay in ("", " onset 0h turnover 0h")
    )
    assert plain.stages[0].hours == zero.stages[0].hours == (0.0, 24.0)
    assert not math.isinf(plain.stages[0].hours[-1])
