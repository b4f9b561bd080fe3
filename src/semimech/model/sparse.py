"""Which form a network has: the full matrix, its edges alone, or edges and programmes of low rank."""

from __future__ import annotations

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PRNGKeyArray

from semimech.model.dynamics import wiring
from semimech.model.model import CellModel
from semimech.model.network import Edges, Programmes, make_edges
from semimech.model.regulation import SaturatingRegulation

_MANY_REGULATORS = 300
"""Below this the full product is fast enough whatever it holds."""
_TOO_MANY_REGULATORS = 1500
"""Above this the full matrix is out of reach of a fit on a laptop."""
_EDGE_COST = 8
"""One edge costs about as much as so many entries of the full product, gradients included (two cores, 256 courses)."""
_PROGRAMMES = 64
Tree = TypeVar("Tree", bound=eqx.Module)


def rewired(model: Tree, mechanism: SaturatingRegulation) -> Tree:
    """A model with another network in the place of its own."""
    return eqx.tree_at(lambda m: wiring(m.dynamics), model, mechanism)


def sized(
    start: CellModel,
    allowed: Bool[np.ndarray, "gene regulator"],
    known: Bool[np.ndarray, "gene regulator"],
    *,
    key: PRNGKeyArray,
) -> CellModel:
    """An unwired model with its network in the form that suits its size.

    Of many regulators: the allowed edges, if they are few; else, of too many for a full matrix, the edges that are known, and
    64 programmes for all others. The full matrix where neither is so.

    Parameters
    ----------
    start
        A model without edges.
    allowed
        Which edges may be learned.
    known
        Which of them known wiring names.
    key
        Randomness of what the programmes read at first.
    """
    mechanism = wiring(start.dynamics)
    n_genes, n_regulators = allowed.shape
    if mechanism is None or n_regulators < _MANY_REGULATORS:
        return start
    if _is_sparse(allowed):
        return rewired(start, _by_edge(mechanism, jnp.zeros((n_genes, n_regulators)), allowed))
    if n_regulators <= _TOO_MANY_REGULATORS:
        return start
    named = allowed & known
    edges = named if _is_sparse(named) else np.zeros_like(named)
    mechanism = _by_edge(mechanism, jnp.zeros((n_genes, n_regulators)), edges)
    reading = jax.random.normal(key, (n_regulators, _PROGRAMMES)) / np.sqrt(n_regulators)
    programmes = Programmes(reading=reading, writing=jnp.zeros((n_genes, _PROGRAMMES)))
    has_programmes = eqx.tree_at(lambda m: m.programmes, mechanism, programmes, is_leaf=lambda leaf: leaf is None)
    return rewired(start, has_programmes)


def thinned(members: CellModel) -> CellModel:
    """The same laws, by edge where that is faster: many regulators, few of them of each gene.

    Parameters
    ----------
    members
        Models of an ensemble, arrays stacked over members.
    """
    mechanism = wiring(members.dynamics)
    if mechanism is None or mechanism.edges is not None or mechanism.weight.shape[-1] < _MANY_REGULATORS:
        return members
    has_edge = (np.asarray(mechanism.weight) != 0).any(axis=0)
    return rewired(members, _by_edge(mechanism, mechanism.weight, has_edge)) if _is_sparse(has_edge) else members


def _is_sparse(edges: Bool[np.ndarray, "gene regulator"]) -> bool:
    return int(edges.sum()) * _EDGE_COST <= edges.size


def _by_edge(mechanism: SaturatingRegulation, weight: Array, has_edge: np.ndarray) -> SaturatingRegulation:
    """A network whose weights are those of a full matrix where there are edges."""
    gene, regulator = np.nonzero(has_edge)
    edges = make_edges(gene, regulator, n_genes=has_edge.shape[0], n_regulators=has_edge.shape[1])
    kept = weight[..., edges.gene, edges.regulator]
    parts: tuple[Array, Edges] = (kept, edges)
    return eqx.tree_at(lambda m: (m.weight, m.edges), mechanism, parts, is_leaf=lambda leaf: leaf is None)
