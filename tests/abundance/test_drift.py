from __future__ import annotations

import numpy as np
import pytest
from scipy.special import digamma, polygamma

from semimech.abundance import CountLaw, Shares
from semimech.abundance.drift import log_change_moments


def law(share, **options):
    return CountLaw(shares=Shares(share=share, size=np.full(len(share), np.inf)), **options)


def test_gamma_spread_has_the_moments_of_a_logarithm_of_gamma():
    """Of size s the logarithm has mean ψ(s) - log s and variance ψ'(s)."""
    share = np.array([1e-3, 1e-2])
    mean, variance = log_change_moments(law(share, reads=1e9, cells=1e12, clone_variance=0.0, dispersion=0.5))
    np.testing.assert_allclose(mean, digamma(2.0) - np.log(2.0), atol=0.01)
    np.testing.assert_allclose(variance, polygamma(1, 2.0), rtol=0.03)


def test_drift_of_few_founders_has_the_moments_of_draws():
    rng = np.random.default_rng(0)
    share, cells, reads = np.array([1e-3, 4e-3]), 10_000, 1_000_000
    founders = np.maximum(rng.binomial(cells, share, size=(40_000, 2)), 0)
    clones = np.where(founders > 0, rng.gamma(np.maximum(founders, 1)), 0.0)
    draws = np.log((rng.poisson(clones * reads / cells) + 0.5) / (reads * share + 0.5))
    mean, variance = log_change_moments(
        law(share, reads=float(reads), cells=float(cells), clone_variance=1.0, dispersion=0.0)
    )
    np.testing.assert_allclose(mean, draws.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(variance, draws.var(axis=0), rtol=0.1)
    assert mean == pytest.approx(sorted(mean))  # rare barcodes lose most on the logarithm
