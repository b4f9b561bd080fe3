from __future__ import annotations

import numpy as np
import pytest

from semimech.data.curation.mixtures import ambiguity, share_error, share_posterior
from semimech.data.curation.target_counts import escape, pooled

DISPERSION = 0.15


def drawn(share: float, kept: float, *, mean: float = 20.0, uneven: float = 1.0, n: int = 400, seed: int = 0):
    """Counts of cells of one edit, what unedited cells would have, and the share that escaped."""
    rng = np.random.default_rng(seed)
    expected = mean * rng.lognormal(0.0, 0.3, n)
    escaped = rng.random(n) < share
    spread = np.where(escaped, DISPERSION, DISPERSION * uneven)
    rate = expected * np.where(escaped, 1.0, kept) * rng.gamma(1 / spread, spread)
    return rng.poisson(rate).astype(float), expected, float(escaped.mean())


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6])
@pytest.mark.parametrize(("kept", "uneven"), [(0.02, 1.0), (0.1, 6.0), (0.25, 3.0)])
def test_the_share_of_escapers_is_that_of_cells_whose_target_is_not_lowered(share, kept, uneven):
    counts, expected, true = drawn(share, kept, uneven=uneven)
    found = escape(counts, expected, dispersion=DISPERSION)
    assert abs(found.share - true) < max(0.05, 2 * ambiguity(found.share, found.share_error, found.n_cells))
    assert found.is_visible or kept == 0.25
    assert found.kept == pytest.approx(true + (1 - true) * kept, abs=0.06)


@pytest.mark.parametrize("seed", range(4))
def test_a_knockdown_by_half_that_differs_between_cells_is_not_taken_for_escapers(seed):
    counts, expected, _ = drawn(0.0, 0.55, uneven=3.0, seed=seed)
    found = escape(counts, expected, dispersion=DISPERSION)
    assert not found.is_visible or found.share < 0.05


def test_parts_of_one_edit_are_pooled_by_their_cells():
    one = escape(*drawn(0.2, 0.05, n=300)[:2], dispersion=DISPERSION)
    other = escape(*drawn(0.5, 0.05, n=100, seed=1)[:2], dispersion=DISPERSION)
    both = pooled([one, other])
    assert both.share == pytest.approx(0.75 * one.share + 0.25 * other.share)
    assert both.share_error == pytest.approx(np.hypot(0.75 * one.share_error, 0.25 * other.share_error))
    assert both.n_cells == 400


def test_cells_that_do_not_overlap_tell_their_share_as_a_binomial_does():
    n, share = 500, 0.3
    log_ratio = np.where(np.arange(n) < share * n, -50.0, 50.0)
    error = share_error(log_ratio, np.diag([1.0, 1.0, 1.0]))
    assert error == pytest.approx(np.sqrt(share * (1 - share) / n), rel=0.02)
    assert ambiguity(share, error, n) < 0.005
    assert share_posterior(log_ratio).sum() == pytest.approx(1.0)


def test_where_no_cell_escaped_one_in_all_may_have_been_missed():
    n = 200
    error = share_error(np.full(n, 50.0), np.diag([1.0, 1.0, 1.0]))
    assert 1 / n <= error < 2 / n
