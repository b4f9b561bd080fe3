from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_continuous_lyapunov
from small_laws import N_GENES, context, mechanistic, neural, regulation

from semimech.experiment import Edit
from semimech.model import implied_covariance, jacobian, lyapunov

pytestmark = pytest.mark.usefixtures("x64")

STEP = 9.0  # hours, near the geometric mean of the time constants below


def stable_matrix(seed: int, n: int = 6) -> np.ndarray:
    """Decay at half-lives from 3 to 30 hours and coupling that leaves it stable."""
    rng = np.random.default_rng(seed)
    rate = np.log(2) / np.geomspace(3.0, 30.0, n)
    return rate[:, None] * (0.3 * rng.normal(size=(n, n)) / np.sqrt(n) - np.eye(n))


def random_noise(seed: int, n: int = 6) -> np.ndarray:
    """A symmetric positive diffusion matrix."""
    factor = np.random.default_rng(seed + 1).normal(size=(n, n))
    return 0.01 * factor @ factor.T


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_the_doubling_solves_the_lyapunov_equation(seed):
    matrix, diffusion = stable_matrix(seed), random_noise(seed)
    found = lyapunov(jnp.asarray(matrix), jnp.asarray(diffusion), step=STEP)
    np.testing.assert_allclose(found, solve_continuous_lyapunov(matrix, -diffusion), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("step", [6.0, 9.0, 13.0])
def test_the_solution_does_not_depend_on_the_step_of_the_transform(step):
    matrix, diffusion = stable_matrix(1), random_noise(1)
    exact = solve_continuous_lyapunov(matrix, -diffusion)
    np.testing.assert_allclose(lyapunov(jnp.asarray(matrix), jnp.asarray(diffusion), step=step), exact, rtol=1e-5)


def test_the_gradient_of_the_solution_is_that_of_finite_differences():
    probe, matrix = np.random.default_rng(5).normal(size=(6, 6)), stable_matrix(5)

    def size(matrix, noise):
        # The noise is symmetric whatever is perturbed.
        return jnp.sum(jnp.asarray(probe) * lyapunov(matrix, noise + noise.T, step=STEP))

    noise = 0.5 * random_noise(5)
    slopes = jax.grad(size, argnums=(0, 1))(jnp.asarray(matrix), jnp.asarray(noise))
    value = jax.jit(size)
    for number, slope in enumerate(slopes):
        for direction in np.random.default_rng(number).normal(size=(2, 6, 6)):
            ends = [
                value(*(x + sign * 1e-6 * direction * (i == number) for i, x in enumerate((matrix, noise))))
                for sign in (1, -1)
            ]
            assert float(jnp.sum(slope * direction)) == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_independent_genes_have_the_variance_of_ornstein_and_uhlenbeck():
    rate, c = np.array([0.05, 0.1, 0.2]), np.array([0.3, 0.1, 0.5])
    found = implied_covariance(
        -jnp.diag(jnp.asarray(rate)), jnp.asarray(2 * rate * c), jnp.zeros((3, 0)), jnp.zeros(0), step=STEP
    )
    np.testing.assert_allclose(found, np.diag(c), rtol=1e-6, atol=1e-12)


def test_one_gene_with_one_slow_factor_has_its_variance_in_closed_form():
    # dz = δ(Bη - z)dt + √(2δc)dW, dη = -κη dt + √(2κ)dW: Var z = c + B²δ/(δ+κ).
    delta, kappa, b, c = 0.12, 0.02, 0.7, 0.2
    found = implied_covariance(
        jnp.array([[-delta]]), jnp.array([2 * delta * c]), jnp.array([[delta * b]]), jnp.array([kappa]), step=STEP
    )
    assert float(found[0, 0]) == pytest.approx(c + b**2 * delta / (delta + kappa), rel=1e-6)


def test_a_shared_factor_makes_independent_genes_covary():
    # Cov(z₁, z₂) = B₁B₂ δ₁δ₂ (1/(δ₁+κ) + 1/(δ₂+κ)) / (δ₁+δ₂).
    delta, kappa, b = np.array([0.1, 0.06]), 0.03, np.array([0.5, -0.8])
    found = implied_covariance(
        -jnp.diag(jnp.asarray(delta)), jnp.full(2, 0.01), jnp.asarray(delta * b)[:, None], jnp.array([kappa]), step=STEP
    )
    expected = b.prod() * delta.prod() * (1 / (delta + kappa)).sum() / delta.sum()
    assert float(found[0, 1]) == pytest.approx(expected, rel=1e-6)


def test_latent_factors_are_part_of_one_lyapunov_equation():
    rng = np.random.default_rng(2)
    drift, noise = stable_matrix(2), rng.uniform(0.01, 0.1, 6)
    loadings, rates = 0.05 * rng.normal(size=(6, 2)), np.log(2) / np.array([24.0, 96.0])
    whole = np.block([[drift, loadings], [np.zeros((2, 6)), -np.diag(rates)]])
    exact = solve_continuous_lyapunov(whole, -np.diag([*noise, *(2 * rates)]))
    found = implied_covariance(*map(jnp.asarray, (drift, noise, loadings, rates)), step=STEP)
    np.testing.assert_allclose(found, exact[:6, :6], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(exact[6:, 6:], np.eye(2), atol=1e-12)


@pytest.mark.parametrize("law", ["mechanistic", "neural"])
def test_the_jacobian_is_that_of_finite_differences(law):
    law = {"mechanistic": mechanistic, "neural": neural}[law](1)
    here, z = context(Edit(gene="B", kind="crispri", efficacy=0.4), medium="M"), np.array([0.6, 1.4, 1.0, 2.0])
    found = jacobian(law, jnp.asarray(z), here)
    for gene in range(N_GENES):
        step = 1e-6 * np.eye(N_GENES)[gene]
        slope = (law.drift(jnp.asarray(z + step), here) - law.drift(jnp.asarray(z - step), here)) / 2e-6
        np.testing.assert_allclose(found[:, gene], slope, rtol=1e-6, atol=1e-9)


def test_a_knocked_out_regulator_moves_nothing_but_itself():
    law = mechanistic(2)
    knocked = np.asarray(jacobian(law, jnp.ones(N_GENES), context(Edit(gene="C"))))
    np.testing.assert_array_equal(np.delete(knocked[:, 2], 2), 0.0)
    assert knocked[2, 2] == pytest.approx(-float(law.decay()[2]))
    free = np.asarray(jacobian(law, jnp.ones(N_GENES), context()))
    assert (np.abs(np.delete(free[:, 2], 2)) > 1e-4).all()


def test_at_the_unedited_state_the_jacobian_is_degradation_times_wiring_minus_one():
    # J = diag(δ)(W φ'(1) - I), φ'(1) = 1/(2 ln 2), where production has no drive.
    law = mechanistic(3, bias=np.zeros(N_GENES))
    found = jacobian(law, jnp.ones(N_GENES), context())
    wiring = regulation(3).weight[:, :N_GENES] / (2 * np.log(2))
    np.testing.assert_allclose(found, law.decay()[:, None] * (wiring - np.eye(N_GENES)), rtol=1e-9, atol=1e-12)
