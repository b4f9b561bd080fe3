"""The problems of `benchmarks.speed`: laws that are drawn, their conditions, and one step with gradient in several ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from semimech.experiment import Condition, Context, Edit, Period
from semimech.model import (
    AbstractSolver,
    AdaptiveSolver,
    CellModel,
    ExponentialSolver,
    MechanisticDynamics,
    Plan,
    ResidualRegulation,
    Roster,
    SaturatingRegulation,
    ScaleGrid,
    make_edges,
    make_plan,
    neural_map,
    split_trained,
)

DAYS = (2, 3, 4, 5)
HIDDEN = 64


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A law, the conditions that it is asked, and what would have been measured.

    Parameters
    ----------
    model
        The law.
    plan
        Knockouts of the first genes, harvested at the given times.
    target
        States, one row per condition.
    n_courses
        Knockouts.
    hours
        Times of harvest; none for settled cells.
    """

    model: CellModel
    plan: Plan
    target: np.ndarray
    n_courses: int
    hours: tuple[float, ...]


def problem(
    n_genes: int,
    n_courses: int,
    hours: tuple[float, ...] = tuple(24.0 * d for d in DAYS),
    *,
    n_edges: int = 0,
    by_edge: bool = True,
    has_residual: bool = True,
    strength: float = 0.5,
    seed: int = 0,
) -> Problem:
    """A law of so many genes with half-lives of 1 to 48 hours, with all edges or so many per gene, and a learned residual."""
    rng = np.random.default_rng(seed)
    per_gene = n_edges or n_genes
    regulator = np.argsort(rng.random((n_genes, n_genes), dtype=np.float32), axis=1)[:, :per_gene]
    weight = strength * rng.normal(size=(n_genes, per_gene)).astype(np.float32) / np.sqrt(per_gene)
    full = np.zeros((n_genes, n_genes), np.float32)
    np.put_along_axis(full, regulator, weight, axis=1)
    edges, kept = None, full
    if n_edges and by_edge:
        gene = np.repeat(np.arange(n_genes), n_edges)
        edges = make_edges(gene, regulator.ravel(), n_genes=n_genes, n_regulators=n_genes)
        kept = full[edges.gene, edges.regulator]
    ones = np.ones(n_genes, np.float32)
    mechanism = SaturatingRegulation(
        weight=jnp.asarray(kept),
        bias=jnp.zeros(n_genes),
        medium_effect=jnp.zeros((n_genes, 0)),
        edit_effect=0.1 * jnp.asarray(rng.normal(size=n_genes), jnp.float32),
        log_headroom=jnp.log(5.0 * ones),
        edges=edges,
    )
    regulation: SaturatingRegulation | ResidualRegulation = mechanism
    if has_residual:
        correction = neural_map(n_genes, n_genes, 0, n_hidden=HIDDEN, key=jax.random.key(seed))
        leave = 0.02 * jax.random.normal(jax.random.key(seed + 1), correction.leave.shape)
        regulation = ResidualRegulation(
            mechanism=mechanism, correction=eqx.tree_at(lambda m: m.leave, correction, leave)
        )
    half_life = np.exp(rng.uniform(0.0, np.log(48.0), n_genes))
    dynamics = MechanisticDynamics(
        regulation=regulation,
        log_degradation=jnp.asarray(np.log(np.log(2) / half_life), jnp.float32),
        log_transcript=jnp.array(0.0),
        log_transcript_gene=jnp.zeros(n_genes),
    )
    grid = np.array([0.0, 1.0], np.float32)
    model = CellModel(dynamics=dynamics, log_initial=0.0 * ones, unit=ones, scale=ScaleGrid(state=grid, observed=grid))
    genes = tuple(f"G{i}" for i in range(n_genes))
    waits = hours or (np.inf,)
    asked = [
        Condition(history=(Period(context=Context(edits=(Edit(gene=gene),)), hours=h),))
        for gene in genes[:n_courses]
        for h in waits
    ]
    target = 1.0 + 0.3 * rng.normal(size=(len(asked), n_genes)).astype(np.float32)
    return Problem(
        model=model,
        plan=make_plan(asked, Roster(genes=genes)),
        target=target,
        n_courses=n_courses,
        hours=tuple(hours),
    )


def step(each: Problem, solver: AbstractSolver) -> Callable[[], tuple[jax.Array, CellModel]]:
    """One step of training without the optimiser: loss and gradient, compiled when called first."""
    trained, fixed = split_trained(each.model)

    @eqx.filter_jit
    def run(trained: CellModel, fixed: CellModel, plan: Plan, target: np.ndarray) -> tuple[jax.Array, CellModel]:
        def loss(trained: CellModel) -> jax.Array:
            states = eqx.combine(trained, fixed).states(plan, solver)[: len(target)]
            return jnp.mean((states - target) ** 2)

        return jax.value_and_grad(loss)(trained)

    arguments = jax.device_put((trained, fixed, each.plan, each.target))
    return lambda: jax.block_until_ready(run(*arguments))


def states(each: Problem, solver: AbstractSolver) -> np.ndarray:
    """States of all conditions."""
    run = eqx.filter_jit(lambda model, plan: model.states(plan, solver))
    return np.asarray(run(each.model, each.plan))[: len(each.target)]


def exact(each: Problem) -> np.ndarray:
    """States by an adaptive integrator with small tolerances."""
    return states(each, AdaptiveSolver(rtol=1e-6, atol=1e-7))


