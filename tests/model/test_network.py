from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semimech.model import Programmes, make_edges


def drawn(n_genes: int, n_regulators: int, n_edges: int, seed: int = 0) -> tuple:
    """Edges, their weights and the full matrix, of which the first regulator has as many edges as there are genes."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(n_genes * n_regulators)[:n_edges]
    has_edge = np.zeros((n_genes, n_regulators), bool)
    has_edge.ravel()[cells] = True
    has_edge[:, 0] = n_edges > 0
    gene, regulator = rng.permutation(np.argwhere(has_edge)).T
    edges = make_edges(gene, regulator, n_genes=n_genes, n_regulators=n_regulators)
    weight = rng.normal(size=len(gene)).astype(np.float32)
    full = np.zeros((n_genes, n_regulators), np.float32)
    full[edges.gene, edges.regulator] = weight
    return edges, jnp.asarray(weight), full


@pytest.mark.parametrize(("n_genes", "n_regulators", "n_edges"), [(1, 1, 0), (9, 4, 0), (7, 50, 120), (70, 9, 200)])
def test_a_product_by_edge_is_the_product_with_the_full_matrix(n_genes, n_regulators, n_edges):
    edges, weight, full = drawn(n_genes, n_regulators, n_edges)
    signal = np.random.default_rng(1).normal(size=(2, 3, n_regulators)).astype(np.float32)
    np.testing.assert_allclose(edges.product(weight, jnp.asarray(signal)), signal @ full.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(edges.full(weight), full)


@pytest.mark.parametrize("n_members", [0, 3])
def test_gradients_by_edge_are_those_of_the_full_matrix_there(n_members):
    edges, weight, full = drawn(90, 60, 700)
    rng = np.random.default_rng(1)
    signal, pull = (rng.normal(size=(4, n)).astype(np.float32) for n in (60, 90))
    gradient = jax.grad(lambda weight, signal: jnp.sum(edges.product(weight, signal) * pull), argnums=(0, 1))
    scales = np.arange(1.0, n_members + 1, dtype=np.float32)
    if n_members:
        found = jax.vmap(lambda s: gradient(s * weight, s * signal))(scales)
    else:
        found, scales = [leaf[None] for leaf in gradient(weight, jnp.asarray(signal))], np.ones(1, np.float32)
    for scale, by_weight, by_signal in zip(scales, *found, strict=True):
        np.testing.assert_allclose(
            by_weight, scale * (pull.T @ signal)[edges.gene, edges.regulator], rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(by_signal, scale * (pull @ full), rtol=1e-4, atol=1e-4)


def test_programmes_act_as_their_full_matrix_without_what_a_gene_says_to_itself():
    rng = np.random.default_rng(0)
    reading, writing = (rng.normal(size=(n, 3)).astype(np.float32) for n in (12, 10))
    programmes = Programmes(reading=jnp.asarray(reading), writing=jnp.asarray(writing))
    full = writing @ reading.T
    full[np.arange(10), np.arange(10)] = 0.0
    signal = rng.normal(size=(5, 12)).astype(np.float32)
    np.testing.assert_allclose(programmes.full(), full, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(programmes.product(jnp.asarray(signal)), signal @ full.T, rtol=1e-4, atol=1e-5)
