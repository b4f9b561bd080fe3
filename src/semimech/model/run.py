"""From a plan to states."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from semimech.model.dynamics import AbstractDynamics
from semimech.model.plan import Plan, Stage
from semimech.model.settle import settle
from semimech.model.solve import AbstractSolver


def run_plan(
    dynamics: AbstractDynamics,
    initial: Float[Array, " gene"],
    plan: Plan,
    solver: AbstractSolver,
    *,
    newton: bool = False,
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
    newton
        See `settle`.
    """
    found = jnp.zeros((plan.n_rows, initial.shape[0]), initial.dtype)
    settled = initial[None]
    for stage in plan.stages:
        settled, read = _run_stage(dynamics, initial, settled, stage, solver, newton=newton)
        found = found.at[stage.condition].set(read)
    return found


def _run_stage(
    dynamics: AbstractDynamics, initial: Array, previous: Array, stage: Stage, solver: AbstractSolver, *, newton: bool
) -> tuple[Array, Array]:
    """Settled states of all courses, and the states read from this stage."""
    start = jnp.where((stage.start >= 0)[:, None], previous[jnp.maximum(stage.start, 0)], initial[None])
    states = solver.integrate(dynamics, start, stage.contexts, stage.hours)
    settled = states[-1]
    if stage.needs_settling:
        last = jax.tree.map(lambda leaf: jnp.asarray(leaf)[-1], stage.contexts)
        settled = settle(dynamics, states[-1], last, solver, newton=newton)
    is_settled = jnp.asarray(stage.is_settled)[:, None]
    read = jnp.where(is_settled, settled[stage.course], states[stage.time, stage.course])
    return settled, read


def drift_at_rest(dynamics: AbstractDynamics, states: Float[Array, "row gene"], plan: Plan) -> Float[Array, " row"]:
    """How far rows that are read after settling are from rest: root mean square drift in units of the natural rate; zero elsewhere."""
    found = jnp.zeros(plan.n_rows)
    for stage in plan.stages:
        if not stage.needs_settling:
            continue
        context = jax.tree.map(lambda leaf, at=stage.course: jnp.asarray(leaf)[-1, at], stage.contexts)
        relative = dynamics.drift(states[stage.condition], context) / dynamics.natural_rate()
        size = jnp.sqrt(jnp.mean(relative**2, axis=1))
        found = found.at[stage.condition].max(jnp.where(stage.is_settled, size, 0.0))
    return found
