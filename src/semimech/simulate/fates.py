"""Cells that choose between two fates when their medium changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from semimech.experiment import Edit
from semimech.simulate._random import generator
from semimech.simulate.kinetics import Kinetics
from semimech.simulate.measurement import Measurement
from semimech.simulate.presets import choose_edits
from semimech.simulate.recipe import WorldRecipe, random_world
from semimech.simulate.screen import ScreenDesign, screen_experiments
from semimech.simulate.world import World

FATES = ("ENDO", "MESO")
"""The regulators of the two fates; each represses the other."""
MEDIA = ("mesendoderm", "endoderm")
"""Media that drive cells out of the maintained state: into both fates alike, or more into the first."""

_DRIVE = np.array([[4.0, 4.0], [4.6, 3.6]], np.float32)
_HALF_SATURATION = 1.6
_COOPERATIVITY = 4.0
_REPRESSION = 0.02
_HALF_LIFE_HOURS = 4.0
_FATE_EXPRESSION = 60.0
_PROGRAMME_FOLD = 6.0
_PLURIPOTENCY_FOLD = 0.1
_PROGRAMME_SHARE = 0.15


def fate_world(
    recipe: WorldRecipe, *, fates: tuple[str, str] = FATES, media: tuple[str, str] = MEDIA, key: PRNGKeyArray
) -> World:
    """Draw a world with a toggle switch in it, after Gardner, Cantor and Collins (2000, Nature 403, 339–342).

    The two regulators of `FATES` repress each other too weakly, at their level in the maintenance medium, to leave their
    common steady state. Each medium of `MEDIA` raises the production of both; their repression then steepens, the
    symmetric state is lost to two in which one of them is high and the other low, and noise decides the fate of each cell.
    Of the genes that regulate none, a share each is switched on by one fate, by the other, and off by both.

    Parameters
    ----------
    recipe
        The laws of all else; at least two regulators, and no media of its own.
    fates
        Names of the two regulators.
    media
        Names of the media, of the strengths of `MEDIA`.
    key
        Decides the draw.

    Raises
    ------
    ValueError
        If the recipe has fewer than two regulators or two sites per gene, or media of its own.
    """
    faults = [
        f"{name} must be at least 2, got {value}"
        for name, value in (("n_regulators", recipe.n_regulators), ("max_sites", recipe.max_sites))
        if value < 2
    ]
    if recipe.media:
        faults.append(f"media must be left empty, got {recipe.media}")
    if faults:
        raise ValueError("fate_world: " + "; ".join(faults))
    world_key, programme_key = jax.random.split(key)
    world = random_world(replace(recipe, media=media), key=world_key)
    medium_fold = world.medium_fold.copy()
    medium_fold[:, :2] = _DRIVE
    return World(
        genes=(*fates, *world.genes[2:]),
        kinetics=_with_switch(world.kinetics, generator(programme_key)),
        knockout_mrna=world.knockout_mrna,
        media=media,
        medium_fold=medium_fold,
    )


def endoderm_differentiation(
    *,
    n_genes: int = 200,
    n_edits: int = 12,
    n_doubles: int = 4,
    days: Sequence[float] = (1, 2, 4),
    n_batches: int = 3,
    cells: int = 40,
    control_cells: int = 250,
    key: PRNGKeyArray,
) -> tuple[World, ScreenDesign]:
    """A knockout screen of cells that leave pluripotency for one of two fates, see `fate_world`.

    Medium and edit change at time 0. Unedited cells are harvested on each day in each medium and in the maintenance
    medium, where they stay. Both regulators of fate are among the edits: without one of them all cells take the other fate.

    Parameters
    ----------
    n_genes
        Size of the panel.
    n_edits, n_doubles
        Single and double knockouts in each medium; the singles include both regulators of fate.
    days
        Days of harvest.
    n_batches
        Batches, each with all conditions and controls.
    cells, control_cells
        Cells per edited condition, and per day and medium of unedited cells.
    key
        Decides the world and the edits.

    Raises
    ------
    ValueError
        If there are fewer than two edits, more edits than genes, or more doubles than pairs.
    """
    if not 2 <= n_edits <= n_genes:
        raise ValueError(f"n_edits must lie between 2 and n_genes = {n_genes}, got {n_edits}")
    if n_doubles > n_edits * (n_edits - 1) // 2:
        raise ValueError(f"n_doubles must not exceed the number of pairs of {n_edits} edits, got {n_doubles}")
    world_key, edit_key, pair_key = jax.random.split(key, 3)
    recipe = WorldRecipe(
        n_genes=n_genes,
        n_regulators=max(n_edits, int(0.3 * n_genes)),
        mean_sites=3.0,
        strength=3.0,
        extrinsic=0.15,
        medium_spread=0.3,
    )
    world = fate_world(recipe, key=world_key)
    drawn, _ = choose_edits(world, n_edits, 0, key=edit_key)
    genes = [*FATES, *(gene for (gene,) in drawn if gene not in FATES)][:n_edits]
    pairs = list(combinations(genes, 2))
    doubles = generator(pair_key).choice(len(pairs), size=n_doubles, replace=False) if n_doubles else np.zeros(0, int)
    edits = [tuple(Edit(gene=g) for g in chosen) for chosen in (*((g,) for g in genes), *(pairs[i] for i in doubles))]
    design = ScreenDesign(
        experiments=(
            *screen_experiments([], days),
            *(e for medium in MEDIA for e in screen_experiments(edits, days, medium=medium)),
        ),
        cells=cells,
        control_cells=control_cells,
        n_batches=n_batches,
        measurement=Measurement(library_mean=2500.0),
    )
    return world, design


def _with_switch(kinetics: Kinetics, rng: np.random.Generator) -> Kinetics:
    """Make a switch of the first two regulators, and let the genes that regulate none follow it."""
    none = len(kinetics.regulators)
    new = {
        name: getattr(kinetics, name).copy()
        for name in ("expression", "decay", "half_saturation", "cooperativity", "saturation", "noise", "loadings")
        + ("protein_decay", "site_first", "site_second", "site_fold")
    }
    for name, value in (
        *(("half_saturation", _HALF_SATURATION), ("cooperativity", _COOPERATIVITY), ("protein_decay", np.inf)),
        *(("expression", _FATE_EXPRESSION), ("decay", np.log(2) / _HALF_LIFE_HOURS), ("saturation", 0.05)),
        *(("noise", 0.05), ("loadings", 0.0)),
    ):
        new[name][:2] = value
    first, second, fold = new["site_first"], new["site_second"], new["site_fold"]
    first[:, :2], second[:, :2], fold[:, :2] = none, none, 1.0
    first[0, :2], fold[0, :2] = (1, 0), _REPRESSION
    followers = rng.permutation(np.arange(none, len(new["decay"])))
    size = int(_PROGRAMME_SHARE * len(new["decay"]))
    for fate in (0, 1):
        programme = followers[fate * size : (fate + 1) * size]
        first[0, programme], second[0, programme], fold[0, programme] = fate, none, _PROGRAMME_FOLD
    pluripotency = followers[2 * size : 3 * size]
    for fate in (0, 1):
        first[fate, pluripotency], second[fate, pluripotency], fold[fate, pluripotency] = fate, none, _PLURIPOTENCY_FOLD
    return eqx.tree_at(lambda k: [getattr(k, name) for name in new], kinetics, list(new.values()))
