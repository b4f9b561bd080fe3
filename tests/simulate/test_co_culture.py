"""Co-cultures: what a ligand does to cells that have its receptor."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.simulate import co_culture, culture_table
from semimech.simulate.co_culture import FIELD, LIGAND, RECEPTOR
from semimech.simulate.population import deterministic_cells

SIZES = {"n_genes": 24, "n_edits": 4, "days": (6,), "ratios": (0.5, 1.0)}


def levels(strength):
    """Deterministic level of each gene, by perturbation and medium."""
    world, design = co_culture(**SIZES, strength=strength, key=jax.random.key(1))
    values = deterministic_cells(world, design.conditions)
    return world, {(c.perturbation, c.medium): v for c, v in zip(design.conditions, values, strict=True)}


@pytest.fixture(scope="module")
def talking():
    return levels(6.0)


def test_targets_fall_as_the_ligand_does(talking):
    world, level = talking
    targets = np.flatnonzero(world.weight[:, world.genes.index(FIELD)] > 0)
    assert len(targets) == int(0.3 * 25)
    whole, half, none = (level["control", m][targets] for m in (None, "LIG-null 50%", "LIG-null 100%"))
    assert (whole > half).all() and (half > none).all()


def test_cells_without_the_receptor_hear_nothing(talking):
    _, level = talking
    np.testing.assert_allclose(level[RECEPTOR, "LIG-null 100%"][3:], level[RECEPTOR, None][3:], rtol=1e-3)


def test_cells_without_the_ligand_hear_that_of_others(talking):
    world, level = talking
    rows = [i for i, g in enumerate(world.genes) if g not in (LIGAND, FIELD)]
    np.testing.assert_allclose(level[LIGAND, None][rows], level["control", None][rows], rtol=1e-3)


def test_cells_that_do_not_talk_are_alike_in_all_cultures():
    world, level = levels(0.0)
    rows = [i for i, g in enumerate(world.genes) if g != FIELD]
    np.testing.assert_allclose(level["control", "LIG-null 100%"][rows], level["control", None][rows], rtol=1e-4)


def test_the_table_of_cultures_adds_up():
    table = culture_table((0.3, 0.9))
    assert table.groupby("culture")["share"].sum().tolist() == pytest.approx([1.0, 1.0])
    assert set(table["perturbation"]) == {"control", LIGAND}


def test_more_edits_than_there_is_room_for_are_refused_before_a_world_is_made():
    co_culture(n_genes=24, n_edits=15, days=(2,), key=jax.random.key(0))
    with pytest.raises(ValueError, match="n_edits must lie between 2 and 15 for n_genes = 24"):
        co_culture(n_genes=24, n_edits=16, key=jax.random.key(0))
