"""Guides: which one each cell carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int

from semimech.data.schema import field, recognise


@dataclass(frozen=True, kw_only=True)
class Guides:
    """Guides of all cells.

    Parameters
    ----------
    names
        Names of the guides.
    code
        Index of each cell's guide, -1 where none is named.
    """

    names: tuple[str, ...]
    code: Int[np.ndarray, " cell"]

    def take(self, rows: Int[np.ndarray, " kept"]) -> Guides:
        """The guides of these cells."""
        return Guides(names=self.names, code=self.code[rows])


def read_guides(obs: pd.DataFrame) -> Guides | None:
    """Guides of the cells, ``None`` without a column of them."""
    column = recognise(field("obs", "guide"), [str(c) for c in obs.columns])
    if column is None or list(obs.columns).count(column) > 1:
        return None
    texts = obs[column].astype(object).where(obs[column].notna(), "").astype(str).str.strip()
    code, names = pd.factorize(texts, sort=True)
    empty = int(np.flatnonzero(names == "")[0]) if "" in set(names) else None
    if empty is None:
        return Guides(names=tuple(map(str, names)), code=code.astype(int))
    return Guides(names=tuple(map(str, names[names != ""])), code=np.where(code == empty, -1, code - (code > empty)))
