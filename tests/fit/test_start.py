from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest
from small_fits import QUICK, UNIT, control_moments, linear_data

from semimech.fit.loss import correction
from semimech.fit.problem import make_problem, make_roster
from semimech.fit.start import initial_model, initial_noise, redraw
from semimech.model import ExponentialSolver, NeuralDynamics, ResidualRegulation, ScaleGrid

SCALE = ScaleGrid(state=np.array([0.0, 1.0]), observed=np.array([0.0, 1.0]))
LAWS = {
    "mechanism": QUICK,
    "with residual": replace(QUICK, residual_hidden=3),
    "neural": replace(QUICK, law="neural"),
}


def start(data, law: str, *, is_start_known: bool = True, seed: int = 0):
    roster = make_roster(data)
    key = jax.random.key(seed)
    return initial_model(roster, UNIT, SCALE, LAWS[law], is_start_known=is_start_known, key=key)


@pytest.mark.parametrize("law", LAWS)
def test_a_fit_starts_at_no_change_apart_from_the_edited_gene(data, law):
    plan = make_problem(data, make_roster(data), None, seed=0).plan
    model = start(data, law)
    found = np.asarray(model.observe(model.states(plan, ExponentialSolver(6.0))))[: len(data.conditions)]
    for row, name in enumerate(data.perturbations):
        others = [g for g in range(len(UNIT)) if f"G{g}" != name]
        np.testing.assert_allclose(found[row, others], UNIT[others], rtol=1e-5)
    assert found[data.perturbations.index("G2"), 2] < 0.9 * UNIT[2]


def test_the_half_life_at_the_start_is_the_one_expected(data):
    rate = np.exp(start(data, "mechanism").dynamics.log_degradation)
    np.testing.assert_allclose(np.log(2) / rate, QUICK.half_life_hours, rtol=1e-6)
    assert start(data, "neural").dynamics.rate == pytest.approx(np.log(2) / QUICK.half_life_hours)


def test_the_settings_choose_the_law(data):
    assert isinstance(start(data, "neural").dynamics, NeuralDynamics)
    assert isinstance(start(data, "with residual").dynamics.regulation, ResidualRegulation)
    assert correction(start(data, "mechanism").dynamics) is None


def test_a_known_start_is_a_constant_and_an_unknown_one_is_trained(data):
    assert isinstance(start(data, "mechanism").log_initial, np.ndarray)
    assert isinstance(start(data, "mechanism", is_start_known=False).log_initial, jax.Array)


def test_members_differ_in_the_weights_that_enter_their_neural_parts(data):
    model = start(data, "neural")
    one, other = (redraw(model, key=jax.random.key(seed)) for seed in (1, 2))
    assert not np.array_equal(one.dynamics.network.enter, other.dynamics.network.enter)
    assert not np.asarray(one.dynamics.network.leave).any()
    assert eqx.tree_equal(redraw(start(data, "mechanism"), key=jax.random.key(1)), start(data, "mechanism"))


def test_the_noise_starts_at_the_variances_of_the_controls(world):
    covariance = np.diag(np.linspace(0.01, 0.5, len(UNIT)))
    data = linear_data(world, control_moments=control_moments(covariance))
    problem = make_problem(data, make_roster(data), None, seed=0)
    noise = initial_noise(problem, 2, 1, key=jax.random.key(0))
    np.testing.assert_allclose(np.exp(noise.log_intrinsic), np.diag(covariance), rtol=1e-5)
    np.testing.assert_allclose(np.log(2) / np.exp(noise.log_factor_rate), [24.0, 96.0], rtol=1e-5)
    assert noise.loading.shape == (len(UNIT), 2)
    assert (np.asarray(noise.loading) != 0.0).any(axis=0).tolist() == [True, False]


def test_without_second_moments_the_noise_starts_at_a_tenth(data):
    noise = initial_noise(make_problem(data, make_roster(data), None, seed=0), 0, 0, key=jax.random.key(0))
    np.testing.assert_allclose(np.exp(noise.log_intrinsic), 0.1, rtol=1e-5)
    assert noise.loading.shape == (len(UNIT), 0)
