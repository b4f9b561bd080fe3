"""Facts about rounds of a simulated laboratory: the same world, batches of their own, and the cells of before as they were."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech import DataError
from semimech.data import read
from semimech.experiment import parse_experiment
from semimech.simulate import ipsc_maintenance, next_round, simulate_screen, write_screen

SIZES = {"n_genes": 14, "n_edits": 2, "n_doubles": 0, "days": (2,), "cells": 9, "control_cells": 30, "n_batches": 3}


@pytest.fixture(scope="module")
def rounds():
    world, design = ipsc_maintenance(**SIZES, key=jax.random.key(0))
    first = simulate_screen(world, design, n_truth_cells=8, key=jax.random.key(1))
    edited = {e.gene for c in design.conditions for e in c.edits}
    gene = next(g for g in world.genes if g not in edited)
    planned = [parse_experiment(f"edit {gene} knockout > wait 48h > harvest")]
    second = next_round(world, design, planned, first, key=jax.random.key(2))
    return world, design, first, planned, second


def test_a_round_adds_its_cells_in_batches_of_its_own_that_hold_controls(rounds, tmp_path):
    _, _, first, planned, second = rounds
    added = second[first.n_obs :]
    assert second.n_obs == first.n_obs + 9 + 30
    np.testing.assert_array_equal(second.X[: first.n_obs].toarray(), first.X.toarray())
    assert set(added.obs["batch"]) == {"round2-" + str(name) for name in set(first.obs["batch"])}
    for _, cells in added.obs.groupby("batch"):
        assert cells["perturbation"].nunique() == 2  # the edit, and unedited cells beside it
    write_screen(second, tmp_path / "second.h5ad")
    data = read(tmp_path / "second.h5ad")
    assert planned[0].conditions["harvest"].perturbation in data.perturbations
    assert len(data.conditions) == 1 + 2 + 1


def test_a_third_round_has_a_number_of_its_own(rounds):
    world, design, first, planned, second = rounds
    third = next_round(world, design, planned, second, key=jax.random.key(3))
    assert {name.partition("-")[0] for name in third.obs["batch"][second.n_obs :]} == {"round3"}
    assert third.obs_names.is_unique


def test_rounds_of_another_world_are_refused(rounds):
    _, _, first, planned, _ = rounds
    world, design = ipsc_maintenance(**SIZES, key=jax.random.key(9))
    with pytest.raises(DataError, match="cells are of another world"):
        next_round(world, design, planned, first, key=jax.random.key(2))
