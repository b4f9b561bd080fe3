"""The law of simulated cells against closed forms."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semimech.experiment import Context, Edit, parse_experiment
from semimech.simulate import WorldRecipe, random_world
from semimech.simulate.kinetics import (
    advance,
    production,
    reference_state,
    slowest_rate,
    without_noise,
)
from semimech.simulate.population import deterministic_cells, independent_cells, stationary_cells


def conditions(*texts):
    return [c for text in texts for c in parse_experiment(text).conditions.values()]


def relative(world, text):
    """Noise-free abundances relative to unedited cells at each harvest."""
    return deterministic_cells(world, conditions(text)) / world.kinetics.expression


@pytest.mark.parametrize("efficacy", [0.3, 0.8, 1.0])
def test_a_gene_relaxes_with_its_half_life_to_its_scaled_production(chain, efficacy):
    world = chain()
    after = relative(world, f"edit D crispri {efficacy} > wait 12h > harvest a > wait 24h > harvest b")[:, 3]
    np.testing.assert_allclose(after, 1 - efficacy * (1 - 0.5 ** (np.array([12, 36]) / 24)), atol=1e-5)


def test_added_production_raises_a_gene_by_its_efficacy(chain):
    after = relative(chain(), "edit D crispra 1.5 > wait 24h > harvest a > wait settled > harvest b")[:, 3]
    np.testing.assert_allclose(after, [1.75, 2.5], rtol=1e-4)


@pytest.mark.parametrize(("gene", "fold"), [("A", 0.4), ("B", 1.5), ("D", 0.6)])
def test_a_knockout_changes_the_decay_of_its_own_transcript(chain, gene, fold):
    world = chain()
    position = world.genes.index(gene)
    half_life = world.half_life_hours[position]
    after = relative(world, f"edit {gene} knockout > wait 10h > harvest a > wait settled > harvest b")[:, position]
    np.testing.assert_allclose(after, [fold + (1 - fold) * 0.5 ** (10 / half_life / fold), fold], rtol=1e-3)


def test_a_knockout_silences_its_targets_as_the_promoter_says(chain):
    settled = relative(chain(), "edit A knockout > wait settled > harvest")[0]
    occupied = 1 / (1 + 0.8**2)
    strength = 1 / (1 + 3 * occupied)
    b = 1.25 * strength / (1 + 0.25 * strength)
    free = 1.25**1.5
    strength = (1 - 0.8 * b**1.5 / (b**1.5 + free)) / (1 - 0.8 / (1 + free))
    c = 1.25 * strength / (1 + 0.25 * strength)
    np.testing.assert_allclose(settled, [0.4, b, c, 1.0], rtol=2e-4)


def test_a_drug_acts_on_regulation_and_not_on_the_transcript(chain):
    drug, knockout = (relative(chain(), f"edit A {kind} > wait settled > harvest")[0] for kind in ("drug", "knockout"))
    assert drug[0] == pytest.approx(1)
    np.testing.assert_allclose(drug[1:], knockout[1:], rtol=1e-4)


@pytest.mark.parametrize("kind", ["knockout", "crispri", "crispra", "drug"])
def test_a_null_edit_changes_nothing(chain, kind):
    null = deterministic_cells(chain(), conditions(f"edit A {kind} 0 > wait 30h > harvest"))
    none = deterministic_cells(chain(), conditions("wait 30h > harvest"))
    np.testing.assert_array_equal(null, none)


def test_no_time_changes_nothing(chain):
    world = chain()
    cells = stationary_cells(world, 10, key=jax.random.key(8))
    effects = jax.tree.map(lambda v: v[..., None], world.effects([Context(edits=(Edit(gene="A"),))]))
    after = advance(world.kinetics, effects, cells, 0.0, noise_shape=(10,), key=jax.random.key(0))
    np.testing.assert_array_equal(after.mrna, cells.mrna)


def test_hidden_protein_of_a_knockout_decays_with_its_own_half_life(chain):
    world = chain(protein_decay=np.log(2) / 20)
    kinetics = without_noise(world.kinetics)
    effects = world.effects([Context(edits=(Edit(gene="A"),))])
    start = reference_state(kinetics, (1,))
    cells = advance(kinetics, effects, start, 30.0, noise_shape=(1,), key=jax.random.key(0))
    np.testing.assert_allclose(cells.protein[0, 0], 0.5 ** (30 / 20), rtol=1e-5)


def test_hidden_proteins_delay_the_response_but_not_the_steady_state(chain):
    text = "edit A knockout > wait 6h > harvest a > wait settled > harvest b"
    slow, fast = relative(chain(protein_decay=0.05), text), relative(chain(), text)
    assert slow[0, 1] > fast[0, 1] + 0.1
    np.testing.assert_allclose(slow[1], fast[1], rtol=1e-2)


def test_an_unregulated_gene_varies_as_a_birth_death_process_at_all_times(free_world):
    """Its variance is the noise times its mean, in the stationary state and on the way to another one."""
    start = stationary_cells(free_world, 4096, key=jax.random.key(3))
    experiment = conditions("edit TF01 crispri 0.7 > wait 5h > harvest")
    after = independent_cells(free_world, experiment, np.zeros(4096, int), start=start, key=jax.random.key(4))
    noise = free_world.kinetics.noise
    np.testing.assert_allclose(start.mrna.mean(axis=1), 1, atol=5 * np.sqrt(noise.max() / 4096))
    np.testing.assert_allclose(start.mrna.var(axis=1) / noise, 1, atol=0.15)
    after = after / free_world.kinetics.expression
    np.testing.assert_allclose(after.var(axis=0) / after.mean(axis=0) / noise, 1, atol=0.15)
    assert after.mean(axis=0)[0] < 0.9


def test_slow_factors_give_the_covariance_of_filtered_ornstein_uhlenbeck_noise(chain, without_regulation):
    world = without_regulation(chain(loading=0.15, noise=0.02))
    cells = stationary_cells(world, 8192, key=jax.random.key(5)).mrna
    decay, loading = world.kinetics.decay.astype(float), world.kinetics.loadings.astype(float)
    expected = np.diag(world.kinetics.noise.astype(float))
    for factor, hours in enumerate(world.kinetics.factor_hours):
        rate = 1 / (decay + 1 / hours)
        pair = decay[:, None] * decay / (decay[:, None] + decay)
        expected = expected + np.outer(loading[:, factor], loading[:, factor]) * pair * (rate[:, None] + rate)
    np.testing.assert_allclose(np.cov(cells), expected, atol=0.004)


def test_abundances_stay_positive_when_production_stops(free_world):
    start = stationary_cells(free_world, 512, key=jax.random.key(6))
    experiment = conditions("edit TF01 crispri > wait settled > harvest")
    after = independent_cells(free_world, experiment, np.zeros(512, int), start=start, key=jax.random.key(7))
    assert np.isfinite(after).all() and (after > 0).all()
    assert after[:, 0].max() < 0.05 * free_world.kinetics.expression[0]


def test_a_shorter_step_changes_the_noise_free_course_little(small_world):
    kinetics = without_noise(small_world.kinetics)
    contexts = [Context(edits=(Edit(gene=g),)) for g in small_world.genes[:6]]
    effects, start = small_world.effects(contexts), reference_state(kinetics, (6,))
    coarse, fine = (
        advance(kinetics, effects, start, 24.0, noise_shape=(6,), key=jax.random.key(0), step_hours=step).mrna
        for step in (1.0, 0.125)
    )
    assert np.abs(np.log(coarse / fine)).max() < 0.03


def test_elasticity_is_the_slope_of_the_promoter(chain):
    occupied = 1 / (1 + 0.8**2)
    expected = 3 * 2.0 * occupied * (1 - occupied) / (1 + 3 * occupied) / 1.25
    weight = chain().weight
    assert weight[1, 0] == pytest.approx(expected, rel=1e-5)
    assert weight[2, 1] < 0
    assert np.count_nonzero(weight) == 2


def test_a_pair_binds_only_together(chain):
    kinetics = eqx.tree_at(lambda k: k.site_second, chain().kinetics, np.array([[2, 2, 0, 2]], np.int32))
    present = np.asarray(production(kinetics, jnp.ones(2)))
    without = [np.asarray(production(kinetics, jnp.array(level))) for level in ([0.0, 1.0], [1.0, 0.0], [0.0, 0.0])]
    np.testing.assert_allclose(present, 1, rtol=1e-6)
    assert all(levels[2] == pytest.approx(without[0][2]) for levels in without)


def test_modes_of_a_cascade_are_its_decay_rates(chain):
    assert slowest_rate(chain().kinetics) == pytest.approx(np.log(2) / 24, rel=1e-4)


@pytest.mark.parametrize("protein_half_life_hours", [None, 12.0])
def test_the_slowest_mode_is_that_of_the_whole_network(protein_half_life_hours):
    """Eliminate nothing: the Jacobian of all mRNAs and all proteins, with prompt proteins a thousand times an hour."""
    recipe = WorldRecipe(n_genes=12, n_regulators=5, strength=3.0, protein_half_life_hours=protein_half_life_hours)
    world = random_world(recipe, key=jax.random.key(3))
    kinetics = world.kinetics
    relay = np.full(12, 1e3)
    relay[kinetics.regulators] = np.minimum(kinetics.protein_decay, 1e3)
    decay = kinetics.decay.astype(float)
    jacobian = np.block(
        [[-np.diag(decay), decay[:, None] * world.weight], [np.diag(relay), -np.diag(relay)]],
    )
    assert slowest_rate(kinetics) == pytest.approx(-np.linalg.eigvals(jacobian).real.max(), rel=1e-6)
