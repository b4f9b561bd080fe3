"""Some cells as they are read from a file: their counts, and what is observed of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from semimech.data.matrix import TARGET_SUM, observe
from semimech.data.normalisation import counts_by_cell


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Cells.

    Parameters
    ----------
    counts
        Their counts, single precision.
    size
        Counts in each of them.
    unit, total
        Normalised expression of one count in each of them, and of all its genes.
    is_wrong, is_broken
        Which of them have values that cannot be, and in which no counts show through.
    logarithm
        Logarithms that are observed as they are, where these were read.
    """

    counts: sp.csr_matrix
    size: Float[np.ndarray, " cell"]
    unit: Float[np.ndarray, " cell"]
    total: Float[np.ndarray, " cell"]
    is_wrong: Bool[np.ndarray, " cell"]
    is_broken: Bool[np.ndarray, " cell"]
    logarithm: sp.csr_matrix | None = None

    def take(self, rows: Int[np.ndarray, " row"]) -> Rows:
        """Some of them."""
        return Rows(
            counts=self.counts[rows],
            size=self.size[rows],
            unit=self.unit[rows],
            total=self.total[rows],
            is_wrong=self.is_wrong[rows],
            is_broken=self.is_broken[rows],
            logarithm=None if self.logarithm is None else self.logarithm[rows],
        )

    def observed(self) -> sp.csr_matrix:
        """What is observed of them: logarithms, single precision."""
        return observe(self.counts, self.unit) if self.logarithm is None else self.logarithm


def counts_read(values: sp.csr_matrix) -> Rows:
    """Cells of which counts were read; they are observed as log1p CP10k."""
    counts = sp.csr_matrix((values.data.astype(np.float32, copy=False), values.indices, values.indptr), values.shape)
    size = _row_sums(counts)
    wrong = np.zeros(0, dtype=bool) if _are_counts(values.data, counts.data) else ~_is_count(counts.data)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = TARGET_SUM / size
    return Rows(
        counts=counts,
        size=size,
        unit=unit,
        total=np.full(len(size), TARGET_SUM),
        is_wrong=_cells_of(counts, wrong),
        is_broken=np.zeros(len(size), dtype=bool),
    )


def logarithms_read(values: sp.csr_matrix) -> Rows:
    """Cells of which log1p of normalised counts was read; the steps between the values of a cell tell its counts."""
    wrong = ~np.isfinite(values.data) | (values.data < 0)
    logarithm = np.where(wrong, 0.0, values.data) if wrong.any() else values.data
    expression = sp.csr_matrix((np.expm1(logarithm.astype(np.float64)), values.indices, values.indptr), values.shape)
    unit, counts, is_broken = counts_by_cell(expression)
    return Rows(
        counts=counts,
        size=_row_sums(counts),
        unit=unit,
        total=_row_sums(expression),
        is_wrong=_cells_of(values, wrong),
        is_broken=is_broken,
        logarithm=values.astype(np.float32, copy=False),
    )


def _are_counts(stored: np.ndarray, values: np.ndarray) -> bool:
    """Whether all values are counts; whole numbers by the kind in which they are stored need no mask as large as they are."""
    return bool(stored.min(initial=0) >= 0) if stored.dtype.kind in "iu" else bool(_is_count(values).all())


def _is_count(values: np.ndarray) -> Bool[np.ndarray, " value"]:
    return (values >= 0) & (values == np.round(values)) & (values < np.inf)


def _row_sums(values: sp.csr_matrix) -> Float[np.ndarray, " cell"]:
    filled = np.flatnonzero(np.diff(values.indptr))
    sums = np.zeros(values.shape[0])
    sums[filled] = np.add.reduceat(values.data, values.indptr[filled], dtype=np.float64)
    return sums


def _cells_of(values: sp.csr_matrix, is_so: Bool[np.ndarray, " value"]) -> Bool[np.ndarray, " cell"]:
    """The cells that have a value of which something is so."""
    cells = np.zeros(values.shape[0], dtype=bool)
    if is_so.any():
        cells[np.searchsorted(values.indptr, np.flatnonzero(is_so), side="right") - 1] = True
    return cells
