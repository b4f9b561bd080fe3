"""Data sets of bulk measurements, from a table of means."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from semimech._errors import DataError, raise_faults
from semimech.data.dataset import CellSystem, Dataset
from semimech.data.scale import Scale
from semimech.experiment import Condition, resolve_doses


def dataset_from_means(
    genes: Sequence[str],
    conditions: Sequence[Condition],
    mean: np.ndarray,
    *,
    scale: Scale,
    standard_error: np.ndarray | None = None,
    n: Sequence[int] | np.ndarray | None = None,
    system: CellSystem | None = None,
    name: str = "data",
) -> Dataset:
    """Make a data set from the means of bulk measurements.

    Parameters
    ----------
    genes
        Names of the columns.
    conditions
        What was done to each row; all different. Doses are resolved with the compounds of the system.
    mean
        Mean over replicates in the observed scale, condition by gene.
    scale
        Map between the observed scale and states.
    standard_error
        Standard error of ``mean``; NaN, the default, where it is not known.
    n
        Replicates per condition; 1 by default.
    system
        What is declared about the cells; by default non-differentiating cells with the media of the conditions.
    name
        Name of the data set in tables.

    Raises
    ------
    DataError
        Listing every fault of the arrays.
    ExperimentError
        If a compound was dosed that the system does not know.
    """
    mean = np.asarray(mean, dtype=float)
    shape = (len(conditions), len(genes))
    error = np.full(shape, np.nan) if standard_error is None else np.asarray(standard_error, dtype=float)
    counts = np.ones(len(conditions), dtype=int) if n is None else np.asarray(n, dtype=int)
    media = tuple(sorted({m for c in conditions for m in c.media if m is not None}))
    system = system or CellSystem(media=media)
    conditions = [resolve_doses(condition, system.compounds) for condition in conditions]
    faults = []
    if mean.shape != shape:
        faults.append(f"mean has shape {mean.shape}, wanted {shape} for {shape[0]} conditions and {shape[1]} genes")
    if error.shape != shape:
        faults.append(f"standard_error has shape {error.shape}, wanted {shape}")
    elif (error < 0).any():
        faults.append(f"standard_error has {int((error < 0).sum())} negative values")
    if counts.shape != (len(conditions),):
        faults.append(f"n has shape {counts.shape}, wanted ({len(conditions)},)")
    elif (counts < 1).any():
        faults.append("n must be 1 or more for every condition")
    raise_faults(DataError, f"Dataset {name!r}", faults)
    digest = hashlib.sha256(repr((tuple(genes), tuple(conditions))).encode())
    for array in (mean, error, counts):
        digest.update(np.ascontiguousarray(array).data)
    return Dataset(
        genes=tuple(genes),
        conditions=tuple(conditions),
        mean=mean,
        standard_error=error,
        n_cells=counts,
        scale=scale,
        system=system,
        name=name,
        fingerprint=digest.hexdigest(),
    )
