from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse as sp

from semimech.data.batch_effect import BatchEffect
from semimech.data.moments import PRIOR_CELLS, condition_moments, control_moments


def pooled(values, condition, batch=None, offset=None, variance=None, seed=0):
    batch = np.zeros(len(condition), dtype=int) if batch is None else batch
    offset = np.zeros((batch.max() + 1, values.shape[1])) if offset is None else offset
    effect = BatchEffect(
        offset=offset,
        variance=np.zeros_like(offset) if variance is None else variance,
        is_corrected=np.ones(len(offset), dtype=bool),
    )
    return condition_moments(
        sp.csr_matrix(values),
        condition=condition,
        batch=batch,
        effect=effect,
        n_conditions=int(condition.max()) + 1,
        rng=np.random.default_rng(seed),
    )


@hypothesis.given(seed=st.integers(0, 1000))
@hypothesis.settings(max_examples=20)
def test_means_and_standard_errors_are_those_of_cells_with_their_batch_offset_subtracted(seed):
    rng = np.random.default_rng(seed)
    condition, batch = np.concatenate([np.arange(3), rng.integers(0, 3, 60)]), rng.integers(0, 4, 63)
    values, offset = rng.poisson(1.0, (63, 5)).astype(float), rng.normal(0, 1, (4, 5))
    found = pooled(values, condition, batch, offset)
    corrected = values - offset[batch]
    groups = [corrected[condition == c] for c in range(3)]
    np.testing.assert_allclose(found.mean, [g.mean(axis=0) for g in groups], atol=1e-12)
    scatter = np.array([((g - g.mean(axis=0)) ** 2).sum(axis=0) for g in groups])
    n = np.array([len(g) for g in groups])[:, None]
    variance = (scatter + PRIOR_CELLS * scatter.sum(axis=0) / (63 - 3)) / (n - 1 + PRIOR_CELLS)
    np.testing.assert_allclose(found.standard_error, np.sqrt(variance / n), rtol=1e-9)


def test_the_standard_error_is_the_spread_of_means_over_repetitions():
    rng = np.random.default_rng(0)
    condition = np.repeat(np.arange(400), 12)
    found = pooled(rng.gamma(2.0, 1.0, (4800, 6)), condition)
    np.testing.assert_allclose(found.standard_error.mean(axis=0), found.mean.std(axis=0), rtol=0.1)


def test_a_single_cell_has_the_pooled_spread_and_no_halves():
    rng = np.random.default_rng(1)
    condition = np.concatenate([np.zeros(500, dtype=int), [1]])
    found = pooled(rng.normal(3, 2.0, (501, 4)), condition)
    np.testing.assert_allclose(found.standard_error[1], 2.0, rtol=0.1)
    assert np.isnan(found.halves[:, 1]).all() and np.isfinite(found.halves[:, 0]).all()


def test_the_variance_left_by_batch_correction_enters_by_the_share_of_each_batch():
    condition, batch = np.zeros(4, dtype=int), np.array([0, 0, 0, 1])
    variance = np.array([[1.0], [3.0]])
    found = pooled(np.ones((4, 1)), condition, batch, np.zeros((2, 1)), variance)
    np.testing.assert_allclose(found.standard_error, np.sqrt(0.75**2 * 1 + 0.25**2 * 3))


def test_halves_are_means_of_two_parts_that_differ_by_at_most_one_cell():
    rng = np.random.default_rng(2)
    n = [2, 3, 8, 9]
    condition = rng.permutation(np.repeat(np.arange(4), n))
    found = pooled(rng.normal(0, 1, (22, 3)), condition)
    for c, size in enumerate(n):
        first, second = (size + 1) // 2, size // 2
        np.testing.assert_allclose(first * found.halves[0, c] + second * found.halves[1, c], size * found.mean[c])


def test_the_same_seed_gives_the_same_halves():
    values, condition = np.random.default_rng(3).normal(0, 1, (40, 2)), np.zeros(40, dtype=int)
    np.testing.assert_array_equal(pooled(values, condition).halves, pooled(values, condition).halves)
    assert (pooled(values, condition).halves != pooled(values, condition, seed=1).halves).any()


def counted(rate, *, library, seed):
    rng = np.random.default_rng(seed)
    share = rate / 1e4
    size = rng.lognormal(np.log(library), 0.3, (len(rate), 1))
    return sp.csr_matrix(rng.poisson(size * share).astype(float)), 1e4 / size.ravel()


def test_poisson_counting_leaves_no_variance_beyond_the_floor_and_no_covariance():
    rate = np.tile(np.array([20.0, 50.0, 200.0]), (20000, 1))
    counts, unit = counted(rate, library=5000, seed=0)
    found = control_moments(counts, unit, group=np.zeros(20000, dtype=int))
    raw = np.diag(found.covariance) + found.noise
    np.testing.assert_array_less(np.diag(found.covariance), 0.1 * raw)
    off = found.covariance[~np.eye(3, dtype=bool)]
    assert np.abs(off).max() < 4 * found.noise.max() / np.sqrt(20000)


def test_the_covariance_of_states_is_recovered_through_counting_noise():
    rng = np.random.default_rng(1)
    true = np.array([[0.10, 0.06, 0.0], [0.06, 0.12, -0.03], [0.0, -0.03, 0.08]])
    z = rng.multivariate_normal(np.zeros(3), true, 30000)
    state = np.maximum(1 + z, 0) * np.array([40.0, 100.0, 300.0])
    counts, unit = counted(state, library=5000, seed=2)
    found = control_moments(counts, unit, group=np.zeros(30000, dtype=int))
    np.testing.assert_allclose(found.covariance, true, atol=0.008)
    assert found.n_cells == 30000


def test_a_shift_between_groups_is_no_covariance():
    rate = np.repeat([[50.0, 100.0], [100.0, 200.0]], 8000, axis=0)
    counts, unit = counted(rate, library=5000, seed=3)
    apart = control_moments(counts, unit, group=np.repeat([0, 1], 8000))
    together = control_moments(counts, unit, group=np.zeros(16000, dtype=int))
    assert abs(apart.covariance[0, 1]) < 0.005
    np.testing.assert_allclose(together.covariance[0, 1], 1 / 9, atol=0.01)


def test_a_gene_without_counts_gets_unit_variance_and_no_covariance():
    counts = sp.csr_matrix(np.array([[1.0, 0, 4], [2, 0, 1], [3, 0, 2]]))
    found = control_moments(counts, np.array([1.0, 1.0, 2.0]), group=np.zeros(3, dtype=int))
    assert found.covariance[1, 1] == 1 and not found.covariance[1, [0, 2]].any() and found.noise[1] == 0


@pytest.mark.parametrize("n", [0, 1, 3])
def test_cells_that_are_alone_in_their_group_have_no_moments(n):
    counts = sp.csr_matrix(np.ones((n, 2)))
    assert control_moments(counts, np.ones(n), group=np.arange(n)) is None


def test_cells_without_counts_are_left_out():
    counts = sp.csr_matrix(np.array([[1.0, 2], [2, 1], [0, 0]]))
    assert control_moments(counts, np.array([1.0, 1.0, np.nan]), group=np.zeros(3, dtype=int)).n_cells == 2
