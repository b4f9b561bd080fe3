"""Counts drawn sparsely follow the negative binomial law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semimech.simulate.sparse import sparse_counts


@pytest.mark.parametrize("dispersion", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("mean", [0.02, 0.9, 7.0, 60.0])
def test_sparse_counts_are_negative_binomial(mean, dispersion):
    """Pearson's statistic over all counts expected ten times or more; Poisson without dispersion."""
    n = 200_000
    rng = np.random.default_rng(3)
    drawn = sparse_counts(np.full((500, 400), mean, np.float32), dispersion=dispersion, rng=rng).toarray()
    seen = np.bincount(drawn.ravel(), minlength=2)
    number = np.arange(len(seen))
    law = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean)) if dispersion else stats.poisson(mean)
    expected = n * law.pmf(number)
    common = expected >= 10
    statistic = ((seen - expected)[common] ** 2 / expected[common]).sum()
    assert stats.chi2.sf(statistic, common.sum()) > 1e-3
    assert seen[~common].sum() < n * law.sf(number[common].max()) + n * law.cdf(number[common].min() - 1) + 30


def test_rows_and_columns_stand_where_their_rates_are():
    rate = np.zeros((4, 6), np.float32)
    rate[1, 2] = rate[1, 5] = rate[3, 0] = 100.0
    drawn = sparse_counts(rate, dispersion=0.02, rng=np.random.default_rng(0))
    assert drawn.has_canonical_format and drawn.dtype == np.int32
    np.testing.assert_array_equal(drawn.toarray() > 0, rate > 0)
