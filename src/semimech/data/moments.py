"""Moments of cells: mean, standard error and halves per condition, and the noise-corrected covariance of controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from semimech.data.batch_effect import BatchEffect, group_sums
from semimech.data.dataset import ControlMoments

HALVES_SEED = 0
"""Seed of the split of cells into halves, fixed so that reading a file twice gives the same data set."""
MAX_MOMENT_GENES = 6000
"""Most genes for which the covariance of controls is formed; a larger one would not fit into memory."""
MAX_MOMENT_CELLS = 20_000
"""Most controls whose covariance is formed: with more, its sampling error is below one percent, and it costs more than reading them."""
PRIOR_CELLS = 4.0
"""Weight of the variance pooled over conditions in that of one condition, in cells."""
VARIANCE_FLOOR = 0.05
"""Least share of the raw relative variance of controls that is kept after removing measurement noise."""
_BLOCK = 1024


@dataclass(frozen=True, kw_only=True)
class ConditionMoments:
    """Moments of each condition.

    Parameters
    ----------
    mean
        Mean over cells, batch effects removed.
    standard_error
        Of the mean: spread of cells, and batch effects that remain.
    n_cells
        Number of cells.
    halves
        Means of two random halves; NaN for conditions of one cell.
    """

    mean: Float[np.ndarray, "condition gene"]
    standard_error: Float[np.ndarray, "condition gene"]
    n_cells: Int[np.ndarray, " condition"]
    halves: Float[np.ndarray, "2 condition gene"]


def condition_moments(
    values: sp.csr_matrix,
    *,
    condition: Int[np.ndarray, " cell"],
    batch: Int[np.ndarray, " cell"],
    effect: BatchEffect,
    n_conditions: int,
    rng: np.random.Generator,
) -> ConditionMoments:
    """Pool cells by condition, in time linear in the number of cells.

    The variance of cells in a condition of few cells is drawn to the variance pooled over all conditions, which has
    the weight of `PRIOR_CELLS` cells; so is that of a condition of one cell.

    Parameters
    ----------
    values
        Cells in the observed scale.
    condition, batch
        Indices of each cell's condition and batch.
    effect
        Batch effects to remove.
    n_conditions
        Number of conditions, each with at least one cell.
    rng
        Draws the halves.
    """
    sums = group_sums(values, condition, n_conditions)
    squares = group_sums(values.power(2), condition, n_conditions)
    if effect.offset.any():
        for b in range(len(effect.offset)):
            rows = np.flatnonzero(batch == b)
            squares -= 2 * effect.offset[b] * group_sums(values[rows], condition[rows], n_conditions)
    code = half_of(condition, n_conditions, rng) * n_conditions + condition
    n_half = np.zeros((2 * n_conditions, len(effect.offset)))
    np.add.at(n_half, (code, batch), 1.0)
    return moments_from_sums(
        n_in=n_half.reshape(2, n_conditions, -1),
        sums=sums,
        squares=squares,
        halves=group_sums(values, code, 2 * n_conditions).reshape(2, n_conditions, -1),
        effect=effect,
    )


def half_of(
    condition: Int[np.ndarray, " cell"], n_conditions: int, rng: np.random.Generator
) -> Int[np.ndarray, " cell"]:
    """Which half each cell is in, 0 or 1: cells in random order within each condition, taken alternately."""
    order = np.argsort(rng.random(len(condition)), kind="stable")
    # Integers of 16 bits are sorted by their digits, in time linear in cells.
    small = condition.astype(np.uint16) if n_conditions <= 1 << 16 else condition
    order = order[np.argsort(small[order], kind="stable")]
    n = np.bincount(condition, minlength=n_conditions)
    position = np.arange(len(order)) - np.repeat(np.cumsum(n) - n, n)
    half = np.empty(len(order), dtype=int)
    half[order] = position % 2
    return half


def moments_from_sums(
    *,
    n_in: Float[np.ndarray, "2 condition batch"],
    sums: Float[np.ndarray, "condition gene"],
    squares: Float[np.ndarray, "condition gene"],
    halves: Float[np.ndarray, "2 condition gene"],
    effect: BatchEffect,
) -> ConditionMoments:
    """As `condition_moments`, from sums over cells.

    Parameters
    ----------
    n_in
        Cells of each half, condition and batch.
    sums, halves
        Sums of values, and of either half, batch effects still in them.
    squares
        Sums of squared values, less twice each value times the offset of its batch.
    effect
        Batch effects to remove.
    """
    n_cells = n_in.sum(axis=0)
    n = n_cells.sum(axis=1)
    mean = (sums - n_cells @ effect.offset) / n[:, None]
    scatter = np.maximum(squares + n_cells @ effect.offset**2 - n[:, None] * mean**2, 0.0)
    pooled = scatter.sum(axis=0) / max(n.sum() - len(n), 1.0)
    variance = (scatter + PRIOR_CELLS * pooled) / (n[:, None] - 1 + PRIOR_CELLS)
    left = (n_cells / n[:, None]) ** 2 @ effect.variance
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (halves - n_in @ effect.offset) / n_in.sum(axis=2)[:, :, None]
    means[:, n < 2] = np.nan
    return ConditionMoments(
        mean=mean,
        standard_error=np.sqrt(variance / n[:, None] + left),
        n_cells=n.astype(np.int64),
        halves=means,
    )


def control_moments(
    counts: sp.csr_matrix, unit: Float[np.ndarray, " cell"], *, group: Int[np.ndarray, " cell"]
) -> ControlMoments | None:
    r"""Relative covariance of unedited cells, measurement noise removed.

    With :math:`z = y\,u/m`, counts over depth divided by their mean over cells, the covariance is that of
    :math:`z` within groups. Poisson noise adds :math:`\overline{y u^2}/m^2` to the variances and nothing to the
    covariances; it is subtracted, and at least 5 % of each raw variance is kept. A gene without counts gets
    variance 1 and covariances 0.

    Parameters
    ----------
    counts
        Unedited cells only.
    unit
        Normalised expression of one count in each cell; cells with NaN are left out.
    group
        Index of each cell's batch and time, within which cells are centred.

    Returns
    -------
    ControlMoments or None
        ``None`` where no two cells share a group.
    """
    kept = np.flatnonzero(np.isfinite(unit))
    _, group = np.unique(group[kept], return_inverse=True)
    n = np.bincount(group).astype(float)
    if len(kept) == len(n):
        return None
    n_cells, n_genes = len(kept), counts.shape[1]
    counts = counts if len(kept) == counts.shape[0] else counts[kept]
    per_count = np.repeat(unit[kept], np.diff(counts.indptr))
    expression = counts.data * per_count
    mean = np.bincount(counts.indices, expression, n_genes) / n_cells
    is_measured = mean > 0
    safe = np.where(is_measured, mean, 1.0)
    noise = np.bincount(counts.indices, expression * per_count, n_genes) / n_cells / safe**2
    relative = sp.csr_matrix((expression / safe[counts.indices], counts.indices, counts.indptr), counts.shape)
    sums = group_sums(relative, group, len(n)) - n[:, None] * is_measured
    # What is left of values near one loses nothing in single precision, in which products cost half.
    relative, centre = relative.astype(np.float32), is_measured.astype(np.float32)
    cross = np.zeros((n_genes, n_genes))
    for start in range(0, n_cells, _BLOCK):
        block = relative[start : start + _BLOCK].toarray() - centre
        cross += block.T @ block
    cross -= (sums / n[:, None]).T @ sums
    cross /= n_cells - len(n)
    raw = np.where(is_measured, np.diag(cross), 1.0)
    np.fill_diagonal(cross, np.maximum(raw - noise, VARIANCE_FLOOR * raw))
    return ControlMoments(covariance=cross, noise=noise, n_cells=n_cells)
