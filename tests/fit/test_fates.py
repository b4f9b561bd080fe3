"""Fates are found where cells part, and not where they only spread."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_data import condition, dataset
from small_fates import CENTRES, MEDIUM, cells_with, screen

from semimech.data import Cells
from semimech.fit.fates import cells_of, fate_means, fates_by_time, separate


def test_two_fates_are_found_at_their_centres_the_larger_first():
    fates = separate(cells_with(0.3, 400, np.random.default_rng(0)), seed=0)
    assert fates.centre == pytest.approx(CENTRES[::-1], abs=0.2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", ["normal", "uniform", "skewed", "correlated"])
def test_cells_of_one_mode_have_no_fates(shape, seed):
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(300, 8))
    if shape == "uniform":
        cells[:, 0] = rng.uniform(-3, 3, 300)
    elif shape == "skewed":
        cells[:, 0] = rng.exponential(3.0, 300)
    elif shape == "correlated":
        cells += 2.0 * rng.normal(size=(300, 1))
    assert separate(cells, seed=0) is None


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_shares_of_a_condition_are_those_it_was_drawn_with(share):
    rng = np.random.default_rng(1)
    fates = separate(cells_with(0.6, 400, rng), seed=0)
    found, belongs = fates.membership(cells_with(share, 200, rng), np.array([0.5, 0.5]))
    assert found == pytest.approx([share, 1 - share], abs=0.02)
    assert belongs.sum(axis=1) == pytest.approx(np.ones(200))


def test_a_fate_without_cells_is_taken_to_move_as_the_other_does():
    rng = np.random.default_rng(2)
    fates = separate(cells_with(0.6, 400, rng), seed=0)
    moved = np.array([0.0, 0.0, 0.0, 0.0, 1.5, 0.0])
    cells = cells_with(1.0, 200, rng) + moved
    _, belongs = fates.membership(cells, np.array([0.6, 0.4]))
    assert fate_means(cells, belongs, fates) == pytest.approx(fates.centre + moved, abs=0.15)


def test_fates_keep_their_order_over_times_whatever_their_sizes():
    rng = np.random.default_rng(3)
    conditions = [condition("control", 24, medium=MEDIUM), condition("control", 72, medium=MEDIUM)]
    clouds = [cells_with(0.8, 300, rng), cells_with(0.2, 300, rng)]
    cells = Cells(values=np.concatenate(clouds), condition=np.repeat([0, 1], 300), batch=np.zeros(600, int))
    data = dataset(conditions, np.array([c.mean(axis=0) for c in clouds]), cells=cells, media=(MEDIUM,))
    early, late = fates_by_time(data, seed=0).values()
    assert early.centre == pytest.approx(late.centre, abs=0.2)


def test_cells_that_rest_in_their_maintenance_medium_have_no_fates_and_those_that_move_may():
    rng = np.random.default_rng(4)
    values = cells_with(0.5, 300, rng)
    cells = Cells(values=values, condition=np.zeros(300, int), batch=np.zeros(300, int))
    resting = dataset([condition("control", 48)], values.mean(axis=0)[None], cells=cells)
    assert fates_by_time(resting, seed=0) == {}
    moving = replace(resting, system=replace(resting.system, is_differentiating=True))
    assert list(fates_by_time(moving, seed=0)) == [48.0]


def test_without_single_cells_there_are_no_fates():
    bulk = replace(screen({"control": 0.5}), cells=None)
    assert fates_by_time(bulk, seed=0) == {}
    assert cells_of(bulk, np.array([0])).shape == (0, 6)


def test_cells_that_are_parted_before_and_after_are_parted_in_between_though_too_little_to_tell_alone():
    """At the middle time the centres lie 3.5 standard deviations apart: less than the four that are asked of a time alone."""
    rng = np.random.default_rng(4)
    hours, shares = (24.0, 48.0, 96.0), (0.7, 0.7, 0.7)
    spread = (0.4, np.linalg.norm(CENTRES[0] - CENTRES[1]) / 3.5, 0.4)
    clouds = []
    for share, each in zip(shares, spread, strict=True):
        fate = (np.arange(600) >= share * 600).astype(int)
        clouds.append(CENTRES[fate] + each * rng.normal(size=(600, CENTRES.shape[1])))
    cells = Cells(values=np.concatenate(clouds), condition=np.repeat(range(3), 600), batch=np.zeros(1800, int))
    conditions = [condition("control", time, medium=MEDIUM) for time in hours]
    data = dataset(conditions, np.array([c.mean(axis=0) for c in clouds]), cells=cells, media=(MEDIUM,))
    assert separate(clouds[1], seed=0) is None
    found = fates_by_time(data, seed=0)
    assert list(found) == list(hours)
    assert found[48.0].centre == pytest.approx(CENTRES, abs=0.6)
    assert found[48.0].membership(clouds[1], np.array([0.5, 0.5]))[0] == pytest.approx([0.7, 0.3], abs=0.06)
    assert list(fates_by_time(data.subset([0, 1]), seed=0)) == [24.0]  # nothing after: they may have come together
