"""The truth agrees with what many independent cells show."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.experiment import parse_experiment
from semimech.simulate import Measurement, true_values
from semimech.simulate.measurement import draw_libraries, sample_counts
from semimech.simulate.population import independent_cells, stationary_cells
from semimech.simulate.truth import untouched

N = 2048
PAIRED = 512
TEXTS = (
    "wait 24h > harvest",
    "edit TF01 > wait 24h > harvest",
    "edit TF02 > edit TF03 > wait 24h > harvest a > wait 24h > harvest b",
)
CONDITIONS = [c for text in TEXTS for c in parse_experiment(text).conditions.values()]
MEASUREMENT = Measurement(library_mean=1500.0)


@pytest.fixture(scope="module")
def truth(small_world):
    return true_values(small_world, CONDITIONS, measurement=MEASUREMENT, n_cells=PAIRED, key=jax.random.key(10))


@pytest.fixture(scope="module")
def cells(small_world):
    """Independent cells of every condition."""
    condition = np.repeat(np.arange(len(CONDITIONS)), N)
    start = stationary_cells(small_world, len(condition), key=jax.random.key(11))
    abundance = independent_cells(small_world, CONDITIONS, condition, start=start, key=jax.random.key(12))
    return MEASUREMENT.cp10k(abundance).reshape(len(CONDITIONS), N, -1)


def test_true_means_agree_with_independent_cells(truth, cells):
    error = cells.std(axis=1) * np.sqrt(1 / N + 1 / PAIRED)
    assert (np.abs(truth.mean - cells.mean(axis=1)) < 4.5 * error).all()


def test_observed_truth_agrees_with_measured_cells(truth, cells):
    rng = np.random.default_rng(13)
    for row, population in enumerate(cells):
        library = draw_libraries(MEASUREMENT, N, rng=rng)
        counts = sample_counts(population, library, dispersion=MEASUREMENT.dispersion, rng=rng)
        values = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
        error = values.std(axis=0) * np.sqrt(1 / N + 1 / PAIRED)
        assert (np.abs(truth.observed[row] - values.mean(axis=0)) < 4.5 * error + 0.01).all()


def test_contrasts_between_conditions_are_free_of_noise_where_nothing_changes(small_world):
    lone = [
        c
        for g in ("TF01", "TF02")
        for c in parse_experiment(f"edit {g} crispri 0 > wait 24h > harvest").conditions.values()
    ]
    truth = true_values(
        small_world, [*lone, CONDITIONS[0]], measurement=MEASUREMENT, n_cells=PAIRED, key=jax.random.key(14)
    )
    np.testing.assert_allclose(truth.mean[0], truth.mean[2], rtol=1e-6)
    np.testing.assert_allclose(truth.observed[1], truth.observed[2], rtol=1e-6)


def test_unedited_cells_have_the_stationary_mean_at_any_time(small_world, truth):
    later = parse_experiment("wait 96h > harvest").conditions["harvest"]
    again = true_values(small_world, [later], measurement=MEASUREMENT, n_cells=PAIRED, key=jax.random.key(10))
    np.testing.assert_allclose(again.mean[0], truth.mean[0], rtol=1e-6)


def test_the_noise_free_limit_is_near_the_mean_where_noise_is_small(chain):
    texts = ("wait 24h > harvest", "edit A > wait 24h > harvest")
    conditions = [c for text in texts for c in parse_experiment(text).conditions.values()]
    truth = true_values(chain(noise=1e-4), conditions, measurement=MEASUREMENT, n_cells=64, key=jax.random.key(0))
    np.testing.assert_allclose(truth.mean, truth.deterministic, rtol=5e-3)


def test_an_untouched_condition_has_no_edit_and_no_medium_but_the_same_age():
    condition = parse_experiment("edit A > wait 5h > medium m > wait 7h > harvest").conditions["harvest"]
    bare = untouched(condition)
    assert bare.is_control and bare.media == (None,) and bare.hours == condition.hours
