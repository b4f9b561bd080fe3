"""The check of a declaration: whether unedited cells that are declared stationary move with time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.curation.shifts import LEVEL
from semimech.data.findings import CheckFinding, passed, warned
from semimech.data.screen import Screen

LEAST_MOVE = 0.05
"""Smallest move that is worth a warning, in standard deviations of cells."""

_MOST_CELLS = 500
_MOST_GENES = 500
_PERMUTATIONS, _ENOUGH = 999, 20
"""Permutations drawn at most, and how many of them must move the means as far for the test to end sooner.

With 999 of them `LEVEL` is reached only if none moves the means as far: p is 0.001 then, and 0.002 with one.
"""


@dataclass(frozen=True, kw_only=True)
class Movement:
    """How far unedited cells move between harvests within batches.

    Parameters
    ----------
    size
        Root mean square over genes of the standard deviation of means over times, in standard deviations of cells; what
        finite numbers of cells explain is taken off.
    p_value
        Share of relabellings of the times, within batches, that move the means as far.
    n_batches
        Batches that say something: those with enough unedited cells at two times or more.
    """

    size: float
    p_value: float
    n_batches: int


def control_movement(
    values: Float[np.ndarray, "cell gene"],
    *,
    batch: Int[np.ndarray, " cell"],
    time: Int[np.ndarray, " cell"],
    rng: np.random.Generator,
) -> Movement | None:
    r"""Test whether means of unedited cells differ between times, within batches.

    With :math:`F_g` the ratio of the variance between times to that within, pooled over batches, the statistic is the mean
    of :math:`F_g` over genes. Genes move together, so its law is that under permutations of the times of cells within
    batches, exact whatever the law of the cells. Permutations end where `_ENOUGH` of them move the means as far, which leaves the
    p-value valid (Besag & Clifford 1991, doi:10.1093/biomet/78.2.301). Wells of one batch that differ for another reason look the same.

    Parameters
    ----------
    values
        Unedited cells, observed scale.
    batch, time
        Index of the batch and of the time of each cell.
    rng
        Draws the permutations.

    Returns
    -------
    Movement or None
        ``None`` if no batch has enough cells at two times.
    """
    code = batch * (time.max() + 1) + time
    kept = np.bincount(code)[code] >= MIN_CONTROLS
    n_times = [len(np.unique(time[kept & (batch == b)])) for b in range(int(batch.max()) + 1)]
    kept &= np.array(n_times)[batch] > 1
    if not kept.any():
        return None
    values, batch, time = np.asarray(values[kept], float), batch[kept], time[kept]
    for b in np.unique(batch):
        values[batch == b] -= values[batch == b].mean(axis=0)
    total = (values**2).sum(axis=0)
    values, total = values[:, total > 0], total[total > 0]
    if not len(total):
        return None
    n_groups = len(np.unique(code[kept]))
    degrees = n_groups - len(np.unique(batch))

    def ratios(time: Int[np.ndarray, " cell"]) -> Float[np.ndarray, " gene"]:
        order = np.lexsort((time, batch))
        starts = np.flatnonzero(np.r_[True, np.diff(batch[order]) | np.diff(time[order]) != 0])
        sums = np.add.reduceat(values[order], starts, axis=0)
        sizes = np.diff(np.r_[starts, len(order)])
        between = (sums**2 / sizes[:, None]).sum(axis=0)
        within = np.maximum(total - between, 1e-12 * total)
        return between / degrees / (within / (len(values) - n_groups))

    found = ratios(time)
    members = [np.flatnonzero(batch == b) for b in np.unique(batch)]
    n_as_far = n_drawn = 0
    while n_drawn < _PERMUTATIONS and n_as_far < _ENOUGH:
        n_drawn += 1
        shuffled = time.copy()
        for rows in members:
            shuffled[rows] = time[rng.permutation(rows)]
        n_as_far += bool(ratios(shuffled).mean() >= found.mean())
    return Movement(
        size=float(np.sqrt(max(found.mean() - 1.0, 0.0) * degrees / len(values))),
        p_value=n_as_far / n_drawn if n_as_far == _ENOUGH else (1 + n_as_far) / (1 + n_drawn),
        n_batches=len(members),
    )


def check_control_movement(screen: Screen) -> Iterable[CheckFinding]:
    """Whether unedited cells in the maintenance medium move although they are declared not to."""
    conditions, name = screen.annotation.conditions, "control stationarity"
    is_still = np.array([c.is_control and c.media == (None,) and np.isfinite(c.hours) for c in conditions])
    times, time = np.unique([c.hours for c in conditions], return_inverse=True)
    if not screen.annotation.system.is_stationary or len({times[t] for t in time[is_still]}) < 2:
        return
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.flatnonzero(is_still[screen.annotation.condition]))
    group = screen.annotation.condition[rows] * len(screen.annotation.batches) + screen.annotation.batch[rows]
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(rows), dtype=int)
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0])
    rank[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    rows = rows[rank < _MOST_CELLS]
    some = screen.measurement.observed[rows]
    genes = np.sort(np.argsort(-some.getnnz(axis=0), kind="stable")[:_MOST_GENES])
    found = control_movement(
        some[:, genes].toarray(),
        batch=screen.annotation.batch[rows],
        time=time[screen.annotation.condition[rows]],
        rng=rng,
    )
    if found is None:
        yield passed(name, "this design cannot tell: no batch has unedited cells at two times")
        return
    said = (
        f"between times unedited cells move by {found.size:.2f} standard deviations of cells "
        f"(p = {found.p_value:.3f}, within {found.n_batches} of {len(screen.annotation.batches)} batches)"
    )
    if found.p_value > LEVEL or found.size < LEAST_MOVE:
        yield passed(name, said)
        return
    yield warned(
        name,
        said,
        threatens="controls pooled over times, and the steady-state loss, which take them not to move",
        mend="say differentiating=True if they differentiate; otherwise look for wells that differ in density or depth",
    )
