"""Counts of cells in the few sums that a negative binomial likelihood needs of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from semimech.data.batch_effect import group_sums

N_BINS = 4
"""Most bins of exposure that the cells of one condition and batch are sorted into."""
MIN_IN_BIN = 5
"""Least cells per bin, so that small groups take fewer bins."""

_FEW = 64


@dataclass(frozen=True, kw_only=True)
class CountGroups:
    r"""Cells of one condition, one batch and nearly one exposure, summed.

    With :math:`y_i \sim \mathrm{NB}(e_i m, \alpha)` and one exposure :math:`e` in a group of :math:`n` cells,

    .. math:: \sum_i \log p(y_i) = \sum_i \sum_{j<y_i} \log(1 + \alpha j) + S \log e m - (S + n/\alpha) \log(1 + \alpha e m) + \text{const},

    so that the sum :math:`S` of the counts says all about :math:`m`, and how often each count occurs, in all groups together,
    all else about :math:`\alpha`.

    Parameters
    ----------
    condition, batch
        Indices, one per group; sorted by condition.
    n
        Cells.
    exposure
        Mean exposure of the cells: counts per unit of normalised expression.
    spread
        Squared coefficient of variation of the exposure within the group.
    total
        Sum of the counts of each gene.
    gene, count, times
        How many ``times`` a ``count`` above 0 occurs in a ``gene``, in all groups together.
    """

    condition: Int[np.ndarray, " group"]
    batch: Int[np.ndarray, " group"]
    n: Float[np.ndarray, " group"]
    exposure: Float[np.ndarray, " group"]
    spread: Float[np.ndarray, " group"]
    total: Float[np.ndarray, "group gene"]
    gene: Int[np.ndarray, " seen"]
    count: Float[np.ndarray, " seen"]
    times: Float[np.ndarray, " seen"]


def group_counts(
    counts: sp.csr_matrix,
    unit: Float[np.ndarray, " cell"],
    *,
    condition: Int[np.ndarray, " cell"],
    batch: Int[np.ndarray, " cell"],
    n_bins: int = N_BINS,
) -> CountGroups:
    """Sum cells by condition, batch and exposure, in one pass over the counts.

    Parameters
    ----------
    counts
        Counts of all cells.
    unit
        Normalised expression of one count in each cell, finite.
    condition, batch
        Indices of each cell's condition and batch.
    n_bins
        Most bins of exposure; 1 takes all cells of a condition and batch for equally deep.
    """
    exposure = 1.0 / unit
    _, pair = np.unique(np.stack([condition, batch]), axis=1, return_inverse=True)
    pair = pair.ravel()
    order = np.lexsort((exposure, pair))
    size = np.bincount(pair)
    rank = np.empty(len(pair), dtype=int)
    rank[order] = np.arange(len(pair)) - np.repeat(np.cumsum(size) - size, size)
    bins = np.clip(size // MIN_IN_BIN, 1, n_bins)[pair]
    key = pair * n_bins + rank * bins // size[pair]
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    n = np.bincount(group).astype(float)
    mean = np.bincount(group, weights=exposure) / n
    gene, count, times = _occurrences(counts)
    return CountGroups(
        condition=condition[first],
        batch=batch[first],
        n=n,
        exposure=mean,
        spread=np.bincount(group, weights=(exposure / mean[group] - 1.0) ** 2) / n,
        total=group_sums(counts, group, len(n)),
        gene=gene,
        count=count,
        times=times,
    )


def _occurrences(
    counts: sp.csr_matrix,
) -> tuple[Int[np.ndarray, " seen"], Float[np.ndarray, " seen"], Float[np.ndarray, " seen"]]:
    """Gene, count and how often it occurs; small counts, which are most, by counting, the others by sorting."""
    n_genes = counts.shape[1]
    gene, value = counts.indices.astype(np.int64), counts.data.astype(np.int64)
    few = (value > 0) & (value < _FEW)
    often = np.bincount(gene[few] * _FEW + value[few], minlength=n_genes * _FEW)
    small = np.flatnonzero(often)
    large, times = np.unique(np.stack([gene, value])[:, value >= _FEW], axis=1, return_counts=True)
    return (
        np.concatenate([small // _FEW, large[0]]),
        np.concatenate([small % _FEW, large[1]]).astype(float),
        np.concatenate([often[small], times]).astype(float),
    )
