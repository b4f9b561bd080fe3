from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.linalg import expm, solve_continuous_lyapunov
from small_laws import N_GENES, UNIT, ensemble, linear, mechanistic, neural, operators

from semimech.model import LinearDynamics

pytestmark = pytest.mark.usefixtures("x64")

CLOSE = 1e-4
MEAN = UNIT * np.array([0.7, 1.6, 1.0, 0.3])
NOISE = UNIT**2 * np.array([0.01, 0.002, 0.03, 0.0])


def spread(seed: int = 0, *, size: float = 0.2) -> np.ndarray:
    """A covariance between cells, of about this relative size."""
    factor = size * UNIT[:, None] * np.random.default_rng(seed).normal(size=(N_GENES, N_GENES)) / 2.0
    return factor @ factor.T


def assert_close(found: np.ndarray, expected: np.ndarray, *, rtol: float = CLOSE) -> None:
    """Entries agree, each relative to the largest in units of unedited cells."""
    found, expected = (x / UNIT / (UNIT[:, None] if x.ndim > 1 else 1.0) for x in (found, expected))
    np.testing.assert_allclose(found, expected, atol=rtol * np.abs(expected).max(), rtol=0)


def drift_of(law: LinearDynamics, *, production: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``A`` and ``c`` of ``dx/dt = A x + c`` in units of the state, from the parameters of the law."""
    weight, rate = np.asarray(law.weight), np.exp(np.asarray(law.log_degradation))
    own = weight[:, :N_GENES]
    matrix = rate[:, None] * (own - np.eye(N_GENES)) * UNIT[:, None] / UNIT
    return matrix, UNIT * rate * (production + np.asarray(law.bias) - own.sum(axis=1))


def exact(law: LinearDynamics, hours: float, *, production: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance after some hours in closed form, the noise integrated by quadrature."""
    matrix, constant = drift_of(law, production=production)
    level = -np.linalg.solve(matrix, constant)
    flow = expm(hours * matrix)
    noise, _ = quad_vec(lambda s: expm(s * matrix) @ np.diag(NOISE) @ expm(s * matrix).T, 0.0, hours, epsrel=1e-9)
    return level + flow @ (MEAN - level), flow @ spread() @ flow.T + noise


def test_moments_of_a_linear_law_are_those_of_its_matrix_exponential():
    production = np.array([1.0, 0.3, 1.0, 1.0])
    asked = operators(ensemble(linear(1)))("edit B crispri 0.7 > wait 24h")
    found = asked.moments(MEAN, spread(), diffusion=NOISE)
    mean, covariance = exact(linear(1), 24.0, production=production)
    assert_close(found.mean, mean)
    assert_close(found.covariance, covariance)


def test_settled_moments_of_a_linear_law_solve_its_lyapunov_equation():
    asked = operators(ensemble(linear(2)))("edit A crispri 0.5 > wait 7h > wait settled")
    found = asked.moments(MEAN, spread(), diffusion=NOISE)
    matrix, constant = drift_of(linear(2), production=np.array([0.5, 1.0, 1.0, 1.0]))
    assert_close(found.mean, -np.linalg.solve(matrix, constant))
    assert_close(found.covariance, solve_continuous_lyapunov(matrix, -np.diag(NOISE)))


def test_without_noise_a_linear_law_carries_the_covariance_of_particles_exactly():
    cells = np.random.default_rng(3).multivariate_normal(MEAN, spread(), size=500)
    asked = operators(ensemble(linear(3)))("edit C crispri > wait 5h > edit T > wait 20h")
    ended = asked(cells)
    found = asked.moments(cells.mean(axis=0), np.cov(cells.T))
    assert_close(found.mean, ended.mean(axis=0))
    assert_close(found.covariance, np.cov(ended.T))


@pytest.mark.parametrize("law", [mechanistic, neural])
def test_without_noise_any_law_carries_the_covariance_of_narrow_particles(law):
    # The second-order term of a law is below 1e-4 where cells differ by one part in a thousand.
    cells = np.random.default_rng(4).multivariate_normal(MEAN, spread(size=1e-3), size=500)
    asked = operators(ensemble(law(4)))("edit A > medium M > wait 17.109375h > medium N > wait 7.03125h")
    ended = asked(cells)
    found = asked.moments(cells.mean(axis=0), np.cov(cells.T))
    assert_close(found.mean, ended.mean(axis=0))
    assert_close(found.covariance, np.cov(ended.T), rtol=1e-3)


def test_settled_cells_of_a_law_without_noise_are_all_alike():
    found = operators(ensemble(mechanistic(5)))("medium M > wait settled").moments(MEAN, spread())
    assert_close(found.covariance + np.diag(UNIT**2), np.diag(UNIT**2), rtol=1e-10)


def test_waiting_for_no_time_leaves_the_moments_as_they_are():
    found = operators(ensemble(mechanistic(6), mechanistic(7)))("edit A > medium M").moments(
        MEAN, spread(), diffusion=NOISE
    )
    assert_close(found.mean, MEAN, rtol=1e-12)
    assert_close(found.covariance, spread(), rtol=1e-12)


def test_moments_go_on_from_those_of_each_member():
    make = operators(ensemble(mechanistic(8), mechanistic(9)))
    first, second = make("edit A > wait 7.03125h"), make("medium M > wait 17.109375h")
    between = first.moments(MEAN, spread(), diffusion=NOISE)
    composed = second.after(first).moments(between.means, between.covariances, diffusion=NOISE)
    whole = (second @ first).moments(MEAN, spread(), diffusion=NOISE)
    for name in ("means", "covariances"):
        for member in range(2):
            assert_close(getattr(composed, name)[member], getattr(whole, name)[member])


def test_the_covariance_of_an_ensemble_is_that_of_the_cells_of_all_its_members():
    laws = ensemble(linear(10), linear(11))
    cells = np.random.default_rng(5).multivariate_normal(MEAN, spread(), size=500)
    asked = operators(laws)("edit C > wait 12h")
    all_cells = asked.members(cells).reshape(-1, N_GENES)
    found = asked.moments(cells.mean(axis=0), np.cov(cells.T, bias=True))
    assert_close(found.mean, all_cells.mean(axis=0))
    assert_close(found.covariance, np.cov(all_cells.T, bias=True))


def test_the_covariance_of_an_unstable_state_does_not_settle():
    # Each of two genes keeps the other up by more than it decays; at the unstable state itself nothing moves.
    weight = np.zeros((N_GENES, N_GENES + 1))
    weight[0, 1] = weight[1, 0] = 2.0
    law = LinearDynamics(
        weight=jnp.asarray(weight), bias=jnp.zeros(N_GENES), log_degradation=jnp.log(0.1 * jnp.ones(N_GENES))
    )
    with pytest.raises(ValueError, match="not stable"):
        operators(ensemble(law))("wait settled").moments(UNIT, spread(), diffusion=NOISE)
