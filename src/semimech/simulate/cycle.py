"""Cells that cycle: production depends on the phase, and edits change how many cells are in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import anndata as ad
import jax
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from semimech.experiment import Edit
from semimech.simulate._random import generator
from semimech.simulate.measurement import Measurement
from semimech.simulate.presets import choose_edits
from semimech.simulate.recipe import WorldRecipe, random_world
from semimech.simulate.screen import ScreenDesign, screen_experiments, simulate_screen
from semimech.simulate.truth import true_values
from semimech.simulate.world import World

PHASES = ("G1", "S", "G2M")
UNEDITED = (0.5, 0.25, 0.25)
"""Shares of unedited cells."""
MARKERS = {
    "S": ("MCM5", "PCNA", "TYMS", "MCM2", "MCM4", "RRM1", "GINS2", "MCM6", "CDC6", "RRM2"),
    "G2M": ("CDK1", "UBE2C", "BIRC5", "TPX2", "TOP2A", "MKI67", "CENPF", "CCNB2", "AURKB", "BUB1"),
}
_FOLD, _OTHERS, _ARREST = 6.0, 0.35, 2.0
"""Fold of a marker in its phase; standard deviation of the logarithm of that of a quarter of the others; size of an arrest, log odds."""


def cycling_cells(
    *,
    n_genes: int = 60,
    n_edits: int = 8,
    n_doubles: int = 8,
    days: Sequence[float] = (3,),
    cells: int = 60,
    control_cells: int = 400,
    arrest: float = _ARREST,
    key: PRNGKeyArray,
) -> ad.AnnData:
    """A knockout screen of cycling cells, whose edits arrest some.

    A phase is a medium of the world, in which a cell is for as long as its transcripts need to settle: production of marker genes is six times as high in their phase, that of others depends on it a little. Edits shift the logarithms of
    the odds of phases, and those of two edits add up.

    Parameters
    ----------
    n_genes
        Size of the panel, markers of both phases among them.
    n_edits, n_doubles
        Single and double knockouts.
    days
        Days of harvest.
    cells, control_cells
        Cells per edited condition, and per day of unedited ones, on average: each of so many per phase is kept with the share of its phase.
    arrest
        Size of the shift of an edit that arrests; 0 for edits that leave phases alone.
    key
        Decides the world, the edits and all noise.

    Returns
    -------
    anndata.AnnData
        As of `simulate_screen`; ``uns["truth"]`` has noise-free means (``observed``) of ``conditions`` (perturbation, hours) and the ``shares`` of phases; ``obs["phase"]`` is the phase of each cell.

    Raises
    ------
    ValueError
        If the panel is too small for markers and edits, or there are more doubles than pairs.
    """
    n_markers = sum(map(len, MARKERS.values()))
    if n_genes < n_markers + 2 * n_edits:
        raise ValueError(f"n_genes must be at least {n_markers + 2 * n_edits} for {n_edits} edits, got {n_genes}")
    if n_doubles > n_edits * (n_edits - 1) // 2:
        raise ValueError(f"n_doubles must not exceed the number of pairs of {n_edits} edits, got {n_doubles}")
    world_key, edit_key, screen_key, truth_key = jax.random.split(key, 4)
    rng = generator(edit_key)
    world = _world(n_genes, n_edits, rng, world_key)
    singles, _ = choose_edits(world, n_edits, 0, key=edit_key)
    shift = {gene: _shift(rng, arrest) for (gene,) in singles}
    pairs = list(combinations([g for (g,) in singles], 2))
    doubles = [pairs[i] for i in rng.choice(len(pairs), n_doubles, replace=False)]
    edits = [tuple(Edit(gene=g) for g in genes) for genes in (*singles, *doubles)]
    design = ScreenDesign(
        experiments=tuple(e for phase in PHASES for e in screen_experiments(edits, days, medium=phase)),
        cells=cells,
        control_cells=control_cells,
        n_batches=1,
        escaper_share=0.0,
        measurement=Measurement(library_mean=4000.0),
    )
    screen = simulate_screen(world, design, n_truth_cells=2, key=screen_key)
    share = {
        name: _softmax(np.log(UNEDITED) + sum((shift[g] for g in name.split("+") if g in shift), np.zeros(3)))
        for name in screen.obs["perturbation"].cat.categories
    }
    chance = np.array(
        [share[p][PHASES.index(m)] for p, m in zip(screen.obs["perturbation"], screen.obs["medium"], strict=True)]
    )
    kept = screen[rng.random(len(chance)) < chance].copy()
    kept.obs = kept.obs.rename(columns={"medium": "phase"})
    truth = true_values(world, design.conditions, measurement=design.measurement, n_cells=96, key=truth_key)
    table = screen.uns["truth"]["conditions"].reset_index(drop=True)
    weight = np.array([share[p][PHASES.index(m)] for p, m in zip(table["perturbation"], table["medium"], strict=True)])
    groups = table.groupby(["perturbation", "hours"], sort=False).indices
    names = pd.DataFrame(list(groups), columns=["perturbation", "hours"])
    observed = np.array([weight[rows] @ truth.observed[rows] for rows in groups.values()])
    kept.uns["truth"] = {
        "conditions": names.set_axis([str(n) for n in range(len(names))], axis=0),
        "observed": observed,
        "shares": np.array([share[p] for p in names["perturbation"]]),
    }
    return kept


def _world(n_genes: int, n_edits: int, rng: np.random.Generator, key: PRNGKeyArray) -> World:
    """A world whose media are phases."""
    recipe = WorldRecipe(
        n_genes=n_genes,
        n_regulators=2 * n_edits,
        mean_sites=2.5,
        strength=1.0,
        extrinsic=0.1,
        media=PHASES,
        medium_spread=0.0,
        half_life_hours=4.0,
    )
    world = random_world(recipe, key=key)
    genes, fold = list(world.genes), np.ones_like(world.medium_fold)
    place = len(genes)
    others = rng.permutation(len(genes) - sum(map(len, MARKERS.values())))
    for phase, markers in MARKERS.items():
        place -= len(markers)
        genes[place : place + len(markers)] = markers
        fold[PHASES.index(phase), place : place + len(markers)] = _FOLD
    for row in others[: len(others) // 4]:
        fold[:, row] = np.exp(_OTHERS * rng.standard_normal(3))
    return replace(world, genes=tuple(genes), medium_fold=fold)


def _shift(rng: np.random.Generator, arrest: float) -> np.ndarray:
    """Shift of log odds towards G1 or G2M."""
    towards = 0 if rng.random() < 0.6 else 2
    return arrest * (np.arange(3) == towards) * rng.uniform(0.7, 1.3)


def _softmax(x: np.ndarray) -> np.ndarray:
    weight = np.exp(x - x.max())
    return weight / weight.sum()
