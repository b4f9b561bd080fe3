r"""Errors of measured means, by source: cells that were drawn, and batches; their variances, and draws like them.

The mean of condition :math:`k` is off by :math:`\delta^c_{kg} + \delta^b_{kg}`. The first is from drawing :math:`n_k` cells. The second is what is left
of batch effects, :math:`\sum_b s_{kb}(e_{bg} + \gamma_{kbg})`, with shares :math:`s_{kb}` of its cells, errors :math:`e_b` of the offsets that were taken
off, which all conditions of a batch share, and what cells of one condition in one batch share beside (:math:`\gamma`, of variance :math:`\omega^2`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from semimech._errors import DataError
from semimech._types import GeneVector
from semimech.data import Cells, Dataset
from semimech.data.batch_effect import estimate_batch_effect, group_sums
from semimech.data.moments import PRIOR_CELLS


@dataclass(frozen=True, kw_only=True)
class MeanErrors:
    """One number for each condition and gene, by source: variances, or errors drawn.

    Parameters
    ----------
    cells
        From drawing a finite number of cells.
    batch
        From batch effects that remain.
    """

    cells: Float[np.ndarray, "condition gene"]
    batch: Float[np.ndarray, "condition gene"]

    @property
    def both(self) -> Float[np.ndarray, "condition gene"]:
        """The sum of the two."""
        return self.cells + self.batch


def error_variances(dataset: Dataset, interaction: GeneVector) -> MeanErrors:
    """Variances of the errors of all means.

    That of cells is their variance within condition and batch over their number, drawn to that of all conditions as standard errors are. Without cells it is a quarter of the squared difference of
    two halves, if there are replicates, unbiased but of one degree of freedom, so that it is for averages over many genes; else the squared standard error. Means alone tell no batch errors.

    Parameters
    ----------
    dataset
        What was measured.
    interaction
        Variance of what cells of one condition in one batch share, of each gene; not used without cells.

    Raises
    ------
    DataError
        Naming conditions of which neither halves nor standard errors are known.
    """
    of_batch = np.zeros_like(dataset.mean)
    known = dataset.standard_error**2
    if dataset.cells is not None:
        share = _shares(dataset, dataset.cells)
        of_batch = share**2 @ _offset_variance(dataset, dataset.cells)
        of_batch += (share**2).sum(axis=1, keepdims=True) * interaction
        known = _within_batches(dataset, dataset.cells, known)
    elif dataset.halves is not None:
        apart = (dataset.halves[0] - dataset.halves[1]) ** 2 / 4
        known = np.where(np.isfinite(apart).all(axis=1, keepdims=True), apart, known)
    lacking = ~np.isfinite(known).all(axis=1)
    if lacking.any():
        raise DataError(
            f"{dataset.name}: {int(lacking.sum())} conditions have neither two replicates nor a standard error, so the noise of their "
            "means is unknown; leave them out or give standard errors"
        )
    return MeanErrors(cells=known, batch=of_batch)


def draw_errors(
    dataset: Dataset, variances: MeanErrors, interaction: GeneVector, *, rng: np.random.Generator
) -> MeanErrors:
    """Draw errors like those of the means.

    Those of cells by weights of the cells of each condition and batch in a random direction, of the one length that gives a mean its variance, so that genes err together
    as they do in cells, and as much in every draw (a bootstrap with normal multipliers, Præstgaard & Wellner, Ann. Prob. 21, 2053, 1993, but for the length). Without cells, or where no two cells of a
    condition stand in one batch, by a normal law.

    Parameters
    ----------
    dataset
        What was measured.
    variances
        From `error_variances`.
    interaction
        See `error_variances`.
    rng
        Draws.
    """
    cells = dataset.cells
    if cells is None:
        drawn = rng.standard_normal(dataset.mean.shape) * np.sqrt(variances.cells)
        return MeanErrors(cells=drawn, batch=np.zeros_like(drawn))
    share = _shares(dataset, cells)
    offset = rng.standard_normal((share.shape[1], len(dataset.genes))) * np.sqrt(_offset_variance(dataset, cells))
    noise = np.sqrt((share**2).sum(axis=1))[:, None] * np.sqrt(interaction) * rng.standard_normal(dataset.mean.shape)
    drawn, is_shown = _reweighted(dataset, cells, share, rng)
    if not is_shown.all():
        normal = rng.standard_normal(drawn.shape) * np.sqrt(variances.cells)
        drawn = np.where(is_shown[:, None], drawn, normal)
    return MeanErrors(cells=drawn, batch=share @ offset + noise)


def _reweighted(
    dataset: Dataset, cells: Cells, share: Float[np.ndarray, "condition batch"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "condition gene"], Bool[np.ndarray, " condition"]]:
    """Errors of means, from cells reweighted within condition and batch, and where they are shown.

    A group of one cell shows none: the others of its condition stand for it, so that the variance is that of all cells.
    """
    n_conditions, n_batches = share.shape
    group = cells.condition * n_batches + cells.batch
    n = np.bincount(group, minlength=share.size)
    weight = rng.standard_normal(len(group))
    weight -= (np.bincount(group, weight, minlength=share.size) / np.maximum(n, 1))[group]
    length = np.sqrt(np.bincount(group, weight**2, minlength=share.size))
    # a direction among the n - 1 of differences between n cells, of squared length 1/n, has the variance s²/n of their mean
    change = weight / np.where(n > 1, length * np.sqrt(n), 1.0)[group] * share.ravel()[group]
    all_cells, shown = (np.where(n >= least, n, 0).reshape(share.shape).sum(axis=1) for least in (1, 2))
    change *= np.sqrt(all_cells / np.maximum(shown, 1))[cells.condition]
    return group_sums(sp.csr_matrix(cells.values), cells.condition, n_conditions, weights=change), shown > 0


def _within_batches(
    dataset: Dataset, cells: Cells, else_: Float[np.ndarray, "condition gene"]
) -> Float[np.ndarray, "condition gene"]:
    """Variance of means by drawing cells, from their scatter within condition and batch; where no two cells of any condition stand in one batch, what else is known."""
    n_conditions, n_batches = len(dataset.conditions), int(cells.batch.max()) + 1
    group = cells.condition * n_batches + cells.batch
    values, n = sp.csr_matrix(cells.values), np.bincount(group, minlength=n_conditions * n_batches)
    sums, squares = (group_sums(each, group, len(n)) for each in (values, values.power(2)))
    scatter = np.maximum(squares - sums**2 / np.maximum(n, 1)[:, None], 0.0).reshape(n_conditions, n_batches, -1)
    scatter, degrees = scatter.sum(axis=1), np.maximum(n - 1, 0).reshape(n_conditions, -1).sum(axis=1)[:, None]
    if not degrees.any():
        return else_
    pooled = scatter.sum(axis=0) / degrees.sum()
    variance = (scatter + PRIOR_CELLS * pooled) / (degrees + PRIOR_CELLS)
    return variance / np.bincount(cells.condition, minlength=n_conditions)[:, None]


def _shares(dataset: Dataset, cells: Cells) -> Float[np.ndarray, "condition batch"]:
    """Share of each condition's cells in each batch."""
    table = np.zeros((len(dataset.conditions), int(cells.batch.max()) + 1))
    np.add.at(table, (cells.condition, cells.batch), 1.0)
    return table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)


def _offset_variance(dataset: Dataset, cells: Cells) -> Float[np.ndarray, "batch gene"]:
    """Variance of what is left of batch effects after the offsets that controls show are taken off."""
    comparison = [dataset.system.comparison(condition) for condition in dataset.conditions]
    index = {key: number for number, key in enumerate(dict.fromkeys(comparison))}
    stratum = np.array([index[key] for key in comparison])[cells.condition]
    rows = np.flatnonzero(dataset.is_control[cells.condition])
    return estimate_batch_effect(
        sp.csr_matrix(cells.values[rows]),
        batch=cells.batch[rows],
        stratum=stratum[rows],
        n_batches=int(cells.batch.max()) + 1,
    ).variance
