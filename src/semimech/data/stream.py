"""Data sets larger than memory: one pass through the file, block by block of cells, and no cells kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int

from semimech._errors import DataError, raise_faults
from semimech.data.annotate import Annotation
from semimech.data.dataset import Dataset
from semimech.data.files import explained, kind_of
from semimech.data.fingerprint import Fingerprint
from semimech.data.matrix import LARGEST_LOG
from semimech.data.moments import control_moments
from semimech.data.normalisation import is_too_many
from semimech.data.passes import Asked, Progress, pass_through
from semimech.data.rows import logarithms_read
from semimech.data.schema import Keys
from semimech.data.screen import large_enough, read_annotation
from semimech.data.stored import StoredMatrix, opened, read_columns, stored_matrices
from semimech.data.sums import (
    Sums,
    control_pairs,
    effect_of,
    moment_cells,
    moments_of_conditions,
    moments_of_pairs,
    pairs_of,
)
from semimech.data.tenx import cells_of, is_tenx, names_of

STREAM_FROM = 2 << 30
"""Bytes of a matrix, not compressed, above which it is streamed: read as a whole it takes some four times as much."""
PAIR_BYTES = 1 << 29
"""Most memory for sums of each condition and batch; if they would take more, controls are summed in a pass of their own."""
_FIRST = 1 << 20


def is_large(path: Path) -> bool:
    """Whether the counts of a file can be streamed, and are so many that they should be."""
    if not path.exists() or not _may_be_streamed(path):
        return False
    try:
        with opened(path) as root:
            return stored_values(*stored_matrices(root, path)).n_bytes > STREAM_FROM
    except Exception:  # noqa: BLE001 - what is wrong with a file is told where it is read
        return False


def stored_values(x: StoredMatrix | str | None, layer: StoredMatrix | str | None) -> StoredMatrix:
    """What is read of a file: ``X`` if it holds logarithms of normalised counts, else the counts in its layer or in ``X``.

    Raises
    ------
    DataError
        If it cannot be streamed.
    """
    if isinstance(x, StoredMatrix) and is_logarithm(x):
        read = logarithms_read(_first_rows(x))
        if is_too_many(int(read.is_broken.sum()), int((read.size > 0).sum())):
            raise DataError("X is log-normalised, and no counts show through it: put the raw counts into X")
        return x
    chosen = x if layer is None else layer
    if chosen is None:
        raise DataError("neither X nor a layer of counts: put raw counts into layers['counts']")
    faults = [each for each in (x, layer) if isinstance(each, str)]
    if faults or isinstance(chosen, str):
        raise DataError(f"{'; '.join(faults)}. Store it by cells, for instance adata.X = adata.X.tocsr()")
    return chosen


def is_logarithm(stored: StoredMatrix) -> bool:
    """Whether a matrix is an ``X`` that is observed as it is: its first values are no counts, and nothing speaks against logarithms."""
    if stored.place != "X":
        return False
    values = _first_rows(stored).data
    is_number = np.isfinite(values).all() and (values >= 0).all() and values.max(initial=0) <= LARGEST_LOG
    return bool(is_number and (values != np.round(values)).any())


def _first_rows(stored: StoredMatrix) -> sp.csr_matrix:
    last = int(np.searchsorted(stored.start, _FIRST)) if stored.start is not None else _FIRST // max(stored.shape[1], 1)
    return stored.rows(0, min(max(last, 1), stored.shape[0]))


def stream(
    path: Path,
    keys: Keys,
    *,
    name: str,
    progress: Progress | None = None,
    executor: Executor | None = None,
    checkpoint: Path | None = None,
) -> Dataset:
    """Read cells larger than memory: the data set of `semimech.data.read`, without its cells.

    Memory holds a few blocks of cells, what ``obs`` says, the counts and the covariance of at most `MAX_MOMENT_CELLS` controls, and sums of
    two halves of each condition in each batch; where the latter would take more than `PAIR_BYTES`, controls are summed in a first
    pass and all cells in a second.

    Parameters
    ----------
    path
        An ``.h5ad`` file, ``.zarr`` folder, or 10x ``.h5`` file with a table of its cells beside it (`semimech.data.tenx.cells_of`), with counts in ``X`` or the layer of counts, or log1p of normalised counts in ``X``, in sparse
        rows (csr) or dense.
    keys
        How columns are to be read.
    name
        Name of the data set.
    progress, executor, checkpoint
        See `semimech.data.passes.pass_through`.

    Raises
    ------
    DataError
        If they are stored otherwise; listing every fault of the annotation, or, if it has none, of the values.
    """
    with opened_values(path) as (stored, obs, var):
        annotation, faults = read_annotation(obs, var, keys)
        raise_faults(DataError, f"Data set {name!r}", [fault.fault for fault in faults])
        if annotation is None:
            raise DataError(f"Data set {name!r}: cannot be read")
        rows, _ = large_enough(annotation, keys.min_cells)
        dataset = _summed(
            stored, annotation.take(rows), rows, name, progress=progress, executor=executor, checkpoint=checkpoint
        )
    names = tuple(map(str, var.index))
    return dataset if names == dataset.genes else replace(dataset, var_names=names)


@contextmanager
def opened_values(path: Path) -> Iterator[tuple[StoredMatrix, pd.DataFrame, pd.DataFrame]]:
    """The values of a file, to be read block by block, and what it says of cells and genes.

    Raises
    ------
    DataError
        If there is no such file, it is broken, or its values cannot be streamed.
    """
    if path.exists() and not _may_be_streamed(path):
        raise DataError(
            f"{path}: a {kind_of(path)} cannot be streamed: convert it to .h5ad, or read it with streamed=False"
        )
    with opened(path) as root:
        try:
            stored = stored_values(*stored_matrices(root, path))
        except DataError as error:
            raise DataError(f"{path}: cannot be streamed: {error}; or read it with streamed=False") from None
        if 0 in stored.shape:
            raise DataError(f"{path}: the matrix is empty, {stored.shape[0]} cells × {stored.shape[1]} genes")
        if is_tenx(root):
            with explained(path):
                barcodes, var = names_of(root["matrix"])
            cells, obs = cells_of(path, barcodes)
            yield stored.of(cells), obs, var
            return
        with explained(path):
            obs, var = read_columns(root["obs"]), ad.io.read_elem(root["var"])
        yield stored, obs, var


def _may_be_streamed(path: Path) -> bool:
    return kind_of(path) in (".h5ad file", ".zarr folder", "10x .h5 file")


def _summed(
    stored: StoredMatrix, annotation: Annotation, rows: Int[np.ndarray, " kept"], name: str, **way: Any
) -> Dataset:
    """The data set of these rows of a file, whose annotation this is; ``way`` as of `pass_through`."""
    n_genes, pairs = len(annotation.genes), pairs_of(annotation)
    is_control = control_pairs(annotation, pairs)
    is_twice = 32 * n_genes * len(pairs.condition) > PAIR_BYTES
    index, n_groups = pairs.sums_of_cell, len(is_control)
    if is_twice:
        place, n_groups = np.cumsum(is_control) - 1, int(is_control.sum())
        index = np.where(is_control[pairs.of_cell], 2 * place[pairs.of_cell] + pairs.half, -1)
    sampled = moment_cells(annotation, n_genes)
    asked = Asked(
        is_kept=_at(stored.shape[0], rows, True, False),
        is_sampled=_at(stored.shape[0], rows[sampled], True, False),
        index=_at(stored.shape[0], rows, index, -1),
        n_groups=n_groups,
        batch=_at(stored.shape[0], rows, annotation.batch, 0),
        is_logarithm=is_logarithm(stored),
    )
    part = pass_through(stored, asked, name=name, **way)
    sums = Sums(values=part.values, squares=part.squares)
    is_summed = np.repeat(is_control, 2)
    controls = sums if is_twice else Sums(values=sums.values[is_summed], squares=sums.squares[is_summed])
    effect = effect_of(annotation, pairs, controls)
    if is_twice:
        asked = replace(
            asked,
            is_sampled=np.zeros_like(asked.is_sampled),
            index=_at(stored.shape[0], rows, 2 * annotation.condition + pairs.half, -1),
            n_groups=len(annotation.conditions),
            shift=effect.offset if effect.offset.any() else None,
        )
        again = pass_through(stored, asked, name=name, **way)
        sums = Sums(values=again.values, squares=again.squares)
    moments = (moments_of_conditions if is_twice else moments_of_pairs)(annotation, pairs, sums, effect)
    fingerprint = Fingerprint(n_genes)
    fingerprint.add_hashes(part.hashes)
    return Dataset(
        genes=annotation.genes,
        conditions=annotation.conditions,
        mean=moments.mean,
        standard_error=moments.standard_error,
        n_cells=moments.n_cells,
        scale=part.scale(),
        system=replace(annotation.system, genes=annotation.genes),
        halves=moments.halves,
        control_moments=control_moments(part.counts, part.unit, group=pairs.of_cell[sampled]) if len(sampled) else None,
        name=name,
        fingerprint=fingerprint.of(annotation),
        notes=annotation.notes,
    )


def _at(n_cells: int, rows: Int[np.ndarray, " kept"], what: np.ndarray | bool, elsewhere: int) -> np.ndarray:
    """An array over the cells of a file that says something of these rows."""
    whole = np.full(n_cells, elsewhere, dtype=np.asarray(what).dtype)
    whole[rows] = what
    return whole
