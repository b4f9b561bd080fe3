from __future__ import annotations

import numpy as np
import pytest

from semimech import ConfigError
from semimech.design import (
    Components,
    Layout,
    effect_variance,
    log_count_curvature,
    log_count_variance,
    single_guide_share,
    wanted_standard_error,
)


def test_an_effect_is_found_as_often_as_wanted():
    error = wanted_standard_error(0.7, power=0.9, alpha=0.01)
    draws = np.random.default_rng(0).normal(-0.7, error, size=200_000)
    assert (np.abs(draws / error) > 2.5758).mean() == pytest.approx(0.9, abs=0.003)


@pytest.mark.parametrize(("mean", "dispersion", "depth_cv"), [(2.0, 0.0, 0.0), (0.5, 0.5, 0.0), (1.0, 1.0, 0.5)])
def test_logarithms_of_pooled_counts_vary_as_the_delta_method_says(mean, dispersion, depth_cv):
    rng = np.random.default_rng(1)
    shape = (20_000, 400)
    depth = np.ones(shape)
    if depth_cv:
        depth = rng.gamma(1 / depth_cv**2, depth_cv**2, size=shape)
    rate = mean * depth * (rng.gamma(1 / dispersion, dispersion, size=shape) if dispersion else 1.0)
    logs = np.log(rng.poisson(rate).sum(axis=1) / depth.sum(axis=1))
    predicted = log_count_variance(mean, dispersion=dispersion, depth_cv=depth_cv) / 400
    assert logs.std() == pytest.approx(np.sqrt(predicted), rel=0.02)


@pytest.mark.parametrize(("mean", "dispersion", "cells"), [(2.0, 0.5, 8), (4.0, 0.0, 4), (3.0, 0.25, 6)])
def test_logarithms_of_a_dozen_counts_vary_as_the_second_order_says_and_more_than_the_first(mean, dispersion, cells):
    rng = np.random.default_rng(3)
    shape = (200_000, cells)
    rate = mean * (rng.gamma(1 / dispersion, dispersion, size=shape) if dispersion else np.ones(shape))
    logs = np.log(np.maximum(rng.poisson(rate.sum(axis=1)), 0.5))
    first = log_count_variance(mean, dispersion=dispersion)
    second = log_count_curvature(mean, dispersion=dispersion)
    assert logs.std() == pytest.approx(np.sqrt(first / cells + second / cells**2), rel=0.03)
    assert logs.std() > 1.03 * np.sqrt(first / cells)
    layout = Layout(
        conditions=("control", "a"), batches=("x",), cells=np.array([[10**9], [cells]]), control=np.zeros(2, int)
    )
    told = effect_variance(layout, Components(cell=first, curvature=second))
    assert told.naive[0] == pytest.approx(told.within[0]) == pytest.approx(first / cells + second / cells**2, rel=1e-6)


def test_single_guides_among_infected_cells_follow_poisson():
    draws = np.random.default_rng(2).poisson(0.3, size=400_000)
    assert single_guide_share(0.3) == pytest.approx((draws[draws > 0] == 1).mean(), abs=0.003)


def test_impossible_wishes_are_errors_in_words():
    with pytest.raises(ConfigError, match="not 0"):
        wanted_standard_error(0.0)
    with pytest.raises(ConfigError, match="between alpha"):
        wanted_standard_error(1.0, power=0.01)
    with pytest.raises(ConfigError, match="2 faults"):
        log_count_variance(0.0, dispersion=-1.0)
    with pytest.raises(ConfigError, match="above 0"):
        single_guide_share(0.0)
