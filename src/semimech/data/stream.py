"""Data sets larger than memory: one pass through the file, block by block of cells, and no cells kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int

from semimech._errors import DataError, raise_faults
from semimech.data.annotate import Annotation
from semimech.data.dataset import Dataset
from semimech.data.files import explained, kind_of
from semimech.data.findings import counted
from semimech.data.fingerprint import Fingerprint
from semimech.data.matrix import LARGEST_LOG, TARGET_SUM, observe
from semimech.data.scale import count_scale
from semimech.data.schema import Keys
from semimech.data.screen import large_enough, read_annotation
from semimech.data.stored import StoredMatrix, opened, stored_matrices
from semimech.data.sums import ConditionSums, ControlSums, pairs_of

STREAM_FROM = 2 << 30
"""Bytes of a matrix, not compressed, above which it is streamed: read as a whole it takes some four times as much."""
PAIR_BYTES = 1 << 30
"""Most memory for sums of each condition and batch; if they would take more, controls are summed in a pass of their own."""
_FIRST = 1 << 20

Progress = Callable[[int, int], None]


def is_large(path: Path) -> bool:
    """Whether the counts of a file can be streamed, and are so many that they should be."""
    if not path.exists() or not _may_be_streamed(path):
        return False
    try:
        with opened(path) as root:
            return stored_counts(*stored_matrices(root, path)).n_bytes > STREAM_FROM
    except Exception:  # noqa: BLE001 - what is wrong with a file is told where it is read
        return False


def stored_counts(x: StoredMatrix | str | None, layer: StoredMatrix | str | None) -> StoredMatrix:
    """The counts of a file, of its ``X`` and its layer of counts.

    Raises
    ------
    DataError
        If they cannot be streamed.
    """
    chosen = x if layer is None else layer
    if chosen is None:
        raise DataError("neither X nor a layer of counts: put raw counts into layers['counts']")
    faults = [each for each in (x, layer) if isinstance(each, str)]
    if faults or isinstance(chosen, str):
        raise DataError(f"{'; '.join(faults)}. Store it by cells, for instance adata.X = adata.X.tocsr()")
    if isinstance(x, StoredMatrix) and _is_logarithm(x):
        raise DataError("X is log-normalised, and would have to be read as a whole: put the raw counts into X")
    return chosen


def _is_logarithm(x: StoredMatrix) -> bool:
    """Whether ``X`` would be observed as it is: no counts, and nothing that speaks against logarithms."""
    last = int(np.searchsorted(x.start, _FIRST)) if x.start is not None else _FIRST // max(x.shape[1], 1)
    values = x.rows(0, min(max(last, 1), x.shape[0])).data
    is_number = np.isfinite(values).all() and (values >= 0).all() and values.max(initial=0) <= LARGEST_LOG
    return bool(is_number and (values != np.round(values)).any())


def stream(path: Path, keys: Keys, *, name: str, progress: Progress | None = None) -> Dataset:
    """Read counts larger than memory: the data set of `semimech.data.read`, without its cells.

    Memory holds two blocks of cells, what ``obs`` says, the covariance of controls, and sums of two halves of each condition in
    each batch; where the latter would take more than `PAIR_BYTES`, controls are summed in a first pass and all cells in a second.

    Parameters
    ----------
    path
        An ``.h5ad`` file or ``.zarr`` folder with counts in ``X`` or the layer of counts, in sparse rows (csr) or dense.
    keys
        How columns are to be read.
    name
        Name of the data set.
    progress
        Called with the cells read and all cells, after each block.

    Raises
    ------
    DataError
        If the counts are stored otherwise; listing every fault of the annotation, or, if it has none, of the counts.
    """
    with opened_counts(path) as (stored, obs, var):
        annotation, faults = read_annotation(obs, var, keys)
        raise_faults(DataError, f"Data set {name!r}", [fault.fault for fault in faults])
        if annotation is None:
            raise DataError(f"Data set {name!r}: cannot be read")
        rows, _ = large_enough(annotation, keys.min_cells)
        dataset = _summed(stored, annotation.take(rows), rows, name, progress)
    names = tuple(map(str, var.index))
    return dataset if names == dataset.genes else replace(dataset, var_names=names)


@contextmanager
def opened_counts(path: Path) -> Iterator[tuple[StoredMatrix, pd.DataFrame, pd.DataFrame]]:
    """The counts of a file, to be read block by block, and what it says of cells and genes.

    Raises
    ------
    DataError
        If there is no such file, it is broken, or its counts cannot be streamed.
    """
    if path.exists() and not _may_be_streamed(path):
        raise DataError(
            f"{path}: a {kind_of(path)} cannot be streamed: convert it to .h5ad, or read it with streamed=False"
        )
    with opened(path) as root:
        try:
            stored = stored_counts(*stored_matrices(root, path))
        except DataError as error:
            raise DataError(f"{path}: cannot be streamed: {error}; or read it with streamed=False") from None
        if 0 in stored.shape:
            raise DataError(f"{path}: the matrix is empty, {stored.shape[0]} cells × {stored.shape[1]} genes")
        with explained(path):
            obs, var = ad.io.read_elem(root["obs"]), ad.io.read_elem(root["var"])
        yield stored, obs, var


def _may_be_streamed(path: Path) -> bool:
    return kind_of(path) in (".h5ad file", ".zarr folder")


def _summed(
    stored: StoredMatrix, annotation: Annotation, rows: Int[np.ndarray, " kept"], name: str, progress: Progress | None
) -> Dataset:
    """The data set of these rows of a file, whose annotation this is."""
    n_genes, pairs = len(annotation.genes), pairs_of(annotation)
    controls = ControlSums(annotation, pairs, n_genes)
    fingerprint, totals = Fingerprint(n_genes), np.empty(stored.shape[0])
    is_twice = 16 * n_genes * len(pairs.condition) > PAIR_BYTES
    conditions = None if is_twice else ConditionSums(annotation, pairs, n_genes)
    for first, observed, counts, unit in observed_blocks(stored, rows, totals, name=name, progress=progress):
        fingerprint.add(observed)
        controls.add(first, observed, counts, unit)
        if conditions is not None:
            conditions.add(first, observed)
    effect = controls.effect()
    if conditions is None:
        conditions = ConditionSums(annotation, pairs, n_genes, effect=effect)
        for first, observed, _, _ in observed_blocks(stored, rows, totals, name=name, progress=progress):
            conditions.add(first, observed)
    moments = conditions.moments(effect)
    return Dataset(
        genes=annotation.genes,
        conditions=annotation.conditions,
        mean=moments.mean,
        standard_error=moments.standard_error,
        n_cells=moments.n_cells,
        scale=count_scale(totals, target_sum=TARGET_SUM),
        system=replace(annotation.system, genes=annotation.genes),
        halves=moments.halves,
        control_moments=controls.moments(),
        name=name,
        fingerprint=fingerprint.of(annotation),
    )


def observed_blocks(
    stored: StoredMatrix,
    rows: Int[np.ndarray, " kept"],
    totals: Float[np.ndarray, " cell"],
    *,
    name: str,
    progress: Progress | None,
) -> Iterator[tuple[int, sp.csr_matrix, sp.csr_matrix, Float[np.ndarray, " some"]]]:
    """Blocks of these rows: how many came before, values observed, counts and their unit; fills ``totals`` with all depths.

    Raises
    ------
    DataError
        At the end, if some values are no counts or some cells have none.
    """
    is_kept = np.zeros(stored.shape[0], dtype=bool)
    is_kept[rows] = True
    first = n_wrong = n_empty = 0
    for cells, stored_values in stored.blocks():
        counts = stored_values.astype(np.float32)
        totals[cells] = total = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
        n_wrong += _without_counts(counts)
        n_empty += int((total == 0).sum())
        if progress is not None:
            progress(cells.stop, len(totals))
        if n_wrong or n_empty:
            continue
        held, unit = is_kept[cells], TARGET_SUM / total
        if not held.all():
            counts, unit = counts[held], unit[held]
        yield first, observe(counts, unit), counts, unit
        first += len(unit)
    faults = []
    if n_wrong:
        said = f"{stored.place}: values that are no counts, in {counted(n_wrong, 'cell')}"
        faults.append(f"{said}. Put raw UMI counts there, before normalisation")
    if n_empty:
        said = f"{counted(n_empty, 'cell')} without a single count in {stored.place}"
        faults.append(f"{said}. Remove them: adata = adata[adata.X.sum(axis=1) > 0]")
    raise_faults(DataError, f"Data set {name!r}", faults)


def _without_counts(values: sp.csr_matrix) -> int:
    """Number of cells with a value that is no count."""
    wrong = ~((values.data >= 0) & (values.data == np.round(values.data)) & (values.data < np.inf))
    return (
        int(len(np.unique(np.searchsorted(values.indptr, np.flatnonzero(wrong), side="right")))) if wrong.any() else 0
    )
