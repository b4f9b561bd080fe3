"""Integration in time: exponential with fixed steps, and adaptive for checking."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semimech.model.dynamics import AbstractDynamics, wiring
from semimech.model.plan import ContextArrays

_COURSES_AT_ONCE = 32


class AbstractSolver(eqx.Module):
    """Integrates courses side by side through a grid of times."""

    @abc.abstractmethod
    def integrate(
        self,
        dynamics: AbstractDynamics,
        z: Float[Array, "course gene"],
        contexts: ContextArrays,
        hours: tuple[float, ...],
    ) -> Float[Array, "time course gene"]:
        """States at every time of the grid; ``contexts`` has one leading entry per time."""


class ExponentialSolver(AbstractSolver):
    """Exponential Runge–Kutta with fixed steps (ETD2RK and ETD4RK of Cox & Matthews 2002, J. Comput. Phys. 176:430).

    Decay is exact whatever its rate, and fixed points are kept exactly.

    Parameters
    ----------
    max_step
        Longest step, in hours.
    order
        2, with two evaluations of the law in a step, or 4, with four: worth its price where errors are to be small.
    """

    max_step: float = eqx.field(static=True, default=8.0)
    order: Literal[2, 4] = eqx.field(static=True, default=2)

    def integrate(
        self,
        dynamics: AbstractDynamics,
        z: Float[Array, "course gene"],
        contexts: ContextArrays,
        hours: tuple[float, ...],
    ) -> Float[Array, "time course gene"]:
        if len(hours) == 1:
            return z[None]
        return _in_blocks(lambda z, contexts: self._through(dynamics, z, contexts, hours), dynamics, z, contexts)

    def _through(
        self,
        dynamics: AbstractDynamics,
        z: Float[Array, "course gene"],
        contexts: ContextArrays,
        hours: Sequence[float],
    ) -> Float[Array, "time course gene"]:
        """All courses at once, through all steps."""
        gaps = np.diff(hours)
        counts = np.maximum(np.ceil(gaps / self.max_step - 1e-9), 1).astype(int)
        steps = jnp.asarray(np.repeat(gaps / counts, counts), z.dtype)
        interval = jnp.asarray(np.repeat(np.arange(len(gaps)), counts))
        factors, take = (_second_order if self.order == 2 else _fourth_order)(steps[:, None], dynamics.decay())

        def advance(state: Array, step: tuple[Array, tuple[Array, ...]]) -> tuple[Array, Array]:
            k, factors = step
            context = jax.tree.map(lambda leaf: jnp.asarray(leaf)[k], contexts)
            state = take(lambda z: dynamics.forcing(z, context), state, *factors)
            return state, state

        # Of each step only its start and matrix products are kept for the gradient: the rest is computed again faster than it is read.
        kept = jax.checkpoint(advance, policy=jax.checkpoint_policies.dots_saveable)
        _, states = jax.lax.scan(kept, z, (interval, factors))
        ends = np.cumsum(counts) - 1
        return jnp.concatenate([z[None], states[ends]])


def _in_blocks(
    integrate: Callable[[Array, ContextArrays], Float[Array, "time course gene"]],
    dynamics: AbstractDynamics,
    z: Float[Array, "course gene"],
    contexts: ContextArrays,
) -> Float[Array, "time course gene"]:
    """Some courses after the others where the network is held by edge, on a processor: what one step gathers from then stays in its cache.

    A full matrix is read once for all courses, and accelerators, and several devices, want them all at once.
    """
    mechanism = wiring(dynamics)
    is_by_edge = mechanism is not None and mechanism.edges is not None
    n_blocks = -(-len(z) // _COURSES_AT_ONCE)
    if not is_by_edge or n_blocks == 1 or jax.default_backend() != "cpu" or jax.local_device_count() > 1:
        return integrate(z, contexts)
    size = -(-len(z) // n_blocks)
    padding = n_blocks * size - len(z)

    def blocks(leaf: Array, axis: int) -> Array:
        ends = [(0, padding if i == axis else 0) for i in range(leaf.ndim)]
        parts = jnp.pad(leaf, ends, mode="edge").reshape(*leaf.shape[:axis], n_blocks, size, *leaf.shape[axis + 1 :])
        return jnp.moveaxis(parts, axis, 0)

    divided = jax.tree.map(lambda leaf: blocks(jnp.asarray(leaf), 1), contexts)
    states = jax.lax.map(lambda block: integrate(*block), (blocks(z, 0), divided))
    states = jnp.moveaxis(states, 0, 1)
    return states.reshape(states.shape[0], -1, states.shape[-1])[:, : len(z)]


class AdaptiveSolver(AbstractSolver):
    """Diffrax's Tsit5 with adaptive steps, for checking and for strongly coupled laws.

    Parameters
    ----------
    rtol, atol
        Tolerances on the relative state.
    """

    rtol: float = eqx.field(static=True, default=1e-6)
    atol: float = eqx.field(static=True, default=1e-8)

    def integrate(
        self,
        dynamics: AbstractDynamics,
        z: Float[Array, "course gene"],
        contexts: ContextArrays,
        hours: tuple[float, ...],
    ) -> Float[Array, "time course gene"]:
        states = [z]
        for k, (start, end) in enumerate(zip(hours[:-1], hours[1:], strict=True)):
            context = jax.tree.map(lambda leaf, k=k: jnp.asarray(leaf)[k], contexts)
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, y, context: dynamics.drift(y, context)),
                diffrax.Tsit5(),
                t0=0.0,
                t1=end - start,
                dt0=None,
                y0=states[-1],
                args=context,
                stepsize_controller=diffrax.PIDController(rtol=self.rtol, atol=self.atol),
                max_steps=100_000,
            )
            states.append(solution.ys[-1])
        return jnp.stack(states)


_Taken: TypeAlias = tuple[tuple[Array, ...], Callable[..., Array]]


def _second_order(steps: Float[Array, "step 1"], decay: Float[Array, " gene"]) -> _Taken:
    """Factors of each step, and how it is taken: straight on, then corrected by how the forcing changed."""
    x = steps * decay
    phi1, phi2, _ = _phi(x)

    def take(forcing: Callable[[Array], Array], z: Array, kept: Array, first: Array, second: Array) -> Array:
        now = forcing(z)
        predicted = kept * z + first * now
        return predicted + second * (forcing(predicted) - now)

    return (jnp.exp(-x), steps * phi1, steps * phi2), take


def _fourth_order(steps: Float[Array, "step 1"], decay: Float[Array, " gene"]) -> _Taken:
    """Factors of each step, and how it is taken: twice to its middle, once to its end, and all four together."""
    x = steps * decay
    phi1, phi2, phi3 = _phi(x)
    half = 0.5 * steps * _phi(0.5 * x)[0]
    weights = (phi1 - 3.0 * phi2 + 4.0 * phi3, 2.0 * phi2 - 4.0 * phi3, 4.0 * phi3 - phi2)

    def take(
        forcing: Callable[[Array], Array], z: Array, kept: Array, kept_half: Array, half: Array, *weights: Array
    ) -> Array:
        at_start = forcing(z)
        middle = kept_half * z + half * at_start
        at_middle = forcing(middle)
        again = forcing(kept_half * z + half * at_middle)
        at_end = forcing(kept_half * middle + half * (2.0 * again - at_start))
        first, second, third = weights
        return kept * z + first * at_start + second * (at_middle + again) + third * at_end

    return (jnp.exp(-x), jnp.exp(-0.5 * x), half, *(steps * weight for weight in weights)), take


def _phi(x: Float[Array, "step gene"]) -> tuple[Float[Array, "step gene"], ...]:
    """``(1 - e^-x)/x``, ``(e^-x - 1 + x)/x²`` and ``(1 - x + x²/2 - e^-x)/x³`` without cancellation at small ``x``."""
    is_small = x < 0.3
    safe = jnp.where(is_small, 1.0, x)
    phi1 = -jnp.expm1(-safe) / safe
    phi2 = (1.0 - phi1) / safe
    phi3 = (0.5 - phi2) / safe
    series = [
        sum((-x) ** k / math.factorial(k + n) for k in range(8)) * jnp.ones_like(x) for n in (1, 2, 3)
    ]  # the first term left out is below 1e-9
    return tuple(jnp.where(is_small, small, large) for small, large in zip(series, (phi1, phi2, phi3), strict=True))
