"""Whether fitted laws come to rest where cells were said to have settled."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from semimech.fit.problem import Problem
from semimech.model import AbstractSolver, CellModel, drift_at_rest, split_trained

_STILL = 0.05


def restless(models: CellModel, problem: Problem, solver: AbstractSolver) -> Bool[np.ndarray, " row"]:
    """Rows that were harvested settled and where some member's law still moves: by more than 5 % of its natural rate, root mean square over genes.

    Parameters
    ----------
    models
        Members of the ensemble, arrays stacked over them.
    problem
        The training data, compiled.
    solver
        How predictions are integrated.
    """
    if not any(stage.needs_settling and stage.is_settled.any() for stage in problem.plan.stages):
        return np.zeros(problem.plan.n_rows, dtype=bool)
    return np.asarray(_drift(*split_trained(models), problem, solver)).max(axis=0) > _STILL


def restless_notes(rows: Bool[np.ndarray, " row"]) -> tuple[str, ...]:
    """What a user should know of them, in words."""
    if not rows.any():
        return ()
    return (
        f"The law does not come to rest in {rows.sum()} of the settled training conditions: what it says of settled cells depends on where it is stopped. "
        "More conditions or times, fewer genes, a prior network or a larger sparsity would hold it.",
    )


@eqx.filter_jit
def _drift(
    trained: CellModel, fixed: CellModel, problem: Problem, solver: AbstractSolver
) -> Float[Array, "member row"]:
    """Root mean square drift of settled rows in units of the natural rate, zero elsewhere."""

    def of_member(trained: CellModel) -> Float[Array, " row"]:
        model = eqx.combine(trained, fixed)
        return drift_at_rest(model.dynamics, model.states(problem.plan, solver), problem.plan)

    return jax.vmap(of_member)(trained)
