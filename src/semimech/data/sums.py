"""Sums over cells from which a data set follows, so that cells need not be held together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.linalg.blas import dsyrk

from semimech.data.annotate import Annotation
from semimech.data.batch_effect import BatchEffect, batch_effect_from_sums
from semimech.data.dataset import ControlMoments
from semimech.data.moments import (
    HALVES_SEED,
    MAX_MOMENT_CELLS,
    MAX_MOMENT_GENES,
    ConditionMoments,
    control_moments_from_sums,
    half_of,
    moments_from_sums,
)
from semimech.data.screen import comparisons

_SLAB = 1 << 23
_TOGETHER = 2048


def moment_cells(annotation: Annotation, n_genes: int) -> Int[np.ndarray, " cell"]:
    """Unedited cells that never left the maintenance medium, or so many of them, evenly through the file, as bear covariances."""
    is_stationary = np.array([c.is_control and c.media == (None,) for c in annotation.conditions])
    rows = np.flatnonzero(is_stationary[annotation.condition])
    if n_genes > MAX_MOMENT_GENES:
        return rows[:0]
    if len(rows) <= MAX_MOMENT_CELLS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MAX_MOMENT_CELLS).astype(int)]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Conditions and batches that have cells in common.

    Parameters
    ----------
    condition, batch
        Of each pair, in this order.
    of_cell
        Each cell's pair.
    """

    condition: Int[np.ndarray, " pair"]
    batch: Int[np.ndarray, " pair"]
    of_cell: Int[np.ndarray, " cell"]


