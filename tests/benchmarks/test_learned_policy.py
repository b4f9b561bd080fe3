"""Facts about the worlds and the traits that a policy learns from: they are those of `semimech.design`, written once more for JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.learned_policy_traits import NAMES, Standing, after, traits
from benchmarks.learned_policy_worlds import N_COLUMNS, N_GENES, N_REGULATORS, Family, Plant, grow, predict

from semimech.design.law_lessons import responses
from semimech.design.lessons import Lessons


@pytest.fixture(scope="module")
def standing() -> tuple[Standing, Lessons]:
    rng = np.random.default_rng(0)
    feature, noise, weight = rng.normal(size=(3, 5, 4)), np.array([0.5, 1.0, 2.0]), np.array([1.0, 2.0, 0.5])
    points = rng.normal(size=(5, 2))
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    known = Standing(
        feature=jnp.asarray(feature),
        noise=jnp.asarray(noise),
        weight=jnp.asarray(weight),
        asked=jnp.full(5, 0.2),
        degree=jnp.arange(1.0, 6.0),
        size=jnp.ones(5),
        apart=jnp.asarray(apart),
        made=jnp.array([True, False, False, False, False]),
    )
    return known, Lessons(feature=feature, noise=noise, weight=weight)


@pytest.fixture(scope="module")
def plants() -> Plant:
    return jax.jit(jax.vmap(lambda key: grow(Family(), key)))(jax.random.split(jax.random.key(2), 20))


def test_traits_are_what_other_strategies_choose_by(standing):
    known, lessons = standing
    asked, free = np.full(5, 0.2), np.array([False, True, True, True, True])
    found = np.exp(np.asarray(traits(known, known, jnp.asarray(free)))) - 0.01
    expected = {
        "lessons": lessons.gains(asked, own=True),
        "taught": lessons.gains(asked, own=False),
        "own error": lessons.errors(),
        "degree": np.arange(1.0, 6.0),
        "distance": np.asarray(known.apart)[:, 0],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[:, NAMES.index(name)], value / value[free].max(), atol=1e-5)


def test_what_is_left_after_an_edit_is_what_lessons_leave(standing):
    known, lessons = standing
    np.testing.assert_allclose(after(known, jnp.asarray(2)).feature, lessons.after(2).feature, atol=1e-5)
    assert bool(after(known, jnp.asarray(2)).made[2])


def test_a_law_of_the_worlds_in_closed_form_responds_as_that_of_the_package(plants):
    """Weights so small that paths of seven edges and loops through the edited gene count for nothing."""
    plant = Plant(*(part[0] for part in plants))
    edge = 0.05 * jax.random.normal(jax.random.key(1), (N_GENES, N_COLUMNS)) * plant.there
    weight = np.zeros((N_GENES, N_REGULATORS))
    np.add.at(weight, (np.arange(N_GENES)[:, None], np.asarray(plant.column)), np.asarray(edge))
    padded = np.zeros((N_GENES, N_GENES))
    padded[:, :N_REGULATORS] = weight
    is_other = ~np.eye(N_REGULATORS, N_GENES, dtype=bool)
    expected = responses(padded, -np.eye(N_REGULATORS, N_GENES))
    np.testing.assert_allclose(np.asarray(predict(plant, edge))[is_other], expected[is_other], atol=2e-4)
    assert np.abs(expected[is_other]).max() > 0.05


def test_a_fifth_of_the_known_edges_is_false_and_no_gene_regulates_itself(plants):
    there = np.asarray(plants.there)
    own = np.asarray(plants.column) == np.arange(N_GENES)[:, None]
    assert not (own & there).any()
    assert there.sum() / (20 * N_GENES) == pytest.approx(2.5 / 0.8, rel=0.06)  # sites and false edges of a gene
