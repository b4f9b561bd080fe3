from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2
from small_guides import bottlenecked, library

from semimech import DataError
from semimech.abundance import Shares, counted_shares, estimate_founders
from semimech.abundance.bottleneck import law_of


def known(share):
    return Shares(share=share, size=np.full(len(share), np.inf))


@pytest.mark.parametrize(("founders", "variable", "truth"), [(40, False, 40), (400, True, 200), (6_000, True, 3_000)])
def test_the_interval_holds_the_effective_number_of_founders(founders, variable, truth):
    rng = np.random.default_rng(3)
    share = library(100, rng)
    before = rng.multinomial(300_000, share).astype(float)
    counts = bottlenecked(share, founders=founders, reads=100_000, variable=variable, rng=rng).astype(float)
    found = estimate_founders(counts, counted_shares(before), dispersion=0.0, level=0.99)
    assert found.lower < truth < found.upper
    assert found.founders == pytest.approx(truth, rel=0.35)
    assert found.lost == (counts == 0).sum()


def test_many_reads_of_many_founders_give_the_moment_estimate_of_drift():
    """With shares p known, deviations (f - p)² / (p (1 - p)) have the mean 1/N."""
    rng = np.random.default_rng(4)
    share = library(200, rng)
    counts = bottlenecked(share, founders=200_000, reads=10**9, rng=rng).astype(float)
    observed = counts / counts.sum()
    moment = 1.0 / np.mean((observed - share) ** 2 / (share * (1 - share)))
    found = estimate_founders(counts, known(share), clone_variance=0.0, dispersion=0.0)
    assert found.founders == pytest.approx(moment, rel=0.02)
    # the variance of a variance, from 200 normal deviates
    half = 1.645 * math.sqrt(2 / 200)
    assert math.log(found.upper / found.lower) == pytest.approx(2 * half, rel=0.15)


def test_a_sample_without_bottleneck_has_no_upper_end():
    rng = np.random.default_rng(5)
    share = library(60, rng)
    found = estimate_founders(rng.multinomial(20_000, share).astype(float), known(share), dispersion=0.0)
    assert found.upper == math.inf
    assert found.lower > 5_000


@pytest.mark.parametrize(("spread", "is_excess"), [(0.0, False), (0.3, True)])
def test_more_spread_than_drift_explains_is_noticed_and_only_that(spread, is_excess):
    rng = np.random.default_rng(6)
    share = library(100, rng)
    counts = bottlenecked(share, founders=20_000, reads=200_000, spread=spread, rng=rng).astype(float)
    found = estimate_founders(counts, known(share), clone_variance=0.1)
    assert (found.spread_p < 0.01) == is_excess
    if is_excess:
        assert found.dispersion == pytest.approx(spread, rel=0.4)


def test_founders_told_from_some_guides_are_those_of_the_whole_sample():
    rng = np.random.default_rng(7)
    share = library(600, rng)
    counts = bottlenecked(share, founders=3_000, reads=300_000, rng=rng).astype(float)
    some = known(share)[np.arange(200)]
    found = estimate_founders(counts[:200], some, clone_variance=0.0, dispersion=0.0, level=0.99)
    assert found.lower < 3_000 < found.upper


def test_unequal_clones_count_for_fewer_founders_than_there_are_heads():
    rng = np.random.default_rng(8)
    share = library(100, rng)
    counts = bottlenecked(share, founders=2_000, reads=50_000, variable=True, rng=rng).astype(float)
    found = estimate_founders(counts, known(share), clone_variance=1.0, dispersion=0.0)
    assert found.cells == pytest.approx(2 * found.founders)


@pytest.mark.parametrize("founders", [200, 5_000])
def test_an_interval_ends_where_the_likelihood_has_fallen_by_half_of_chi_squared(founders):
    """Equal clones and deep reads make it narrower than any step of a search."""
    rng = np.random.default_rng(9)
    share = library(200, rng)
    counts = bottlenecked(share, founders=founders, reads=10**6, rng=rng).astype(float)
    known_law = {"clone_variance": 0.0, "dispersion": 0.0}
    found = estimate_founders(counts, known(share), **known_law)
    for end in (found.lower, found.upper):
        law = law_of(known(share), float(counts.sum()), end, **known_law)
        assert found.log_likelihood - law.log_prob(counts).sum() == pytest.approx(chi2.ppf(0.9, 1) / 2, abs=0.11)


def test_every_fault_of_the_counts_is_told_at_once():
    with pytest.raises(DataError, match=r"(?s)3 neutral barcodes.*0 or more"):
        estimate_founders(np.array([1.0, -2.0, 3.0]), known(np.full(3, 0.1)))
    with pytest.raises(DataError, match="no reads of neutral barcodes: leave the sample out"):
        estimate_founders(np.zeros(20), known(np.full(20, 0.05)))
