"""Groups: the cells of one condition in one batch, summed up in one pass over blocks of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from semimech._errors import DataError
from semimech.data.batch_effect import group_sums

_BLOCK = 16_384


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Means and scatter of the groups that have cells.

    Parameters
    ----------
    condition, batch
        Indices of each group.
    cells
        Number of cells.
    mean
        Mean over cells.
    scatter
        Sum of squared deviations from the mean.
    n_conditions, n_batches
        Size of the whole table.
    """

    condition: Int[np.ndarray, " group"]
    batch: Int[np.ndarray, " group"]
    cells: Int[np.ndarray, " group"]
    mean: Float[np.ndarray, "group gene"]
    scatter: Float[np.ndarray, "group gene"]
    n_conditions: int
    n_batches: int

    def table(self) -> Float[np.ndarray, "condition batch gene"]:
        """The means as a table, 0 where there are no cells."""
        table = np.zeros((self.n_conditions, self.n_batches, self.mean.shape[1]))
        table[self.condition, self.batch] = self.mean
        return table

    def cell_variance(self) -> Float[np.ndarray, "condition gene"]:
        """Variance between cells within batches, of each condition apart; NaN where no batch has two of its cells."""
        scatter = np.zeros((self.n_conditions, self.mean.shape[1]))
        np.add.at(scatter, self.condition, self.scatter)
        degrees = np.bincount(self.condition, self.cells - 1, minlength=self.n_conditions)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(degrees > 0, 1.0, np.nan)[:, None] * scatter / degrees[:, None]


def pool_groups(
    values: sp.csr_matrix | Float[np.ndarray, "cell gene"],
    *,
    condition: Int[np.ndarray, " cell"],
    batch: Int[np.ndarray, " cell"],
    n_conditions: int,
    n_batches: int,
) -> Groups:
    """Pool cells by condition and batch, in time linear in the number of cells and the memory of one block.

    Parameters
    ----------
    values
        Cells by genes, in memory or opened on disk: it is only asked for slices of rows.
    condition, batch
        Indices of each cell; a condition of -1 leaves a cell out.
    n_conditions, n_batches
        Number of each.

    Raises
    ------
    DataError
        If no cell is left.
    """
    present, group = np.unique(np.where(condition < 0, -1, condition * n_batches + batch), return_inverse=True)
    is_left_out = int(present[0] == -1) if len(present) else 0
    n_groups = len(present) - is_left_out
    if n_groups < 1:
        raise DataError("Variance components: there are no cells; give cells of at least one condition and batch")
    group = group - is_left_out
    sums = np.zeros((n_groups, values.shape[1]))
    squares = np.zeros_like(sums)
    for start in range(0, len(group), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(group)))
        kept = group[rows] >= 0
        if not kept.any():
            continue
        block = sp.csr_matrix(values[rows])[kept]
        local, code = np.unique(group[rows][kept], return_inverse=True)
        sums[local] += group_sums(block, code, len(local))
        squares[local] += group_sums(block.power(2), code, len(local))
    cells = np.bincount(group[group >= 0], minlength=n_groups)
    mean = sums / cells[:, None]
    code = present[is_left_out:]
    return Groups(
        condition=code // n_batches,
        batch=code % n_batches,
        cells=cells,
        mean=mean,
        scatter=np.maximum(squares - cells[:, None] * mean**2, 0.0),
        n_conditions=n_conditions,
        n_batches=n_batches,
    )
