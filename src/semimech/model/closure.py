r"""Mean and covariance of a population whose cells all obey one law (moment closure by the linear-noise approximation).

.. math:: \frac{d\mu}{dt} = f(\mu), \qquad \frac{d\Sigma}{dt} = J\Sigma + \Sigma J^\top + D

The mean follows the law of one cell, and the covariance the Jacobian :math:`J` along that path (van Kampen 2007, Stochastic
Processes in Physics and Chemistry, chapter X): exact where the law is linear, good where the spread is small against its curvature.
"""

from __future__ import annotations

from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import solve_continuous_lyapunov

from semimech.model.model import CellModel
from semimech.model.moments import jacobian
from semimech.model.plan import ContextArrays


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean and covariance of a population under each member of an ensemble.

    Parameters
    ----------
    means
        Mean state of each member's population.
    covariances
        Covariance between cells of each member's population, the same unit squared.
    """

    means: Float[np.ndarray, "member gene"]
    covariances: Float[np.ndarray, "member gene gene"]

    @property
    def mean(self) -> Float[np.ndarray, " gene"]:
        """Mean of the members' means."""
        return self.means.mean(axis=0)

    @property
    def covariance(self) -> Float[np.ndarray, "gene gene"]:
        """Covariance of the members' mixture: the mean of their covariances, and the covariance of their means."""
        apart = self.means - self.mean
        return self.covariances.mean(axis=0) + apart.T @ apart / len(apart)


@eqx.filter_jit
def advance_moments(
    trained: CellModel,
    fixed: CellModel,
    means: Float[Array, "member gene"],
    covariances: Float[Array, "member gene gene"],
    diffusion: Float[Array, " gene"],
    context: ContextArrays,
    hours: Float[Array, ""],
) -> tuple[Float[Array, "member gene"], Float[Array, "member gene gene"]]:
    """Relative moments of each member after some time in one context, by Diffrax's Tsit5 with adaptive steps."""

    def one(trained: CellModel, mean: Array, covariance: Array) -> tuple[Array, Array]:
        dynamics = eqx.combine(trained, fixed).dynamics
        # The covariance is linear in itself and the noise: in units of its size, steps are as exact for it as for the mean.
        size = jnp.maximum(jnp.max(jnp.abs(covariance)), jnp.max(diffusion / dynamics.natural_rate()))
        size = jnp.where(size > 0, size, 1.0)

        def change(_: Array, moments: tuple[Array, Array], diffusion: Array) -> tuple[Array, Array]:
            mean, covariance = moments
            moved = jacobian(dynamics, mean, context) @ covariance
            return dynamics.drift(mean, context), moved + moved.T + jnp.diag(diffusion)

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(change),
            diffrax.Tsit5(),
            t0=jnp.zeros_like(hours),
            t1=hours,
            dt0=None,
            y0=(mean, covariance / size),
            args=diffusion / size,
            stepsize_controller=diffrax.PIDController(rtol=1e-5, atol=1e-7),
            max_steps=100_000,
        )
        return solution.ys[0][-1], size * solution.ys[1][-1]

    return jax.vmap(one)(trained, means, covariances)


def settled_covariances(
    trained: CellModel,
    fixed: CellModel,
    means: Float[Array, "member gene"],
    diffusion: Float[Array, " gene"],
    context: ContextArrays,
) -> Float[np.ndarray, "member gene gene"]:
    r"""Relative covariances where nothing moves any more: :math:`J\Sigma + \Sigma J^\top + D = 0` at settled means.

    Raises
    ------
    ValueError
        If a member's settled state is not stable, so that no covariance lasts.
    """
    matrices = np.asarray(_jacobians(trained, fixed, means, context), np.float64)
    if (np.linalg.eigvals(matrices).real >= 0).any():
        raise ValueError("the settled state is not stable, so that its covariance does not settle: wait for some hours")
    noise = np.diag(np.asarray(diffusion, np.float64))
    return np.stack([solve_continuous_lyapunov(matrix, -noise) for matrix in matrices])


@eqx.filter_jit
def _jacobians(trained: CellModel, fixed: CellModel, means: Array, context: ContextArrays) -> Array:
    return jax.vmap(lambda part, mean: jacobian(eqx.combine(part, fixed).dynamics, mean, context))(trained, means)
