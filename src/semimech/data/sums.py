"""Sums over cells from which a data set follows, so that cells need not be held together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from semimech.data.annotate import Annotation
from semimech.data.batch_effect import BatchEffect, batch_effect_from_sums
from semimech.data.moments import (
    HALVES_SEED,
    MAX_MOMENT_CELLS,
    MAX_MOMENT_GENES,
    ConditionMoments,
    half_of,
    moments_from_sums,
)
from semimech.data.screen import comparisons


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
    """Conditions and batches that have cells in common, and the half of its condition that each cell is in.

    Parameters
    ----------
    condition, batch
        Of each pair, in this order.
    of_cell
        Each cell's pair.
    half
        Each cell's half of its condition, 0 or 1.
    """

    condition: Int[np.ndarray, " pair"]
    batch: Int[np.ndarray, " pair"]
    of_cell: Int[np.ndarray, " cell"]
    half: Int[np.ndarray, " cell"]

    @property
    def sums_of_cell(self) -> Int[np.ndarray, " cell"]:
        """Index of each cell's sums: twice its pair, and its half."""
        return 2 * self.of_cell + self.half


def pairs_of(annotation: Annotation) -> Pairs:
    """The pairs of condition and batch of cells."""
    n_batches = len(annotation.batches)
    code = annotation.condition * n_batches + annotation.batch
    n = np.bincount(code)
    pairs = np.flatnonzero(n)
    place = np.cumsum(n > 0) - 1
    half = half_of(annotation.condition, len(annotation.conditions), np.random.default_rng(HALVES_SEED))
    return Pairs(condition=pairs // n_batches, batch=pairs % n_batches, of_cell=place[code], half=half)


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over cells, of each half of each group of them.

    Parameters
    ----------
    values, squares
        Sums of values, and of squared values less twice the value times a shift; groups in order, with two halves of each.
    """

    values: Float[np.ndarray, "half gene"]
    squares: Float[np.ndarray, "half gene"]

    @classmethod
    def zero(cls, n_groups: int, n_genes: int) -> Sums:
        """Sums over no cell."""
        return cls(values=np.zeros((2 * n_groups, n_genes)), squares=np.zeros((2 * n_groups, n_genes)))

    def add(
        self,
        observed: sp.csr_matrix,
        index: Int[np.ndarray, " cell"],
        *,
        batch: Int[np.ndarray, " cell"],
        shift: Float[np.ndarray, "batch gene"] | None,
    ) -> None:
        """Add cells.

        Parameters
        ----------
        observed
            Their values in the observed scale, single precision.
        index
            Index of each cell's sums; cells with a negative one are left out. In order of it, sums stay in the cache.
        batch, shift
            Each cell's batch, and the shift of squares in each batch, if there is one.
        """
        if len(index) and index.min() < 0:
            kept = np.flatnonzero(index >= 0)
            observed, index, batch = observed[kept], index[kept], batch[kept]
        n_values = np.diff(observed.indptr)
        place = np.repeat(index * observed.shape[1], n_values)
        place += observed.indices
        values = observed.data.astype(np.float64)
        squares = np.square(observed.data).astype(np.float64)
        if shift is not None:
            squares -= 2 * shift[np.repeat(batch, n_values), observed.indices] * values
        np.add.at(self.values.reshape(-1), place, values)
        np.add.at(self.squares.reshape(-1), place, squares)


def control_pairs(annotation: Annotation, pairs: Pairs) -> Bool[np.ndarray, " pair"]:
    """Which pairs are of unedited cells."""
    return np.array([c.is_control for c in annotation.conditions])[pairs.condition]


def effect_of(annotation: Annotation, pairs: Pairs, controls: Sums) -> BatchEffect:
    """Batch effects, from the sums over unedited cells of each condition and batch."""
    is_control = control_pairs(annotation, pairs)
    batch = pairs.batch[is_control]
    squares = np.zeros((len(annotation.batches), controls.values.shape[1]))
    np.add.at(squares, batch, _halves_together(controls.squares))
    return batch_effect_from_sums(
        n=np.bincount(pairs.of_cell, minlength=len(is_control))[is_control].astype(float),
        sums=_halves_together(controls.values),
        squares=squares,
        batch=batch,
        stratum=comparisons(annotation)[pairs.condition[is_control]],
    )


def moments_of_pairs(annotation: Annotation, pairs: Pairs, sums: Sums, effect: BatchEffect) -> ConditionMoments:
    """Moments of conditions, from the sums over cells of each condition and batch."""
    n_genes = sums.values.shape[1]
    halves = np.zeros((2, len(annotation.conditions), n_genes))
    squares = np.zeros((len(annotation.conditions), n_genes))
    for pair, (condition, batch) in enumerate(zip(pairs.condition, pairs.batch, strict=True)):
        both = sums.values[2 * pair : 2 * pair + 2]
        halves[:, condition] += both
        squares[condition] += sums.squares[2 * pair] + sums.squares[2 * pair + 1]
        squares[condition] -= 2 * effect.offset[batch] * both.sum(axis=0)
    return _moments(annotation, pairs, halves, squares, effect)


def moments_of_conditions(annotation: Annotation, pairs: Pairs, sums: Sums, effect: BatchEffect) -> ConditionMoments:
    """Moments of conditions, from the sums over the cells of each, whose squares are shifted by the batch effects."""
    halves = np.stack([sums.values[::2], sums.values[1::2]])
    return _moments(annotation, pairs, halves, _halves_together(sums.squares), effect)


def _moments(
    annotation: Annotation, pairs: Pairs, halves: np.ndarray, squares: np.ndarray, effect: BatchEffect
) -> ConditionMoments:
    n_conditions, n_batches = len(annotation.conditions), len(annotation.batches)
    code = (pairs.half * n_conditions + annotation.condition) * n_batches + annotation.batch
    n_in = np.bincount(code, minlength=2 * n_conditions * n_batches).astype(float)
    return moments_from_sums(
        n_in=n_in.reshape(2, n_conditions, n_batches),
        sums=halves.sum(axis=0),
        squares=squares,
        halves=halves,
        effect=effect,
    )


def _halves_together(sums: Float[np.ndarray, "half gene"]) -> Float[np.ndarray, "group gene"]:
    return sums[::2] + sums[1::2]
