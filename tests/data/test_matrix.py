from __future__ import annotations

import anndata as ad
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_screens import normalised

from semimech.data.matrix import read_matrix, recover_counts


def adata(x, **layers):
    n, g = x.shape
    names = {
        "obs": pd.DataFrame(index=[f"c{i}" for i in range(n)]),
        "var": pd.DataFrame(index=[f"g{i}" for i in range(g)]),
    }
    return ad.AnnData(X=x, layers=layers, **names)


def poisson_counts(n=60, genes=30, depth=200.0, seed=0):
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(genes))
    counts = rng.poisson(rng.lognormal(np.log(depth), 0.4, (n, 1)) * share)
    counts[:, 0] += 1
    return counts.astype(np.float32)


@pytest.mark.parametrize(
    "make", [np.asarray, sp.csr_matrix, sp.csc_matrix, lambda x: sp.csr_matrix(x).astype(np.int64)]
)
def test_counts_are_observed_as_log1p_cp10k(make):
    counts = poisson_counts()
    found, faults = read_matrix(adata(make(counts)))
    assert faults == ()
    np.testing.assert_allclose(found.observed.toarray(), normalised(counts, target_sum=1e4), rtol=1e-5)
    np.testing.assert_array_equal(found.counts.toarray(), counts)


@hypothesis.given(target_sum=st.floats(50, 1e6), seed=st.integers(0, 50), depth=st.floats(60, 3000))
@hypothesis.settings(max_examples=25)
def test_counts_are_recovered_exactly_from_log_normalised_values(target_sum, seed, depth):
    counts = poisson_counts(depth=depth, seed=seed)
    counts[:, 1] = 1  # a single count, the smallest step
    found, faults = read_matrix(adata(sp.csr_matrix(normalised(counts, target_sum=target_sum))))
    assert faults == ()
    np.testing.assert_array_equal(found.counts.toarray(), counts)
    np.testing.assert_allclose(found.unit, target_sum / counts.sum(axis=1), rtol=1e-4)


def test_cells_without_counts_are_to_be_removed_by_the_layer_that_holds_the_counts():
    data = adata(sp.csr_matrix(np.ones((3, 2))), counts=sp.csr_matrix(np.array([[1.0, 2], [0, 0], [3, 1]])))
    (fault,) = read_matrix(data)[1]
    assert fault.mend == "remove them: adata = adata[adata.layers['counts'].sum(axis=1) > 0]"
    assert data[data.layers["counts"].sum(axis=1) > 0].obs_names.tolist() == ["c0", "c2"]


def test_counts_are_recovered_in_cells_whose_smallest_count_is_not_one():
    counts = np.array([[2.0, 3, 5], [4, 6, 9], [1, 7, 0], [3, 6, 8], [0, 0, 0]])
    unit, found = recover_counts(sp.csr_matrix(counts * 0.37))
    np.testing.assert_array_equal(found.toarray(), counts)
    np.testing.assert_allclose(unit, [0.37] * 4 + [np.nan])


def test_values_that_are_no_multiples_give_no_counts():
    x = np.random.default_rng(0).gamma(2.0, 0.5, (40, 30))
    found, faults = read_matrix(adata(x))
    assert faults == () and found.counts is None and found.unit is None and found.scale.name == "log1p"
    np.testing.assert_allclose(found.observed.toarray(), x, rtol=1e-6)
    assert [f.check for f in found.findings if f.severity == "warning"] == ["counts"]


def test_a_log_normalised_matrix_is_observed_as_it_is_and_takes_counts_from_the_layer():
    counts = poisson_counts()
    x = normalised(counts, target_sum=500.0)
    found, _ = read_matrix(adata(x, counts=sp.csr_matrix(counts)))
    np.testing.assert_array_equal(found.observed.toarray(), x)
    np.testing.assert_allclose(found.unit, 500 / counts.sum(axis=1), rtol=1e-5)


def test_a_panel_cut_out_of_normalised_cells_keeps_its_own_scale():
    counts = poisson_counts(n=4000, genes=80, depth=400.0)
    x = normalised(counts, target_sum=1e4)[:, :40]
    found, _ = read_matrix(adata(sp.csr_matrix(x)))
    np.testing.assert_array_equal(found.counts.toarray(), counts[:, :40])
    # The state of a gene is its mean normalised expression, whatever the sum over the panel.
    expression = np.expm1(x).mean(axis=0)
    seen = expression > 10
    seen[0] = False  # never zero here, so not Poisson
    np.testing.assert_allclose(found.scale.to_state(x.mean(axis=0))[seen], expression[seen], rtol=0.05)


def test_a_scaled_matrix_is_passed_over_for_counts_in_a_layer():
    counts = poisson_counts()
    found, faults = read_matrix(adata(counts - counts.mean(axis=0), counts=sp.csr_matrix(counts)))
    assert faults == () and found.findings[0].severity == "warning"
    np.testing.assert_allclose(found.observed.toarray(), normalised(counts, target_sum=1e4), rtol=1e-5)


def test_repeated_entries_of_a_sparse_matrix_are_summed():
    x = sp.csr_matrix((np.array([1.0, 2.0, 1.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 2))
    found, _ = read_matrix(adata(x))
    np.testing.assert_array_equal(found.counts.toarray(), [[3, 1]])


def test_reading_leaves_the_file_as_it_was():
    data = adata(sp.csr_matrix(poisson_counts()))
    before = data.X.copy()
    read_matrix(data)
    assert (data.X != before).nnz == 0


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.array([[1.0, np.nan], [1, 1]]), "NaN"),
        (np.array([[1.0, -2], [1, 1]]), "negative"),
        (np.array([[1.0, 2], [0, 0]]), "without a single count"),
        (np.array([[1.5, 200.0], [1, 1]]), "neither counts nor log-normalised"),
        (np.zeros((0, 2)), "empty"),
    ],
)
def test_a_matrix_that_cannot_be_used_is_named(x, words):
    found, faults = read_matrix(adata(x))
    assert found is None and words in faults[0].fault and faults[0].mend


def test_a_layer_of_counts_must_hold_integers():
    found, faults = read_matrix(adata(poisson_counts(), counts=sp.csr_matrix(poisson_counts() * 0.3)))
    assert found is None and "not integers" in faults[0].fault
