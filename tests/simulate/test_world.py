"""Random worlds: who is moved by an edit, stability, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.sparse.csgraph import breadth_first_order

from semimech._errors import ExperimentError
from semimech.experiment import Context, Edit, effective_history, parse_experiment
from semimech.simulate import WorldRecipe, random_world
from semimech.simulate.kinetics import slowest_rate
from semimech.simulate.population import coupled_cells, deterministic_cells, stationary_cells
from semimech.simulate.truth import untouched


def conditions(*texts):
    return [c for text in texts for c in parse_experiment(text).conditions.values()]


def test_a_knockout_moves_only_descendants_of_its_target(small_world):
    start = stationary_cells(small_world, 64, key=jax.random.key(0))
    asked = conditions("wait 30h > harvest", *(f"edit {g} knockout > wait 30h > harvest" for g in small_world.genes))
    cells = coupled_cells(small_world, asked, start=start, key=jax.random.key(1))
    for position in range(len(small_world.genes)):
        reached = breadth_first_order(small_world.weight.T != 0, position, return_predecessors=False)
        moved = np.flatnonzero((cells[position + 1] != cells[0]).any(axis=0))
        assert set(moved) <= set(reached.tolist())
        assert position in moved


def test_all_direct_targets_of_a_knockout_move(small_world):
    asked = conditions(
        "wait settled > harvest", *(f"edit {g} knockout > wait settled > harvest" for g in small_world.genes)
    )
    settled = deterministic_cells(small_world, asked)
    for edge in small_world.network.itertuples():
        source, target = small_world.genes.index(edge.source), small_world.genes.index(edge.target)
        assert abs(settled[source + 1, target] / settled[0, target] - 1) > 1e-3


def test_a_lone_activator_lowers_its_target_when_knocked_out_and_a_repressor_raises_it(chain):
    settled = deterministic_cells(
        chain(), conditions("wait 99h > harvest", "edit A > wait 99h > harvest", "edit B > wait 99h > harvest")
    )
    assert settled[1, 1] < 0.8 * settled[0, 1]
    assert settled[2, 2] > 1.2 * settled[0, 2]


def test_a_medium_scales_the_production_of_what_it_drives(chain):
    world = chain()
    changed = (
        deterministic_cells(world, conditions("medium starved > wait 24h > harvest"))[0] / world.kinetics.expression
    )
    np.testing.assert_allclose(changed, [1, 1, 1, 0.65], rtol=1e-4)


def test_edit_then_medium_differs_from_medium_then_edit_in_a_gene_that_both_drive(chain):
    orders = (
        "edit D crispri > wait 24h > medium starved > wait 12h > harvest",
        "medium starved > wait 24h > edit D crispri > wait 12h > harvest",
    )
    first, second = deterministic_cells(chain(), conditions(*orders))[:, 3] / 1000
    assert first == pytest.approx(0.5**1.5, rel=1e-4)
    assert second == pytest.approx(0.65 * 0.5**0.5, rel=1e-4)


@pytest.mark.parametrize("protein_half_life_hours", [None, 24.0])
def test_random_worlds_are_stable_with_modes_no_slower_than_asked(protein_half_life_hours):
    recipe = WorldRecipe(n_genes=20, n_regulators=10, strength=20.0, protein_half_life_hours=protein_half_life_hours)
    for seed in range(5):
        world = random_world(recipe, key=jax.random.key(seed))
        slowest = min(world.kinetics.decay.min(), world.kinetics.protein_decay.min())
        assert slowest_rate(world.kinetics) >= 0.7 * slowest


def test_half_lives_and_expression_are_as_in_cells():
    world = random_world(WorldRecipe(n_genes=2000, n_regulators=20), key=jax.random.key(0))
    assert world.half_life_hours.min() >= 0.99 and world.half_life_hours.max() <= 48.01
    assert np.median(world.half_life_hours) == pytest.approx(9, rel=0.1)
    assert world.kinetics.expression.sum() == pytest.approx(1e4, rel=1e-4)
    assert np.log(world.kinetics.expression).std() == pytest.approx(1.2, rel=0.1)


def test_the_network_table_lists_each_weight_once(small_world):
    table = small_world.network
    rebuilt = np.zeros_like(small_world.weight)
    for edge in table.itertuples():
        rebuilt[small_world.genes.index(edge.target), small_world.genes.index(edge.source)] = edge.weight
    np.testing.assert_array_equal(rebuilt, small_world.weight)
    assert (np.sign(table["weight"]) == table["sign"]).all()
    assert (table["weight"].abs().diff().dropna() <= 0).all()


def test_one_key_makes_one_world():
    recipe = WorldRecipe(n_genes=15, n_regulators=5)
    first, again, other = (random_world(recipe, key=jax.random.key(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.weight, again.weight)
    np.testing.assert_array_equal(first.knockout_mrna, again.knockout_mrna)
    assert (first.kinetics.decay != other.kinetics.decay).any()


def test_unknown_genes_and_media_are_all_named(chain):
    context = Context(edits=(Edit(gene="X"), Edit(gene="A"), Edit(gene="Y")), medium="broth")
    with pytest.raises(ExperimentError, match=r"(?s)'X'.*'Y'.*'broth'.*known: starved"):
        chain().effects([context])


def test_arrays_that_do_not_fit_are_refused(chain):
    with pytest.raises(ValueError, match=r"knockout_mrna has shape.*medium_fold has shape"):
        replace(chain(), knockout_mrna=np.ones(3, np.float32), medium_fold=np.ones((1, 3), np.float32))


def test_a_recipe_lists_every_field_out_of_range():
    with pytest.raises(ValueError, match=r"(?s)n_regulators.*max_sites.*activator_share.*half_life_hours.*noise"):
        WorldRecipe(n_genes=5, n_regulators=6, max_sites=0, activator_share=1.5, half_life_hours=0.0, noise=-1.0)


def test_a_delayed_edit_acts_in_a_world_from_its_onset(chain):
    late, later = "edit A crispri onset 24h > wait 48h > harvest", "wait 24h > edit A crispri > wait 24h > harvest"
    found, at_onset, none = deterministic_cells(chain(), conditions(late, later, "wait 48h > harvest"))
    np.testing.assert_allclose(found, at_onset, rtol=1e-5)
    assert found[0] < 0.2 * none[0]


def test_a_turnover_slows_the_loss_of_what_is_made_as_the_closed_form_says(chain):
    # dx/dt = δ (1 - (1 - exp(-t/τ)) - x) from x = 1, so x = exp(-δt) + δ (exp(-t/τ) - exp(-δt)) / (δ - 1/τ).
    (found,) = deterministic_cells(chain(), conditions("edit D crispri turnover 8h > wait 48h > harvest"))
    decay, rate, hours = np.log(2) / 24, 1 / 8, 48.0
    exact = np.exp(-decay * hours) + decay * (np.exp(-rate * hours) - np.exp(-decay * hours)) / (decay - rate)
    assert found[3] / 1000 == pytest.approx(exact, rel=0.01)


def test_cells_without_edits_pass_the_periods_of_a_delayed_edit():
    (delayed,) = conditions("edit A turnover 24h > wait 48h > harvest")
    assert [p.hours for p in untouched(delayed).history] == [p.hours for p in effective_history(delayed)]


def test_a_dose_that_nobody_resolved_is_refused(chain):
    with pytest.raises(ExperimentError, match="compound 'X' is not resolved: call resolve_doses first"):
        chain().effects([conditions("dose X 1uM > wait 1h > harvest")[0].context])
