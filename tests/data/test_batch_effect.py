from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from semimech.data.batch_effect import MIN_CONTROLS, estimate_batch_effect, group_sums


def controls(offset, n, *, sd=1.0, stratum=None, seed=0):
    """Normal cells, ``n[b]`` in each batch, shifted by ``offset[b]``."""
    rng = np.random.default_rng(seed)
    offset = np.asarray(offset, dtype=float)
    batch = np.repeat(np.arange(len(n)), n)
    values = 5.0 + offset[batch] + rng.normal(0, sd, (len(batch), offset.shape[1]))
    stratum = np.zeros(len(batch), dtype=int) if stratum is None else stratum[batch]
    return estimate_batch_effect(sp.csr_matrix(values), batch=batch, stratum=stratum, n_batches=len(n))


def test_sums_by_group_agree_with_adding_the_rows():
    rng = np.random.default_rng(0)
    values, code = rng.poisson(1.0, (50, 7)).astype(float), rng.integers(0, 4, 50)
    found = group_sums(sp.csr_matrix(values), code, 5)
    np.testing.assert_allclose(found, [values[code == g].sum(axis=0) for g in range(5)])


def test_large_offsets_are_recovered_from_many_controls():
    offset = np.random.default_rng(1).normal(0, 1.0, (3, 40))
    found = controls(offset, [4000] * 3)
    np.testing.assert_allclose(found.offset, offset - offset.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(found.offset.sum(axis=0), 0, atol=1e-8)
    assert found.is_corrected.all()


def test_without_a_batch_effect_the_offsets_shrink_far_below_their_noise():
    found = controls(np.zeros((4, 500)), [25] * 4)
    noise = np.sqrt(3 / 4 / 25)
    assert np.sqrt((found.offset**2).mean()) < 0.25 * noise


@pytest.mark.parametrize("effect", [0.05, 0.2, 1.0])
def test_shrunk_offsets_are_nearer_the_truth_than_no_correction_and_full_correction(effect):
    rng = np.random.default_rng(2)
    offset = rng.normal(0, effect, (5, 400))
    offset -= offset.mean(axis=0)
    n = [15, 20, 40, 60, 90]
    found = controls(offset, n, seed=3)
    full = rng.normal(0, 1, (5, 400)) / np.sqrt(n)[:, None]
    error = ((found.offset - offset) ** 2).mean()
    assert error < 1.05 * (offset**2).mean()
    assert error < 1.05 * (full**2).mean()


def test_the_stated_variance_is_the_error_that_remains():
    rng = np.random.default_rng(4)
    offset = rng.normal(0, 0.3, (6, 2000))
    offset -= offset.mean(axis=0)
    found = controls(offset, [30] * 6, seed=5)
    error = ((found.offset - offset) ** 2).mean()
    assert 0.8 < found.variance.mean() / error < 1.25


def test_a_batch_that_shares_no_stratum_with_another_is_not_corrected():
    offset = np.array([[0.0], [2.0], [1.0]]) * np.ones(50)
    found = controls(offset, [200] * 3, stratum=np.array([0, 0, 1]))
    np.testing.assert_allclose(found.offset[:2], [[-1.0] * 50, [1.0] * 50], atol=0.3)
    np.testing.assert_array_equal(found.offset[2], 0)
    assert found.is_corrected.tolist() == [True, True, False]
    assert (found.variance[2] > found.variance[0]).all()


def test_a_stratum_effect_is_not_taken_for_a_batch_effect():
    rng = np.random.default_rng(6)
    batch, stratum = np.repeat([0, 0, 1, 1], [300, 100, 100, 300]), np.repeat([0, 1, 0, 1], [300, 100, 100, 300])
    values = 3.0 * stratum[:, None] + rng.normal(0, 1, (800, 60))
    found = estimate_batch_effect(sp.csr_matrix(values), batch=batch, stratum=stratum, n_batches=2)
    assert np.abs(found.offset).max() < 0.2


def test_batches_of_few_controls_are_not_corrected():
    found = controls(np.array([[-1.0], [0], [1]]) * np.ones(20), [200, 200, MIN_CONTROLS - 1])
    assert found.is_corrected.tolist() == [True, True, False]
    np.testing.assert_array_equal(found.offset[2], 0)


@pytest.mark.parametrize("n", [[50], [0, 0], [50, 3]])
def test_one_batch_or_no_controls_need_no_correction(n):
    found = controls(np.zeros((len(n), 4)), n)
    assert not found.offset.any() and not found.variance.any() and not found.is_corrected.any()
