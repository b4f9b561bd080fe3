"""What is known of the wiring: a table of edges as a mask, or as a weaker penalty on the edges it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import DataError, raise_faults
from semimech.model.plan import Roster


@dataclass(frozen=True, kw_only=True)
class PriorNetwork:
    """Edges believed to exist.

    Parameters
    ----------
    edges
        Columns ``source``, ``target`` and optionally ``sign`` (+1, -1, or 0 for unknown).
    use
        ``"soft"`` makes edges outside the table dearer by ``strength``; ``"mask"`` forbids them.
    strength
        Factor on the sparsity penalty of edges outside the table.

    Raises
    ------
    DataError
        If a column is missing, a name is empty, the use is unknown, or the strength is below 1.
    """

    edges: pd.DataFrame
    use: Literal["soft", "mask"] = "soft"
    strength: float = 4.0

    def __post_init__(self) -> None:
        faults = [
            f"column {c!r} is missing; a network has columns source, target and, if known, sign"
            for c in ("source", "target")
            if c not in self.edges.columns
        ]
        if not faults and self.edges[["source", "target"]].map(_is_nameless).any(axis=None):
            faults.append("an edge has no source or no target: remove such rows")
        if self.use not in ("soft", "mask"):
            faults.append(f"use must be 'soft' or 'mask', got {self.use!r}")
        if not self.strength >= 1:
            faults.append(f"strength must be at least 1, got {self.strength:g}")
        raise_faults(DataError, "prior network", faults)

    def known(self, roster: Roster) -> Float[np.ndarray, "gene regulator"]:
        """One where an edge is in the table, row target, column regulator."""
        row = {name: i for i, name in enumerate(roster.genes)}
        column = {name: i for i, name in enumerate(roster.regulators)}
        known = np.zeros((len(row), len(column)), np.float32)
        edges = self.edges[self.edges["target"].isin(row) & self.edges["source"].isin(column)]
        known[edges["target"].map(row).to_numpy(int), edges["source"].map(column).to_numpy(int)] = 1.0
        return known


def _is_nameless(name: object) -> bool:
    return name is None or name != name or not str(name).strip()


def edge_penalty(prior: PriorNetwork | None, roster: Roster) -> Float[np.ndarray, "gene regulator"]:
    """Relative price of each edge in the sparsity penalty; infinite where an edge is forbidden.

    A gene's effect on itself is forbidden: it cannot be told from its degradation.
    """
    shape = (len(roster.genes), len(roster.regulators))
    price = np.ones(shape, np.float32)
    if prior is not None:
        outside = np.inf if prior.use == "mask" else prior.strength
        price = np.where(prior.known(roster) > 0, 1.0, outside).astype(np.float32)
        is_unmeasured = np.arange(shape[1]) >= shape[0]
        price[:, is_unmeasured] = np.where(np.isinf(price[:, is_unmeasured]), 1.0, price[:, is_unmeasured])
    np.fill_diagonal(price[:, : shape[0]], np.inf)
    return price
