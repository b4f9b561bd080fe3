"""Clones of known growth and bias, counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semimech import DataError
from semimech.abundance import CloneLaw, follow_clones

LINEAGES, TIMES, N = ("T", "B", "Gr"), (2.0, 6.0, 10.0, 18.0), 120


def clones(seed, *, growth=0.05, bias=0.5, turnover=0.01, noise=0.02, reads=200_000):
    """Counts of clones with Brownian courses, and the courses."""
    rng = np.random.default_rng(seed)
    steps = np.diff([TIMES[0], *TIMES])
    course = np.cumsum(rng.standard_normal((N, 4)) * np.sqrt(growth * steps), axis=1)
    own = np.cumsum(rng.standard_normal((N, 3, 4)) * np.sqrt(turnover * steps), axis=2)
    leaning = np.sqrt(bias) * rng.standard_normal((N, 3))
    log_share = rng.standard_normal(N)[:, None, None] + leaning[:, :, None] + course[:, None] + own
    seen = np.exp(log_share + np.sqrt(noise) * rng.standard_normal(log_share.shape))
    columns = pd.DataFrame([(lineage, t) for lineage in LINEAGES for t in TIMES], columns=["lineage", "time"])
    flat, truth = seen.reshape(N, -1), log_share.reshape(N, -1)
    counts = rng.poisson(reads * flat / flat.sum(axis=0)).astype(float)
    return counts, columns, truth - np.log(flat.sum(axis=0))


@pytest.fixture(scope="module")
def found():
    counts, columns, truth = clones(0)
    return follow_clones(counts, columns), truth, columns


def test_the_variances_of_clones_are_recovered(found):
    law = found[0].law
    assert law.growth == pytest.approx(0.05, rel=0.35)
    assert law.bias == pytest.approx(0.5, rel=0.35)
    assert law.noise + law.turnover == pytest.approx(0.03, abs=0.02)


def test_intervals_of_growth_hold_the_growth_of_clones(found):
    clones, truth, columns = found
    course = np.array([truth[:, (columns["time"] == t).to_numpy()].mean(axis=1) for t in (2.0, 18.0)])
    true = (course[1] - course[0]) / 16.0
    inside = (clones.growth["lower"] <= true) & (true <= clones.growth["upper"])
    assert inside.mean() > 0.8
    assert np.corrcoef(clones.growth["growth"], true)[0, 1] > 0.95


def test_intervals_of_bias_hold_the_bias_of_clones(found):
    clones, truth, columns = found
    by = np.array([truth[:, (columns["lineage"] == x).to_numpy()].mean(axis=1) for x in LINEAGES]).T
    true = (by - by.mean(axis=1, keepdims=True)).ravel()
    assert np.mean((clones.bias["lower"] <= true) & (true <= clones.bias["upper"])) > 0.8
    assert list(clones.bias["lineage"][:3]) == list(LINEAGES)


def test_a_time_between_is_predicted_with_its_uncertainty():
    counts, columns, truth = clones(2)
    held = (columns["time"] == 10.0).to_numpy()
    model = follow_clones(counts[:, ~held], columns[~held].reset_index(drop=True).assign(reads=counts.sum(0)[~held]))
    mean, sd = model.predict(LINEAGES, [10.0] * 3)
    off = mean - truth[:, held]
    off -= off.mean(axis=0)  # shares add up to one: what all clones share is not theirs
    score = off / sd
    assert np.mean(np.abs(score) < 1.645) == pytest.approx(0.9, abs=0.08)
    line = np.log((counts + 0.5) / counts.sum(axis=0))
    before, after = (line[:, (columns["time"] == t).to_numpy()] for t in (6.0, 18.0))
    between = (2.0 * before + after) / 3.0 - truth[:, held]
    assert np.mean(off**2) < np.mean((between - between.mean(axis=0)) ** 2)


def test_without_counts_a_course_is_a_straight_line_between_harvests():
    law = CloneLaw(centre=0.0, size=1.0, bias=0.0, growth=0.1, turnover=0.0, noise=0.0)
    places = pd.DataFrame({"lineage": "T", "time": [0.0, 8.0]})
    asked = pd.DataFrame({"lineage": "T", "time": [2.0, 20.0]})
    weight = law.covariance(asked, places) @ np.linalg.inv(law.covariance(places, places))
    np.testing.assert_allclose(weight, [[0.75, 0.25], [0.0, 1.0]], atol=1e-12)


def test_growth_in_one_lineage_is_that_of_the_clones_in_full():
    """Deep counts of one lineage: what grows cannot be shared out between a clone and its only lineage."""
    rng = np.random.default_rng(0)
    times = np.array([0.0, 4.0, 8.0, 12.0])
    course = np.cumsum(np.sqrt(0.15 * 4.0) * (times > 0) * rng.standard_normal((N, 4)), axis=1)
    share = np.exp(rng.standard_normal(N)[:, None] + course)
    counts = rng.poisson(3e6 * share / share.sum(axis=0)).astype(float)
    found = follow_clones(counts, pd.DataFrame({"lineage": "bulk", "time": times}))
    true = course[:, 3] / 12.0
    assert np.polyfit(true, found.growth["growth"], 1)[0] == pytest.approx(1.0, abs=0.05)
    assert min((found.growth["lower"] > 0).sum(), (found.growth["upper"] < 0).sum()) > 0.2 * N
    assert found.law.bias == found.law.turnover == 0.0
    with pytest.raises(DataError, match=r"before the first harvest, 0[\s\S]*lineages B were not sampled"):
        found.predict(["B"], [-1.0])


def test_a_time_before_the_first_harvest_is_refused(found):
    with pytest.raises(DataError, match="times -20, nan: ask for none before the first harvest, 2"):
        found[0].predict(LINEAGES, [-20.0, 2.0, np.nan])


def test_faults_are_told_together():
    with pytest.raises(DataError, match=r"no column 'time'[\s\S]*3 clones, at least 20"):
        follow_clones(np.ones((3, 2)), pd.DataFrame({"lineage": ["T", "B"]}))


def test_numbers_that_would_give_no_interval_are_refused():
    counts, columns, _ = clones(3)
    columns.loc[0, "time"] = np.nan
    with pytest.raises(DataError, match=r"times of samples must be numbers[\s\S]*1 names for 120[\s\S]*got 90"):
        follow_clones(counts, columns, names=["a"], level=90)
