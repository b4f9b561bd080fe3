"""Optimal transport between normal populations is the motion of least action, and samples agree with the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad_vec, solve_ivp
from scipy.linalg import expm, logm
from scipy.stats import ortho_group

from semimech.baselines.transport import displaced
from semimech.model import LeastAction

N = 4


def pair(seed: int) -> LeastAction:
    rng = np.random.default_rng(seed)
    first, second = (rng.normal(size=(N, 2 * N)) for _ in range(2))
    return LeastAction(
        mean=rng.normal(size=N),
        covariance=first @ first.T / 6,
        end_mean=rng.normal(size=N),
        end_covariance=second @ second.T / 6,
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_law_carries_the_first_population_into_the_second(seed):
    """Mean and covariance obey dm/dt = v(m), dΣ/dt = BΣ + ΣBᵀ with B the slope of the velocity."""
    found = pair(seed)

    def drift(time: float, y: np.ndarray) -> np.ndarray:
        mean, covariance = y[:N], y[N:].reshape(N, N)
        at = found.velocity(np.vstack([mean, mean + np.eye(N)]), time)
        slope = (at[1:] - at[0]).T
        return np.concatenate([at[0], (slope @ covariance + covariance @ slope.T).ravel()])

    start = np.concatenate([found.mean, found.covariance.ravel()])
    end = solve_ivp(drift, (0.0, 1.0), start, rtol=1e-10, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(end[:N], found.end_mean, atol=1e-6)
    np.testing.assert_allclose(end[N:].reshape(N, N), found.end_covariance, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_its_action_is_the_distance_of_bures_and_wasserstein(seed):
    """The mean squared velocity over cells, integrated over time: cells at time t are moved ones, so moments are those of time 0."""
    found = pair(seed)
    root = np.linalg.cholesky(found.covariance)

    def power(time: float) -> float:
        cells = found.move(found.mean + np.vstack([np.zeros(N), root.T]), time)
        speed = found.velocity(cells, time)
        return (speed[0] ** 2).sum() + ((speed[1:] - speed[0]) ** 2).sum()

    action = quad_vec(power, 0.0, 1.0, epsabs=1e-10)[0]
    assert action == pytest.approx(found.action, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_every_other_linear_motion_to_the_same_population_costs_more(seed):
    r"""Straight lines to :math:`\Sigma_1^{1/2} R\, \Sigma_0^{-1/2}(x - m_0)`, R any rotation, and the law with constant slope."""
    found = pair(seed)
    root = np.linalg.cholesky(found.covariance)
    end = np.linalg.cholesky(found.end_covariance)
    for rotation in ortho_group.rvs(N, size=5, random_state=seed):
        slope = end @ rotation @ np.linalg.inv(root)
        np.testing.assert_allclose(slope @ found.covariance @ slope.T, found.end_covariance, atol=1e-9)
        moved = (slope - np.eye(N)) @ root
        assert ((found.end_mean - found.mean) ** 2).sum() + (moved**2).sum() > found.action
    steady = logm(found.matrix).real
    curved = quad_vec(lambda t: ((steady @ expm(t * steady) @ root) ** 2).sum(), 0.0, 1.0)[0]
    assert ((found.end_mean - found.mean) ** 2).sum() + curved > found.action


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_optimal_plan_between_samples_is_the_closed_form(share):
    found = pair(0)
    rng = np.random.default_rng(1)
    cells = rng.multivariate_normal(found.mean, found.covariance, size=80)
    there = rng.permutation(found.move(cells))
    np.testing.assert_allclose(displaced(cells, there, share), found.move(cells, share), atol=1e-6)


def test_cells_that_do_not_differ_cannot_be_mapped_apart():
    with pytest.raises(ValueError, match="singular"):
        LeastAction(mean=np.zeros(2), covariance=np.zeros((2, 2)), end_mean=np.ones(2), end_covariance=np.eye(2))
