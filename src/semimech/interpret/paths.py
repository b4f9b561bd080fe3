r"""From a linear system to the paths along which a change travels.

At a steady state the total effect is :math:`\Delta z = (I - A)^{-1} b = \sum_n A^n b`, and each term of the sum is one path: what was
done to the first gene times the edges on the way. In time each gene on the way also delays what passes it, by its own decay. A
path may pass a gene more than once where there is feedback.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech.interpret.secant import Difference

_KEPT = 400


@dataclass(frozen=True, kw_only=True, eq=False)
class _Partial:
    """A path so far: what was done, the genes passed, and the change of the last of them over time."""

    source: int
    genes: tuple[int, ...]
    series: Float[np.ndarray, "member time"]


def path_contributions(
    found: Difference, gene: int, *, own: tuple[int | None, ...], max_edges: int, kept: int = _KEPT
) -> dict[tuple[int, tuple[int, ...]], Float[np.ndarray, " member"]]:
    """What each path contributes to the relative change of one gene at the end.

    After each edge the ``kept`` most promising beginnings are followed, by the size of their change times that of all ways
    that still lead from there to the gene. With so many that none is dropped, all paths are found.

    Parameters
    ----------
    found
        The linear system.
    gene
        Where paths end.
    own
        The gene that each source edits, if it is measured: a direct effect on it is the beginning of paths, not an edge.
    max_edges
        Longest path; the step from an edited gene, a medium or ``"any edit"`` to the first gene that it drives is an edge.
    kept
        Beginnings to follow.

    Returns
    -------
    dict
        By source and genes passed, without the edited gene: the contribution by each law.
    """
    direct = np.einsum("mgts,mscg->mcgt", found.respond, found.direct)
    size, n_genes = found.size, len(found.size)
    reach = np.zeros((max_edges + 1, n_genes))  # size of the ways of up to so many edges from each gene to the last
    reach[:, gene] = 1.0
    for edges in range(1, max_edges + 1):
        reach[edges] = reach[0] + size.T @ reach[edges - 1]
    contributions: dict[tuple[int, tuple[int, ...]], np.ndarray] = {}
    frontier = [
        _Partial(source=source, genes=() if end == own[source] else (end,), series=direct[:, source, end])
        for source in range(len(found.sources))
        for end in range(n_genes)
        if direct[:, source, end].any()
    ]
    while frontier:
        for partial in frontier:
            if _end(partial, own) == gene:
                key = (partial.source, partial.genes)
                contributions[key] = contributions.get(key, 0.0) + partial.series[:, -1]
        frontier = _extended(found, frontier, size, reach, own, max_edges, kept)
    return contributions


def _end(partial: _Partial, own: tuple[int | None, ...]) -> int:
    """The gene that a beginning has reached."""
    found = partial.genes[-1] if partial.genes else own[partial.source]
    if found is None:
        raise ValueError("a path begins at a gene")
    return found


def _extended(
    found: Difference,
    frontier: list[_Partial],
    size: Float[np.ndarray, "gene gene"],
    reach: Float[np.ndarray, "edges gene"],
    own: tuple[int | None, ...],
    max_edges: int,
    kept: int,
) -> list[_Partial]:
    """Every beginning one edge longer, as far as it can still reach the gene; the most promising ones."""
    frontier = [partial for partial in frontier if len(partial.genes) < max_edges]
    if not frontier:
        return []
    ends = np.array([_end(partial, own) for partial in frontier])
    left = np.array([max_edges - len(partial.genes) - 1 for partial in frontier])
    strength = np.array([np.abs(partial.series).mean() for partial in frontier])
    promise = strength[:, None] * size[:, ends].T * reach[left]
    best = np.argsort(-promise, axis=None, kind="stable")[:kept]
    rows, targets = np.unravel_index(best[promise.ravel()[best] > 0], promise.shape)
    longer = []
    edges = found.edges(targets, ends[rows])
    for number, (row, target) in enumerate(zip(rows.tolist(), targets.tolist(), strict=True)):
        before = frontier[row]
        driven = edges[..., number] * before.series
        series = np.einsum("mts,ms->mt", found.respond[:, target], driven)
        longer.append(_Partial(source=before.source, genes=(*before.genes, target), series=series))
    return longer
