"""Screen: the cells of one file with what was done to them, before they are pooled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from semimech.data.annotate import Annotation, annotate
from semimech.data.findings import CheckFinding, failed, listed, passed
from semimech.data.guides import Guides, read_guides
from semimech.data.join import annotate_by_experiment
from semimech.data.matrix import Measurement, read_matrix
from semimech.data.schema import Keys, field, recognise
from semimech.data.tenx import note_of
from semimech.experiment import Condition


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Cells with what was done to them.

    Parameters
    ----------
    annotation
        What was done to each cell.
    measurement
        Values of each cell.
    var_names
        Names of the genes in the file.
    findings
        What was noticed while reading, no faults among it.
    doses
        Largest number of different doses within one condition; 0 where none are given.
    guides
        The guide of each cell; ``None`` without a column of them.
    """

    annotation: Annotation
    measurement: Measurement
    var_names: tuple[str, ...]
    findings: tuple[CheckFinding, ...]
    doses: int = 0
    guides: Guides | None = None

    @property
    def is_control(self) -> Bool[np.ndarray, " cell"]:
        """Unedited cells."""
        return np.array([c.is_control for c in self.annotation.conditions])[self.annotation.condition]

    @property
    def comparison(self) -> Int[np.ndarray, " cell"]:
        """Index of what each cell must share with its controls beside the batch."""
        return comparisons(self.annotation)[self.annotation.condition]

    def take(self, rows: Int[np.ndarray, " kept"]) -> Screen:
        """The screen with only these cells, and the conditions that they have."""
        measurement = self.measurement
        return replace(
            self,
            measurement=replace(
                measurement,
                observed=measurement.observed[rows],
                counts=None if measurement.counts is None else measurement.counts[rows],
                unit=None if measurement.unit is None else measurement.unit[rows],
            ),
            annotation=self.annotation.take(rows),
            guides=None if self.guides is None else self.guides.take(rows),
        )


def read_screen(adata: ad.AnnData, keys: Keys) -> tuple[Screen | None, tuple[CheckFinding, ...]]:
    """Read cells and what was done to them.

    Parameters
    ----------
    adata
        Cells by genes; it is not changed.
    keys
        How columns are to be read.

    Returns
    -------
    tuple
        The screen, ``None`` if it cannot be read, and all faults.
    """
    if 0 in adata.shape:
        return None, read_matrix(adata)[1]
    measurement, faults = read_matrix(adata)
    annotation, others = read_annotation(adata.obs, adata.var, keys)
    faults += others
    if faults or annotation is None or measurement is None:
        return None, faults
    screen = Screen(
        annotation=annotation,
        measurement=measurement,
        var_names=tuple(map(str, adata.var_names)),
        findings=(*measurement.findings, *annotation.findings),
        doses=largest_doses(adata.obs, annotation),
        guides=read_guides(adata.obs),
    )
    return _drop_small(screen, keys.min_cells), ()


def read_annotation(
    obs: pd.DataFrame, var: pd.DataFrame, keys: Keys
) -> tuple[Annotation | None, tuple[CheckFinding, ...]]:
    """Read what was done to cells, without what was measured of them.

    Returns
    -------
    tuple
        The annotation, ``None`` if it cannot be read, and all faults.
    """
    join = annotate if keys.experiments is None else annotate_by_experiment
    annotation, found = join(obs, var, keys)
    genes = var.index if annotation is None else pd.Index(annotation.genes)
    faults = (
        *_duplicates("gene names", genes, "adata.var_names_make_unique()"),
        *_duplicates("cell names", obs.index, "adata.obs_names_make_unique()"),
        *found,
    )
    if annotation is not None:
        faults += _small_conditions(annotation, keys.min_cells)
        faults += _unknown_start(annotation)
        notes = note_of(var)
        told = tuple(passed("gene names", note) for note in notes)
        annotation = replace(annotation, notes=notes, findings=(*annotation.findings, *told))
    return annotation, faults


def comparisons(annotation: Annotation) -> Int[np.ndarray, " condition"]:
    """Index of what cells of each condition must share with their controls beside the batch."""
    keys = [annotation.system.comparison(condition) for condition in annotation.conditions]
    index = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([index[key] for key in keys])


def describe(condition: Condition) -> str:
    """A condition in a few words, for messages and tables."""
    medium = "" if condition.medium is None else f" in {condition.medium}"
    time = f" at {condition.hours:g} h" if np.isfinite(condition.hours) else ""
    return f"{condition.perturbation}{medium}{time}"


def largest_doses(obs: pd.DataFrame, annotation: Annotation) -> int:
    """Largest number of different doses within one condition; 0 where none are given."""
    column = recognise(field("obs", "dose_value"), [str(c) for c in obs.columns])
    if column is None:
        return 0
    return int(obs[column].astype(str).groupby(annotation.condition).nunique().max())


def _duplicates(what: str, names: pd.Index, call: str) -> tuple[CheckFinding, ...]:
    if names.is_unique:
        return ()
    repeated = sorted(set(map(str, names[names.duplicated()])))
    mend = f"make them unique, for instance with {call}"
    return (failed(what, f"{what} that stand more than once: {listed(repeated)}", mend=mend),)


def _small_conditions(annotation: Annotation, min_cells: int | None) -> tuple[CheckFinding, ...]:
    n = np.bincount(annotation.condition, minlength=len(annotation.conditions))
    if min_cells is None:
        single = [describe(c) for c, size in zip(annotation.conditions, n, strict=True) if size == 1]
        if not single:
            return ()
        mend = "one cell gives no spread: remove it, or leave small conditions out with min_cells=2 or more"
        return (failed("cells per condition", f"conditions of a single cell: {listed(single)}", mend=mend),)
    if min_cells < 1:
        return (failed("cells per condition", f"min_cells={min_cells}", mend="it must be 1 or more"),)
    left = [c for c, size in zip(annotation.conditions, n, strict=True) if size >= min_cells]
    if all(c.is_control for c in left):
        evidence = f"no edited condition has min_cells={min_cells} cells; the largest has {n.max()}"
        return (failed("cells per condition", evidence, mend="lower min_cells"),)
    return ()


def _unknown_start(annotation: Annotation) -> tuple[CheckFinding, ...]:
    evidence = annotation.system.start_fault(annotation.conditions)
    return (failed("start", evidence, mend="add them, or say start='learned'"),) if evidence else ()


def _drop_small(screen: Screen, min_cells: int | None) -> Screen:
    rows, findings = large_enough(screen.annotation, min_cells)
    return replace(screen.take(rows), findings=(*screen.findings, *findings)) if findings else screen


def large_enough(
    annotation: Annotation, min_cells: int | None
) -> tuple[Int[np.ndarray, " kept"], tuple[CheckFinding, ...]]:
    """Cells of conditions that are not too small, and what is to be said of those left out, if any are."""
    n = np.bincount(annotation.condition)
    small = n < (min_cells or 0)
    rows = np.flatnonzero(~small[annotation.condition])
    if not small.any():
        return rows, ()
    dropped = [describe(annotation.conditions[i]) for i in np.flatnonzero(small)]
    evidence = f"{len(dropped)} conditions of fewer than {min_cells} cells left out: {listed(dropped)}"
    return rows, (passed("small conditions", evidence),)
