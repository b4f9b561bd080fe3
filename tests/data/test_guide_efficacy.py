from __future__ import annotations

import numpy as np
import pytest

from semimech.data.curation.escapers import escaper_share
from semimech.data.curation.guide_efficacy import guide_posterior
from semimech.data.curation.mixtures import GRID


def mixture(shares: tuple[float, ...], n: int = 150, seed: int = 0):
    """Cells of several guides, each with its share of escapers, and which cells these are."""
    rng = np.random.default_rng(seed)
    guide = np.repeat(np.arange(len(shares)), n)
    escaped = rng.random(len(guide)) < np.array(shares)[guide]
    edited = rng.normal(size=(len(guide), 40)) + 0.8 * ~escaped[:, None]
    return escaper_share(edited, rng.normal(size=(1000, 40)), rng=rng), guide, escaped


def test_each_guide_has_its_own_share_of_escapers():
    found, guide, escaped = mixture((0.05, 0.1, 0.6))
    for number in range(3):
        posterior = guide_posterior(found, guide == number)
        true = escaped[guide == number].mean()
        assert float(posterior @ GRID) == pytest.approx(true, abs=0.05)


def test_nine_in_ten_intervals_hold_the_share():
    held = []
    for seed in range(12):
        found, guide, _ = mixture((0.1, 0.3, 0.3), n=60, seed=seed)
        for number, share in enumerate((0.1, 0.3, 0.3)):
            below = np.cumsum(guide_posterior(found, guide == number))
            lower, upper = np.interp([0.05, 0.95], below, GRID)
            held.append(lower <= share <= upper)
    assert np.mean(held) > 0.75  # 36 intervals: 0.9 less three standard errors


def test_the_probability_of_a_working_edit_tells_escaped_cells():
    found, _, escaped = mixture((0.3,), n=400)
    assert found.probability[escaped].mean() > 0.9
    assert found.probability[~escaped].mean() < 0.1
