"""Moments of cells: mean, standard error and halves per condition, and the noise-corrected covariance of controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from semimech.data.batch_effect import BatchEffect, group_sums
from semimech.data.dataset import ControlMoments

PRIOR_CELLS = 4.0
"""Weight of the variance pooled over conditions in that of one condition, in cells."""
VARIANCE_FLOOR = 0.05
"""Least share of the raw relative variance of controls that is kept after removing measurement noise."""
_BLOCK = 4096


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
    shape = (n_conditions, values.shape[1])
    n_in = np.zeros((n_conditions, len(effect.offset)))
    np.add.at(n_in, (condition, batch), 1.0)
    n = n_in.sum(axis=1)
    sums = group_sums(values, condition, n_conditions)
    squares = group_sums(values.power(2), condition, n_conditions)
    if effect.offset.any():
        for b in range(len(effect.offset)):
            rows = np.flatnonzero(batch == b)
            squares -= 2 * effect.offset[b] * group_sums(values[rows], condition[rows], n_conditions)
        squares += n_in @ effect.offset**2
        sums -= n_in @ effect.offset
    mean = sums / n[:, None]
    scatter = np.maximum(squares - n[:, None] * mean**2, 0.0)
    pooled = scatter.sum(axis=0) / max(n.sum() - n_conditions, 1.0)
    variance = (scatter + PRIOR_CELLS * pooled) / (n[:, None] - 1 + PRIOR_CELLS)
    left = (n_in / n[:, None]) ** 2 @ effect.variance
    return ConditionMoments(
        mean=mean,
        standard_error=np.sqrt(variance / n[:, None] + left).reshape(shape),
        n_cells=n.astype(np.int64),
        halves=_halves(values, condition=condition, batch=batch, effect=effect, n_conditions=n_conditions, rng=rng),
    )


def _halves(
    values: sp.csr_matrix,
    *,
    condition: np.ndarray,
    batch: np.ndarray,
    effect: BatchEffect,
    n_conditions: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Means of two halves: cells in random order within each condition, taken alternately."""
    order = np.lexsort((rng.random(len(condition)), condition))
    n = np.bincount(condition, minlength=n_conditions)
    position = np.arange(len(order)) - np.repeat(np.cumsum(n) - n, n)
    half = np.empty(len(order), dtype=int)
    half[order] = position % 2
    code = half * n_conditions + condition
    n_in = np.zeros((2 * n_conditions, len(effect.offset)))
    np.add.at(n_in, (code, batch), 1.0)
    sums = group_sums(values, code, 2 * n_conditions) - n_in @ effect.offset
    with np.errstate(invalid="ignore", divide="ignore"):
        halves = (sums / n_in.sum(axis=1)[:, None]).reshape(2, n_conditions, -1)
    halves[:, n < 2] = np.nan
    return halves


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
    degrees = len(kept) - len(n)
    if degrees < 1:
        return None
    counts, unit = counts[kept].astype(np.float64), unit[kept]
    expression = sp.diags_array(unit) @ counts
    mean = np.asarray(expression.sum(axis=0)).ravel() / len(kept)
    is_measured = mean > 0
    safe = np.where(is_measured, mean, 1.0)
    relative = sp.csr_matrix(expression @ sp.diags_array(1 / safe))
    centre = group_sums(relative, group, len(n))
    cross = np.zeros((len(mean), len(mean)))
    for start in range(0, len(kept), _BLOCK):
        block = relative[start : start + _BLOCK].toarray()
        cross += block.T @ block
    covariance = (cross - (centre / n[:, None]).T @ centre) / degrees
    raw = np.where(is_measured, np.diag(covariance), 1.0)
    noise = np.asarray((sp.diags_array(unit**2) @ counts).sum(axis=0)).ravel() / len(kept) / safe**2
    np.fill_diagonal(covariance, np.maximum(raw - noise, VARIANCE_FLOOR * raw))
    return ControlMoments(covariance=covariance, noise=noise, n_cells=len(kept))
