r"""The difference that a protocol makes, as a linear system that is exact along the course of the cells.

With the target of production :math:`F(z, c)`, for which :math:`\dot z = \delta(F - z)`, edited cells :math:`z^1` in the context
:math:`c^1` differ from unedited ones :math:`z^0` in :math:`c^0` by :math:`\Delta z`, and

.. math:: \frac{d\,\Delta z}{dt} = \delta\,(b + A\,\Delta z - \Delta z), \qquad
          b = F(z^0, c^1) - F(z^0, c^0), \qquad A = \int_0^1 \partial_z F(z^0 + s\,\Delta z, c^1)\,ds.

:math:`b` is what edits and media do at once, :math:`A` how a change of one gene drives another in the edited cells. By the fundamental
theorem of calculus :math:`A\,\Delta z` is the whole of the rest, however curved the law; for small changes :math:`A` is the Jacobian. Between
edits and media :math:`b` is shared out along the straight line from :math:`c^0` to :math:`c^1` (Aumann & Shapley 1974; integrated
gradients of Sundararajan et al. 2017, arXiv:1703.01365). A Neural ODE has no decay: there :math:`\Delta z` is left out on the right.

:math:`A` of all laws and times is never held at once: some columns at a time are Jacobian-vector products, and of those only means, and the
edges that are asked for, are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from semimech.experiment import Condition, Context, effective_history
from semimech.model import (
    AbstractDynamics,
    AbstractSolver,
    CellModel,
    ContextArrays,
    Roster,
    context_arrays,
    in_full,
    member_axis,
    settle,
    split_trained,
)

ANY_EDIT = "any edit"
_POINTS = 40
_LEAST_POINTS = 5
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_SETTLING_TIMES = 20.0
_BYTES = 1 << 27
"""Memory for some columns of :math:`A`, of all laws at all times."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    r"""The linear system at each time of a course, for each law of an ensemble.

    Parameters
    ----------
    sources
        What was done: edited genes, ``"medium …"`` and ``"any edit"``.
    activity_sign
        Sign of the change of activity of the gene that a source edits, 0 where its activity stays.
    size, drive
        Means over laws and times of the size of :math:`A` and of :math:`A`; row target, column regulator.
    edges
        :math:`A` of pairs of a target and a regulator, by law and time.
    direct
        :math:`b` of each source.
    respond
        What a drive up to the end has made of a gene at the end, as weights over times: the filter
        :math:`\delta e^{-\delta t}` of the gene's decay, for drives that are linear between times; as a lower triangular
        matrix, row time of response.
    control, edited
        Relative states at the end.
    """

    sources: tuple[str, ...]
    activity_sign: tuple[int, ...]
    size: Float[np.ndarray, "gene gene"]
    drive: Float[np.ndarray, "gene gene"]
    edges: Callable[[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]], Float[np.ndarray, "member time pair"]]
    direct: Float[np.ndarray, "member time source gene"]
    respond: Float[np.ndarray, "member gene time time"]
    control: Float[np.ndarray, "member gene"]
    edited: Float[np.ndarray, "member gene"]


def difference(laws: CellModel, roster: Roster, solver: AbstractSolver, condition: Condition) -> Difference:
    """Run unedited and edited cells side by side, and take the linear system of their difference.

    Parameters
    ----------
    laws
        Models of the ensemble, arrays stacked over members.
    roster
        Names of genes, targets and media.
    solver
        How to integrate.
    condition
        What is done to the edited cells; doses resolved.
    """
    rates = eqx.filter_vmap(lambda law: (law.natural_rate(), law.decay()), in_axes=member_axis)(laws.dynamics)
    rate, decay = (np.asarray(each, np.float64) for each in rates)
    settling = laws.dynamics.settling_hours
    longest = _SETTLING_TIMES / float(rate.min()) if settling is None else settling
    hours, contexts, is_settled = _course(condition, longest=longest, settles=settling is None)
    edited, control = context_arrays(contexts, roster), context_arrays([Context()], roster)
    both = jax.tree.map(lambda e, c: np.stack([np.broadcast_to(c, e.shape), e], axis=1), edited, control)
    trained, fixed = split_trained(laws)
    states = _courses(trained, fixed, both, solver, hours, is_settled)
    if is_settled:
        edited, hours = jax.tree.map(lambda leaf: leaf[-1:], edited), hours[-1:]
    sources, steps = _sources(edited, control, roster)
    n_genes, reference = states.shape[-1], jax.tree.map(lambda leaf: leaf[0], control)
    width = min(n_genes, max(1, _BYTES // (states[:, :, 0].size * states.dtype.itemsize)))

    def along(columns: Int[np.ndarray, " column"]) -> tuple[np.ndarray, np.ndarray]:
        filled = np.pad(columns, (0, width - len(columns)), mode="edge")  # one program, whatever their number
        drive, direct = map(np.asarray, _secants(trained, fixed, states, edited, reference, steps, jnp.asarray(filled)))
        return drive[..., : len(columns)], direct

    def edges(targets: Int[np.ndarray, " pair"], columns: Int[np.ndarray, " pair"]) -> np.ndarray:
        if width == n_genes:  # the one block there is
            return block[:, :, targets, columns].astype(np.float64)
        found = np.zeros((*states.shape[:2], len(columns)))
        for some in _blocks(np.unique(columns), width):
            pairs = np.flatnonzero(np.isin(columns, some))
            found[..., pairs] = along(some)[0][:, :, targets[pairs], np.searchsorted(some, columns[pairs])]
        return found

    size, drive = np.zeros((2, n_genes, n_genes))
    for some in _blocks(np.arange(n_genes), width):
        block, direct = along(some)
        drive[:, some] = block.mean(axis=(0, 1), dtype=np.float64)
        size[:, some] = np.abs(block).mean(axis=(0, 1), dtype=np.float64)
    ends = np.asarray(states[:, -1], np.float64)
    return Difference(
        sources=tuple(sources),
        activity_sign=tuple(sources.values()),
        size=size,
        drive=drive,
        edges=edges,
        direct=np.asarray(direct, np.float64),
        respond=np.ones((*rate.shape, 1, 1)) if is_settled else _filters(rate, decay, np.asarray(hours)),
        control=ends[:, 0],
        edited=ends[:, 1],
    )


def _blocks(columns: Int[np.ndarray, " column"], width: int) -> list[Int[np.ndarray, " some"]]:
    return [columns[first : first + width] for first in range(0, len(columns), width)]


def _course(condition: Condition, *, longest: float, settles: bool) -> tuple[tuple[float, ...], list[Context], bool]:
    """Times, denser after each change, the context from each on, and whether the cells settle in the last.

    Where the context changes a time stands twice. Cells that settle before the last context do so for ``longest`` hours, as do
    those of a law without decay, of which no settled state is known otherwise.
    """
    periods = effective_history(condition)
    is_settled = settles and math.isinf(periods[-1].hours)
    n_points = max(_LEAST_POINTS, _POINTS // len(periods))
    times: list[float] = []
    contexts: list[Context] = []
    now = 0.0
    for number, period in enumerate(periods):
        is_instant = period.hours == 0 or (is_settled and number == len(periods) - 1)
        span = 0.0 if is_instant else min(period.hours, longest) if math.isinf(period.hours) else period.hours
        grid = [0.0] if is_instant else list(span * np.linspace(0.0, 1.0, n_points) ** 2)
        times += [float(now + t) for t in grid]
        contexts += [period.context] * len(grid)
        now += span
    return tuple(times), contexts, is_settled


def _sources(edited: ContextArrays, control: ContextArrays, roster: Roster) -> tuple[dict[str, int], ContextArrays]:
    """What was done, with the sign of its change of activity; and what each changes in the context, by time and source."""
    step = jax.tree.map(lambda e, c: e - c, edited, control)
    n_genes = len(roster.genes)
    own = np.zeros_like(step.activity)
    own[:, :n_genes] = np.abs(step.production) + np.abs(step.knocked)
    touched = np.flatnonzero((np.abs(step.activity) + own).any(axis=0))
    media = np.flatnonzero(np.abs(step.medium).any(axis=0))
    sources: dict[str, int] = {}
    parts: list[ContextArrays] = []
    nothing = jax.tree.map(np.zeros_like, step)

    def only(name: str, columns: Sequence[int]) -> np.ndarray:
        values = getattr(step, name)
        kept = np.isin(np.arange(values.shape[-1]), columns)
        return np.where(kept, values, 0.0).astype(values.dtype)

    for column in touched:
        edit = {name: only(name, [int(column)]) for name in ("activity", "production", "knocked")}
        parts.append(ContextArrays(**(vars(nothing) | edit)))
        sources[roster.regulators[column]] = int(np.sign(step.activity[:, column].sum()))
    for column in media:
        parts.append(ContextArrays(**(vars(nothing) | {"medium": only("medium", [int(column)])})))
        sources[f"medium {roster.media[column]}"] = 0
    if step.n_edits.any():
        parts.append(ContextArrays(**(vars(nothing) | {"n_edits": step.n_edits})))
        sources[ANY_EDIT] = 0
    if not parts:
        return sources, jax.tree.map(lambda leaf: leaf[:, None][:, :0], nothing)
    return sources, jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *parts)


def _target(law: AbstractDynamics, z: Array, context: ContextArrays) -> Array:
    """What drives each gene beside its decay; where the natural rate is the decay, the state towards which cells move."""
    return law.forcing(z, context) / law.natural_rate()


@eqx.filter_jit
def _courses(
    trained: CellModel,
    fixed: CellModel,
    contexts: ContextArrays,
    solver: AbstractSolver,
    hours: tuple[float, ...],
    is_settled: bool,
) -> Float[Array, "member time 2 gene"]:
    """States of unedited and of edited cells at every time; only the settled ones if cells settle."""

    def one(trained: CellModel) -> Array:
        model = eqx.combine(trained, fixed)
        start = jnp.exp(jnp.asarray(model.log_initial))
        states = solver.integrate(model.dynamics, jnp.stack([start, start]), contexts, hours)
        if not is_settled:
            return states
        last = jax.tree.map(lambda leaf: jnp.asarray(leaf)[-1], contexts)
        return settle(model.dynamics, states[-1], last, solver)[None]

    return jax.vmap(one)(trained)


@eqx.filter_jit
def _secants(
    trained: CellModel,
    fixed: CellModel,
    states: Float[Array, "member time 2 gene"],
    edited: ContextArrays,
    control: ContextArrays,
    steps: ContextArrays,
    columns: Int[Array, " column"],
) -> tuple[Float[Array, "member time gene column"], Float[Array, "member time source gene"]]:
    """Columns of :math:`A`, and :math:`b`, by four-point Gauss–Legendre quadrature."""
    nodes, weights = jnp.asarray((_NODES + 1) / 2, states.dtype), jnp.asarray(_WEIGHTS / 2, states.dtype)
    control = jax.tree.map(jnp.asarray, control)
    towards = jax.nn.one_hot(columns, states.shape[-1], dtype=states.dtype)

    def one(trained: CellModel, states: Array) -> tuple[Array, Array]:
        law = in_full(eqx.combine(trained, fixed).dynamics)

        def at(inputs: tuple[Array, ContextArrays, ContextArrays]) -> tuple[Array, Array]:
            (z0, z1), context, step = inputs
            whole = jax.tree.map(lambda e, c: e - c, context, control)

            def between(s: Array) -> tuple[Array, Array]:
                here = jax.tree.map(lambda c, d: c + s.astype(d.dtype) * d, control, whole)
                _, push = jax.linearize(lambda z: _target(law, z, context), z0 + s * (z1 - z0))
                drive = jax.vmap(push, out_axes=1)(towards)
                direct = jax.vmap(lambda d: jax.jvp(lambda c: _target(law, z0, c), (here,), (d,))[1])(step)
                return drive, direct

            drives, directs = jax.vmap(between)(nodes)
            return jnp.tensordot(weights, drives, 1), jnp.tensordot(weights, directs, 1)

        return jax.lax.map(at, (states, jax.tree.map(jnp.asarray, edited), jax.tree.map(jnp.asarray, steps)))

    return jax.vmap(one)(trained, states)


def _filters(
    rate: Float[np.ndarray, "member gene"], decay: Float[np.ndarray, "member gene"], hours: Float[np.ndarray, " time"]
) -> Float[np.ndarray, "member gene time time"]:
    r"""Response to a drive, :math:`y(t) = \int k e^{-\lambda(t - s)} v(s)\,ds`, exact where :math:`v` is linear between times."""
    n = len(hours)
    found = np.zeros((*rate.shape, n, n))
    for k, gap in enumerate(np.diff(hours)):
        x = decay * gap
        is_small = x < 1e-4
        safe = np.where(is_small, 1.0, x)
        whole = np.where(is_small, 1.0 - x / 2, -np.expm1(-safe) / safe)
        last = np.where(is_small, 0.5 - x / 6, (1.0 + np.expm1(-safe) / safe) / safe)
        found[..., k + 1, :] = np.exp(-x)[..., None] * found[..., k, :]
        found[..., k + 1, k] += rate * gap * (whole - last)
        found[..., k + 1, k + 1] += rate * gap * last
    return found
