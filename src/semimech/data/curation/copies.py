"""Cells that repeat the values of another cell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from semimech.data.findings import CheckFinding, passed, warned
from semimech.data.screen import Screen

MIN_VALUES = 30
"""Values other than zero that a cell needs for an equal one to be no chance."""


def repeated_rows(values: sp.csr_matrix) -> Int[np.ndarray, " copy"]:
    """Rows of 30 or more values that equal an earlier row."""
    ends, seen, copies = values.indptr, set(), []
    for row in np.flatnonzero(np.diff(ends) >= MIN_VALUES):
        part = slice(ends[row], ends[row + 1])
        digest = hashlib.blake2b(values.data[part].tobytes() + values.indices[part].tobytes(), digest_size=16).digest()
        if digest in seen:
            copies.append(row)
        seen.add(digest)
    return np.array(copies, dtype=int)


def check_duplicated_cells(screen: Screen) -> Iterable[CheckFinding]:
    """Whether cells of 30 or more measured genes have equal values, as when files are joined twice."""
    n_repeated = len(repeated_rows(screen.measurement.observed))
    if not n_repeated:
        yield passed("duplicated cells", "no two cells have equal values")
        return
    yield warned(
        "duplicated cells",
        f"{n_repeated} cells repeat the values of another cell",
        threatens="standard errors and held-out scores, if the same cell stands on both sides",
        mend="look whether files were joined twice, and remove the copies: semimech check --fix",
    )
