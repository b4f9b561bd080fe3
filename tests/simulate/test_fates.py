"""Cells stay in the maintenance medium, and choose one of two fates where they are driven."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.experiment import parse_experiment
from semimech.simulate import WorldRecipe, endoderm_differentiation, fate_world, simulate_screen
from semimech.simulate.fates import FATES, MEDIA
from semimech.simulate.kinetics import slowest_rate
from semimech.simulate.population import independent_cells, stationary_cells

N = 512
RECIPE = WorldRecipe(n_genes=30, n_regulators=10, mean_sites=2.0, strength=3.0, extrinsic=0.15)


@pytest.fixture(scope="module")
def world():
    return fate_world(RECIPE, key=jax.random.key(1))


@pytest.fixture(scope="module")
def harvested(world):
    """Gives relative abundances of cells after a protocol."""
    start = stationary_cells(world, N, key=jax.random.key(2))

    def harvest(text):
        conditions = list(parse_experiment(text).conditions.values())
        cells = independent_cells(world, conditions, np.zeros(N, int), start=start, key=jax.random.key(3))
        return cells / world.kinetics.expression

    return harvest


def shares(cells):
    """Shares of cells in the first fate, in the second and in between: one regulator twice the other, or more."""
    ratio = np.log2(cells[:, 0] / cells[:, 1])
    return (ratio > 1).mean(), (ratio < -1).mean(), (np.abs(ratio) <= 1).mean()


def test_unedited_cells_stay_where_they_are_in_the_maintenance_medium(world, harvested):
    assert slowest_rate(world.kinetics) > 0
    assert shares(harvested("wait 10d > harvest"))[2] > 0.9


def test_driven_cells_end_in_one_of_two_fates(harvested):
    first, second, between = shares(harvested("medium mesendoderm > wait 4d > harvest"))
    assert min(first, second) > 0.4
    assert between < 0.02


def test_levels_of_a_fate_are_the_stable_fixed_points_of_the_switch(world, harvested):
    """High: production without a repressor, 4 / (1 + (w - 1) θ(1)); low: the same times w at full occupancy, nearly."""
    cells = harvested("medium mesendoderm > wait 4d > harvest")[:, :2]
    theta = 1 / (1 + 1.6**4)
    strength = np.array([1.0, 0.02]) / (1 - 0.98 * theta)
    high, low = 4 * 1.05 * strength / (1 + 0.05 * strength)
    assert np.mean(cells.max(axis=1)) == pytest.approx(high, rel=0.1)
    assert low < np.mean(cells.min(axis=1)) < 4 * low


def test_the_other_medium_favours_the_first_fate(harvested):
    first, second, between = shares(harvested("medium endoderm > wait 4d > harvest"))
    assert first > 0.6 and second > 0.02 and between < 0.02


@pytest.mark.parametrize(("gene", "other"), [("ENDO", 1), ("MESO", 0)])
def test_a_weak_knockdown_of_a_fate_shifts_the_shares_and_a_knockout_blocks_it(harvested, gene, other):
    weak = shares(harvested(f"edit {gene} crispri 0.1 > medium mesendoderm > wait 4d > harvest"))
    none = shares(harvested(f"edit {gene} knockout > medium mesendoderm > wait 4d > harvest"))
    assert 0.55 < weak[other] < 0.9
    assert none[other] > 0.98


def test_an_edit_after_the_choice_comes_too_late_for_a_weak_one(harvested):
    """Order matters: once the basin is taken, the knockdown that would have shifted shares does not."""
    late = shares(harvested("medium mesendoderm > wait 2d > edit ENDO crispri 0.1 > wait 2d > harvest"))
    early = shares(harvested("edit ENDO crispri 0.1 > medium mesendoderm > wait 4d > harvest"))
    assert late[0] > early[0] + 0.05


def test_each_fate_switches_its_programme_on(world, harvested):
    """Targets of one activating site follow its regulator across cells."""
    cells = harvested("medium mesendoderm > wait 4d > harvest")
    is_first = cells[:, 0] > cells[:, 1]
    kinetics = world.kinetics
    genes = np.arange(10, 30)
    for fate, members in ((0, is_first), (1, ~is_first)):
        programme = genes[(kinetics.site_first[0, genes] == fate) & (kinetics.site_fold[0, genes] == 6)]
        assert len(programme) >= 4
        assert (cells[members][:, programme].mean(axis=0) > cells[~members][:, programme].mean(axis=0)).all()


def test_the_preset_has_controls_at_each_time_in_each_medium():
    world, design = endoderm_differentiation(n_genes=24, n_edits=3, n_doubles=1, days=(1, 2), key=jax.random.key(4))
    controls = {(c.hours, c.medium) for c in design.conditions if c.is_control}
    assert controls == {(h, m) for h in (24, 48) for m in (None, *MEDIA)}
    edited = {(c.hours, c.medium) for c in design.conditions if not c.is_control}
    assert edited == {(h, m) for h in (24, 48) for m in MEDIA}
    assert set(FATES) <= {c.perturbation for c in design.conditions}
    assert {c.perturbation for c in design.conditions if len(c.edits) == 2}
    assert world.genes[:2] == FATES


def test_a_small_differentiating_screen_runs_and_keeps_its_truth():
    world, design = endoderm_differentiation(
        n_genes=12, n_edits=2, n_doubles=0, days=(2,), cells=20, control_cells=60, key=jax.random.key(5)
    )
    screen = simulate_screen(world, design, n_truth_cells=64, key=jax.random.key(6))
    assert set(screen.obs["medium"]) == {"maintenance", *MEDIA}
    assert "experiment" not in screen.obs
    table = screen.uns["truth"]["conditions"]
    assert "edit ENDO knockout" in " ".join(table["protocol"])
    endo = screen.uns["truth"]["mean_cp10k"][:, 0]
    driven = (table["perturbation"] == "control").to_numpy() & (table["medium"] == "mesendoderm").to_numpy()
    blocked = (table["perturbation"] == "ENDO").to_numpy() & (table["medium"] == "mesendoderm").to_numpy()
    assert endo[blocked] < 0.3 * endo[driven]


@pytest.mark.parametrize("fields", [{"n_edits": 1}, {"n_edits": 31}, {"n_edits": 3, "n_doubles": 4}])
def test_impossible_differentiations_are_refused(fields):
    with pytest.raises(ValueError, match="n_edits|n_doubles"):
        endoderm_differentiation(n_genes=30, key=jax.random.key(0), **fields)


def test_recipes_without_room_for_a_switch_are_refused():
    with pytest.raises(ValueError, match=r"n_regulators.*media"):
        fate_world(WorldRecipe(n_genes=5, n_regulators=1, media=("other",)), key=jax.random.key(0))
