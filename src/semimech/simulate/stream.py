"""Screens too large for memory, written to a file block by block of cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import jax
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int, PRNGKeyArray

from semimech._files import replacing
from semimech._h5ad import any_strings
from semimech.simulate._random import generator
from semimech.simulate.describe import describe_truth
from semimech.simulate.measurement import Batches, Measurement, draw_batches, draw_libraries
from semimech.simulate.pool import StatePool, make_pool
from semimech.simulate.screen import ScreenDesign, allocate, observations, unedited
from semimech.simulate.sparse import sparse_counts
from semimech.simulate.world import World

BLOCK = 256
"""Cells drawn together; part of what a key means, so that it is no argument."""

_CHUNK = 1 << 18
_CACHE_BYTES = 1 << 24


def stream_screen(
    world: World,
    design: ScreenDesign,
    path: str | Path,
    *,
    n_states: int = 256,
    key: PRNGKeyArray,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Simulate a screen straight to an ``.h5ad`` file, whole or not at all.

    The file is that of `simulate_screen` and `write_screen`, but for two things. The cells of a condition take the states
    of a pool of ``n_states`` cells, each time with a library, a batch and counts of their own; what the truth in
    ``uns["truth"]`` holds is the mean over that pool. And it is not compressed; ``layers["counts"]`` is a second name of
    ``X``, so that it takes no place. Memory holds the pool, ``obs`` and one block of cells.

    Parameters
    ----------
    world
        The cells.
    design
        What is done with them.
    path
        File to write.
    n_states
        States per condition; a mean over the pool has the standard error of a mean over so many cells.
    key
        Decides all draws.
    progress
        Called with the cells written and all cells, after each block.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    ExperimentError
        If an edited gene or a medium is unknown to the world.
    ValueError
        If cells change medium, or are edited, after time 0, or ``n_states`` is below 1.
    """
    if n_states < 1:
        raise ValueError(f"n_states must be at least 1, got {n_states}")
    draw_key, pool_key, cell_key = jax.random.split(key, 3)
    rng = generator(draw_key)
    condition, batch = allocate(design, rng)
    is_escaper = rng.random(len(condition)) < design.escaper_share
    is_escaper &= np.array([not c.is_control for c in design.conditions])[condition]
    batches = draw_batches(design.measurement, design.n_batches, len(world.genes), rng=rng)
    obs = observations(design, condition, batch, rng)
    lived = [*design.conditions, *map(unedited, design.conditions)]
    pool = make_pool(world, lived, n_states, key=pool_key)
    truth = pool.truth(world, design.measurement, len(design.conditions))
    row = pool.path[condition + len(design.conditions) * is_escaper]
    uns = {
        "truth": describe_truth(world, truth, measurement=design.measurement, batches=batches, is_escaper=is_escaper)
    }
    with replacing(path) as temporary, h5py.File(temporary, "w", rdcc_nbytes=_CACHE_BYTES) as file:
        matrix = _SparseRows(file, "X", (len(row), len(world.genes)))
        for number, first in enumerate(range(0, len(row), BLOCK)):
            some = slice(first, first + BLOCK)
            block_rng = generator(jax.random.fold_in(cell_key, number))
            matrix.append(_measure(pool, row[some], batch[some], batches, design.measurement, block_rng))
            if progress is not None:
                progress(min(first + BLOCK, len(row)), len(row))
        matrix.close()
        _describe(file, obs, pd.DataFrame(index=list(world.genes)), uns)


def _measure(
    pool: StatePool,
    row: Int[np.ndarray, " cell"],
    batch: Int[np.ndarray, " cell"],
    batches: Batches,
    measurement: Measurement,
    rng: np.random.Generator,
) -> sp.csr_matrix:
    state = rng.integers(0, pool.abundance.shape[1], len(row))
    abundance = pool.abundance[row, state] * batches.gene_fold.astype(np.float32)[batch]
    library = draw_libraries(measurement, len(row), rng=rng) * batches.depth[batch]
    unit = library / (abundance.sum(axis=1, dtype=float) + measurement.outside)
    return sparse_counts(abundance * unit.astype(np.float32)[:, None], dispersion=measurement.dispersion, rng=rng)


class _SparseRows:
    """A growing group of an h5ad file in the layout ``csr_matrix``, see the on-disk format of anndata."""

    def __init__(self, file: h5py.File, name: str, shape: tuple[int, int]) -> None:
        self._group = file.create_group(name)
        self._group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
        for part in ("data", "indices"):
            self._group.create_dataset(part, (0,), np.int32, maxshape=(None,), chunks=(_CHUNK,))
        self._lengths: list[np.ndarray] = []
        self._size = 0

    def append(self, rows: sp.csr_matrix) -> None:
        """Write further rows."""
        begin, self._size = self._size, self._size + rows.nnz
        for part in ("data", "indices"):
            self._group[part].resize((self._size,))
            self._group[part][begin:] = getattr(rows, part)
        self._lengths.append(np.diff(rows.indptr))

    def close(self) -> None:
        """Write where each row begins."""
        ends = np.cumsum(np.concatenate(self._lengths), dtype=np.int64)
        self._group.create_dataset("indptr", data=np.concatenate([[0], ends]))


def _describe(file: h5py.File, obs: pd.DataFrame, var: pd.DataFrame, uns: dict[str, Any]) -> None:
    """Write all but the counts."""
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    elements: dict[str, Any] = {"obs": obs, "var": var, "uns": uns} | {
        name: {} for name in ("layers", "obsm", "varm", "obsp", "varp")
    }
    with any_strings():
        for name, element in elements.items():
            ad.io.write_elem(file, name, element)
    file["layers"]["counts"] = file["X"]