def error(found: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square error relative to how far the states move."""
    return float(np.sqrt(np.mean((found - reference) ** 2)) / np.sqrt(np.mean((reference - 1.0) ** 2)))


def with_diffrax(each: Problem, n_copies: int, *, tolerance: float = 1e-3) -> Callable[[], tuple[jax.Array, CellModel]]:
    """The same step as a user of Diffrax would write it: Tsit5, adaptive, its default adjoint, every cell its own row."""
    trained, fixed = split_trained(each.model)
    stage = each.plan.stages[0]
    context = jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf)[0, : each.n_courses], n_copies, 0), stage.contexts)
    by_time = each.target.reshape(each.n_courses, len(each.hours), -1).swapaxes(0, 1)
    target, hours = jnp.repeat(by_time, n_copies, axis=1), jnp.asarray(each.hours)

    @eqx.filter_jit
    def run(trained: CellModel) -> tuple[jax.Array, CellModel]:
        def loss(trained: CellModel) -> jax.Array:
            law = eqx.combine(trained, fixed).dynamics
            found = diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, z, args: law.drift(z, context)),
                diffrax.Tsit5(),
                t0=0.0,
                t1=hours[-1],
                dt0=None,
                y0=jnp.ones(target.shape[1:]),
                saveat=diffrax.SaveAt(ts=hours),
                stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
                max_steps=4096,
            )
            return jnp.mean((found.ys - target) ** 2)

        return jax.value_and_grad(loss)(trained)

    return lambda: jax.block_until_ready(run(trained))


def evaluations(each: Problem, solver: ExponentialSolver) -> int:
    """How often the law is evaluated in one pass."""
    gaps = np.diff((0.0, *each.hours))
    return int(solver.order * np.maximum(np.ceil(gaps / solver.max_step - 1e-9), 1).sum())


def products_alone(each: Problem, n_evaluations: int) -> Callable[[], jax.Array]:
    """The matrix products of so many evaluations and of their gradients, and nothing else: what no program can go below."""
    n_genes, rows = each.target.shape[1], each.n_courses
    shapes = [(n_genes, n_genes), (2 * n_genes + 1, HIDDEN), (HIDDEN, n_genes)]
    keys = jax.random.split(jax.random.key(0), len(shapes))
    weights = [jax.random.normal(key, shape) / 100.0 for key, shape in zip(keys, shapes, strict=True)]
    inputs = [jnp.ones((rows, shape[0])) for shape in shapes]

    @jax.jit
    def run(weights: list[jax.Array], inputs: list[jax.Array]) -> jax.Array:
        def one(carry: tuple[list, list], _: None) -> tuple[tuple[list, list], None]:
            inputs, sums = carry
            said = [x @ w for x, w in zip(inputs, weights, strict=True)]
            sums = [s + x.T @ y for s, x, y in zip(sums, inputs, said, strict=True)]
            return ([y @ w.T for y, w in zip(said, weights, strict=True)], sums), None

        (last, sums), _ = jax.lax.scan(one, (inputs, [jnp.zeros_like(w) for w in weights]), None, length=n_evaluations)
        return sum(jnp.sum(leaf) for leaf in [*last, *sums])

    return lambda: jax.block_until_ready(run(weights, inputs))


def flops(each: Problem, n_evaluations: int, *, n_edges: int = 0) -> float:
    """Floating point operations of the products of a step with gradient."""
    n_genes, rows = each.target.shape[1], each.n_courses
    network = n_genes * (n_edges or n_genes)
    residual = HIDDEN * (3 * n_genes + 1) if isinstance(each.model.dynamics.regulation, ResidualRegulation) else 0
    return 3 * 2.0 * rows * n_evaluations * (network + residual)


def torch_arrays(
    each: Problem, *, n_copies: int = 1, hours: tuple[float, ...] = (), seed: int = 0
) -> dict[str, np.ndarray]:
    """The arrays that `benchmarks/peers/integrators/run.py` reads; copies of a course are cells that start a little apart."""
    law = each.model.dynamics
    outer = law.regulation
    mechanism = outer.mechanism if isinstance(outer, ResidualRegulation) else outer
    context = jax.tree.map(
        lambda leaf: np.repeat(np.asarray(leaf)[0, : each.n_courses], n_copies, 0), each.plan.stages[0].contexts
    )
    kept = np.exp(np.asarray(law.log_transcript + law.log_transcript_gene))
    by_time = each.target.reshape(each.n_courses, len(each.hours), -1).swapaxes(0, 1)
    start = np.ones((each.n_courses * n_copies, by_time.shape[2]), np.float32)
    if n_copies > 1:
        start *= np.exp(0.1 * np.random.default_rng(seed).normal(size=start.shape)).astype(np.float32)
    arrays = {
        "weight": mechanism.weight,
        "bias": mechanism.bias,
        "edit_effect": mechanism.edit_effect,
        "log_headroom": mechanism.log_headroom,
        "log_degradation": law.log_degradation,
        "activity": context.activity,
        "own": 1.0 + context.knocked * (kept - 1.0),
        "n_edits": context.n_edits,
        "z0": start,
        "target": np.repeat(by_time, n_copies, axis=1),
        "hours": np.array(hours or (0.0, *each.hours), np.float32),
    }
    if outer is not mechanism:
        arrays |= {name: getattr(outer.correction, name) for name in ("enter", "enter_bias", "leave", "leave_bias")}
    found = {name: np.ascontiguousarray(np.asarray(value, np.float32)) for name, value in arrays.items()}
    if mechanism.edges is not None:
        gene, regulator, n = mechanism.edges.gene, mechanism.edges.regulator, by_time.shape[2]
        order = np.lexsort((gene, regulator))
        counts = lambda ends: np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=n))])
        found |= {
            "crow": counts(gene),
            "col": regulator,
            "t_crow": counts(regulator),
            "t_col": gene[order],
            "t_edge": order,
        }
    return found
