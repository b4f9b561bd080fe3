"""Dataset: means per condition with their standard errors, and the cells behind them where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from semimech._errors import DataError, raise_faults
from semimech.data.findings import listed
from semimech.data.scale import Scale
from semimech.data.system import CellSystem
from semimech.experiment import Condition


@dataclass(frozen=True, kw_only=True)
class ControlMoments:
    """Second moments of unedited cells in the maintenance medium, relative to their mean.

    Parameters
    ----------
    covariance
        Covariance over cells of abundance divided by its mean, within batches, measurement noise removed
        from the diagonal.
    noise
        The measurement noise that was removed from each variance.
    n_cells
        Number of cells.
    """

    covariance: Float[np.ndarray, "gene gene"]
    noise: Float[np.ndarray, " gene"]
    n_cells: int


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Single cells in the observed scale.

    Parameters
    ----------
    values
        Sparse or dense matrix, cell by gene.
    condition
        Index of each cell's condition in the data set.
    batch
        Index of each cell's batch.
    batch_offset
        Batch effect that the means are free of, batch by gene; ``None`` for none. ``values`` still hold it.
    batches
        Names of the batches; none if they are only numbered.
    unit
        Normalised expression of one count in each cell, ``values = log1p(counts · unit)``; NaN for cells without counts,
        ``None`` where counts are unknown.
    """

    values: sp.csr_matrix | Float[np.ndarray, "cell gene"]
    condition: Int[np.ndarray, " cell"]
    batch: Int[np.ndarray, " cell"]
    batch_offset: Float[np.ndarray, "batch gene"] | None = None
    batches: tuple[str, ...] = ()
    unit: Float[np.ndarray, " cell"] | None = None

    def counts(self, rows: Int[np.ndarray, " row"], *, name: str = "data") -> sp.csr_matrix:
        """Counts of cells whose ``unit`` is known.

        Raises
        ------
        DataError
            If counts are unknown.
        """
        if self.unit is None:
            raise DataError(f"{name}: there are no counts; put raw counts into X or layers['counts']")
        values = sp.csr_matrix(self.values[rows], copy=True)
        per_value = np.repeat(self.unit[rows], np.diff(values.indptr))
        values.data = np.rint(np.expm1(values.data.astype(np.float64)) / per_value)
        return values

    def of(self, conditions: Int[np.ndarray, " condition"]) -> Int[np.ndarray, " row"]:
        """Rows of the cells of some conditions, in their order."""
        order, sorted_conditions = self._by_condition
        ends = zip(*(np.searchsorted(sorted_conditions, conditions, side) for side in ("left", "right")), strict=True)
        return np.sort(np.concatenate([order[:0], *(order[first:last] for first, last in ends)]))

    @cached_property
    def _by_condition(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.condition, kind="stable")
        return order, self.condition[order]

    def take(self, rows: np.ndarray) -> Float[np.ndarray, "row gene"]:
        """Rows as a dense array, batch effects removed."""
        values = self.values[rows]
        values = values.toarray() if sp.issparse(values) else np.asarray(values)
        return values if self.batch_offset is None else values - self.batch_offset[self.batch[rows]]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Measured conditions of one cell system.

    Parameters
    ----------
    genes
        Gene names, in the order of the columns.
    conditions
        What was done to the cells of each row; all different.
    mean
        Mean over cells in the observed scale, batch effects removed within matched controls.
    standard_error
        Standard error of ``mean``; NaN where one replicate gives none.
    n_cells
        Cells (or bulk replicates) per condition.
    scale
        Map between the observed scale and the state.
    system
        What is declared about the cells.
    halves
        Means of two random halves of each condition's cells, for the noise ceiling; NaN where there is one.
    control_moments
        Second moments of unedited cells; ``None`` without counts or controls.
    cells
        Single cells; ``None`` for bulk data.
    name
        Name of the data set in tables.
    fingerprint
        Hash of what was read, kept with models fitted to it.
    var_names
        Names of the genes in the file, where ``genes`` are symbols from another column; ``None`` where they
        are the same. Predictions that go back to the user carry these.
    notes
        What was done to the cells after they were read, in sentences; models fitted to them tell it.

    Raises
    ------
    DataError
        Listing every inconsistency between the arrays.
    """

    genes: tuple[str, ...]
    conditions: tuple[Condition, ...]
    mean: Float[np.ndarray, "condition gene"]
    standard_error: Float[np.ndarray, "condition gene"]
    n_cells: Int[np.ndarray, " condition"]
    scale: Scale
    system: CellSystem
    halves: Float[np.ndarray, "2 condition gene"] | None = None
    control_moments: ControlMoments | None = None
    cells: Cells | None = None
    name: str = "data"
    fingerprint: str = ""
    var_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.conditions), len(self.genes))
        faults = []
        if len(set(self.conditions)) < len(self.conditions):
            faults.append("two rows have the same condition: pool their cells")
        if len(set(self.genes)) < len(self.genes):
            faults.append("duplicated gene names: make them unique")
        for what in ("mean", "standard_error"):
            if getattr(self, what).shape != shape:
                faults.append(f"{what} has shape {getattr(self, what).shape}, wanted {shape}")
        if not np.isfinite(self.mean).all():
            faults.append(f"mean has {int((~np.isfinite(self.mean)).sum())} values that are not finite")
        unknown = {m for c in self.conditions for m in c.media if m is not None} - set(self.system.media)
        if unknown:
            faults.append(f"media {sorted(unknown)} are not declared in the system")
        if self.system.genes and self.system.genes != self.genes:
            declared, found = set(self.system.genes), set(self.genes)
            lacking, new = sorted(declared - found), sorted(found - declared)
            said = "; ".join(
                f"{what}: {listed(names)}" for what, names in (("missing", lacking), ("new", new)) if names
            )
            faults.append(f"genes are not those declared in the system ({said or 'in another order'})")
        raise_faults(DataError, f"Dataset {self.name!r}", faults)

    @cached_property
    def index(self) -> dict[Condition, int]:
        """Row of each condition."""
        return {condition: row for row, condition in enumerate(self.conditions)}

    @cached_property
    def is_control(self) -> Bool[np.ndarray, " condition"]:
        """Rows of unedited cells, in any medium."""
        return np.array([c.is_control for c in self.conditions], dtype=bool)

    @cached_property
    def is_stationary_control(self) -> Bool[np.ndarray, " condition"]:
        """Rows of unedited cells that never left the maintenance medium."""
        return np.array([c.is_control and c.media == (None,) for c in self.conditions], dtype=bool)

    @cached_property
    def hours(self) -> Float[np.ndarray, " condition"]:
        """Time of harvest, in hours; infinite for settled cells."""
        return np.array([c.hours for c in self.conditions], dtype=float)

    @cached_property
    def perturbations(self) -> tuple[str, ...]:
        """Name of the edits of each row: genes joined by ``+``, or ``control``."""
        return tuple(c.perturbation for c in self.conditions)

    @cached_property
    def rows_by_perturbation(self) -> dict[str, Int[np.ndarray, " row"]]:
        """Rows of each perturbation."""
        found: dict[str, list[int]] = {}
        for row, name in enumerate(self.perturbations):
            found.setdefault(name, []).append(row)
        return {name: np.array(rows) for name, rows in found.items()}

    @property
    def state(self) -> Float[np.ndarray, "condition gene"]:
        """Means as states, on the linear scale, never negative."""
        return np.maximum(self.scale.to_state(self.mean), 0.0)

    @cached_property
    def known_variance(self) -> Float[np.ndarray, "condition gene"]:
        """Squared standard errors; one that is unknown is that of as many cells (or replicates) as the gene typically has it.

        Typical of one cell is the median over conditions of squared error times cells, of a gene without any the median of
        all genes. Where nothing is known of any, errors are 0.
        """
        squared = self.standard_error**2
        is_known = np.isfinite(squared)
        if is_known.all() or not is_known.any():
            return np.where(is_known, squared, 0.0)
        of_one = np.ma.masked_invalid(squared * self.n_cells[:, None])
        typical = np.ma.median(of_one, axis=0).filled(np.ma.median(of_one))
        return np.where(is_known, squared, typical / self.n_cells[:, None])

    def control_mean(self) -> Float[np.ndarray, " gene"]:
        """Mean over unedited cells in the maintenance medium, weighted by cells; over all rows without any.

        Differentiating cells have no stationary reference: there it is only a unit for each gene.
        """
        rows = self.is_stationary_control if self.is_stationary_control.any() else self.is_control
        if not rows.any():
            rows = np.ones(len(self.conditions), dtype=bool)
        return np.average(self.mean[rows], axis=0, weights=self.n_cells[rows])

    def control_rows(self, condition: Condition) -> Int[np.ndarray, " row"]:
        """Rows of unedited cells to compare a condition with; none if the data set has no such cells.

        Stationary cells that stay in the maintenance medium are compared with controls of all times. Otherwise a
        control must have been in the same media for the same times; without any, those of the same media at the nearest
        time stand in, and without these, those of `control_mean`, at the nearest time where they move.
        """
        pooled = self.is_stationary_control if self.is_stationary_control.any() else self.is_control
        wanted = self.system.comparison(condition)
        if wanted[1] is None:
            return np.flatnonzero(pooled)
        controls = np.flatnonzero(self.is_control)
        same = np.array([r for r in controls if self.system.comparison(self.conditions[r]) == wanted], dtype=int)
        if len(same):
            return same
        alike = np.array([r for r in controls if self.conditions[r].media == condition.media], dtype=int)
        if len(alike):
            return self.nearest(alike, condition.hours)
        rows = np.flatnonzero(pooled)
        return rows if self.system.is_stationary or not len(rows) else self.nearest(rows, condition.hours)

    def nearest(self, rows: Int[np.ndarray, " row"], hours: float) -> Int[np.ndarray, " nearest"]:
        """The rows at the time nearest to one asked; settled cells are later than all others."""
        with np.errstate(invalid="ignore"):
            distance = np.nan_to_num(np.abs(self.hours[rows] - min(hours, self.hours[rows].max())), nan=0.0)
        return rows[distance == distance.min()]

    def matched_control(self, condition: Condition) -> Float[np.ndarray, " gene"]:
        """Mean of unedited cells to compare a condition with: over `control_rows`, or `control_mean` without any."""
        rows = self.control_rows(condition)
        return np.average(self.mean[rows], axis=0, weights=self.n_cells[rows]) if len(rows) else self.control_mean()

    def subset(self, keep: Sequence[int] | Int[np.ndarray, " kept"] | Bool[np.ndarray, " condition"]) -> Dataset:
        """The data set with only these rows, and only their cells."""
        rows = np.flatnonzero(keep) if np.asarray(keep).dtype == bool else np.asarray(keep, dtype=int)
        cells = self.cells
        if cells is not None:
            new = np.full(len(self.conditions), -1)
            new[rows] = np.arange(len(rows))
            kept = np.flatnonzero(new[cells.condition] >= 0)
            cells = replace(
                cells,
                values=cells.values[kept],
                condition=new[cells.condition[kept]],
                batch=cells.batch[kept],
                unit=None if cells.unit is None else cells.unit[kept],
            )
        return replace(
            self,
            conditions=tuple(self.conditions[r] for r in rows),
            mean=self.mean[rows],
            standard_error=self.standard_error[rows],
            n_cells=self.n_cells[rows],
            halves=None if self.halves is None else self.halves[:, rows],
            cells=cells,
        )
