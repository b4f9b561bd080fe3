"""Worlds for studies of campaigns: screens of 200 genes measured in full, and what is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd

from semimech.data import CellSystem, Dataset, dataset_from_means, log1p_scale
from semimech.experiment import Condition, parse_experiment
from semimech.fit import FitConfig
from semimech.model import Kinship, PriorNetwork
from semimech.simulate import Measurement, World, WorldRecipe, prior_network, random_world
from semimech.simulate.population import deterministic_cells

HOURS = 72
N_GENES = 200
SE = 0.05
"""Standard error of each edited mean, log1p CP10k: some 150 cells; a fifth of it for unedited cells."""
FALSE_SHARE = 0.2
CONFIG = FitConfig(
    steady_state="none",
    sparsities=(0.003,),
    weight_decays=(0.03,),
    n_folds=3,
    n_members=3,
    n_steps=120,
    validation_steps=120,
    checkpoint_every=60,
    learning_rate=0.1,
)
"""Settings of fits that are cheap enough for hundreds."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A screen of all edits of a world, and what is known beforehand."""

    dataset: Dataset
    prior: PriorNetwork | None = None
    kinship: Kinship | None = None
    truth: np.ndarray | None = None


def knockout(gene: str, efficacy: float = 1.0) -> Condition:
    dose = "" if efficacy == 1.0 else f" {efficacy:.3f}"
    return parse_experiment(f"edit {gene} knockout{dose} > wait {HOURS}h > harvest").conditions["harvest"]


def unedited() -> Condition:
    return parse_experiment(f"wait {HOURS}h > harvest").conditions["harvest"]


def measured(world: World, done: list[Condition]) -> np.ndarray:
    """Log of the means without noise, CP10k + 1."""
    return np.log1p(Measurement().cp10k(deterministic_cells(world, done)))


def screen(genes: tuple[str, ...], named: list[Condition], truth: np.ndarray, rng: np.random.Generator) -> Dataset:
    """Means with normal errors; the first condition is that of unedited cells."""
    error = np.full(truth.shape, SE)
    error[0] = SE / 5
    return dataset_from_means(
        genes,
        named,
        truth + error * rng.standard_normal(truth.shape),
        scale=log1p_scale(),
        standard_error=error,
        n=np.array([2500] + [100] * (len(named) - 1)),
        system=CellSystem(name="campaign"),
        name="campaign",
    )


RECIPE = WorldRecipe(n_genes=N_GENES, n_regulators=100, strength=3.0)


def wired(seed: int) -> Bench:
    """Regulators, each knocked out; known are all true edges and false ones, a fifth of all."""
    world_key, prior_key = jax.random.split(jax.random.key(seed))
    world = random_world(RECIPE, key=world_key)
    named = [unedited(), *(knockout(g) for g in sorted(set(world.network["source"])))]
    truth = measured(world, named)
    edges = prior_network(world, false_share=FALSE_SHARE, key=prior_key)
    dataset = screen(world.genes, named, truth, np.random.default_rng(seed))
    return Bench(dataset=dataset, prior=PriorNetwork(edges=edges, use="mask"), truth=truth)


def complexes(seed: int) -> Bench:
    """Thirty regulators that are complexes of one to seven members: an edit of a member takes away half of the complex or more.

    Known is who stands in which complex, a fifth of the genes in a wrong one; the wiring is not known.
    """
    rng = np.random.default_rng(seed)
    recipe = WorldRecipe(n_genes=N_GENES, n_regulators=30, strength=3.0)
    world = random_world(recipe, key=jax.random.key(seed))
    active = sorted(set(world.network["source"]))
    sizes = rng.integers(1, 8, len(active))
    others = [g for g in world.genes if g not in active]
    members = [(c, others.pop()) for c, n in zip(active, sizes, strict=True) for _ in range(min(n, len(others)))]
    doses = rng.uniform(0.5, 1.0, len(members))
    truth = measured(world, [unedited(), *(knockout(c, d) for (c, _), d in zip(members, doses, strict=True))])
    named = [unedited(), *(knockout(m) for _, m in members)]
    wrong = rng.random(len(members)) < FALSE_SHARE
    table = pd.DataFrame(
        {
            "complex": [rng.choice(active) if w else c for (c, _), w in zip(members, wrong, strict=True)],
            "gene": [m for _, m in members],
        }
    )
    dataset = screen(world.genes, named, truth, np.random.default_rng(seed + 1))
    return Bench(dataset=dataset, kinship=Kinship(complexes={"complexes": table}), truth=truth)


FAMILIES = {"wired": wired, "complexes": complexes}
