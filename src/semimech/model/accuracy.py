"""How well an integrator solves a law, by halving its steps, and the cheapest one that is good enough."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from semimech.model.dynamics import wiring
from semimech.model.model import CellModel, split_trained
from semimech.model.plan import Plan
from semimech.model.solve import ExponentialSolver
from semimech.model.sparse import rewired

_TRIED = tuple(
    ExponentialSolver(hours, order)  # by evaluations of the law per day
    for hours, order in (
        (24.0, 2),
        (12.0, 2),
        (24.0, 4),
        (8.0, 2),
        (12.0, 4),
        (8.0, 4),
        (6.0, 4),
        (4.0, 4),
        (2.0, 4),
        (1.0, 4),
    )
)

_LEAST = 1e-30


def halving_error(model: CellModel, plan: Plan, solver: ExponentialSolver) -> float:
    """Error of an integrator relative to how far the states move: what halving its steps changes, root mean square.

    Of a method of order p the change is 1 − 2⁻ᵖ of the error, so that it is hardly underestimated.
    """
    half = ExponentialSolver(0.5 * solver.max_step, solver.order)
    read = np.unique(np.concatenate([stage.condition for stage in plan.stages]))
    rows = read[read < plan.n_rows - 1]  # the last is where padding goes
    change, size = (float(leaf) for leaf in _change(*split_trained(model), plan, solver, half, rows))
    return change / max(size, _LEAST) / (1.0 - 0.5**solver.order)


@eqx.filter_jit
def _change(
    trained: CellModel,
    fixed: CellModel,
    plan: Plan,
    solver: ExponentialSolver,
    half: ExponentialSolver,
    rows: Int[Array | np.ndarray, " read"],
) -> tuple[Array, Array]:
    model = eqx.combine(trained, fixed)
    states, better = model.states(plan, solver)[rows], model.states(plan, half)[rows]
    size = lambda x: jnp.sqrt(jnp.mean(x**2))
    return size(better - states), size(better - jnp.exp(jnp.asarray(model.log_initial)))


def accurate_solver(model: CellModel, plan: Plan, error: float) -> ExponentialSolver:
    """The cheapest integrator whose error by step halving is small enough; the last of all if none is.

    Parameters
    ----------
    model
        A law as strongly coupled as those to be solved, see `coupled`.
    plan
        The courses.
    error
        The largest error, relative to how far the states move.
    """
    return next((solver for solver in _TRIED if halving_error(model, plan, solver) <= error), _TRIED[-1])


def coupled(start: CellModel, *, key: PRNGKeyArray) -> CellModel:
    """An unwired model with edges drawn at random, together about as strong as a law may be without losing its rest.

    Weights are normal with a variance of one over the number of regulators of a gene: the spectral radius of such a matrix is near one
    (Girko 1984, Theory Probab. Appl. 29:694).
    """
    mechanism = wiring(start.dynamics)
    if mechanism is None:
        return start
    shape, n_genes = mechanism.weight.shape, len(mechanism.bias)
    per_gene = max(mechanism.weight.size / n_genes, 1.0)
    weight = jax.random.normal(key, shape) / np.sqrt(per_gene)
    drawn = eqx.tree_at(lambda m: m.weight, mechanism, weight)
    if drawn.programmes is not None:  # of k programmes, the matrix from reading to writing is a drawn one of k × k
        wide = drawn.programmes.writing.shape
        writing = jax.random.normal(jax.random.fold_in(key, 1), wide) / np.sqrt(wide[1])
        drawn = eqx.tree_at(lambda m: m.programmes.writing, drawn, writing)
    return rewired(start, drawn)
