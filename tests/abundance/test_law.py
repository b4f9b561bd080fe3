from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from small_guides import bottlenecked, library

from semimech.abundance import CountLaw, Shares, counted_shares
from semimech.abundance.law import EXACT, MATCHED


def law(share, *, cells, reads, clone_variance=0.0, dispersion=0.0, size=np.inf):
    share = np.atleast_1d(np.asarray(share, float))
    shares = Shares(share=share, size=np.full(len(share), float(size)))
    return CountLaw(
        shares=shares, reads=float(reads), cells=float(cells), clone_variance=clone_variance, dispersion=dispersion
    )


def probabilities(share, most, **options):
    counts = np.arange(float(most))
    return counts, np.exp(law(np.full(most, share), **options).log_prob(counts))


@pytest.mark.parametrize("clone_variance", [0.0, 1.0])
@pytest.mark.parametrize("dispersion", [0.0, 0.1])
@pytest.mark.parametrize(("share", "cells"), [(0.02, 30), (0.02, 600), (0.05, 2_000)])
def test_counts_have_the_mean_and_the_variance_of_drift_clones_and_reads(share, cells, clone_variance, dispersion):
    reads = 20 / share
    counts, p = probabilities(
        share, 4_000, cells=cells, reads=reads, clone_variance=clone_variance, dispersion=dispersion
    )
    mean = (p * counts).sum()
    drift = (1 + clone_variance) * (1 - share) / (share * cells)
    beyond = drift + dispersion * (1.0 + (1 - share) / (share * cells))  # the dispersion acts on what drifted
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    assert mean == pytest.approx(20.0, rel=1e-4)
    assert (p * counts**2).sum() - mean**2 == pytest.approx(20 + 400 * beyond, rel=0.06)


def test_few_founders_with_equal_clones_are_binomial_and_their_reads_poisson():
    counts, p = probabilities(0.3, 60, cells=5, reads=40)
    by_hand = sum(stats.binom.pmf(k, 5, 0.3) * stats.poisson.pmf(counts, 40 * k / 5) for k in range(6))
    np.testing.assert_allclose(p, by_hand, rtol=1e-8, atol=1e-12)


def test_clones_that_grow_at_random_are_lost_from_the_reads_as_the_compound_law_says():
    """With Poisson founders and exponential clones the chance of no read is exp(-λ m / (1 + m)), m reads per founder."""
    expected, per_founder = 2.0, 3.0
    p = np.exp(law(expected / 1e9, cells=1e9, reads=per_founder * 1e9, clone_variance=1.0).log_prob(np.zeros(1)))
    assert p[0] == pytest.approx(np.exp(-expected * per_founder / (1 + per_founder)), rel=1e-6)


def test_a_share_that_was_counted_adds_the_variance_of_that_count():
    counts, p = probabilities(1e-6, 2_000, cells=1e7, reads=2e7, size=50)
    mean = (p * counts).sum()
    assert (p * counts**2).sum() - mean**2 == pytest.approx(20 + 400 * (1 / 10 + 1 / 50), rel=1e-3)


def test_the_matched_law_stays_close_to_the_sum_that_it_replaces():
    counts = np.arange(400.0)
    p = np.exp(law(np.full(400, 1e-6), cells=MATCHED * 1e6 + 1, reads=100e6).log_prob(counts))
    number = np.arange(150)[:, None]
    exact = (stats.poisson.pmf(number, MATCHED) * stats.poisson.pmf(counts, number * 100 / MATCHED)).sum(axis=0)
    assert np.abs(p - exact).sum() / 2 < 0.03


@pytest.mark.parametrize("clone_variance", [0.001, 1.0, 5.0])
@pytest.mark.parametrize("expected", [18, 27, 38])
def test_probabilities_add_up_to_one_where_one_law_fades_into_the_other(expected, clone_variance):
    _, p = probabilities(
        expected / 1e4, 60 * expected, cells=1e4, reads=10 * 1e4, clone_variance=clone_variance, dispersion=0.0
    )
    assert p.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("edge", [EXACT, MATCHED])
def test_a_likelihood_has_no_step_where_one_law_fades_into_the_other(edge):
    counts = np.array([10.0, 40.0, 120.0])
    below, above = (
        law(np.full(3, 1e-4), cells=edge * 1e4 * f, reads=4e5).log_prob(counts) for f in (1 - 1e-7, 1 + 1e-7)
    )
    np.testing.assert_allclose(below, above, atol=1e-5)


def test_residuals_of_simulated_drift_are_standard_normal():
    rng = np.random.default_rng(1)
    share = library(3_000, rng)
    counts = bottlenecked(share, founders=15_000, reads=300_000, variable=True, rng=rng).astype(float)
    found = CountLaw(
        shares=Shares(share=share, size=np.full(3_000, np.inf)),
        reads=300_000.0,
        cells=15_000.0,
        clone_variance=1.0,
        dispersion=0.0,
    ).residual(counts)
    assert found.mean() == pytest.approx(0.0, abs=0.05)
    assert found.std() == pytest.approx(1.0, abs=0.07)


def test_residuals_keep_their_precision_in_both_tails():
    found = law(np.full(2, 1e-3), cells=1e9, reads=1e5).residual(np.array([0.0, 400.0]))
    assert found[0] == pytest.approx(stats.norm.ppf(stats.poisson.pmf(0, 100) / 2), rel=1e-3)
    assert found[1] == pytest.approx(stats.norm.isf(stats.poisson.sf(400, 100)), rel=0.02)


def test_shares_of_counts_sum_to_one_and_rest_on_what_was_counted():
    found = counted_shares(np.array([0.0, 9.0, 90.0]))
    assert found.share.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(found.size, [0.5, 9.5, 90.5])
