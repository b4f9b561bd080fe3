"""The scale of a normalised matrix, told from the steps that counts leave between its values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

_RECOVERED_SHARE = 0.99
_MOST_CELLS = 300
_FEWEST_VALUES = 100
"""Fewer values than this may look like counts by chance."""
_LARGEST = 1e9
"""Largest expression that counts are looked for behind: no library is that deep."""

OTHER_SCALES: tuple[tuple[str, str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("normalised, but not log-transformed", "take its logarithm: sc.pp.log1p(adata)", lambda x: x),
    ("a logarithm of base 2", "multiply it by the natural logarithm of 2, which makes it log1p", lambda x: 2.0**x - 1),
    (
        "a logarithm of base 10",
        "multiply it by the natural logarithm of 10, which makes it log1p",
        lambda x: 10.0**x - 1,
    ),
    ("log-transformed twice", "take one logarithm back: adata.X = np.expm1(adata.X)", lambda x: np.expm1(np.expm1(x))),
)
"""Scales that are not log1p of normalised counts: in words, the mend, and the map of stored values back to expression."""


def other_scale(x: sp.csr_matrix) -> int | None:
    """Number of the scale of `OTHER_SCALES` in which a matrix stands; ``None`` if counts show through none of them.

    Parameters
    ----------
    x
        Values that are no counts, of which `recover_counts` finds none behind ``expm1``; cell by gene.
    """
    some = x[np.linspace(0, x.shape[0] - 1, min(x.shape[0], _MOST_CELLS)).astype(int)]
    # Cells of few values have steps of any size.
    some = some[np.diff(some.indptr) >= min(10, x.shape[1])]
    if some.nnz < _FEWEST_VALUES or _shows_counts(some, np.expm1):
        return None
    return next((i for i, (*_, back) in enumerate(OTHER_SCALES) if _shows_counts(some, back)), None)


def _shows_counts(x: sp.csr_matrix, back: Callable[[np.ndarray], np.ndarray]) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        values = back(x.data.astype(np.float64))
    if not np.isfinite(values).all() or values.max(initial=0) > _LARGEST:
        return False
    counts = recover_counts(sp.csr_matrix((values, x.indices, x.indptr), shape=x.shape))[1]
    # Values that hardly differ within a cell are multiples of each other in many scales.
    return counts is not None and float(counts.data.max(initial=0)) > 2


def recover_counts(expression: sp.csr_matrix) -> tuple[np.ndarray | None, sp.csr_matrix | None]:
    """Recover counts from expressions that were normalised per cell.

    Parameters
    ----------
    expression
        Normalised, linear scale, cell by gene.

    Returns
    -------
    tuple
        Expression of one count per cell (NaN in empty cells) and the counts; ``None`` twice, if less than 99 % of
        the cells give whole numbers.
    """
    unit, counts, is_broken = counts_by_cell(expression)
    n_filled = int(np.isfinite(unit).sum())
    if not n_filled or is_too_many(int(is_broken.sum()), n_filled):
        return None, None
    return unit, counts


def is_too_many(n_broken: int, n_filled: int) -> bool:
    """Whether so many cells give no whole numbers that there are no counts behind a matrix."""
    return n_broken > (1 - _RECOVERED_SHARE) * n_filled


def counts_by_cell(
    expression: sp.csr_matrix,
) -> tuple[Float[np.ndarray, " cell"], sp.csr_matrix, Bool[np.ndarray, " cell"]]:
    """Counts behind normalised expression, each cell by itself.

    The smallest value of a cell stands for the smallest count, 1 in nearly every cell; where the ratios to it are
    not whole numbers, 2 to 6 are tried.

    Parameters
    ----------
    expression
        Normalised, linear scale, cell by gene.

    Returns
    -------
    tuple
        Expression of one count per cell (NaN in empty cells), the counts, and which cells give no whole numbers; theirs are rounded.
    """
    expression = expression.copy()
    expression.eliminate_zeros()
    n_values = np.diff(expression.indptr)
    filled = np.flatnonzero(n_values)
    unit = np.full(expression.shape[0], np.nan)
    is_broken_cell = np.zeros(expression.shape[0], dtype=bool)
    if len(filled):
        unit[filled] = np.minimum.reduceat(expression.data, expression.indptr[filled])
    remaining = filled
    for smallest in range(1, 7):
        if not len(remaining):
            break
        ratio = expression.data * smallest / np.repeat(unit, n_values)
        # Single precision of the logarithm leaves a relative error near 1e-6.
        is_broken = np.abs(ratio - np.round(ratio)) > 0.01 + 1e-5 * ratio
        good = np.intersect1d(remaining, filled[~np.logical_or.reduceat(is_broken, expression.indptr[filled])])
        if smallest > 1:
            unit[good] /= smallest
        remaining = np.setdiff1d(remaining, good)
    is_broken_cell[remaining] = True
    counts = expression.copy()
    counts.data = np.round(expression.data / np.repeat(unit, n_values)).astype(np.float32)
    return unit, counts.astype(np.float32), is_broken_cell
