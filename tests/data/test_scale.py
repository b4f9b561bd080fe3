from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis.extra.numpy import arrays

from semimech.data import count_scale, identity_scale, log1p_scale, log_scale

SIZES = np.random.default_rng(1).lognormal(np.log(5000), 0.4, 2000)
SCALES = {
    "linear": identity_scale(),
    "log": log_scale(),
    "log1p": log1p_scale(),
    "counts": count_scale(SIZES),
    "counts of shallow cells": count_scale(SIZES / 25),
    "counts per million": count_scale(SIZES, target_sum=1e6),
}
POSITIVE = arrays(float, 8, elements=st.floats(1e-6, 1e6))


@pytest.fixture(params=SCALES)
def scale(request):
    return SCALES[request.param]


@hypothesis.given(state=POSITIVE)
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_the_state_is_recovered_from_what_is_observed(scale, state):
    np.testing.assert_allclose(scale.to_state(scale.to_observed(state)), state, rtol=1e-9, atol=1e-9)


@hypothesis.given(state=POSITIVE)
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_more_expression_is_never_observed_as_less(scale, state):
    assert (np.diff(scale.to_observed(np.sort(state))) >= 0).all()


def test_the_slope_is_the_derivative_of_the_state(scale):
    observed = scale.to_observed(np.geomspace(0.011, 3000, 50))
    step = 1e-7
    numeric = (scale.to_state(observed + step) - scale.to_state(observed - step)) / (2 * step)
    middle = np.abs(scale.state_slope(observed + step) / scale.state_slope(observed - step) - 1) < 1e-12
    assert middle.sum() > 40
    np.testing.assert_allclose(scale.state_slope(observed)[middle], numeric[middle], rtol=1e-5)


@pytest.mark.parametrize(
    ("scale", "law", "tolerance"),
    [(identity_scale(), np.array, 0), (log_scale(), np.log, 1e-5), (log1p_scale(), np.log1p, 1e-4)],
)
def test_a_closed_form_scale_follows_its_law_between_the_nodes(scale, law, tolerance):
    state = np.random.default_rng(0).uniform(-9, 9, 1000)
    np.testing.assert_allclose(scale.to_observed(np.exp(state)), law(np.exp(state)), atol=tolerance)


def test_no_expression_is_observed_as_nothing():
    for name in SCALES.keys() - {"log"}:
        assert SCALES[name].to_observed(np.zeros(1)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("depth", "target_sum"), [(5000, 1e4), (500, 1e4), (50_000, 1e4), (5000, 1e6)])
def test_counts_are_observed_as_their_mean_over_simulated_cells(depth, target_sum):
    rng = np.random.default_rng(depth)
    sizes = rng.lognormal(np.log(depth), 0.3, 200_000)
    state = np.array([0.05, 0.5, 5.0, 50.0, 500.0]) * target_sum / 1e4
    counts = rng.poisson(state * sizes[:, None] / target_sum)
    cells = np.log1p(counts * target_sum / sizes[:, None])
    noise = cells.std(axis=0) / np.sqrt(len(cells))
    expected = cells.mean(axis=0)
    found = count_scale(sizes, target_sum=target_sum).to_observed(state)
    assert (np.abs(found - expected) < 5 * noise + 0.01 * expected).all()


def test_at_low_depth_the_observed_mean_is_proportional_to_the_state():
    scale = count_scale(np.full(10, 100.0))
    one, two = scale.to_observed(np.array([0.5, 1.0]))
    assert two / one == pytest.approx(2, rel=0.02)


def test_at_great_depth_the_observed_mean_is_the_logarithm_of_the_state():
    state = np.geomspace(1, 4000, 20)
    np.testing.assert_allclose(count_scale(np.full(10, 1e7)).to_observed(state), np.log1p(state), rtol=1e-3)


def test_the_exact_and_the_expanded_expectation_meet_where_counts_are_large():
    scale = count_scale(np.full(10, 1e4))
    near = (scale.state_grid > 100) & (scale.state_grid < 400)
    slope = np.diff(scale.observed_grid[near]) / np.diff(np.log(scale.state_grid[near]))
    assert np.abs(np.diff(slope)).max() < 2e-3
