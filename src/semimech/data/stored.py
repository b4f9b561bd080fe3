"""The measured matrix as it lies in a file, read block by block of cells."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int

from semimech.data.files import explained, points_inside
from semimech.data.schema import field, recognise
from semimech.data.tenx import genes_of, is_tenx
from semimech.data.walked import refuse_endless

BLOCK = 1 << 21
"""Stored values that are read together: so few that working memory is used again instead of being fetched from the system."""


@dataclass(frozen=True, kw_only=True)
class StoredMatrix:
    """A matrix of cells by genes in an ``.h5ad`` file, 10x ``.h5`` file or ``.zarr`` folder that is open.

    Parameters
    ----------
    path
        The file.
    place
        Where it stands in it: ``X``, ``layers['counts']``, or ``matrix`` of a 10x file.
    stored
        Its group (sparse rows) or array (dense), of h5py or zarr.
    start
        Where each row begins, sparse rows only; ``None`` for a dense matrix.
    shape
        Cells and genes.
    cells, genes
        Rows of it that are its cells, in order, and columns that are its genes; ``None`` if all are.
    n_columns
        Columns that it has, where not all are genes.
    """

    path: Path
    place: str
    stored: Any
    start: Int[np.ndarray, " bound"] | None
    shape: tuple[int, int]
    cells: Int[np.ndarray, " cell"] | None = None
    genes: Int[np.ndarray, " gene"] | None = None
    n_columns: int | None = None

    @property
    def n_bytes(self) -> int:
        """Memory that it takes as it is, not compressed."""
        if self.start is None:
            return int(np.prod(self.shape)) * self.stored.dtype.itemsize
        return int(self.start[-1]) * (self.stored["data"].dtype.itemsize + self.stored["indices"].dtype.itemsize)

    def signature(self) -> str:
        """What tells one state of the file from another, without reading it."""
        parts = [self.path, *(each for each in self.path.rglob("*") if self.path.is_dir())]
        changed = max(part.stat().st_mtime_ns for part in parts)
        chosen = "" if self.cells is None else hashlib.sha256(np.ascontiguousarray(self.cells).data).hexdigest()
        return f"{self.path.resolve()} {self.place} {self.shape} {len(parts)} {self.path.stat().st_size} {changed} {chosen}"

    def of(self, cells: Int[np.ndarray, " cell"]) -> StoredMatrix:
        """The same matrix, of which only these rows, in order, are cells."""
        return replace(self, cells=cells, shape=(len(cells), self.shape[1]))

    def rows(self, first: int, last: int) -> sp.csr_matrix:
        """Cells ``first`` to ``last``, the latter not among them.

        Raises
        ------
        DataError
            If the file turns out to be broken there.
        """
        with explained(self.path):
            if self.cells is None or first == last:
                return self._genes(self._as_csr(first, last, *self._fetched(first, last)))
            begin, end = int(self.cells[first]), int(self.cells[last - 1]) + 1
            block = self._as_csr(begin, end, *self._fetched(begin, end))
            return self._genes(block[self.cells[first:last] - begin])

    def _genes(self, block: sp.csr_matrix) -> sp.csr_matrix:
        return block if self.genes is None else block[:, self.genes]

    def _fetched(self, first: int, last: int) -> tuple[np.ndarray, ...]:
        """What the file has of these cells: their values, and the columns of sparse ones."""
        if self.start is None:
            return (np.asarray(self.stored[first:last]),)
        part = slice(int(self.start[first]), int(self.start[last]))
        return np.asarray(self.stored["data"][part]), np.asarray(self.stored["indices"][part])

    def _as_csr(self, first: int, last: int, values: np.ndarray, genes: np.ndarray | None = None) -> sp.csr_matrix:
        if self.start is None or genes is None:
            return sp.csr_matrix(values)
        bounds = self.start[first : last + 1] - self.start[first]
        n_columns = self.shape[1] if self.n_columns is None else self.n_columns
        block = sp.csr_matrix((values, genes, bounds), shape=(last - first, n_columns))
        if not points_inside(block):
            raise ValueError(f"rows {first} to {last} of the matrix point to genes that it does not have")
        block.sum_duplicates()
        return block

    def blocks(self, bounds: Sequence[int]) -> Generator[tuple[slice, sp.csr_matrix], None, None]:
        """Cells between successive bounds, in order; the next block is fetched while one is worked on."""
        with ThreadPoolExecutor(1) as reader, explained(self.path):
            ahead = reader.submit(self.rows, bounds[0], bounds[1])
            for i, (first, last) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
                block = ahead.result()
                if i + 2 < len(bounds):
                    ahead = reader.submit(self.rows, last, bounds[i + 2])
                yield slice(first, last), block

    def bounds(self) -> list[int]:
        """First cell of each block of as many cells together as hold `BLOCK` values, and the number of cells."""
        if self.start is None:
            chunk = (self.stored.chunks or (1,))[0]
            step = max(BLOCK // self.shape[1] // chunk, 1) * chunk
            return [*range(0, self.shape[0], step), self.shape[0]]
        # What lies between cells is read with them.
        begins, ends = (self.start[:-1], self.start[1:])
        if self.cells is not None:
            begins, ends = begins[self.cells], ends[self.cells]
        bounds = [0]
        while bounds[-1] < self.shape[0]:
            last = int(np.searchsorted(ends, begins[bounds[-1]] + BLOCK, side="right"))
            bounds.append(min(max(last, bounds[-1] + 1), self.shape[0]))
        return bounds


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The root group of an ``.h5ad`` file, 10x ``.h5`` file or ``.zarr`` folder.

    Raises
    ------
    DataError
        If there is no such file, or it is truncated or of another format.
    """
    with ExitStack() as stack:
        with explained(path):
            if path.is_dir():
                import zarr

                root: Any = zarr.open_group(path, mode="r")
            else:
                refuse_endless(path)
                root = stack.enter_context(h5py.File(path))
        yield root


