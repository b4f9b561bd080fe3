"""From a plan to states: exponential and adaptive integration, and steady states with implicit gradients."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semimech.model.dynamics import AbstractDynamics
from semimech.model.plan import ContextArrays, Plan, Stage

_SETTLING_STEPS = 400
_ADJOINT_STEPS = 200


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
    """Second-order exponential Runge–Kutta with fixed steps (ETD2RK of Cox & Matthews 2002, J. Comput. Phys. 176:430).

    Decay is exact whatever its rate, and fixed points are kept exactly.

    Parameters
    ----------
    max_step
        Longest step, in hours.
    """

    max_step: float = eqx.field(static=True, default=8.0)

    def integrate(
        self,
        dynamics: AbstractDynamics,
        z: Float[Array, "course gene"],
        contexts: ContextArrays,
        hours: tuple[float, ...],
    ) -> Float[Array, "time course gene"]:
        if len(hours) == 1:
            return z[None]
        gaps = np.diff(hours)
        counts = np.maximum(np.ceil(gaps / self.max_step - 1e-9), 1).astype(int)
        steps = jnp.asarray(np.repeat(gaps / counts, counts), z.dtype)
        interval = jnp.asarray(np.repeat(np.arange(len(gaps)), counts))
        x = steps[:, None] * dynamics.decay()
        phi1, phi2 = _phi(x)
        factors = (jnp.exp(-x), steps[:, None] * phi1, steps[:, None] * phi2)

        def advance(state: Array, step: tuple[Array, tuple[Array, Array, Array]]) -> tuple[Array, Array]:
            k, (kept, first, second) = step
            context = jax.tree.map(lambda leaf: jnp.asarray(leaf)[k], contexts)
            now = dynamics.forcing(state, context)
            predicted = kept * state + first * now
            corrected = predicted + second * (dynamics.forcing(predicted, context) - now)
            return corrected, corrected

        _, states = jax.lax.scan(advance, z, (interval, factors))
        ends = np.cumsum(counts) - 1
        return jnp.concatenate([z[None], states[ends]])


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


def run_plan(
    dynamics: AbstractDynamics, initial: Float[Array, " gene"], plan: Plan, solver: AbstractSolver
) -> Float[Array, "row gene"]:
    """The relative state of every condition of a plan, one row each, then padding.

    Parameters
    ----------
    dynamics
        The law.
    initial
        Relative state of unedited cells at the start of every experiment.
    plan
        Conditions compiled by `semimech.model.plan.make_plan`.
    solver
        How to integrate.
    """
    found = jnp.zeros((plan.n_rows, initial.shape[0]), initial.dtype)
    settled = initial[None]
    for stage in plan.stages:
        settled, read = _run_stage(dynamics, initial, settled, stage, solver)
        found = found.at[stage.condition].set(read)
    return found


def _run_stage(
    dynamics: AbstractDynamics, initial: Array, previous: Array, stage: Stage, solver: AbstractSolver
) -> tuple[Array, Array]:
    """Settled states of all courses, and the states read from this stage."""
    start = jnp.where((stage.start >= 0)[:, None], previous[jnp.maximum(stage.start, 0)], initial[None])
    states = solver.integrate(dynamics, start, stage.contexts, stage.hours)
    settled = states[-1]
    if stage.needs_settling:
        settled = settle(dynamics, states[-1], jax.tree.map(lambda leaf: jnp.asarray(leaf)[-1], stage.contexts), solver)
    is_settled = jnp.asarray(stage.is_settled)[:, None]
    read = jnp.where(is_settled, settled[stage.course], states[stage.time, stage.course])
    return settled, read


def settle(
    dynamics: AbstractDynamics, z: Float[Array, "course gene"], context: ContextArrays, solver: AbstractSolver
) -> Float[Array, "course gene"]:
    """The state that cells reach from ``z`` if nothing changes any more.

    Where decay holds every gene, a damped fixed-point iteration ``z ← N(z)/λ`` with implicit gradient
    (implicit function theorem; Bai et al. 2019, arXiv:1909.01377); else the state after the law's settling time.
    """
    if dynamics.settling_hours is None:
        return _fixed_point((dynamics, context), jax.lax.stop_gradient(z))
    contexts = jax.tree.map(lambda leaf: leaf[None], context)
    return solver.integrate(dynamics, z, contexts, (0.0, dynamics.settling_hours))[-1]


def _phi(x: Float[Array, "step gene"]) -> tuple[Float[Array, "step gene"], Float[Array, "step gene"]]:
    """``(1 - e^-x)/x`` and ``(e^-x - 1 + x)/x²`` without cancellation at small ``x``."""
    is_small = x < 0.05
    safe = jnp.where(is_small, 1.0, x)
    phi1 = -jnp.expm1(-safe) / safe
    phi2 = (1.0 - phi1) / safe
    series1 = 1.0 - x / 2 + x**2 / 6 - x**3 / 24 + x**4 / 120
    series2 = 0.5 - x / 6 + x**2 / 24 - x**3 / 120 + x**4 / 720
    return jnp.where(is_small, series1, phi1), jnp.where(is_small, series2, phi2)


def _relaxation(inputs: tuple[AbstractDynamics, ContextArrays], z: Array) -> Array:
    dynamics, context = inputs
    return 0.5 * z + 0.5 * dynamics.forcing(z, context) / dynamics.decay()


def _iterate(step: Callable[[Array], Array], z: Array, n_steps: int) -> Array:
    """Repeat ``step`` until it no longer moves, relative to the largest entry, or ``n_steps`` times."""
    tolerance = 20 * jnp.finfo(z.dtype).eps

    def is_moving(carry: tuple[Array, Array, Array]) -> Array:
        n, z, change = carry
        return (n < n_steps) & (change > tolerance * jnp.max(jnp.abs(z)))

    def advance(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        n, z, _ = carry
        new = step(z)
        return n + 1, new, jnp.max(jnp.abs(new - z))

    start = (jnp.array(0), z, jnp.array(jnp.inf, z.dtype))
    return jax.lax.while_loop(is_moving, advance, start)[1]


@eqx.filter_custom_vjp
def _fixed_point(inputs: tuple[AbstractDynamics, ContextArrays], z: Array) -> Array:
    return _iterate(lambda z: _relaxation(inputs, z), z, _SETTLING_STEPS)


@_fixed_point.def_fwd
def _fixed_point_forward(
    perturbed: Any, inputs: tuple[AbstractDynamics, ContextArrays], z: Array
) -> tuple[Array, Array]:
    del perturbed
    found = _iterate(lambda z: _relaxation(inputs, z), z, _SETTLING_STEPS)
    return found, found


@_fixed_point.def_bwd
def _fixed_point_backward(
    found: Array, cotangent: Array, perturbed: Any, inputs: tuple[AbstractDynamics, ContextArrays], z: Array
) -> Any:
    del perturbed, z
    _, pull_state = jax.vjp(lambda z: _relaxation(inputs, z), found)
    adjoint = _iterate(lambda w: cotangent + pull_state(w)[0], cotangent, _ADJOINT_STEPS)
    _, pull_inputs = eqx.filter_vjp(lambda inputs: _relaxation(inputs, found), inputs)
    return pull_inputs(adjoint)[0]