def pairs_of(annotation: Annotation) -> Pairs:
    """The pairs of condition and batch of cells."""
    n_batches = len(annotation.batches)
    pairs, of_cell = np.unique(annotation.condition * n_batches + annotation.batch, return_inverse=True)
    return Pairs(condition=pairs // n_batches, batch=pairs % n_batches, of_cell=of_cell)


class ControlSums:
    """Sums over unedited cells, which arrive in order, of each condition and batch.

    Parameters
    ----------
    annotation
        What was done to all cells.
    pairs
        From `pairs_of`.
    n_genes
        Number of genes.
    """

    def __init__(self, annotation: Annotation, pairs: Pairs, n_genes: int) -> None:
        is_control = np.array([c.is_control for c in annotation.conditions])[pairs.condition]
        n_pairs = int(is_control.sum())
        place = np.full(len(is_control), -1)
        place[is_control] = np.arange(n_pairs)
        self._pair = place[pairs.of_cell]
        self._batch, self._n_batches = pairs.batch[is_control], len(annotation.batches)
        self._stratum = comparisons(annotation)[pairs.condition[is_control]]
        self._n = np.bincount(pairs.of_cell, minlength=len(is_control))[is_control].astype(float)
        self._sums = np.zeros((n_pairs, n_genes))
        self._squares = np.zeros((n_pairs, n_genes))
        self._moment_cells = moment_cells(annotation, n_genes)
        n_covered = n_genes if len(self._moment_cells) else 0
        self._expression = np.zeros((n_pairs, n_covered))
        self._cross = np.zeros(
            (n_covered, n_covered), order="F"
        )  # its upper triangle, to which products are added in place
        self._noise = np.zeros(n_covered)

    def add(self, first: int, observed: sp.csr_matrix, counts: sp.csr_matrix, unit: Float[np.ndarray, " cell"]) -> None:
        """Add the next cells, edited ones among them.

        Parameters
        ----------
        first
            How many came before.
        observed, counts
            Their values in the observed scale and their counts, single precision.
        unit
            Normalised expression of one count in each cell.
        """
        pair = self._pair[first : first + observed.shape[0]]
        controls = np.flatnonzero(pair >= 0)
        if not len(controls):
            return
        values, pair_sorted, _ = _sorted(observed[controls], pair[controls])
        _add(self._sums, values, values.data, pair_sorted)
        _add(self._squares, values, np.square(values.data), pair_sorted)
        begin, end = np.searchsorted(self._moment_cells, [first, first + observed.shape[0]])
        cells = self._moment_cells[begin:end] - first
        if len(cells):
            self._add_expression(counts[cells].astype(np.float64), unit[cells], pair[cells])

    def _add_expression(self, counts: sp.csr_matrix, unit: np.ndarray, pair: np.ndarray) -> None:
        expression = sp.csr_matrix(sp.diags_array(unit) @ counts)
        values, pair_sorted, _ = _sorted(expression, pair)
        _add(self._expression, values, values.data, pair_sorted)
        self._noise += counts.T @ unit**2
        for begin in range(0, counts.shape[0], _TOGETHER):
            block = expression[begin : begin + _TOGETHER].toarray()
            self._cross = dsyrk(1.0, block.T, beta=1.0, c=self._cross, overwrite_c=True)

    def effect(self) -> BatchEffect:
        """Batch effects, once all cells were added."""
        squares = np.zeros((self._n_batches, self._squares.shape[1]))
        np.add.at(squares, self._batch, self._squares)
        return batch_effect_from_sums(
            n=self._n, sums=self._sums, squares=squares, batch=self._batch, stratum=self._stratum
        )

    def moments(self) -> ControlMoments | None:
        """Moments of unedited cells, once all cells were added."""
        n = np.bincount(self._pair[self._moment_cells], minlength=len(self._n)).astype(float)
        if not n.any():
            return None
        cross = np.triu(self._cross) + np.triu(self._cross, 1).T
        return control_moments_from_sums(n=n[n > 0], sums=self._expression[n > 0], cross=cross, noise=self._noise)


class ConditionSums:
    """Sums over cells, which arrive in order, of two halves of each condition.

    Without the batch effect, which is known only when all controls were seen, sums of each condition and batch are kept.

    Parameters
    ----------
    annotation
        What was done to all cells.
    pairs
        From `pairs_of`.
    n_genes
        Number of genes.
    effect
        Batch effects, if they are known.
    """

    def __init__(
        self, annotation: Annotation, pairs: Pairs, n_genes: int, *, effect: BatchEffect | None = None
    ) -> None:
        condition, n_conditions = annotation.condition, len(annotation.conditions)
        half = half_of(condition, n_conditions, np.random.default_rng(HALVES_SEED))
        self._n_in = np.zeros((2, n_conditions, len(annotation.batches)))
        np.add.at(self._n_in, (half, condition, annotation.batch), 1.0)
        self._batch, self._offset = annotation.batch, None if effect is None else effect.offset
        # Groups are ordered by condition, with two halves of each.
        self._condition = pairs.condition if effect is None else np.arange(n_conditions)
        self._batch_of_group = pairs.batch
        self._code = 2 * (pairs.of_cell if effect is None else condition) + half
        self._sums = np.zeros((2 * len(self._condition), n_genes))
        self._squares = np.zeros((n_conditions, n_genes))

    def add(self, first: int, observed: sp.csr_matrix) -> None:
        """Add the next cells, of which ``first`` came before."""
        rows = slice(first, first + observed.shape[0])
        values, code, order = _sorted(observed, self._code[rows])
        _add(self._sums, values, values.data, code)
        squares = np.square(values.data)
        if self._offset is not None and self._offset.any():
            batch = np.repeat(self._batch[rows][order], np.diff(values.indptr))
            squares = squares - 2 * self._offset[batch, values.indices] * values.data
        _add(self._squares, values, squares, self._condition[code // 2])

    def moments(self, effect: BatchEffect) -> ConditionMoments:
        """Moments of the conditions, once all cells were added; to be asked once, for sums are used up."""
        halves = np.zeros((2, *self._squares.shape))
        for group, condition in enumerate(self._condition):
            both = self._sums[2 * group : 2 * group + 2]
            halves[:, condition] += both
            if self._offset is None:
                self._squares[condition] -= 2 * effect.offset[self._batch_of_group[group]] * both.sum(axis=0)
        return moments_from_sums(
            n_in=self._n_in, sums=halves.sum(axis=0), squares=self._squares, halves=halves, effect=effect
        )


def _sorted(
    values: sp.csr_matrix, code: Int[np.ndarray, " cell"]
) -> tuple[sp.csr_matrix, Int[np.ndarray, " cell"], Int[np.ndarray, " cell"]]:
    """Cells in the order of their groups, the group of each, and the order."""
    order = np.argsort(code, kind="stable")
    return values[order], code[order], order


def _add(
    total: Float[np.ndarray, "group gene"],
    cells: sp.csr_matrix,
    values: np.ndarray,
    code: Int[np.ndarray, " cell"],
) -> None:
    """Add values that stand like those of cells, which are sorted by the code of their group, to the sums of the groups.

    Cells of a group are taken for one sparse row in which genes stand more than once; these are added as it is made dense.
    """
    used, starts = np.unique(code, return_index=True)
    bounds = cells.indptr[np.append(starts, len(code))]
    step = max(_SLAB // total.shape[1], 1)
    for i in range(0, len(used), step):
        ends = bounds[i : i + step + 1]
        part = slice(ends[0], ends[-1])
        rows = (values[part].astype(np.float64), cells.indices[part], ends - ends[0])
        total[used[i : i + step]] += sp.csr_matrix(rows, shape=(len(ends) - 1, total.shape[1])).toarray()
