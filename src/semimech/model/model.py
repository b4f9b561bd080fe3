"""CellModel: one law with the names, units and scale that tie it to data."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semimech.model.dynamics import AbstractDynamics
from semimech.model.plan import Plan
from semimech.model.run import run_plan
from semimech.model.solve import AbstractSolver


class ScaleGrid(eqx.Module):
    """The data's scale as arrays: piecewise linear, and linear beyond the grid."""

    state: Float[np.ndarray, " grid"]
    observed: Float[np.ndarray, " grid"]

    def to_observed(self, state: Float[Array, "*n gene"]) -> Float[Array, "*n gene"]:
        """The observed mean of cells in a state."""
        segment = jnp.clip(jnp.searchsorted(self.state, state, side="right") - 1, 0, self.state.shape[0] - 2)
        low, observed = jnp.asarray(self.state), jnp.asarray(self.observed)
        slope = (observed[segment + 1] - observed[segment]) / (low[segment + 1] - low[segment])
        return observed[segment] + slope * (state - low[segment])


class CellModel(eqx.Module):
    """The law of one cell system.

    Parameters
    ----------
    dynamics
        How the relative state moves.
    log_initial
        Logarithm of the relative state of unedited cells at the start; a NumPy array where it is known.
    unit
        State at which the relative state is one: unedited cells.
    scale
        From state to observed mean.
    """

    dynamics: AbstractDynamics
    log_initial: Float[Array, " gene"] | Float[np.ndarray, " gene"]
    unit: Float[np.ndarray, " gene"]
    scale: ScaleGrid

    def states(self, plan: Plan, solver: AbstractSolver, *, newton: bool = False) -> Float[Array, "row gene"]:
        """Relative states of the conditions of a plan, then padding; ``newton`` as in `settle`."""
        return run_plan(self.dynamics, jnp.exp(self.log_initial), plan, solver, newton=newton)

    def observe(self, states: Float[Array, "*n gene"]) -> Float[Array, "*n gene"]:
        """Observed means of relative states."""
        return self.scale.to_observed(jnp.maximum(states, 0.0) * self.unit)


def member_axis(leaf: object) -> int | None:
    """The axis of ensemble members of a leaf, for ``equinox.filter_vmap``: the first of trained arrays; constants are shared."""
    return 0 if isinstance(leaf, jax.Array) else None


def split_trained(model: CellModel) -> tuple[CellModel, CellModel]:
    """The trained arrays of a model (those of JAX), and the rest (constants, which are NumPy arrays).

    Call it outside compiled code, where constants are still NumPy arrays; ``equinox.combine`` joins the two.
    """
    return eqx.partition(model, lambda leaf: isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.inexact))
