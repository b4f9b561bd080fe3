"""What is known of the wiring: tables of edges as a mask, or as a weaker penalty on the edges that they hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float

from semimech._errors import DataError, raise_faults
from semimech.model.plan import Roster


@dataclass(frozen=True, kw_only=True)
class PriorNetwork:
    """Edges believed to exist.

    Parameters
    ----------
    edges
        Columns ``source``, ``target`` and optionally ``sign`` (+1, -1, or 0 for unknown) and ``known_from``, the names of the tables
        that hold the edge, joined by ``;`` (`semimech.model.merge_regulons`).
    use
        ``"soft"`` makes edges outside the tables dearer by ``strength``, as often as inner validation finds that each table should count;
        ``"mask"`` forbids them.
    strength
        Factor on the sparsity penalty of edges outside a table that counts once.
    counts
        How often each soft table counts, in the order of `tables`; inner validation chooses if none is given.

    Raises
    ------
    DataError
        If a column is missing, a name is empty, the use is unknown, the strength is below 1, or counts do not fit the tables.
    """

    edges: pd.DataFrame
    use: Literal["soft", "mask"] = "soft"
    strength: float = 4.0
    counts: tuple[float, ...] = ()

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
        if self.counts and (self.use == "mask" or not all(0 <= count < np.inf for count in self.counts)):
            faults.append(
                f"counts must be numbers that are 0 or more, of soft tables, got {list(self.counts)} for use {self.use!r}"
            )
        elif self.counts and not faults and len(self.counts) != len(self.tables):
            faults.append(
                f"counts must be one for each of the tables {', '.join(self.tables)}, got {list(self.counts)}"
            )
        raise_faults(DataError, "prior network", faults)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables, in order of appearance; one without a name if the edges do not say."""
        if "known_from" not in self.edges.columns:
            return ("",)
        return tuple(dict.fromkeys(name for names in self.edges["known_from"] for name in str(names).split(";")))

    def by_table(self, roster: Roster) -> Bool[np.ndarray, "table gene regulator"]:
        """Whether an edge is in each table, row target, column regulator."""
        if "known_from" not in self.edges.columns:
            return self.known(roster)[None] > 0
        held = [[name in str(names).split(";") for names in self.edges["known_from"]] for name in self.tables]
        return np.stack([replace(self, edges=self.edges[rows]).known(roster) > 0 for rows in held])

    def known(self, roster: Roster) -> Float[np.ndarray, "gene regulator"]:
        """One where an edge is in any table, row target, column regulator."""
        row = {name: i for i, name in enumerate(roster.genes)}
        column = {name: i for i, name in enumerate(roster.regulators)}
        known = np.zeros((len(row), len(column)), np.float32)
        edges = self.edges[self.edges["target"].isin(row) & self.edges["source"].isin(column)]
        known[edges["target"].map(row).to_numpy(int), edges["source"].map(column).to_numpy(int)] = 1.0
        return known


def _is_nameless(name: object) -> bool:
    return name is None or name != name or not str(name).strip()


def edge_penalty(prior: PriorNetwork | None, roster: Roster) -> Float[np.ndarray, "gene regulator"]:
    """Relative price of each edge in the sparsity penalty before soft tables count; infinite where an edge is forbidden.

    A gene's effect on itself is forbidden: it cannot be told from its degradation. A mask leaves targets that are not measured free.
    """
    n_genes = len(roster.genes)
    price = np.ones((n_genes, len(roster.regulators)), np.float32)
    if prior is not None and prior.use == "mask":
        price[:, :n_genes] = np.where(prior.known(roster)[:, :n_genes] > 0, 1.0, np.inf)
    np.fill_diagonal(price[:, :n_genes], np.inf)
    return price


def table_factor(
    known: Bool[Array | np.ndarray, " table *edge"],
    counts: Float[Array | np.ndarray, " table"],
    strength: Float[Array | np.ndarray, ""] | float,
) -> Float[Array, "*edge"]:
    r"""Factor of soft tables on the price of each edge: :math:`s^{\,\max_k c_k - \max_{k \ni e} c_k}`, one where none counts.

    Parameters
    ----------
    known
        Which edges each table holds.
    counts
        :math:`c_k`, how often each table counts, 0 or more.
    strength
        :math:`s`, the factor on edges outside a table that counts once.
    """
    if not known.shape[0]:
        return jnp.ones(known.shape[1:])
    each = jnp.asarray(counts).reshape(-1, *(1,) * (known.ndim - 1))
    held = jnp.max(jnp.where(known, each, 0.0), axis=0)
    return strength ** (jnp.max(counts) - held)
