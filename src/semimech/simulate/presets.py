"""Ready-made worlds with the design of a screen in them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import jax
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from semimech.experiment import Edit
from semimech.simulate._random import generator
from semimech.simulate.measurement import Measurement
from semimech.simulate.recipe import WorldRecipe, random_world
from semimech.simulate.screen import ScreenDesign, screen_experiments
from semimech.simulate.world import World


def ipsc_maintenance(
    *,
    n_genes: int = 200,
    n_edits: int = 30,
    n_doubles: int = 10,
    days: Sequence[float] = (2, 3, 4, 5),
    n_batches: int = 3,
    cells: int = 24,
    control_cells: int = 450,
    key: PRNGKeyArray,
) -> tuple[World, ScreenDesign]:
    """A time-resolved knockout screen of pluripotent cells in their maintenance medium, on a targeted panel of genes.

    Regulators with targets are knocked out one by one, and in pairs, at time 0. Slow variation between cells, hubs,
    feedback, five per cent of escapers and batch effects are there; the panel takes 2,500 UMI per cell.

    Parameters
    ----------
    n_genes
        Size of the panel; nearly a third are regulators, at least as many as are edited.
    n_edits, n_doubles
        Single and double knockouts.
    days
        Days of harvest.
    n_batches
        Batches, each with all conditions and controls.
    cells, control_cells
        Cells per edited condition, and per day of unedited cells.
    key
        Decides the world and the edits.

    Raises
    ------
    ValueError
        If there are more edits than genes, or more doubles than pairs.
    """
    world, singles, doubles = _edited_world(n_genes, n_edits, n_doubles, key=key)
    experiments = screen_experiments([tuple(Edit(gene=g) for g in genes) for genes in (*singles, *doubles)], days)
    design = ScreenDesign(
        experiments=experiments,
        cells=cells,
        control_cells=control_cells,
        n_batches=n_batches,
        measurement=Measurement(library_mean=2500.0),
    )
    return world, design


def drug_combination(
    *,
    n_genes: int = 200,
    n_edits: int = 4,
    n_doubles: int = 3,
    efficacies: Sequence[float] = (0.3, 0.6, 0.9),
    days: Sequence[float] = (1, 2, 4),
    n_batches: int = 3,
    cells: int = 24,
    control_cells: int = 300,
    key: PRNGKeyArray,
) -> tuple[World, ScreenDesign]:
    """A cell line in its maintenance medium under compounds, alone and in pairs, at several doses.

    Each compound inhibits the product of one gene, so that its mRNA moves only where regulation feeds back. A dose is
    the fraction inhibited; pairs are given at all combinations of doses. Unedited cells stand for those in the solvent.

    Parameters
    ----------
    n_genes
        Size of the panel.
    n_edits, n_doubles
        Compounds, and pairs of compounds.
    efficacies
        Doses, as fractions of activity removed.
    days
        Days of harvest.
    n_batches
        Batches, each with all conditions and controls.
    cells, control_cells
        Cells per treated condition, and per day of untreated cells.
    key
        Decides the world and the targets of the compounds.

    Raises
    ------
    ValueError
        If there are more compounds than genes, or more pairs than compounds can form.
    """
    world, singles, doubles = _edited_world(n_genes, n_edits, n_doubles, key=key)
    treatments = [
        tuple(Edit(gene=g, kind="drug", efficacy=e) for g, e in zip(targets, doses, strict=True))
        for targets in (*singles, *doubles)
        for doses in product(efficacies, repeat=len(targets))
    ]
    design = ScreenDesign(
        experiments=screen_experiments(treatments, days),
        cells=cells,
        control_cells=control_cells,
        n_batches=n_batches,
        n_guides=1,
        escaper_share=0.0,
        measurement=Measurement(library_mean=2500.0),
    )
    return world, design


def _edited_world(
    n_genes: int, n_edits: int, n_doubles: int, *, key: PRNGKeyArray
) -> tuple[World, tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """A world of cells that keep their state, the genes to edit alone, and those to edit together."""
    if n_edits > n_genes:
        raise ValueError(f"n_edits must not exceed n_genes = {n_genes}, got {n_edits}")
    if n_doubles > n_edits * (n_edits - 1) // 2:
        raise ValueError(f"n_doubles must not exceed the number of pairs of {n_edits} edits, got {n_doubles}")
    world_key, edit_key = jax.random.split(key)
    recipe = WorldRecipe(
        n_genes=n_genes,
        n_regulators=max(n_edits, int(0.3 * n_genes)),
        mean_sites=3.0,
        strength=3.0,
        extrinsic=0.15,
    )
    world = random_world(recipe, key=world_key)
    singles, doubles = choose_edits(world, n_edits, n_doubles, key=edit_key)
    return world, singles, doubles


def choose_edits(
    world: World, n_singles: int, n_doubles: int, *, key: PRNGKeyArray
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Choose genes to edit among those with targets, and pairs of them; larger hubs are likelier.

    Raises
    ------
    ValueError
        If fewer genes have targets than are wanted.
    """
    rng = generator(key)
    n_targets = world.network["source"].value_counts()
    if len(n_targets) < n_singles:
        raise ValueError(f"only {len(n_targets)} genes have targets, {n_singles} edits are wanted: add regulators")
    chance = np.sqrt(n_targets.to_numpy(float))
    chosen = rng.choice(n_targets.index.to_numpy(), size=n_singles, replace=False, p=chance / chance.sum())
    genes = sorted(map(str, chosen))
    pairs = list(combinations(genes, 2))
    doubles = rng.choice(len(pairs), size=n_doubles, replace=False) if n_doubles else np.zeros(0, int)
    return tuple((g,) for g in genes), tuple(pairs[i] for i in sorted(doubles))


def prior_network(world: World, *, false_share: float = 0.2, key: PRNGKeyArray) -> pd.DataFrame:
    """A prior as a database would give it: all true edges, and false ones among them.

    Parameters
    ----------
    world
        Whose network it is.
    false_share
        Share of the edges listed that are false.
    key
        Decides the false edges and the order.

    Returns
    -------
    pandas.DataFrame
        Columns ``source``, ``target``, ``sign``, in random order. False edges start at regulators and have random signs.

    Raises
    ------
    ValueError
        If ``false_share`` lies outside [0, 1), or there are too few pairs without an edge.
    """
    if not 0 <= false_share < 1:
        raise ValueError(f"false_share must lie in [0, 1), got {false_share:g}")
    rng = generator(key)
    true = world.network[["source", "target", "sign"]]
    n_false = round(len(true) * false_share / (1 - false_share))
    absent = world.weight == 0
    np.fill_diagonal(absent, False)
    sources = sorted({world.genes.index(gene) for gene in true["source"]})
    target, column = np.nonzero(absent[:, sources])
    if n_false > len(target):
        raise ValueError(f"false_share {false_share:g} wants {n_false} false edges, only {len(target)} pairs are free")
    picked = rng.choice(len(target), size=n_false, replace=False)
    names = np.array(world.genes, dtype=object)
    false = pd.DataFrame(
        {
            "source": names[np.array(sources, dtype=int)[column[picked]]],
            "target": names[target[picked]],
            "sign": rng.choice([-1, 1], size=n_false),
        }
    )
    edges = pd.concat([true, false], ignore_index=True)
    return edges.iloc[rng.permutation(len(edges))].reset_index(drop=True)
