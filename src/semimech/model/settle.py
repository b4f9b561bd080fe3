"""Steady states with implicit gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from semimech.model.dynamics import AbstractDynamics, in_full
from semimech.model.plan import ContextArrays
from semimech.model.solve import AbstractSolver

_SETTLING_STEPS = 400
_ADJOINT_STEPS = 200
_NEAR = 1e-2  # steps so small do not leave a basin
_NEWTON_STEPS = 20
_HALVINGS = 8
_AT_REST = 1e-5


def settle(
    dynamics: AbstractDynamics,
    z: Float[Array, "course gene"],
    context: ContextArrays,
    solver: AbstractSolver,
    *,
    newton: bool = False,
) -> Float[Array, "course gene"]:
    """The state that cells reach from ``z`` if nothing changes any more.

    Where decay holds every gene, a damped fixed-point iteration ``z ← N(z)/λ`` with implicit gradient
    (implicit function theorem; Bai et al. 2019, arXiv:1909.01377), damped less where that brings it to rest sooner; else the state after the law's settling time.

    Parameters
    ----------
    dynamics
        The law.
    z
        Where each course starts.
    context
        Their contexts.
    solver
        How to integrate laws that no decay holds.
    newton
        Whether courses that the iteration does not bring to rest go on by Newton's method, which also finds rest that is not
        stable; without gradient.
    """
    if dynamics.settling_hours is None:
        found = _fixed_point((dynamics, context), jax.lax.stop_gradient(z))
        return _newton((dynamics, context), found) if newton else found
    contexts = jax.tree.map(lambda leaf: leaf[None], context)
    return solver.integrate(dynamics, z, contexts, (0.0, dynamics.settling_hours))[-1]


def _relaxation(inputs: tuple[AbstractDynamics, ContextArrays], z: Array) -> Array:
    dynamics, context = inputs
    return 0.5 * z + 0.5 * dynamics.forcing(z, context) / dynamics.decay()


def _iterate(step: Callable[[Array], Array], z: Array, n_steps: int, *, near: float) -> Array:
    """Repeat a step that is half of one until it no longer moves, relative to the largest entry, or ``n_steps`` times.

    Half steps are safe, and whole ones contract in half as many where no feedback overshoots: once a step moves less than ``near``,
    whole steps are tried, and given up as soon as one brings ``z`` no closer than half steps did.
    """
    tolerance = 20 * jnp.finfo(z.dtype).eps
    half, whole, given_up = 0, 1, 2

    def is_moving(carry: tuple[Array, ...]) -> Array:
        n, z, size, _, _ = carry
        return (n < n_steps) & (size > tolerance * jnp.max(jnp.abs(z)))

    def advance(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        n, z, last, rate, pace = carry
        move = step(z) - z
        size = jnp.max(jnp.abs(move))
        is_worse = (pace == whole) & (size > rate * last)
        rate = jnp.where(pace == whole, rate, size / last)
        is_near = (pace == half) & (n > 1) & (rate < 1.0) & (size < near * jnp.max(jnp.abs(z)))
        pace = jnp.where(is_worse, given_up, jnp.where(is_near, whole, pace))
        return n + 1, z + jnp.where(pace == whole, 2.0, 1.0) * move, size, rate, pace

    infinite = jnp.array(jnp.inf, z.dtype)
    start = (jnp.array(0), z, infinite, infinite, jnp.array(half))
    return jax.lax.while_loop(is_moving, advance, start)[1]


def _newton(inputs: tuple[AbstractDynamics, ContextArrays], start: Array) -> Array:
    """Newton's method for each course that is not at rest, with the share of each step that brings it closest to rest."""
    dynamics, contexts = in_full(inputs[0]), inputs[1]

    def one_course(course: tuple[Array, ContextArrays]) -> Array:
        z, context = course
        departure = lambda z: _relaxation((dynamics, context), z) - z
        size = lambda z: jnp.sqrt(jnp.mean(departure(z) ** 2))

        def is_needed(carry: tuple[Array, Array, Array]) -> Array:
            n, z, is_closer = carry
            return (n < _NEWTON_STEPS) & is_closer & (size(z) > _AT_REST * jnp.sqrt(jnp.mean(z**2)))

        def advance(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            n, z, _ = carry
            step = jnp.linalg.solve(jax.jacfwd(departure)(z), departure(z))
            tried = jnp.maximum(z - 0.5 ** jnp.arange(_HALVINGS)[:, None] * step, 0.0)
            sizes = jax.vmap(size)(tried)
            best = jnp.nanargmin(sizes)
            is_closer = sizes[best] < size(z)
            return n + 1, jnp.where(is_closer, tried[best], z), is_closer

        return jax.lax.while_loop(is_needed, advance, (jnp.array(0), z, jnp.array(True)))[1]

    return jax.lax.map(one_course, (start, contexts))


@eqx.filter_custom_vjp
def _fixed_point(inputs: tuple[AbstractDynamics, ContextArrays], z: Array) -> Array:
    return _iterate(lambda z: _relaxation(inputs, z), z, _SETTLING_STEPS, near=_NEAR)


@_fixed_point.def_fwd
def _fixed_point_forward(
    perturbed: Any, inputs: tuple[AbstractDynamics, ContextArrays], z: Array
) -> tuple[Array, Array]:
    del perturbed
    found = _iterate(lambda z: _relaxation(inputs, z), z, _SETTLING_STEPS, near=_NEAR)
    return found, found


@_fixed_point.def_bwd
def _fixed_point_backward(
    found: Array, cotangent: Array, perturbed: Any, inputs: tuple[AbstractDynamics, ContextArrays], z: Array
) -> Any:
    del perturbed, z
    _, pull_state = jax.vjp(lambda z: _relaxation(inputs, z), found)
    adjoint = _iterate(lambda w: cotangent + pull_state(w)[0], cotangent, _ADJOINT_STEPS, near=jnp.inf)
    _, pull_inputs = eqx.filter_vjp(lambda inputs: _relaxation(inputs, found), inputs)
    return pull_inputs(adjoint)[0]
