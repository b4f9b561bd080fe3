"""What the stacked models of an ensemble, or of several fits, say of a plan."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semimech.model import AbstractSolver, CellModel, Plan, drift_at_rest, split_trained

_AT_REST, _NEWTON_GENES = 1e-3, 1000


def predict_members(models: CellModel, plan: Plan, solver: AbstractSolver) -> Float[np.ndarray, "run row gene"]:
    """Observed means of every row of a plan from each of the stacked models; one after the other, whatever their number."""
    trained, fixed = split_trained(models)
    host, found = jax.tree.map(np.asarray, trained), []
    for run in range(len(jax.tree.leaves(host)[0])):
        each = jax.tree.map(lambda leaf, run=run: leaf[run], host)
        observed, drift = _predict(each, fixed, plan, solver, newton=False)
        # Seldom, so that the program that finds rest then is a second one.
        if float(drift) > _AT_REST and len(fixed.unit) <= _NEWTON_GENES:
            observed, _ = _predict(each, fixed, plan, solver, newton=True)
        found.append(np.asarray(observed))
    return np.stack(found)


@eqx.filter_jit
def _predict(
    trained: CellModel, fixed: CellModel, plan: Plan, solver: AbstractSolver, *, newton: bool
) -> tuple[Float[Array, "row gene"], Float[Array, ""]]:
    """Observed means, and how far the worst settled row is from rest."""
    model = eqx.combine(trained, fixed)
    states = model.states(plan, solver, newton=newton)
    return model.observe(states), jnp.max(drift_at_rest(model.dynamics, states, plan), initial=0.0)
