"""Networks of many genes: products edge by edge, with gradients of their own, and programmes of low rank."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Float, Int

_PIECE = 20
_BLOCKS = 50


class Pieces(eqx.Module):
    """The edges of each gene (or of each regulator), in rows of equal length; who has many has several rows.

    Parameters
    ----------
    owner
        Whose edges each row holds; ascending.
    edge
        Which edges; one past the last where a row is not full.
    other
        What is at the other end of each.
    place
        Where each edge stands in the flattened rows.
    n_owners
        How many there are, edges or not.
    """

    owner: Int[np.ndarray, " piece"]
    edge: Int[np.ndarray, "piece slot"]
    other: Int[np.ndarray, "piece slot"]
    place: Int[np.ndarray, " edge"]
    n_owners: int = eqx.field(static=True)

    def weighted_sum(self, weight: Float[Array, " edge"], x: Float[Array, "other n"]) -> Float[Array, "owner n"]:
        """For each owner the sum over its edges of their weight times what is at the other end."""
        x = _by_row(x)
        by_slot = jnp.append(weight, jnp.zeros(1, weight.dtype))[self.edge]

        def add(total: Array, slot: tuple[Array, Array]) -> tuple[Array, None]:
            weight, other = slot
            return total + weight[:, None] * x[other], None

        start = jnp.zeros((len(self.owner), x.shape[1]), x.dtype)
        sums, _ = jax.lax.scan(add, start, (by_slot.T, jnp.asarray(self.other.T)), unroll=self.edge.shape[1])
        return _by_row(jax.ops.segment_sum(sums, self.owner, self.n_owners, indices_are_sorted=True))

    def dots(self, y: Float[Array, "owner n"], x: Float[Array, "other n"]) -> Float[Array, " edge"]:
        """For each edge the dot product of what is at its ends, some rows at a time: what they gather stays in cache."""
        y, x = _by_row(y), _by_row(x)
        n_pieces, n_slots = self.edge.shape
        n_together = max(-(-n_pieces // _BLOCKS), 1)
        padding = (-n_pieces) % n_together
        owner = jnp.pad(self.owner, (0, padding)).reshape(-1, n_together)
        other = jnp.pad(self.other, ((0, padding), (0, 0))).reshape(-1, n_together, n_slots)

        def block(rows: tuple[Array, Array]) -> Array:
            owner, other = rows
            return jnp.einsum("pn,psn->ps", y[owner], x[other])

        found = jax.lax.map(block, (owner, other))
        return found.reshape(-1)[self.place]


class Edges(eqx.Module):
    """Which genes regulate which.

    Parameters
    ----------
    gene, regulator
        The two ends of each edge, by gene.
    by_gene, by_regulator
        The same in rows, for products and for their gradients.
    """

    gene: Int[np.ndarray, " edge"]
    regulator: Int[np.ndarray, " edge"]
    by_gene: Pieces
    by_regulator: Pieces

    def product(self, weight: Float[Array, " edge"], signal: Float[Array, "*n regulator"]) -> Float[Array, "*n gene"]:
        """What all regulators together say to each gene: ``signal @ W.T`` with the full matrix ``W``."""
        product = _product((weight, signal.reshape(-1, signal.shape[-1]).T), self)
        return product.T.reshape(*signal.shape[:-1], self.by_gene.n_owners)

    def full(self, weight: Float[Array, "*member edge"]) -> Float[Array, "*member gene regulator"]:
        """The full matrix."""
        shape = (*weight.shape[:-1], self.by_gene.n_owners, self.by_regulator.n_owners)
        return jnp.zeros(shape, weight.dtype).at[..., self.gene, self.regulator].set(weight)


def make_edges(
    gene: Int[np.ndarray, " edge"], regulator: Int[np.ndarray, " edge"], *, n_genes: int, n_regulators: int
) -> Edges:
    """Edges between numbered genes and regulators, of which none stands twice."""
    order = np.lexsort((regulator, gene))
    gene, regulator = gene[order].astype(np.int32), regulator[order].astype(np.int32)
    return Edges(
        gene=gene,
        regulator=regulator,
        by_gene=_pieces(gene, regulator, n_genes),
        by_regulator=_pieces(regulator, gene, n_regulators),
    )


def _pieces(owner: Int[np.ndarray, " edge"], other: Int[np.ndarray, " edge"], n_owners: int) -> Pieces:
    n_edges = len(owner)
    order = np.argsort(owner, kind="stable")
    degree = np.bincount(owner, minlength=n_owners)
    width = int(np.clip(degree.max(initial=1), 1, _PIECE))
    within = np.arange(n_edges) - np.repeat(np.cumsum(degree) - degree, degree)
    n_pieces = -(-degree // width)
    piece = np.repeat(np.cumsum(n_pieces) - n_pieces, degree) + within // width
    rows = np.repeat(np.arange(n_owners), n_pieces)
    edge = np.full((len(rows), width), n_edges, np.int32)
    edge[piece, within % width] = order
    ends = np.append(other, np.int32(0))
    place = np.empty(n_edges, np.int32)
    place[order] = piece * width + within % width
    return Pieces(owner=rows.astype(np.int32), edge=edge, other=ends[edge], place=place, n_owners=n_owners)


def _by_row(x: Float[Array, "row n"]) -> Float[Array, "row n"]:
    """The same numbers, each row in one place: left to itself the compiler takes a transposed view and gathers from all over it."""
    return with_layout_constraint(x, Layout(major_to_minor=(0, 1)))


@eqx.filter_custom_vjp
def _product(inputs: tuple[Array, Array], edges: Edges) -> Array:
    weight, columns = inputs
    return edges.by_gene.weighted_sum(weight, columns)


@_product.def_fwd
def _product_forward(perturbed: object, inputs: tuple[Array, Array], edges: Edges) -> tuple[Array, tuple[Array, Array]]:
    del perturbed
    return _product(inputs, edges), inputs


@_product.def_bwd
def _product_backward(
    kept: tuple[Array, Array], cotangent: Array, perturbed: object, inputs: tuple[Array, Array], edges: Edges
) -> tuple[Array, Array]:
    del perturbed, inputs
    weight, columns = kept
    return edges.by_gene.dots(cotangent, columns), edges.by_regulator.weighted_sum(weight, cotangent)


class Programmes(eqx.Module):
    """A network of low rank: what all genes say is read into some programmes, and these are written to all genes.

    Parameters
    ----------
    reading
        What of each regulator's signal enters a programme.
    writing
        What each programme does to a gene; zero before it is trained.
    """

    reading: Float[Array, "*member regulator programme"]
    writing: Float[Array, "*member gene programme"]

    def product(self, signal: Float[Array, "*n regulator"]) -> Float[Array, "*n gene"]:
        """What the programmes say to each gene, without what it would say to itself, which cannot be told from its degradation."""
        n_genes = len(self.writing)
        own = jnp.sum(self.reading[:n_genes] * self.writing, axis=1)
        return (signal @ self.reading) @ self.writing.T - own * signal[..., :n_genes]

    def full(self) -> Float[Array, "*member gene regulator"]:
        """The full matrix."""
        matrix = self.writing @ jnp.swapaxes(self.reading, -1, -2)
        own = jnp.arange(matrix.shape[-2])
        return matrix.at[..., own, own].set(0.0)
