"""Pools of cells that are harvested together."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.sparse.csgraph import breadth_first_order

from semimech.experiment import parse_experiment
from semimech.simulate import Measurement
from semimech.simulate.pool import make_pool
from semimech.simulate.population import independent_cells, stationary_cells

MEASUREMENT = Measurement()


def conditions(*texts):
    return [c for text in texts for c in parse_experiment(text).conditions.values()]


@pytest.fixture(scope="module")
def asked(small_world):
    text = "wait 5h > harvest a > wait 20h > harvest b"
    return conditions(text, *(f"edit {g} knockout > {text}" for g in small_world.genes[:3]))


@pytest.fixture(scope="module")
def pool(small_world, asked):
    return make_pool(small_world, asked, 320, key=jax.random.key(1))


def test_unedited_cells_are_the_same_at_all_times(pool):
    assert pool.path[0] == pool.path[1]
    assert len(pool.abundance) == 1 + 2 * 3


def test_genes_out_of_reach_of_an_edit_are_those_of_unedited_cells(small_world, pool):
    control = pool.abundance[pool.path[0]]
    for position in range(3):
        reached = breadth_first_order(small_world.weight.T != 0, position, return_predecessors=False).tolist()
        for condition in (2 + 2 * position, 3 + 2 * position):
            moved = np.flatnonzero((pool.abundance[pool.path[condition]] != control).any(axis=0))
            assert position in moved and set(moved.tolist()) <= set(reached)


def test_a_pool_has_the_law_of_unpaired_cells(small_world, asked, pool):
    """Two-sample tests of every gene in every condition: p-values are not smaller than those of equal laws."""
    n = 320
    condition = np.repeat(np.arange(len(asked)), n)
    start = stationary_cells(small_world, len(condition), key=jax.random.key(2))
    cells = independent_cells(small_world, asked, condition, start=start, key=jax.random.key(3)).reshape(-1, n, 12)
    pooled = pool.abundance[pool.path]
    scores = (cells.mean(axis=1) - pooled.mean(axis=1)) / np.sqrt((cells.var(axis=1) + pooled.var(axis=1)) / n)
    assert np.abs(scores).max() < 4.5
    spread = np.log(cells.std(axis=1) / pooled.std(axis=1))
    assert np.abs(spread).max() < 0.35


def test_changes_in_the_middle_of_a_life_end_at_the_common_harvest(chain):
    texts = ("edit D crispri > wait 24h > medium starved > wait 12h > harvest", "medium starved > wait 2h > harvest")
    pool = make_pool(chain(noise=0.0), conditions(*texts), 2, key=jax.random.key(4))
    expected = np.array([0.5**1.5, 0.3 + 0.7 * 0.5 ** (2 / 24)]) * 1000
    np.testing.assert_allclose(pool.abundance[pool.path][:, :, 3], np.stack([expected] * 2, axis=1), rtol=1e-3)


def test_the_truth_of_a_pool_is_its_mean(small_world, asked, pool):
    truth = pool.truth(small_world, MEASUREMENT, 3)
    np.testing.assert_allclose(truth.mean, MEASUREMENT.cp10k(pool.abundance[pool.path[:3]]).mean(axis=1), rtol=1e-5)
    assert truth.conditions == tuple(asked[:3])
    np.testing.assert_array_equal(truth.observed[0], truth.observed[1])
