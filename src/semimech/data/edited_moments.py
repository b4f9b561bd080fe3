"""Second moments of unedited cells, told better with the help of edited ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from semimech.data.batch_effect import group_sums
from semimech.data.dataset import ControlMoments, Dataset
from semimech.data.moments import MAX_MOMENT_CELLS

_BLOCK = 4096
_LEAST_LEVEL = 0.3
_FEWEST_PAIRS = 10
_MOST_GENES = 2000  # with more, products over all pairs of genes cost more than they tell


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scatter:
    """Sums of products of two genes over cells, and the degrees of freedom behind each, for two halves of the cells."""

    products: Float[np.ndarray, "2 gene gene"]
    degrees: Float[np.ndarray, "2 gene gene"]

    def covariance(self) -> Float[np.ndarray, "gene gene"]:
        return self.products.sum(axis=0) / np.maximum(self.degrees.sum(axis=0), 1.0)

    def error(self, scale: np.ndarray, pairs: np.ndarray) -> float:
        """Mean squared sampling error of the covariance of both halves, over pairs of genes, in units of a scale."""
        first, second = self.products / np.maximum(self.degrees, 1.0)
        return float(np.mean(((first - second) / scale)[pairs] ** 2)) / 4.0


def moments_with_edited_cells(dataset: Dataset, *, seed: int = 0) -> ControlMoments | None:
    r"""Moments of unedited cells whose covariances borrow from how edited cells of one condition vary.

    Most cells of a screen are edited, and around the mean of their condition they fluctuate much as unedited cells do: an edit
    takes away the edges of one gene and leaves all others. So the covariance of two genes is also that of cells in which
    neither is edited, relative to the mean of their condition. It is an average of both, each weighted by its precision; that of edited cells
    by :math:`1/(s^2 + \tau^2)`, with :math:`s^2` the sampling error and :math:`\tau^2` how much more than sampling errors the two differ, on
    average over pairs of genes (DerSimonian & Laird 1986, Control. Clin. Trials 7:177). Variances, which measurement noise enters, stay those
    of unedited cells.

    Where some cells of a condition escaped the edit, or guides differ, genes that answer it covary for that alone, by at most
    :math:`\Delta_i \Delta_j / 4`, with :math:`\Delta` the changes of their means. A condition lends nothing of a gene whose change is so large that
    this could exceed half the sampling error of unedited cells.

    Parameters
    ----------
    dataset
        Conditions that never left the maintenance medium lend, at most 20,000 cells of them.
    seed
        Draws the halves that tell sampling errors, and the cells.

    Returns
    -------
    ControlMoments or None
        ``None`` where those of unedited cells are unknown; as they are where there are no single edited cells, few genes, or more than 2,000.
    """
    moments, cells = dataset.control_moments, dataset.cells
    if moments is None or cells is None or len(dataset.genes) > _MOST_GENES:
        return moments
    lends = np.array(
        [
            not c.is_control and c.media == (None,) and not any(p.context.doses for p in c.history)
            for c in dataset.conditions
        ]
    )
    rng = np.random.default_rng(seed)
    edited = _some(np.flatnonzero(lends[cells.condition]), rng)
    unedited = _some(np.flatnonzero(dataset.is_stationary_control[cells.condition]), rng)
    deviation = np.sqrt(np.maximum(np.diagonal(moments.covariance) + moments.noise, 1e-12))
    scale = np.outer(deviation, deviation)
    most_change = deviation * np.sqrt(2.0 / np.sqrt(max(len(unedited), 1)))
    lent, own = _scatter(dataset, edited, most_change, rng), _scatter(dataset, unedited, np.inf, rng)
    pairs = ~np.eye(len(scale), dtype=bool) & (lent.degrees.min(axis=0) >= 1.0) & (own.degrees.min(axis=0) >= 1.0)
    if pairs.sum() < _FEWEST_PAIRS:
        return moments
    degrees = lent.degrees.sum(axis=0)
    error = lent.error(scale, pairs) * degrees[pairs].mean() / np.maximum(degrees, 1.0)
    own_error, found = own.error(scale, pairs), lent.covariance()
    apart = float(np.mean(((found - own.covariance()) / scale)[pairs] ** 2))
    beyond = max(apart - own_error - float(error[pairs].mean()), 0.0)
    share = np.where(pairs, own_error / np.maximum(own_error + error + beyond, 1e-30), 0.0)
    return replace(moments, covariance=(1.0 - share) * moments.covariance + share * found)


def _some(rows: Int[np.ndarray, " cell"], rng: np.random.Generator) -> Int[np.ndarray, " kept"]:
    """As many cells as a covariance needs, in the order of the file."""
    return np.sort(rng.permutation(rows)[:MAX_MOMENT_CELLS])


def _scatter(
    dataset: Dataset,
    rows: Int[np.ndarray, " row"],
    most_change: Float[np.ndarray, " gene"] | float,
    rng: np.random.Generator,
) -> _Scatter:
    """Products of relative abundances around the mean of the condition, batch and half, genes that are edited or change much left out."""
    cells, n_genes = dataset.cells, len(dataset.genes)
    products, degrees = np.zeros((2, n_genes, n_genes)), np.zeros((2, n_genes, n_genes))
    if cells is None or not len(rows):
        return _Scatter(products=products, degrees=degrees)
    condition, half = cells.condition[rows], rng.permutation(len(rows)) % 2
    code = (condition * (int(cells.batch.max()) + 1) + cells.batch[rows]) * 2 + half
    _, group = np.unique(code, return_inverse=True)
    abundance = sp.csr_matrix(cells.values[rows], dtype=np.float64).expm1()
    n = np.bincount(group).astype(float)
    sums = group_sums(abundance, group, len(n))
    of_group = np.zeros(len(n), dtype=int)
    of_group[group] = condition
    level = group_sums(sp.csr_matrix(sums), of_group, len(dataset.conditions))
    level /= np.maximum(np.bincount(condition, minlength=len(level)), 1)[:, None]
    expressed = _expressed(dataset)
    unit = np.maximum(level, _LEAST_LEVEL * expressed)
    is_kept = _unedited_genes(dataset) * (np.abs(level - expressed) <= most_change * expressed)
    factor = np.where(unit > 0.0, is_kept / np.where(unit > 0.0, unit, 1.0), 0.0)
    mean = sums / n[:, None]
    for which in (0, 1):
        mine = np.flatnonzero(half == which)
        for start in range(0, len(mine), _BLOCK):
            at = mine[start : start + _BLOCK]
            block = (abundance[at].toarray() - mean[group[at]]) * factor[condition[at]]
            products[which] += block.T @ block
        freedom = np.bincount(condition[mine], weights=1.0 - 1.0 / n[group[mine]], minlength=len(level))
        degrees[which] = (is_kept * freedom[:, None]).T @ is_kept
    return _Scatter(products=products, degrees=degrees)


def _expressed(dataset: Dataset) -> Float[np.ndarray, " gene"]:
    """Mean abundance of unedited cells."""
    cells = dataset.cells
    if cells is None or not dataset.is_stationary_control.any():
        return np.zeros(len(dataset.genes))
    rows = np.flatnonzero(dataset.is_stationary_control[cells.condition])
    return np.asarray(sp.csr_matrix(cells.values[rows], dtype=np.float64).expm1().mean(axis=0)).ravel()


def _unedited_genes(dataset: Dataset) -> Float[np.ndarray, "condition gene"]:
    """One for each gene that a condition does not edit."""
    column = {gene: i for i, gene in enumerate(dataset.genes)}
    kept = np.ones((len(dataset.conditions), len(dataset.genes)))
    for row, condition in enumerate(dataset.conditions):
        edits = {edit.gene for period in condition.history for edit in period.context.edits}
        kept[row, [column[gene] for gene in edits if gene in column]] = 0.0
    return kept
