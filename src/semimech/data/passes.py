"""One pass through a stored matrix: cells observed and summed block by block, in parts that any process can sum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from semimech._errors import DataError, raise_faults
from semimech.data import stored as store
from semimech.data.findings import counted
from semimech.data.fingerprint import Fingerprint
from semimech.data.gathered import Gathered, Part
from semimech.data.normalisation import is_too_many
from semimech.data.rows import counts_read, logarithms_read
from semimech.data.stored import StoredMatrix, opened, stored_matrices
from semimech.data.sums import Sums

PART = 8
"""Blocks that are summed on their own at least, so that other processes can; this alone decides the last digits of the sums."""
PIECE = 1 << 19
"""Values of a block that are observed and summed together."""
VALUES_PER_SUM = 4
"""Values that a part has for each of its sums at least, so that adding up parts costs less than reading them."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of cells, in the order in which they are stored.

    Parameters
    ----------
    is_kept
        Cells that belong to the data set.
    is_sampled
        Those of them whose counts are wanted.
    index
        Which sums each cell is added to, see `Sums`; negative where to none.
    n_groups
        Groups of cells, each with the sums of two halves.
    batch, shift
        Each cell's batch, and what squares are shifted by in each batch, if by anything.
    is_logarithm
        Whether values are logarithms of normalised counts, and not counts.
    """

    is_kept: Bool[np.ndarray, " stored"]
    is_sampled: Bool[np.ndarray, " stored"]
    index: Int[np.ndarray, " stored"]
    n_groups: int
    batch: Int[np.ndarray, " stored"]
    shift: Float[np.ndarray, "batch gene"] | None = None
    is_logarithm: bool = False

    def of(self, first: int, last: int) -> Asked:
        """What is asked of the cells between these."""
        cells = slice(first, last)
        return replace(
            self,
            is_kept=self.is_kept[cells],
            is_sampled=self.is_sampled[cells],
            index=self.index[cells],
            batch=self.batch[cells],
        )

    def key(self) -> str:
        """A hash of all that is asked."""
        whole = hashlib.sha256(f"{self.n_groups} {self.is_logarithm}".encode())
        for array in (self.is_kept, self.is_sampled, self.index, self.batch, self.shift):
            whole.update(b"" if array is None else np.ascontiguousarray(array).data)
        return whole.hexdigest()


def pass_through(
    stored: StoredMatrix,
    asked: Asked,
    *,
    name: str,
    progress: Progress | None = None,
    executor: Executor | None = None,
    checkpoint: Path | None = None,
) -> Part:
    """Sum the cells of a file.

    Parameters
    ----------
    stored
        Their counts, or logarithms of normalised counts.
    asked
        What is asked of them.
    name
        Name of the data set.
    progress
        Called with the cells summed and all cells, after each part.
    executor
        Sums parts, in processes that see the same file; by default this process does, one thread reading and one summing.
        The result is the same to the last digit.
    checkpoint
        File where sums are kept while the pass lasts; what was interrupted goes on from it, if neither the file of counts nor
        what is asked of it has changed.

    Raises
    ------
    DataError
        At the end, if some values are no counts or some cells have none, or no counts show through logarithms.
    """
    bounds = parts_of(stored.bounds(), asked.n_groups * stored.shape[1])
    key = "" if checkpoint is None else f"{stored.signature()} {len(bounds)} {asked.key()}"
    gathered = Gathered(checkpoint, key=key)
    left = bounds[gathered.n_parts :]
    parts = _here(stored, asked, left) if executor is None else _elsewhere(stored, asked, left, executor)
    for part, blocks in zip(parts, left, strict=True):
        gathered.add(part)
        if progress is not None:
            progress(blocks[-1], stored.shape[0])
    whole = gathered.whole()
    faults = []
    if whole.n_wrong:
        what = "logarithms of normalised counts" if asked.is_logarithm else "counts"
        said = f"{stored.place}: values that are no {what}, in {counted(whole.n_wrong, 'cell')}"
        faults.append(f"{said}. Put raw UMI counts there, before normalisation")
    elif is_too_many(whole.n_broken, stored.shape[0] - whole.n_empty):
        said = f"{stored.place} is log-normalised, and no counts show through it in {counted(whole.n_broken, 'cell')}"
        faults.append(f"{said}. Put raw UMI counts there, or read it with streamed=False")
    if whole.n_empty:
        said = f"{counted(whole.n_empty, 'cell')} without a single count in {stored.place}"
        faults.append(f"{said}. Remove them: adata = adata[adata.{stored.place}.sum(axis=1) > 0]")
    gathered.forget()
    raise_faults(DataError, f"Data set {name!r}", faults)
    return whole


def parts_of(bounds: Sequence[int], n_sums: int) -> list[list[int]]:
    """Bounds of blocks, gathered into parts that hold as many values as sums, and at least `PART` blocks."""
    step = max(PART, VALUES_PER_SUM * n_sums // store.BLOCK)
    return [list(bounds[i : i + step + 1]) for i in range(0, len(bounds) - 1, step)]


def _here(stored: StoredMatrix, asked: Asked, parts: Sequence[Sequence[int]]) -> Iterator[Part]:
    if not parts:
        return
    with closing(stored.blocks([parts[0][0], *(bound for part in parts for bound in part[1:])])) as blocks:
        for part in parts:
            yield _part(islice(blocks, len(part) - 1), asked.of(part[0], part[-1]), stored.shape[1])


def _elsewhere(
    stored: StoredMatrix, asked: Asked, parts: Sequence[Sequence[int]], executor: Executor
) -> Iterator[Part]:
    path = stored.path.resolve()
    tasks = [
        executor.submit(
            _part_of_file,
            path,
            stored.place,
            p if stored.cells is None else [bound - p[0] for bound in p],
            asked.of(p[0], p[-1]),
            None if stored.cells is None else stored.cells[p[0] : p[-1]],
        )
        for p in parts
    ]
    tasks.reverse()
    while tasks:
        # What has been handed over is let go, here and on the cluster.
        yield tasks.pop().result()


def _part_of_file(
    path: Path, place: str, bounds: Sequence[int], asked: Asked, cells: Int[np.ndarray, " cell"] | None
) -> Part:
    """One part, in a process that has not opened the file."""
    with opened(path) as root:
        (stored,) = (m for m in stored_matrices(root, path) if isinstance(m, StoredMatrix) and m.place == place)
        stored = stored if cells is None else stored.of(cells)
        return _part(stored.blocks(bounds), asked, stored.shape[1])


def _part(blocks: Iterable[tuple[slice, sp.csr_matrix]], asked: Asked, n_genes: int) -> Part:
    read = logarithms_read if asked.is_logarithm else counts_read
    fingerprint = Fingerprint(n_genes)
    sums = Sums.zero(asked.n_groups, n_genes)
    sizes, totals, hashes, chosen, units = [], [], [], [], []
    n_wrong = n_broken = n_empty = first = 0
    for _, values in blocks:
        cells = asked.of(first, first + values.shape[0])
        first += values.shape[0]
        size, total = np.zeros(values.shape[0]), np.zeros(values.shape[0])
        reduced = np.zeros(values.shape[0], np.uint64)
        for piece in _pieces(cells.index, values.nnz):
            rows = read(values[piece])
            size[piece], total[piece] = rows.size, rows.total
            n_wrong += int(rows.is_wrong.sum())
            n_broken += int(rows.is_broken.sum())
            n_empty += int((rows.size == 0).sum())
            if n_wrong or n_empty:
                continue
            kept = np.flatnonzero(cells.is_kept[piece])
            if len(kept) < len(piece):
                rows, piece = rows.take(kept), piece[kept]
            observed = rows.observed()
            reduced[piece] = fingerprint.hashes(observed)
            sums.add(observed, cells.index[piece], batch=cells.batch[piece], shift=asked.shift)
        sizes.append(size)
        totals.append(total)
        if n_wrong or n_empty:
            continue
        hashes.append(reduced[cells.is_kept])
        sampled = read(values[np.flatnonzero(cells.is_sampled)])
        chosen.append(sampled.counts)
        units.append(sampled.unit)
    return Part(
        values=sums.values,
        squares=sums.squares,
        size=np.concatenate(sizes),
        total=np.concatenate(totals),
        hashes=np.concatenate([np.zeros(0, np.uint64), *hashes]),
        counts=sp.vstack([sp.csr_matrix((0, n_genes), dtype=np.float32), *chosen], "csr"),
        unit=np.concatenate([np.zeros(0), *units]),
        n_wrong=n_wrong,
        n_broken=n_broken,
        n_empty=n_empty,
    )


def _pieces(index: Int[np.ndarray, " cell"], n_values: int) -> list[Int[np.ndarray, " cell"]]:
    """Cells of a block in the order of the sums that they are added to, in pieces of about `PIECE` values: what a piece needs stays in the cache."""
    # Integers of 16 bits are sorted by their digits, in time linear in cells.
    short = index.astype(np.int16) if index.max(initial=0) < 1 << 15 else index
    return np.array_split(np.argsort(short, kind="stable"), min(max(round(n_values / PIECE), 1), len(index)))
