r"""The covariance of unedited cells that a law implies, for the steady-state loss in its ``moment`` strength.

Around the unedited state the law is linear, :math:`d\,\delta z = J\,\delta z\,dt + \sqrt{D}\,dW`; its stationary covariance solves
the Lyapunov equation :math:`J\Sigma + \Sigma J^\top + D = 0` (Gardiner 2009, Stochastic Methods, section 4.4.6).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from semimech.model.dynamics import AbstractDynamics, in_full
from semimech.model.plan import ContextArrays

_DOUBLINGS = 6


def jacobian(dynamics: AbstractDynamics, z: Float[Array, " gene"], context: ContextArrays) -> Float[Array, "gene gene"]:
    """Jacobian of the drift at one state, per hour."""
    law = in_full(dynamics)
    return jax.jacfwd(lambda z: law.drift(z, context))(z)


def lyapunov(
    matrix: Float[Array, "state state"], diffusion: Float[Array, "state state"], *, step: float
) -> Float[Array, "state state"]:
    r"""Solve :math:`JS + SJ^\top + D = 0` by a Cayley transform and doublings.

    The continuous law becomes a discrete one with the same stationary covariance, :math:`S = ASA^\top + Q`, whose
    series is summed by squaring (Smith 1968, SIAM J. Appl. Math. 16:198): 64 terms. The gradient is implicit: the adjoint
    of a Lyapunov equation is the Lyapunov equation of the transposed matrix.

    Parameters
    ----------
    matrix
        :math:`J`, stable, per hour.
    diffusion
        :math:`D`, symmetric, per hour.
    step
        Step of the transform, in hours; about the geometric mean of the fastest and slowest time constants.
    """
    return _lyapunov(step, matrix, diffusion)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _lyapunov(step: float, matrix: Array, diffusion: Array) -> Array:
    return _lyapunov_forward(step, matrix, diffusion)[0]


def _lyapunov_forward(step: float, matrix: Array, diffusion: Array) -> tuple[Array, tuple[Array, list[Array], Array]]:
    eye = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    m = jnp.linalg.inv(eye - step * matrix)
    powers = [2.0 * m - eye]  # (I - hJ)⁻¹ (I + hJ), then its squares
    for _ in range(_DOUBLINGS - 1):
        powers.append(powers[-1] @ powers[-1])
    solution = _sum_series(powers, 2.0 * step * m @ diffusion @ m.T)
    return solution, (m, powers, solution)


def _lyapunov_backward(step: float, kept: tuple[Array, list[Array], Array], cotangent: Array) -> tuple[Array, Array]:
    m, powers, solution = kept
    symmetric = 0.5 * (cotangent + cotangent.T)
    adjoint = _sum_series([a.T for a in powers], 2.0 * step * m.T @ symmetric @ m)
    return 2.0 * adjoint @ solution, adjoint


_lyapunov.defvjp(_lyapunov_forward, _lyapunov_backward)


def _sum_series(powers: list[Array], q: Array) -> Array:
    """``Σ_k A^k Q A^kᵀ`` over ``2^n`` terms, by doubling; ``powers`` are ``A, A², A⁴, …``."""
    for a in powers:
        q = q + a @ q @ a.T
    return q


def implied_covariance(
    drift_jacobian: Float[Array, "gene gene"],
    noise_rate: Float[Array, " gene"],
    loadings: Float[Array, "gene factor"],
    factor_rate: Float[Array, " factor"],
    *,
    step: float,
) -> Float[Array, "gene gene"]:
    r"""Stationary covariance of the relative state of unedited cells.

    Parameters
    ----------
    drift_jacobian
        :math:`J`, per hour.
    noise_rate
        Diagonal of :math:`D`, per hour: intrinsic noise, free per gene.
    loadings
        :math:`\mathrm{diag}(\delta) B`, per hour: how slow latent factors (cell size, state) drive each gene.
    factor_rate
        :math:`\kappa`, per hour, of the Ornstein–Uhlenbeck factors, which have unit variance.
    step
        See `lyapunov`.
    """
    n_genes, n_factors = loadings.shape
    top = jnp.concatenate([drift_jacobian, loadings], axis=1)
    bottom = jnp.concatenate([jnp.zeros((n_factors, n_genes)), -jnp.diag(factor_rate)], axis=1)
    diffusion = jnp.concatenate([noise_rate, 2.0 * factor_rate])
    full = lyapunov(jnp.concatenate([top, bottom.astype(top.dtype)]), jnp.diag(diffusion), step=step)
    return full[:n_genes, :n_genes]
