"""Batch effects on the observed scale, estimated from unedited cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

MIN_CONTROLS = 10
"""Control cells that a batch needs to be corrected."""


@dataclass(frozen=True, kw_only=True)
class BatchEffect:
    """Offsets of batches, to be subtracted from their cells.

    Parameters
    ----------
    offset
        Offset of each batch and gene, zero where it cannot be estimated.
    variance
        Variance of what remains after subtracting it.
    is_corrected
        Batches with enough controls that can be compared with controls of another batch.
    """

    offset: Float[np.ndarray, "batch gene"]
    variance: Float[np.ndarray, "batch gene"]
    is_corrected: Bool[np.ndarray, " batch"]


def group_sums(
    values: sp.csr_matrix, code: Int[np.ndarray, " cell"], n_groups: int, *, weights: np.ndarray | None = None
) -> Float[np.ndarray, "group gene"]:
    """Sums of cells by group, as a product with the sparse indicator matrix: linear in the number of cells."""
    ones = np.ones(len(code)) if weights is None else np.asarray(weights, dtype=float)
    indicator = sp.csr_matrix((ones, (code, np.arange(len(code)))), shape=(n_groups, len(code)))
    return (indicator @ values).toarray().astype(np.float64)


def estimate_batch_effect(
    values: sp.csr_matrix,
    *,
    batch: Int[np.ndarray, " cell"],
    stratum: Int[np.ndarray, " cell"],
    n_batches: int,
) -> BatchEffect:
    r"""Estimate batch effects from unedited cells.

    Within a stratum (same medium, and same time where controls move) the mean of a batch is
    :math:`\bar y_{bs} = \mu_s + \beta_b + \text{noise}`. The offsets are the weighted least-squares solution of
    smallest norm, so they sum to zero over batches that can be compared, and are zero where a batch shares no
    stratum with another. With all batches in one stratum this is the batch's control mean minus the mean over batches.

    An offset from few cells is mostly noise, of variance :math:`v_b`. Per gene, the variance of the offsets beyond
    noise is estimated by :math:`\tau^2 = (\sum_b \hat\beta_b^2 - \sum_b v_b)/d` with :math:`d` free offsets. The ratio
    :math:`\tau^2/\sigma^2` of a gene is drawn to its mean over genes, by the share of its spread over genes that sampling
    explains. Each offset is then multiplied by :math:`\tau^2/(\tau^2 + v_b)`: the posterior mean under normal offsets
    (empirical Bayes, Efron & Morris, RAND report R-1394). The variance that remains is :math:`\tau^2 v_b/(\tau^2 + v_b)`, or
    :math:`\tau^2` in batches that cannot be corrected.

    Parameters
    ----------
    values
        Unedited cells only, observed scale.
    batch, stratum
        Indices of each cell's batch and stratum.
    n_batches
        Number of batches.
    """
    pairs, group = np.unique(np.stack([batch, stratum]), axis=1, return_inverse=True)
    group = group.ravel()
    return batch_effect_from_sums(
        n=np.bincount(group).astype(float),
        sums=group_sums(values, group, pairs.shape[1]),
        squares=group_sums(values.power(2), batch, n_batches),
        batch=pairs[0],
        stratum=pairs[1],
    )


def batch_effect_from_sums(
    *,
    n: Float[np.ndarray, " group"],
    sums: Float[np.ndarray, "group gene"],
    squares: Float[np.ndarray, "batch gene"],
    batch: Int[np.ndarray, " group"],
    stratum: Int[np.ndarray, " group"],
) -> BatchEffect:
    """As `estimate_batch_effect`, from sums over unedited cells.

    Parameters
    ----------
    n, sums
        Number of cells, and sum of their values, in each group of cells of one batch and stratum.
    squares
        Sums of squared values by batch.
    batch, stratum
        Batch and stratum of each group; groups of one batch and stratum may stand apart.
    """
    n_batches, n_genes = squares.shape
    has_enough = np.bincount(batch, weights=n, minlength=n_batches) >= MIN_CONTROLS
    kept = np.flatnonzero(has_enough[batch])
    if n_batches < 2 or not len(kept):
        return _no_effect(n_batches, n_genes)
    pairs, group = np.unique(np.stack([batch[kept], stratum[kept]]), axis=1, return_inverse=True)
    group = group.ravel()
    n_cells = n[kept].sum()
    n, parts = np.bincount(group, weights=n[kept]), sums[kept]
    sums = np.zeros((len(n), n_genes))
    np.add.at(sums, group, parts)
    mean = sums / n[:, None]
    sigma2 = np.maximum(squares[has_enough].sum(axis=0) - (sums * mean).sum(axis=0), 0.0) / max(n_cells - len(n), 1)

    design = np.zeros((len(n), n_batches))
    design[np.arange(len(n)), pairs[0]] = 1.0
    for s in np.unique(pairs[1]):
        rows = pairs[1] == s
        design[rows] -= n[rows] @ design[rows] / n[rows].sum()
    inverse = np.linalg.pinv((design.T * n) @ design, rcond=1e-10, hermitian=True)
    estimate = inverse @ (design.T * n) @ mean
    unit_variance = np.diag(inverse)
    is_corrected = unit_variance > 1e-12
    degrees = int(np.linalg.matrix_rank(inverse, hermitian=True, tol=1e-12))
    if degrees == 0:
        return _no_effect(n_batches, n_genes)

    variance = unit_variance[:, None] * sigma2
    tau2 = _signal(estimate, np.linalg.eigvalsh(inverse)[-degrees:], sigma2)
    with np.errstate(invalid="ignore"):
        share = np.nan_to_num(np.where(is_corrected[:, None], tau2 / (tau2 + variance), 0.0))
    left = np.where(is_corrected[:, None], share * variance, tau2)
    return BatchEffect(offset=share * estimate, variance=left, is_corrected=is_corrected)


def _signal(
    estimate: Float[np.ndarray, "batch gene"],
    noise: Float[np.ndarray, " degree"],
    sigma2: Float[np.ndarray, " gene"],
) -> Float[np.ndarray, " gene"]:
    """Variance of the true offsets per gene, drawn to the signal that all genes have in common.

    ``noise`` are the variances of the independent directions of the estimate, in units of ``sigma2``.
    """
    is_measured = sigma2 > 0
    if not is_measured.any():
        return np.zeros_like(sigma2)
    ratio = (estimate[:, is_measured] ** 2).sum(axis=0) / sigma2[is_measured] / len(noise) - noise.mean()
    common = max(float(ratio.mean()), 0.0)
    sampling = 2 * float(((common + noise) ** 2).mean()) / len(noise)
    spread = float(((ratio - ratio.mean()) ** 2).mean())
    own_share = max(spread - sampling, 0.0) / spread if spread > 0 else 0.0
    signal = np.zeros_like(sigma2)
    signal[is_measured] = np.maximum(common + own_share * (ratio - common), 0.0) * sigma2[is_measured]
    return signal


def _no_effect(n_batches: int, n_genes: int) -> BatchEffect:
    zero = np.zeros((n_batches, n_genes))
    return BatchEffect(offset=zero, variance=zero.copy(), is_corrected=np.zeros(n_batches, dtype=bool))
