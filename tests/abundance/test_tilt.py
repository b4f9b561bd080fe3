from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from semimech import DataError
from semimech.abundance import Tilt


@pytest.mark.parametrize("relaxation", [5.0, 48.0, 1e4])
def test_moments_are_the_integrals_of_the_correlation_of_a_relaxing_state(relaxation):
    tilt = Tilt(hours=72.0, relaxation_hours=relaxation)
    shift, _ = quad(lambda s: math.exp(-(72.0 - s) / relaxation), 0.0, 72.0)
    variance, _ = dblquad(lambda s, t: 2.0 * math.exp(-(t - s) / relaxation), 0.0, 72.0, 0.0, lambda t: t)
    assert tilt.shift == pytest.approx(shift, rel=1e-6)
    assert tilt.variance == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize("relaxation", [math.inf, 1e9, 2e5])
def test_states_that_hardly_relax_are_states_that_last(relaxation):
    tilt = Tilt(hours=10.0, relaxation_hours=relaxation)
    assert tilt.shift == pytest.approx(10.0, rel=1e-4)
    assert tilt.variance == pytest.approx(100.0, rel=1e-4)


def test_times_that_are_none_are_refused_together():
    with pytest.raises(DataError, match=r"hours must be.*\n?.*relaxation_hours must be above 0"):
        Tilt(hours=0.0, relaxation_hours=-1.0)


def test_single_cells_that_divide_and_die_by_their_state_leave_survivors_at_the_tilted_mean():
    rng = np.random.default_rng(0)
    hours, relaxation, step = 40.0, 20.0, 0.5
    keep, weight, mean, sd = math.exp(-step / relaxation), 0.03, 0.4, 0.8
    state, founders = mean + sd * rng.standard_normal(40_000), 40_000
    for _ in range(int(hours / step)):
        rate = 0.01 + weight * state
        state = state[rng.random(len(state)) >= -np.expm1(-np.maximum(-rate, 0.0) * step)]
        rate = 0.01 + weight * state
        divides = rng.random(len(state)) < -np.expm1(-np.maximum(rate, 0.0) * step)
        state = np.concatenate([state, state[divides]])
        state = mean + keep * (state - mean) + sd * math.sqrt(1 - keep**2) * rng.standard_normal(len(state))
    tilt = Tilt(hours=hours, relaxation_hours=relaxation)
    assert state.mean() == pytest.approx(mean + tilt.shift * sd**2 * weight, abs=0.03)
    assert state.std() == pytest.approx(sd, rel=0.03)
    expected = (0.01 + weight * mean) * hours + 0.5 * tilt.variance * (weight * sd) ** 2
    assert math.log(len(state) / founders) == pytest.approx(expected, abs=0.03)
