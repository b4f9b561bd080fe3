"""Reading: from an AnnData object or file to a `Dataset`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np

from semimech._errors import DataError, raise_faults
from semimech.data.batch_effect import BatchEffect, estimate_batch_effect
from semimech.data.dataset import Cells, ControlMoments, Dataset
from semimech.data.files import open_anndata
from semimech.data.fingerprint import Fingerprint
from semimech.data.moments import HALVES_SEED, condition_moments, control_moments
from semimech.data.schema import Keys
from semimech.data.screen import Screen, read_screen
from semimech.data.stream import is_large, stream
from semimech.data.sums import moment_cells
from semimech.experiment import Compound


def read(
    path: str | Path,
    *,
    perturbation_key: str | None = None,
    control: str | None = None,
    time_key: str | None = None,
    time_unit: str | None = None,
    batch_key: str | None = None,
    medium_key: str | None = None,
    edit_kind: str = "knockout",
    maintenance_medium: str | None = None,
    differentiating: bool = False,
    environment: str = "in-vitro",
    start: str | None = None,
    experiments: str | Path | None = None,
    min_cells: int | None = None,
    compounds: str | Path | Sequence[Compound] = (),
    streamed: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
    executor: Executor | None = None,
    checkpoint: str | Path | None = None,
) -> Dataset:
    """Read a perturbation data set from a file.

    Parameters
    ----------
    path
        An ``.h5ad`` file, a ``.zarr`` folder or another kind, see `semimech.data.files.open_anndata`. Counts in ``X`` or ``layers["counts"]``, or log-normalised ``X``.
    perturbation_key, time_key, batch_key, medium_key
        Columns of ``obs``. Without them the columns are recognised by the names in `semimech.data.schema.FIELDS`.
        Without a column of times cells are taken as settled, without one of batches as one batch, without one of
        media as never having left the maintenance medium.
    control
        Label of unedited cells; by default the labels of the field (``ctrl``, ``NT``, ``non-targeting``, ``DMSO`` …).
    time_unit
        ``"minutes"``, ``"hours"``, ``"days"`` or ``"weeks"``, where neither the values nor the name of the column
        state it; days by default.
    edit_kind
        What the edits are: ``"knockout"``, ``"crispri"``, ``"crispra"`` or ``"drug"``.
    maintenance_medium
        Name of the medium that cells are kept in; see `semimech.data.media.read_media` for the default.
    differentiating
        Whether unedited cells move in the maintenance medium. Controls are then matched by time.
    environment, start
        Whether the cells are ``"in-vitro"`` or ``"in-vivo"``, and the law of unedited cells at time 0: see `CellSystem`.
    experiments
        Path of an ``experiments.tsv`` to join through ``obs["experiment"]`` and ``obs["harvest"]``, instead of the
        columns of perturbation, time and medium.
    min_cells
        Leave out conditions of fewer cells. By default a condition of a single cell is an error.
    compounds
        What compounds do: path of a ``compounds.tsv``, or records. They are dosed by ``experiments.tsv``, or named as
        perturbations with their dose in ``obs["dose_value"]``.
    streamed
        Whether to go through the file block by block and keep no cells: the same means, errors, halves and moments, in memory
        that does not grow with the number of cells, see `semimech.data.stream.stream`. By default if the matrix is larger than
        `semimech.data.stream.STREAM_FROM` and can be streamed.
    progress
        Called with the cells read and all cells, after each part of a file that is streamed.
    executor
        Streams parts of the file in processes that see it, for instance ``distributed.Client(address).get_executor()`` of a Dask cluster.
    checkpoint
        File ``.npz`` where sums are kept while a file is streamed, so that what is interrupted goes on from there; removed at the end.

    Returns
    -------
    Dataset
        Cells and their means, in the scale of a log-normalised ``X``, or log1p CP10k for counts.

    Raises
    ------
    DataError
        Listing every fault of the file, each with its mend.
    """
    keys = Keys(
        perturbation_key=perturbation_key,
        control=control,
        time_key=time_key,
        time_unit=time_unit,
        batch_key=batch_key,
        medium_key=medium_key,
        edit_kind=edit_kind,
        maintenance_medium=maintenance_medium,
        differentiating=differentiating,
        environment=environment,
        start=start,
        experiments=experiments,
        min_cells=min_cells,
        compounds=compounds if isinstance(compounds, str | Path) else tuple(compounds),
    )
    path = Path(path)
    if is_large(path) if streamed is None else streamed:
        kept = None if checkpoint is None else Path(checkpoint)
        return stream(path, keys, name=path.stem, progress=progress, executor=executor, checkpoint=kept)
    return pool(open_screen(path, keys), name=path.stem)


def dataset_from_anndata(
    adata: ad.AnnData,
    *,
    perturbation_key: str | None = None,
    control: str | None = None,
    time_key: str | None = None,
    time_unit: str | None = None,
    batch_key: str | None = None,
    medium_key: str | None = None,
    edit_kind: str = "knockout",
    maintenance_medium: str | None = None,
    differentiating: bool = False,
    environment: str = "in-vitro",
    start: str | None = None,
    experiments: str | Path | None = None,
    min_cells: int | None = None,
    compounds: str | Path | Sequence[Compound] = (),
    name: str = "data",
) -> Dataset:
    """Read a perturbation data set that is in memory already; it is not changed.

    Parameters
    ----------
    adata
        Cells by genes.
    perturbation_key, control, time_key, time_unit, batch_key, medium_key
        See `read`.
    edit_kind, maintenance_medium, differentiating, environment, start, experiments, min_cells, compounds
        See `read`.
    name
        Name of the data set in tables and messages.

    Raises
    ------
    DataError
        Listing every fault of the data, each with its mend.
    """
    keys = Keys(
        perturbation_key=perturbation_key,
        control=control,
        time_key=time_key,
        time_unit=time_unit,
        batch_key=batch_key,
        medium_key=medium_key,
        edit_kind=edit_kind,
        maintenance_medium=maintenance_medium,
        differentiating=differentiating,
        environment=environment,
        start=start,
        experiments=experiments,
        min_cells=min_cells,
        compounds=compounds if isinstance(compounds, str | Path) else tuple(compounds),
    )
    return pool(_whole_screen(adata, keys, name=name), name=name)


def open_screen(path: str | Path, keys: Keys) -> Screen:
    """Read the cells of a file with what was done to them, unpooled; `pool` makes a data set of them.

    Parameters
    ----------
    path
        File, see `read`.
    keys
        How columns are to be read.

    Raises
    ------
    DataError
        Listing every fault of the file, each with its mend.
    """
    return _whole_screen(open_anndata(path), keys, name=Path(path).stem)


def _whole_screen(adata: ad.AnnData, keys: Keys, *, name: str) -> Screen:
    screen, faults = read_screen(adata, keys)
    raise_faults(DataError, f"Data set {name!r}", [fault.fault for fault in faults])
    if screen is None:
        raise DataError(f"Data set {name!r}: cannot be read")
    return screen


def pool(screen: Screen, *, name: str) -> Dataset:
    """Pool the cells of a screen by condition, batch effects removed."""
    annotation, measurement = screen.annotation, screen.measurement
    effect = batch_effect(screen)
    moments = condition_moments(
        measurement.observed,
        condition=annotation.condition,
        batch=annotation.batch,
        effect=effect,
        n_conditions=len(annotation.conditions),
        rng=np.random.default_rng(HALVES_SEED),
    )
    return Dataset(
        genes=annotation.genes,
        conditions=annotation.conditions,
        mean=moments.mean,
        standard_error=moments.standard_error,
        n_cells=moments.n_cells,
        scale=measurement.scale,
        system=replace(annotation.system, genes=annotation.genes),
        halves=moments.halves,
        control_moments=_control_moments(screen),
        cells=Cells(
            values=measurement.observed,
            condition=annotation.condition,
            batch=annotation.batch,
            batch_offset=effect.offset.astype(np.float32) if effect.offset.any() else None,
            batches=tuple(map(str, annotation.batches)),
            unit=None if measurement.unit is None else np.asarray(measurement.unit, np.float64),
        ),
        name=name,
        fingerprint=_fingerprint(screen),
        var_names=None if screen.var_names == annotation.genes else screen.var_names,
        notes=annotation.notes,
    )


def batch_effect(screen: Screen) -> BatchEffect:
    """Batch effects estimated from the unedited cells of a screen."""
    rows = np.flatnonzero(screen.is_control)
    return estimate_batch_effect(
        screen.measurement.observed[rows],
        batch=screen.annotation.batch[rows],
        stratum=screen.comparison[rows],
        n_batches=len(screen.annotation.batches),
    )


def _control_moments(screen: Screen) -> ControlMoments | None:
    """Moments of unedited cells that never left the maintenance medium, centred by batch and time."""
    counts, unit = screen.measurement.counts, screen.measurement.unit
    annotation = screen.annotation
    rows = moment_cells(annotation, len(annotation.genes))
    if counts is None or unit is None or not len(rows):
        return None
    group = annotation.condition[rows] * len(annotation.batches) + annotation.batch[rows]
    return control_moments(counts[rows], unit[rows], group=group)


def _fingerprint(screen: Screen) -> str:
    fingerprint = Fingerprint(len(screen.annotation.genes))
    fingerprint.add(screen.measurement.observed)
    return fingerprint.of(screen.annotation)