def stored_matrices(root: Any, path: Path) -> tuple[StoredMatrix | str | None, StoredMatrix | str | None]:
    """``X`` and the layer of counts of a file; in words where it cannot be read by cells, ``None`` where there is none.

    Raises
    ------
    DataError
        If the file turns out to be broken.
    """
    with explained(path):
        if is_tenx(root):
            return _tenx(root["matrix"], path), None
        layers = root["layers"] if "layers" in root else {}
        layer = recognise(field("layers", "counts"), list(layers))
        x = _matrix(root["X"], "X", path) if "X" in root else None
        return x, None if layer is None else _matrix(layers[layer], f"layers[{layer!r}]", path)


def read_columns(table: Any) -> pd.DataFrame:
    """A stored data frame, of whose row names only is kept whether they differ: names of millions of cells cost more than the rest.

    Rows are numbered where all names differ.
    """
    attributes = dict(table.attrs)
    names = table[attributes["_index"]] if attributes.get("encoding-type") == "dataframe" else None
    if not isinstance(names, h5py.Dataset) or h5py.check_string_dtype(names.dtype) is None:
        return ad.io.read_elem(table)
    read = names[:].tolist()
    if len(set(read)) < len(read):
        return ad.io.read_elem(table)
    columns = {column: ad.io.read_elem(table[column]) for column in attributes["column-order"]}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(read)))


def _tenx(stored: Any, path: Path) -> StoredMatrix:
    """A 10x matrix: genes by cells in sparse columns, which are cells by genes in sparse rows."""
    n_features, n_cells = map(int, stored["shape"][:])
    genes, start = genes_of(stored), np.asarray(stored["indptr"][:]).astype(np.int64)
    return StoredMatrix(
        path=path,
        place="matrix",
        stored=stored,
        start=start,
        shape=(n_cells, len(genes)),
        genes=None if len(genes) == n_features else genes,
        n_columns=n_features,
    )


def _matrix(stored: Any, place: str, path: Path) -> StoredMatrix | str | None:
    attributes = dict(stored.attrs)
    encoding = attributes.get("encoding-type")
    if encoding == "null":
        return None
    if encoding == "csr_matrix":
        n_cells, n_genes = map(int, attributes["shape"])
        start = np.asarray(stored["indptr"][:]).astype(np.int64)
        return StoredMatrix(path=path, place=place, stored=stored, start=start, shape=(n_cells, n_genes))
    if encoding in ("array", None) and len(getattr(stored, "shape", ())) == 2:
        n_cells, n_genes = map(int, stored.shape)
        return StoredMatrix(path=path, place=place, stored=stored, start=None, shape=(n_cells, n_genes))
    if encoding == "csc_matrix":
        return f"{place} is stored by genes (csc), not by cells"
    return f"{place} is stored as {encoding or 'something unknown'}, neither sparse rows (csr) nor dense"
