"""A screen larger than memory as far as a check needs it: what was done to all cells, and the values of some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from semimech.data.annotate import Annotation
from semimech.data.findings import CheckFinding, passed
from semimech.data.guides import read_guides
from semimech.data.matrix import Measurement, observe
from semimech.data.passes import Asked, Progress, pass_through
from semimech.data.schema import Keys
from semimech.data.screen import Screen, large_enough, largest_doses, read_annotation
from semimech.data.stream import is_logarithm, opened_values

MOST_CELLS = 50_000
"""Cells whose values are kept, in equal parts of all conditions."""
FEWEST_CELLS = 20
"""Cells kept of each condition however many conditions there are."""


def read_sample(
    path: Path, keys: Keys, *, progress: Progress | None = None
) -> tuple[tuple[Screen, Screen] | None, tuple[CheckFinding, ...]]:
    """Read a file that can be streamed, once through.

    Parameters
    ----------
    path
        An ``.h5ad`` file or ``.zarr`` folder.
    keys
        How columns are to be read.
    progress
        Called with the cells read and all cells, after each block.

    Returns
    -------
    tuple
        The screen of all cells, but without their values (all are zero), and that of some cells, with them; ``None`` if the
        annotation cannot be read. And all faults of the annotation.

    Raises
    ------
    DataError
        If the file cannot be streamed, or holds what is no count or cells without any.
    """
    with opened_values(path) as (stored, obs, var):
        annotation, faults = read_annotation(obs, var, keys)
        if faults or annotation is None:
            return None, faults
        rows, findings = large_enough(annotation, keys.min_cells)
        annotation, guides = annotation.take(rows), read_guides(obs)
        chosen = _some_of_each(annotation)
        is_chosen = np.zeros(stored.shape[0], dtype=bool)
        is_chosen[rows[chosen]] = True
        nowhere = np.full(stored.shape[0], -1)
        asked = Asked(is_kept=is_chosen, is_sampled=is_chosen, index=nowhere, n_groups=0, batch=nowhere)
        asked = replace(asked, is_logarithm=is_logarithm(stored))
        part = pass_through(stored, asked, name=path.stem, progress=progress)
    if asked.is_logarithm:
        source = "log-normalised X, counts recovered from it"
        said = f"{source}; normalised to a median sum of {part.target_sum:.4g} over these genes"
    else:
        source = f"counts in {stored.place}"
        said = f"{source}, median depth {np.median(part.size):.0f}; observed as log1p CP10k"
    note = passed("scale of X", said)
    whole = Screen(
        annotation=annotation,
        measurement=Measurement(
            observed=sp.csr_matrix((len(rows), stored.shape[1]), dtype=np.float32),
            counts=None,
            unit=None,
            scale=part.scale(),
            source=source,
        ),
        var_names=tuple(map(str, var.index)),
        findings=(note, *annotation.findings, *findings),
        doses=largest_doses(obs.iloc[rows], annotation),
        guides=None if guides is None else guides.take(rows),
    )
    some = whole.take(chosen)
    measurement = replace(
        some.measurement,
        observed=observe(part.counts, part.unit),
        counts=part.counts,
        unit=part.unit,
    )
    return (whole, replace(some, measurement=measurement)), ()


def _some_of_each(annotation: Annotation) -> Int[np.ndarray, " kept"]:
    """Cells of each condition, drawn at random, the same at each reading."""
    condition = annotation.condition
    n = np.bincount(condition)
    order = np.lexsort((np.random.default_rng(0).random(len(condition)), condition))
    position = np.arange(len(order)) - np.repeat(np.cumsum(n) - n, n)
    return np.sort(order[position < max(MOST_CELLS // len(n), FEWEST_CELLS)])
