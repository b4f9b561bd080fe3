"""Counted molecules against closed forms, and against the mean-field world in the limit of large numbers."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.experiment import Context, Edit
from semimech.simulate import WorldRecipe, exact_counts, leaping_counts, random_world
from semimech.simulate.kinetics import advance, reference_state, without_noise

HOURS = (3.0, 8.0, 24.0, 48.0)
KNOCKDOWN = Context(edits=(Edit(gene="TF01", kind="crispri", efficacy=0.8),))


@pytest.fixture(scope="module")
def regulated():
    """Eight genes, six of them regulators of each other."""
    return random_world(WorldRecipe(n_genes=8, n_regulators=6, mean_sites=2.0, strength=4.0), key=jax.random.key(5))


@pytest.fixture(scope="module")
def edit(regulated):
    """A partial knockdown of the gene that moves the others most."""
    strongest = np.abs(regulated.weight).sum(axis=0).argmax()
    return Context(edits=(Edit(gene=regulated.genes[strongest], kind="crispri", efficacy=0.7),))


def mean_field(world, context, step_hours):
    """Relative abundance at each of the HOURS in the limit without noise."""
    kinetics = without_noise(world.kinetics)
    effects, cells, seen = world.effects([context]), reference_state(kinetics, (1,)), []
    for wait in np.diff([0.0, *HOURS]):
        cells = advance(kinetics, effects, cells, wait, noise_shape=(1,), key=jax.random.key(0), step_hours=step_hours)
        seen.append(np.asarray(cells.mrna)[:, 0])
    return np.array(seen)


def standard_scores(counts, expected):
    """Deviation of the mean over cells of each gene and time, in standard errors."""
    error = counts.std(axis=1, ddof=1) / np.sqrt(counts.shape[1])
    return (counts.mean(axis=1) - expected) / error


@pytest.mark.parametrize("simulate", [exact_counts, leaping_counts])
def test_an_unregulated_gene_is_poisson_when_stationary(free_world, simulate):
    """Mean and variance are the system size; that of the variance over n cells is (2 + 1 / size) / n of its square."""
    size, n_cells = 10, 1000
    settled = float(np.log(50) / free_world.kinetics.decay.min())
    counts = simulate(free_world, Context(), [settled], system_size=size, n_cells=n_cells, key=jax.random.key(1))[0]
    assert np.abs(counts.mean(axis=0) - size).max() < 4 * np.sqrt(size / n_cells)
    assert np.abs(counts.var(axis=0) / size - 1).max() < 4 * np.sqrt((2 + 1 / size) / n_cells)


@pytest.mark.parametrize("simulate", [exact_counts, leaping_counts])
def test_a_silenced_gene_follows_the_closed_form_of_mean_and_variance(free_world, simulate):
    """From a fixed number n: mean L + (n - L)k, variance L(1 - k) + nk(1 - k), with k the share that survives."""
    size, n_cells = 20, 1500
    counts = simulate(free_world, KNOCKDOWN, HOURS, system_size=size, n_cells=n_cells, key=jax.random.key(2))
    level = np.full(10, float(size))
    level[0] *= 0.2
    keep = np.exp(-np.outer(HOURS, free_world.kinetics.decay.astype(float)))
    mean, variance = level + (size - level) * keep, (level + size * keep) * (1 - keep)
    scores = (counts.mean(axis=1) - mean) / np.sqrt(variance / n_cells)
    assert np.abs(scores).max() < 4.5
    np.testing.assert_allclose(counts.var(axis=1) / variance, 1, atol=4.5 * np.sqrt(2.2 / n_cells))


def test_the_exact_process_has_the_mean_field_world_as_its_limit(regulated, edit):
    size = 300
    counts = exact_counts(regulated, edit, HOURS, system_size=size, n_cells=60, key=jax.random.key(3))
    scores = standard_scores(counts, size * mean_field(regulated, edit, 0.02))
    assert np.mean(np.abs(scores) < 3) >= 0.95
    assert np.abs(scores).max() < 4.5


def test_leaps_have_the_mean_field_world_at_the_same_step_as_their_limit(regulated, edit):
    size = 10_000
    counts = leaping_counts(regulated, edit, HOURS, system_size=size, n_cells=400, key=jax.random.key(4))
    expected = size * mean_field(regulated, edit, 0.25)
    assert np.abs(expected / size - 1).max() > 0.3
    scores = standard_scores(counts, expected)
    assert np.mean(np.abs(scores) < 3) >= 0.95
    assert np.abs(scores).max() < 4.5


def test_the_deviation_from_the_mean_field_shrinks_as_one_over_the_system_size(regulated, edit):
    n_cells, expected = 8000, mean_field(regulated, edit, 0.25)
    few, many = (
        leaping_counts(regulated, edit, HOURS, system_size=size, n_cells=n_cells, key=jax.random.key(size)) / size
        for size in (8, 32)
    )
    deviation, smaller = few.mean(axis=1) - expected, many.mean(axis=1) - expected
    error = np.sqrt((deviation**2 * many.var(axis=1)).sum() / n_cells) / (deviation**2).sum()
    ratio = (deviation * smaller).sum() / (deviation**2).sum()
    assert error < 0.05
    assert ratio == pytest.approx(1 / 4, abs=0.08)


def test_leaps_and_exact_process_agree_for_counted_proteins(chain):
    world = chain(protein_decay=0.1)
    context = Context(edits=(Edit(gene="A", kind="knockout", efficacy=0.8),))
    exact, leaping = (
        simulate(world, context, HOURS, system_size=30, n_cells=400, key=jax.random.key(6))
        for simulate in (exact_counts, leaping_counts)
    )
    error = np.sqrt((exact.var(axis=1) + leaping.var(axis=1)) / 400)
    assert np.abs((exact.mean(axis=1) - leaping.mean(axis=1)) / error).max() < 4.5


def test_one_key_makes_one_course(chain):
    first, again, other = (
        exact_counts(chain(), Context(), [2.0], system_size=10, n_cells=20, key=jax.random.key(s)) for s in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_impossible_requests_are_refused(chain):
    with pytest.raises(ValueError, match=r"system_size.*n_cells.*hours"):
        exact_counts(chain(), Context(), [5.0, 2.0], system_size=0, n_cells=0, key=jax.random.key(0))
    with pytest.raises(ValueError, match="step_hours"):
        leaping_counts(chain(), Context(), [1.0], system_size=5, n_cells=5, step_hours=0.0, key=jax.random.key(0))
