r"""Means over edits and genes, with intervals that know that errors are shared along both.

The variance of the mean is :math:`V_e + V_g - V_{eg}`, of sums clustered by edit, by gene and by both (Cameron, Gelbach & Miller, J. Bus. Econ. Stat. 29, 238, 2011), and no less than that by
either alone. What all edits share in a gene, as what the errors of training data do to its predictions, is so known. Genes are taken to err apart: what moves all of them alike is not known.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student


def crossed_mean(
    values: Float[np.ndarray, "condition gene"],
    edit: Int[np.ndarray, " condition"],
    *,
    level: float,
    is_positive: bool,
    by_gene: bool,
    doubt: float = 0.0,
) -> tuple[float, float, float]:
    """Mean over conditions of means over genes, with the ends of its interval.

    Parameters
    ----------
    values
        One number of each condition and gene; NaN where it does not count.
    edit
        Edit of each condition, counted from 0.
    level
        Level of the interval, from Student's law with the degrees of freedom of edits, or of genes where they are fewer.
    is_positive
        Whether it is taken on the logarithmic scale (delta method).
    by_gene
        Whether edits share errors in a gene; otherwise edits are independent.
    doubt
        Standard deviation of the logarithm of the mean beside, for what all edits and genes share.

    Returns
    -------
    tuple of float
        The mean, and the ends, NaN where there is but one edit.
    """
    mean = float(np.nanmean(values, axis=1).mean())
    n_edits, (_, n_genes) = int(edit.max()) + 1, values.shape
    if n_edits < 2:
        return mean, np.nan, np.nan
    counts = np.isfinite(values)
    part = np.where(counts, values - mean, 0.0) / np.maximum(counts.sum(axis=1, keepdims=True), 1) / len(values)
    both = np.zeros((n_edits, n_genes))
    np.add.at(both, edit, part)
    variance = _squares(both.sum(axis=1))
    degrees = n_edits - 1
    if by_gene and n_genes > 1:
        gene = _squares(both.sum(axis=0))
        variance, degrees = max(variance + gene - _squares(both.ravel()), variance, gene), min(degrees, n_genes - 1)
    half = float(student.ppf((1 + level) / 2, degrees)) * float(np.sqrt(variance + (doubt * mean) ** 2))
    if is_positive and mean > 0:
        return mean, mean * float(np.exp(-half / mean)), mean * float(np.exp(half / mean))
    return mean, mean - half, mean + half


def _squares(sums: Float[np.ndarray, " cluster"]) -> float:
    """Variance of a total from independent sums."""
    return float((sums**2).sum()) * len(sums) / (len(sums) - 1)
