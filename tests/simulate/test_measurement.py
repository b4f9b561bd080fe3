"""Counts follow their law, and their expected logarithm is exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semimech.simulate import Measurement
from semimech.simulate.measurement import draw_batches, draw_libraries, expected_log1p, sample_counts

N = 40_000


@pytest.mark.parametrize("dispersion", [0.0, 0.1])
def test_counts_have_the_moments_and_the_law_of_the_negative_binomial(dispersion):
    rng = np.random.default_rng(1)
    cp10k = np.tile([2.0, 40.0, 900.0], (N, 1))
    counts = sample_counts(cp10k, np.full(N, 2500.0), dispersion=dispersion, rng=rng)
    mean = np.array([0.5, 10.0, 225.0])
    variance = mean + dispersion * mean**2
    assert (np.abs(counts.mean(axis=0) - mean) < 5 * np.sqrt(variance / N)).all()
    np.testing.assert_allclose(counts.var(axis=0), variance, rtol=0.05)
    law = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * 10)) if dispersion else stats.poisson(10)
    observed = np.bincount(counts[:, 1], minlength=60)[:60] / N
    np.testing.assert_allclose(observed, law.pmf(np.arange(60)), atol=0.01)


def test_libraries_are_log_normal_with_the_stated_mean():
    measurement = Measurement(library_mean=5000.0, library_spread=0.4)
    library = draw_libraries(measurement, N, rng=np.random.default_rng(2))
    assert library.mean() == pytest.approx(5000, rel=0.01)
    assert stats.kstest(np.log(library), "norm", (np.log(5000) - 0.08, 0.4)).pvalue > 1e-3


@pytest.mark.parametrize(("library_mean", "dispersion"), [(300.0, 0.0), (2500.0, 0.05), (60000.0, 0.05)])
def test_the_expected_logarithm_agrees_with_sampled_cells(library_mean, dispersion):
    measurement = Measurement(library_mean=library_mean, dispersion=dispersion)
    rng = np.random.default_rng(3)
    cp10k = np.array([0.5, 5.0, 50.0, 500.0, 9444.5])
    library = draw_libraries(measurement, N, rng=rng)
    counts = sample_counts(np.tile(cp10k, (N, 1)), library, dispersion=dispersion, rng=rng)
    values = np.log1p(1e4 * counts / library[:, None])
    difference = values.mean(axis=0) - expected_log1p(cp10k, measurement)
    np.testing.assert_array_less(np.abs(difference), 5 * values.std(axis=0) / np.sqrt(N) + 1e-3)


def test_dividing_by_the_realised_library_changes_the_expected_logarithm_little():
    measurement = Measurement(library_mean=1000.0, dispersion=0.0)
    rng = np.random.default_rng(4)
    cp10k = np.array([10.0, 90.0, 900.0, 9000.0])
    library = draw_libraries(measurement, N, rng=rng)
    counts = sample_counts(np.tile(cp10k, (N, 1)), library, dispersion=0.0, rng=rng)
    values = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(values.mean(axis=0), expected_log1p(cp10k, measurement), atol=0.02)


def test_nothing_is_expected_where_nothing_is_expressed():
    assert expected_log1p(np.zeros(2), Measurement())[0] == pytest.approx(0, abs=1e-9)


def test_batch_factors_average_to_one_over_batches():
    batches = draw_batches(Measurement(), 4, 50, rng=np.random.default_rng(5))
    np.testing.assert_allclose(np.log(batches.depth).mean(), 0, atol=1e-12)
    np.testing.assert_allclose(np.log(batches.gene_fold).mean(axis=0), 0, atol=1e-12)
    assert np.log(batches.gene_fold).std() == pytest.approx(0.1 * np.sqrt(3 / 4), rel=0.15)


def test_one_batch_has_no_effect():
    batches = draw_batches(Measurement(), 1, 5, rng=np.random.default_rng(6))
    np.testing.assert_allclose(batches.gene_fold, 1)
    np.testing.assert_allclose(batches.depth, 1)


def test_abundance_is_relative_to_all_that_is_sequenced():
    cells = np.array([[1.0, 3.0], [2.0, 2.0]])
    np.testing.assert_allclose(Measurement().cp10k(cells).sum(axis=1), 1e4)
    np.testing.assert_allclose(Measurement(outside=9996.0).cp10k(cells), cells)


@pytest.mark.parametrize("fields", [{"library_mean": 0.0}, {"dispersion": -0.1}, {"outside": -1.0}])
def test_impossible_measurements_are_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        Measurement(**fields)
