"""Cells that talk: a ligand, secreted by the culture, and a receptor through which it acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from semimech.experiment import CONTROL, Edit
from semimech.simulate._random import generator
from semimech.simulate.kinetics import Kinetics
from semimech.simulate.measurement import Measurement
from semimech.simulate.presets import choose_edits
from semimech.simulate.recipe import WorldRecipe, random_world
from semimech.simulate.screen import ScreenDesign, screen_experiments
from semimech.simulate.world import World

LIGAND, RECEPTOR, FIELD = "LIG", "REC", "FIELD"
"""The secreted gene, the gene of its receptor, and what is outside: no transcript, so that it has no counts."""
_SHARE, _STRENGTH = 0.3, 6.0
_UNSEEN = 1e-6


def co_culture(
    *,
    n_genes: int = 60,
    n_edits: int = 8,
    n_doubles: int = 0,
    days: Sequence[float] = (2, 4),
    n_batches: int = 2,
    cells: int = 40,
    control_cells: int = 150,
    ratios: Sequence[float] = (0.3, 0.6, 0.9),
    strength: float = _STRENGTH,
    key: PRNGKeyArray,
) -> tuple[World, ScreenDesign]:
    """A knockout screen in co-cultures of unedited cells with cells that lack a ligand, at several ratios.

    The concentration of the ligand in a culture is the mean of its expression over all cells there (mean field). Cells that have the receptor answer: of the genes that regulate none, as many as three in ten of all are switched on by ligand and receptor
    together. A culture is a medium, ``LIG-null 30%``; the maintenance medium is the culture of unedited cells. Edited cells are few in each, and change no concentration.

    Parameters
    ----------
    n_genes
        Size of the panel.
    n_edits, n_doubles
        Edited genes, among them ligand and receptor; pairs are not made.
    days
        Days of harvest.
    n_batches
        Batches.
    cells, control_cells
        Cells per edited condition, and per culture and day of unedited ones.
    ratios
        Shares of cells without the ligand.
    strength
        Fold change of a target whose site is bound by both, less one; 0 for cells that do not talk.
    key
        Decides the world and the edits.

    Raises
    ------
    ValueError
        If there are fewer than two edits, more than regulators can be beside the genes that answer, or pairs.
    """
    most = n_genes + 1 - int(_SHARE * (n_genes + 1)) - 3
    if not 2 <= n_edits <= most or n_doubles:
        raise ValueError(
            f"n_edits must lie between 2 and {most} for n_genes = {n_genes}, of which three in ten answer, and n_doubles be 0, got {n_edits} and {n_doubles}"
        )
    world_key, edit_key, site_key = jax.random.split(key, 3)
    recipe = WorldRecipe(
        n_genes=n_genes + 1,
        n_regulators=max(n_edits + 3, int(0.3 * n_genes)),
        mean_sites=2.5,
        strength=2.0,
        extrinsic=0.1,
        media=tuple(culture_name(r) for r in ratios),
        medium_spread=0.0,
    )
    world = random_world(recipe, key=world_key)
    fold = np.ones_like(world.medium_fold)
    fold[:, 2] = [1.0 - r for r in ratios]
    world = World(
        genes=(LIGAND, RECEPTOR, FIELD, *world.genes[3:]),
        kinetics=_with_field(world.kinetics, strength, generator(site_key)),
        knockout_mrna=world.knockout_mrna,
        media=world.media,
        medium_fold=fold,
    )
    others = [
        gene for (gene,) in choose_edits(world, n_edits, 0, key=edit_key)[0] if gene not in (LIGAND, RECEPTOR, FIELD)
    ]
    edits = [(Edit(gene=g),) for g in [LIGAND, RECEPTOR, *others][:n_edits]]
    media = (None, *world.media)
    plain = ScreenDesign(
        experiments=tuple(e for medium in media for e in screen_experiments(edits, days, medium=medium)),
        cells=cells,
        control_cells=control_cells,
        n_batches=n_batches,
        escaper_share=0.0,
    )
    return world, replace(plain, measurement=Measurement(library_mean=4000.0))


def culture_name(ratio: float) -> str:
    """Name of the culture with this share of cells that lack the ligand."""
    return f"{LIGAND}-null {ratio:.0%}"


def cultures(ratios: Sequence[float]) -> Mapping[str, Mapping[str, float]]:
    """Which cells each culture holds, in shares."""
    return {culture_name(r): {CONTROL: 1.0 - r, LIGAND: r} for r in ratios}


def culture_table(ratios: Sequence[float]) -> pd.DataFrame:
    """The same as a table: ``culture``, ``perturbation``, ``share``."""
    rows = [(name, who, share) for name, shares in cultures(ratios).items() for who, share in shares.items()]
    return pd.DataFrame(rows, columns=["culture", "perturbation", "share"])


def _with_field(kinetics: Kinetics, strength: float, rng: np.random.Generator) -> Kinetics:
    """Make ligand, receptor and field of the first three regulators, and give some genes a site for receptor and field."""
    none = len(kinetics.regulators)
    names = ("expression", "noise", "loadings", "decay", "half_saturation", "cooperativity")
    new = {
        name: getattr(kinetics, name).copy()
        for name in (*names, "protein_decay", "site_first", "site_second", "site_fold")
    }
    new["expression"][:3] = (60.0, 40.0, _UNSEEN)
    new["expression"] *= 1e4 / new["expression"].sum()
    new["decay"][2], new["noise"][2], new["loadings"][:3] = 2.0, _UNSEEN, 0.0
    new["half_saturation"][:3], new["cooperativity"][:3], new["protein_decay"][:3] = 1.0, 1.0, np.inf
    first, second, fold = new["site_first"], new["site_second"], new["site_fold"]
    fold[(first < 3) | (second < 3)] = 1.0  # nothing else depends on the three, and they on nothing
    fold[:, :3] = 1.0
    followers = rng.permutation(np.arange(none, len(new["decay"])))[: int(_SHARE * len(new["decay"]))]
    first[0, followers], second[0, followers], fold[0, followers] = 1, 2, 1.0 + strength
    return eqx.tree_at(lambda k: [getattr(k, name) for name in new], kinetics, list(new.values()))
