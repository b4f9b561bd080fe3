"""Small worlds that several tests look at."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np
import pytest

from semimech.simulate import World, WorldRecipe, random_world
from semimech.simulate.kinetics import Kinetics


@pytest.fixture(scope="session")
def free_world() -> World:
    """Ten genes that do not regulate each other."""
    return random_world(WorldRecipe(n_genes=10, n_regulators=4, strength=0.0), key=jax.random.key(1))


@pytest.fixture(scope="session")
def small_world() -> World:
    """Twelve genes, six of them regulators, with slow factors."""
    recipe = WorldRecipe(n_genes=12, n_regulators=6, mean_sites=1.2, strength=3.0, extrinsic=0.15)
    return random_world(recipe, key=jax.random.key(2))


@pytest.fixture(scope="session")
def chain() -> Callable[..., World]:
    """Makes a world where A activates B, B represses C, and D stands alone."""

    def make(*, protein_decay: float = np.inf, loading: float = 0.0, noise: float = 0.05) -> World:
        none = 2
        kinetics = Kinetics(
            expression=np.array([4000.0, 3000.0, 2000.0, 1000.0], np.float32),
            decay=np.log(2, dtype=np.float32) / np.array([4.0, 8.0, 12.0, 24.0], np.float32),
            regulators=np.array([0, 1], np.int32),
            protein_decay=np.full(2, protein_decay, np.float32),
            half_saturation=np.array([0.8, 1.25], np.float32),
            cooperativity=np.array([2.0, 1.5], np.float32),
            site_first=np.array([[none, 0, 1, none]], np.int32),
            site_second=np.array([[none, none, none, none]], np.int32),
            site_fold=np.array([[1.0, 4.0, 0.2, 1.0]], np.float32),
            saturation=np.full(4, 0.25, np.float32),
            noise=np.full(4, noise, np.float32),
            loadings=np.full((4, 2), loading, np.float32) * np.array([[1], [1], [1], [-1]], np.float32),
            factor_hours=np.array([48.0, 24.0], np.float32),
        )
        return World(
            genes=("A", "B", "C", "D"),
            kinetics=kinetics,
            knockout_mrna=np.array([0.4, 1.5, 1.0, 0.6], np.float32),
            media=("starved",),
            medium_fold=np.array([[1.0, 1.0, 1.0, 0.3]], np.float32),
        )

    return make


@pytest.fixture(scope="session")
def without_regulation() -> Callable[[World], World]:
    """The same world with all sites empty."""

    def strip(world: World) -> World:
        kinetics = world.kinetics
        fold = np.ones_like(kinetics.site_fold)
        return World(
            genes=world.genes,
            kinetics=eqx.tree_at(lambda k: k.site_fold, kinetics, fold),
            knockout_mrna=world.knockout_mrna,
            media=world.media,
            medium_fold=world.medium_fold,
        )

    return strip
