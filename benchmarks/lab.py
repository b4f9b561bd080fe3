"""A bench for studies of errors: cells of a simulated world in batches, as many of each condition as asked, with effects added by hand."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
import scipy.sparse as sp

from semimech.data import Cells, CellSystem, Dataset
from semimech.data.batch_effect import estimate_batch_effect
from semimech.data.moments import condition_moments
from semimech.data.scale import log1p_scale
from semimech.experiment import Condition, Edit
from semimech.fit import FitConfig
from semimech.simulate import Measurement, World, WorldRecipe, random_world, true_values
from semimech.simulate.screen import screen_experiments

CELL_SD = 0.6
N_BATCHES = 3
RECIPE = WorldRecipe(
    n_genes=24,
    n_regulators=24,
    mean_sites=2.0,
    strength=3.0,
    max_sites=5,
    expression=240.0,
    expression_spread=0.8,
)
CONFIG = FitConfig(
    steady_state="none",
    sparsities=(0.02, 0.1, 0.3),
    n_folds=2,
    n_members=2,
    n_steps=100,
    validation_steps=50,
    checkpoint_every=50,
)
"""Settings of fits that take a second or two."""


def draw_world(key: jax.Array) -> World:
    """A world of 24 genes, all regulators."""
    return random_world(RECIPE, key=key)


def conditions_of(genes: Sequence[str], days: Sequence[float]) -> list[Condition]:
    """Unedited cells and single knockouts on each day."""
    experiments = screen_experiments([(Edit(gene=gene),) for gene in genes], days)
    return [c for e in experiments for c in e.conditions.values()]


def true_means(world: World, conditions: Sequence[Condition], *, key: jax.Array) -> np.ndarray:
    """Log of the mean over cells, CP10k + 1, condition by gene."""
    measurement = Measurement(outside=1e4 - RECIPE.expression)
    return np.log1p(true_values(world, conditions, measurement=measurement, n_cells=256, key=key).mean)


def measure(
    genes: Sequence[str],
    conditions: Sequence[Condition],
    mean: np.ndarray,
    cells: np.ndarray,
    *,
    batch_sd: float = 0.1,
    interaction_sd: float = 0.0,
    rng: np.random.Generator,
    name: str,
) -> Dataset:
    """Draw cells with normal errors in the scale of the means, and pool them as data are pooled that are read.

    Parameters
    ----------
    mean, cells
        True mean, condition by gene, and number of cells of each condition; cells go to the batches in turn.
    batch_sd, interaction_sd
        Standard deviations of batch effects, and of what cells of one condition in one batch share.
    """
    condition = np.repeat(np.arange(len(cells)), cells)
    batch = np.concatenate([(np.arange(n) + k) % N_BATCHES for k, n in enumerate(cells)])
    shift = batch_sd * rng.standard_normal((N_BATCHES, mean.shape[1]))
    shift -= shift.mean(axis=0)  # their mean level is shared by all conditions: no error of a prediction
    shared = interaction_sd * rng.standard_normal((len(cells), N_BATCHES, mean.shape[1]))
    error = CELL_SD * rng.standard_normal((len(condition), mean.shape[1]))
    values = mean[condition] + shift[batch] + shared[condition, batch] + error
    return pooled(genes, conditions, values, condition=condition, batch=batch, rng=rng, name=name)


def pooled(
    genes: Sequence[str],
    conditions: Sequence[Condition],
    cells: np.ndarray,
    *,
    condition: np.ndarray,
    batch: np.ndarray,
    rng: np.random.Generator,
    name: str,
) -> Dataset:
    """Pool cells (cell by gene) as data are pooled that are read; every condition has some."""
    values = sp.csr_matrix(cells)
    is_control = np.array([c.is_control for c in conditions])[condition]
    effect = estimate_batch_effect(
        values[is_control], batch=batch[is_control], stratum=np.zeros(is_control.sum(), int), n_batches=N_BATCHES
    )
    moments = condition_moments(
        values, condition=condition, batch=batch, effect=effect, n_conditions=len(conditions), rng=rng
    )
    return Dataset(
        genes=tuple(genes),
        conditions=tuple(conditions),
        mean=moments.mean,
        standard_error=moments.standard_error,
        n_cells=moments.n_cells,
        scale=log1p_scale(),
        system=CellSystem(name=name),
        halves=moments.halves,
        cells=Cells(values=values, condition=condition, batch=batch, batch_offset=effect.offset),
        name=name,
    )
