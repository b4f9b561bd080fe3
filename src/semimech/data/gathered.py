"""What parts of a pass give, put together in order, and kept in a file while the pass lasts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Shaped

from semimech._files import replacing
from semimech.data.scale import Scale, count_scale

KEEP_SECONDS = 30.0
"""How often sums are written to the file, if there is one: a pass that is interrupted loses no more work than that."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What cells of a file, in order, give.

    Parameters
    ----------
    values, squares
        Their sums, see `semimech.data.sums.Sums`.
    size, total
        Counts in each of them, and its normalised expression over all genes.
    hashes
        What each of those kept is reduced to, see `semimech.data.fingerprint.Fingerprint`.
    counts, unit
        Counts of those that are sampled, single precision, and the normalised expression of one count in each.
    n_wrong, n_broken, n_empty
        Number of cells with what can be no value, of those in which no counts show through, and of those without any.
    """

    values: Float[np.ndarray, "half gene"]
    squares: Float[np.ndarray, "half gene"]
    size: Float[np.ndarray, " stored"]
    total: Float[np.ndarray, " stored"]
    hashes: Shaped[np.ndarray, " kept"]
    counts: sp.csr_matrix
    unit: Float[np.ndarray, " sampled"]
    n_wrong: int
    n_broken: int
    n_empty: int

    @property
    def target_sum(self) -> float:
        """Sum of genes to which cells were normalised, their median."""
        return float(np.median(self.total[self.total > 0]))

    def scale(self) -> Scale:
        """Map between states and means of what is observed."""
        filled = self.total > 0
        sizes = self.target_sum / self.total[filled] * self.size[filled]
        return count_scale(sizes, target_sum=self.target_sum)


class Gathered:
    """Parts added in order.

    Parameters
    ----------
    path
        File where they are kept; ``None`` to keep them in memory only. If it was written with the same key, it is gone on from;
        if with another, or damaged, it is written anew.
    key
        What parts depend on.
    """

    def __init__(self, path: Path | None, *, key: str) -> None:
        self._path, self._key = path, key
        self._parts: list[Part] = []
        self.n_parts = 0
        self._kept_at = time.monotonic()
        if path is not None:
            self._go_on(path)

    def add(self, part: Part) -> None:
        """Add the next part, whose sums are used up."""
        if self._parts:
            # Sums are added where they stand; what says something of each cell is strung together at the end.
            first = self._parts[0]
            np.add(first.values, part.values, out=first.values)
            np.add(first.squares, part.squares, out=first.squares)
            nothing = first.values[:0]
            self._parts.append(replace(part, values=nothing, squares=nothing))
        else:
            self._parts.append(part)
        self.n_parts += 1
        if self._path is not None and time.monotonic() - self._kept_at > KEEP_SECONDS:
            self._keep(self._path)

    def whole(self) -> Part:
        """All parts as one."""
        first, parts = self._parts[0], self._parts
        whole = replace(
            first,
            size=np.concatenate([part.size for part in parts]),
            total=np.concatenate([part.total for part in parts]),
            hashes=np.concatenate([part.hashes for part in parts]),
            counts=sp.vstack([part.counts for part in parts], "csr"),
            unit=np.concatenate([part.unit for part in parts]),
            n_wrong=sum(part.n_wrong for part in parts),
            n_broken=sum(part.n_broken for part in parts),
            n_empty=sum(part.n_empty for part in parts),
        )
        self._parts = [whole]
        return whole

    def forget(self) -> None:
        """Remove the file, once the pass has come to its end."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()

    def _keep(self, path: Path) -> None:
        part = self.whole()
        arrays: dict[str, Any] = {each.name: getattr(part, each.name) for each in fields(part) if each.name != "counts"}
        arrays |= {name: getattr(part.counts, name) for name in ("data", "indices", "indptr")}
        with replacing(path) as temporary:
            np.savez(temporary, key=np.array(self._key), n_parts=self.n_parts, n_genes=part.counts.shape[1], **arrays)
        self._kept_at = time.monotonic()

    def _go_on(self, path: Path) -> None:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                if str(archive["key"]) == self._key:
                    self._parts, self.n_parts = [_read(archive)], int(archive["n_parts"])
        except Exception:  # noqa: BLE001 - numpy raises many kinds on damaged files, and without one nothing is lost but time
            self._parts, self.n_parts = [], 0


def _read(archive: Mapping[str, np.ndarray]) -> Part:
    indptr = archive["indptr"]
    shape = (len(indptr) - 1, int(archive["n_genes"]))
    arrays: dict[str, Any] = {name: archive[name] for name in ("values", "squares", "size", "total", "hashes", "unit")}
    return Part(
        counts=sp.csr_matrix((archive["data"], archive["indices"], indptr), shape=shape),
        n_wrong=int(archive["n_wrong"]),
        n_broken=int(archive["n_broken"]),
        n_empty=int(archive["n_empty"]),
        **arrays,
    )
