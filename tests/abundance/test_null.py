from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semimech.abundance import NeutralNull
from semimech.abundance.null import shared_by_genes


@pytest.mark.parametrize("n", [1, 4, 30])
def test_the_mean_of_normal_scores_has_the_tails_of_the_normal_law(n):
    scores = stats.norm.ppf((np.arange(4_000) + 0.5) / 4_000)
    for z in (0.5, 2.0, 4.0):
        p = NeutralNull(scores=scores).two_sided(np.array([z, -z]) / np.sqrt(n), n)
        expected = 2 * stats.norm.sf(z)
        if n == 1 and z > 3:
            continue  # one score of 4,000 does not tell such tails
        np.testing.assert_allclose(p, expected, rtol=0.12)


def test_smoothing_keeps_mean_and_variance_of_the_scores():
    scores = np.random.default_rng(0).exponential(size=60)
    grid, mass = NeutralNull(scores=scores)._summed(3)
    mean = (grid * mass).sum()
    assert mean == pytest.approx(3 * scores.mean(), abs=0.01)
    assert ((grid - mean) ** 2 * mass).sum() == pytest.approx(3 * scores.var(ddof=0), rel=0.05)


def test_genes_of_neutral_guides_reach_a_level_as_often_as_it_says():
    rng = np.random.default_rng(1)
    shape = 1.5
    null = NeutralNull(scores=rng.gamma(shape, size=800))
    p = null.two_sided(rng.gamma(shape, size=(20_000, 5)).mean(axis=1), 5)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(p < 0.01) == pytest.approx(0.01, abs=0.007)


def test_a_mean_beyond_all_neutral_ones_has_the_least_probability():
    assert NeutralNull(scores=np.linspace(-1, 1, 50)).two_sided(np.array([50.0]), 3)[0] == 1e-14


def test_guides_of_one_gene_that_share_an_effect_reach_a_level_as_often_as_it_says():
    rng = np.random.default_rng(2)

    def guides(n_genes):
        return (rng.standard_normal((n_genes, 1)) + 1.5 * rng.standard_normal((n_genes, 5))).ravel()

    neutral = guides(200)
    rho = shared_by_genes(neutral, [str(n // 5) for n in range(1000)])
    assert rho == pytest.approx(1.0 / (1.0 + 1.5**2), abs=0.07)
    tested = guides(4000).reshape(-1, 5).mean(axis=1)
    assert np.mean(NeutralNull(scores=neutral, correlation=rho).two_sided(tested, 5) < 0.05) == pytest.approx(
        0.05, abs=0.02
    )
    assert np.mean(NeutralNull(scores=neutral).two_sided(tested, 5) < 0.05) > 0.1


def test_guides_without_genes_of_their_own_share_nothing():
    scores = np.random.default_rng(3).standard_normal(300)
    assert shared_by_genes(scores, ["non-targeting"] * 300) == 0.0
    assert shared_by_genes(scores[:20], [str(n // 4) for n in range(20)]) == 0.0
