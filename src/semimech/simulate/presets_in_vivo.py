"""Ready-made screens in hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from semimech.experiment import Edit
from semimech.simulate._random import generator
from semimech.simulate.fates import fate_world
from semimech.simulate.graft import Graft
from semimech.simulate.measurement import Measurement
from semimech.simulate.population import deterministic_cells
from semimech.simulate.presets import choose_edits
from semimech.simulate.recipe import WorldRecipe, random_world
from semimech.simulate.screen import ScreenDesign, screen_experiments
from semimech.simulate.world import World

LINEAGES = ("SPI1", "GATA1")
"""Regulators of the two fates of grafted stem cells; each represses the other (Graf and Enver, Nature 462, 587, 2009)."""
MARROW, TUMOUR = "marrow", "tumour"
_GROWTH_GENES, _GUIDES = 8, 4


def haematopoiesis_in_vivo(
    *,
    n_genes: int = 100,
    n_edits: int = 16,
    n_doubles: int = 0,
    days: Sequence[float] = (7, 14, 28),
    n_batches: int = 3,
    cells: int = 60,
    control_cells: int = 400,
    founders: int = 8_000,
    key: PRNGKeyArray,
) -> tuple[World, ScreenDesign]:
    """Edited blood stem cells in the marrow of hosts, where they take one of two fates, see `fate_world`.

    Each animal is sampled at all times: it has one bottleneck. Growth depends on the expression of some genes, on the logarithm of
    abundance with a standard deviation of about 1 over edits at the last time.

    Parameters
    ----------
    n_genes
        Size of the panel.
    n_edits, n_doubles
        Edited genes, among them both regulators of fate; pairs are not grafted.
    days
        Days of harvest after transplantation.
    n_batches
        Animals.
    cells, control_cells
        Cells per edited condition and of unedited ones, if all survived alike; there are as many non-targeting guides to those of an edit as there are cells, at least 40.
    founders
        Cells that found the graft of one animal.
    key
        Decides the world, the edits and growth.

    Raises
    ------
    ValueError
        If there are fewer than two edits, more than genes, or pairs.
    """
    if not 2 <= n_edits <= n_genes:
        raise ValueError(f"n_edits must lie between 2 and n_genes = {n_genes}, got {n_edits}")
    world_key, edit_key, growth_key = jax.random.split(key, 3)
    world = fate_world(_recipe(n_genes, n_edits), fates=LINEAGES, media=(MARROW, "spleen"), key=world_key)
    drawn, _ = choose_edits(world, n_edits, 0, key=edit_key)
    genes = [*LINEAGES, *(gene for (gene,) in drawn if gene not in LINEAGES)][:n_edits]
    sizes = {"cells": cells, "control_cells": control_cells, "n_batches": n_batches}
    return world, _design(world, genes, n_doubles, days, MARROW, founders, sizes, spread=1.0, key=growth_key)


def tumour_in_vivo(
    *,
    n_genes: int = 100,
    n_edits: int = 20,
    n_doubles: int = 0,
    days: Sequence[float] = (5, 10, 15),
    n_batches: int = 3,
    cells: int = 60,
    control_cells: int = 400,
    founders: int = 20_000,
    key: PRNGKeyArray,
) -> tuple[World, ScreenDesign]:
    """Edited tumour cells in a host's tissue, whose niche moves their expression while they grow; they take no fates.

    Selection is strong: on the logarithm of abundance a standard deviation of about 1.5 over edits at the last time.

    Parameters
    ----------
    n_genes
        Size of the panel.
    n_edits, n_doubles
        Edited genes; pairs are not grafted.
    days
        Days of harvest after transplantation.
    n_batches
        Animals; each is sampled at all times.
    cells, control_cells
        Cells per edited condition and of unedited ones, if all survived alike; there are as many non-targeting guides to those of an edit as there are cells, at least 40.
    founders
        Cells that found the graft of one animal.
    key
        Decides the world, the edits and growth.

    Raises
    ------
    ValueError
        If there are more edits than genes, or pairs.
    """
    if n_edits > n_genes:
        raise ValueError(f"n_edits must not exceed n_genes = {n_genes}, got {n_edits}")
    world_key, edit_key, growth_key = jax.random.split(key, 3)
    recipe = _recipe(n_genes, n_edits, media=(TUMOUR,), medium_spread=0.5)
    world = random_world(recipe, key=world_key)
    drawn, _ = choose_edits(world, n_edits, 0, key=edit_key)
    sizes = {"cells": cells, "control_cells": control_cells, "n_batches": n_batches}
    genes = [gene for (gene,) in drawn]
    return world, _design(world, genes, n_doubles, days, TUMOUR, founders, sizes, spread=1.5, key=growth_key)


def _recipe(n_genes: int, n_edits: int, media: tuple[str, ...] = (), medium_spread: float = 0.3) -> WorldRecipe:
    return WorldRecipe(
        n_genes=n_genes,
        n_regulators=max(n_edits, int(0.3 * n_genes)),
        mean_sites=3.0,
        strength=3.0,
        extrinsic=0.15,
        media=media,
        medium_spread=medium_spread,
    )


def _design(
    world: World,
    genes: Sequence[str],
    n_doubles: int,
    days: Sequence[float],
    niche: str,
    founders: int,
    sizes: dict[str, int],
    *,
    spread: float,
    key: PRNGKeyArray,
) -> ScreenDesign:
    if n_doubles:
        raise ValueError(f"n_doubles must be 0 in a host: a guide stands for one edit there, got {n_doubles}")
    plain = ScreenDesign(
        experiments=screen_experiments([(Edit(gene=g),) for g in genes], days, medium=niche),
        measurement=Measurement(library_mean=2500.0),
        cells=sizes["cells"],
        control_cells=sizes["control_cells"],
        n_batches=sizes["n_batches"],
        n_guides=_GUIDES,
    )
    per_edit = sizes["control_cells"] / sizes["cells"]
    graft = Graft(
        niche=niche,
        weight=_weight(world, plain, spread, key),
        founders=founders,
        animals=sizes["n_batches"],
        neutral_guides=max(round(_GUIDES * per_edit), 40),
    )
    return replace(plain, graft=graft)


def _weight(world: World, design: ScreenDesign, spread: float, key: PRNGKeyArray) -> tuple[float, ...]:
    """Growth by some genes, scaled so that edits differ by a given standard deviation in the end, natural-log units of abundance."""
    rng = generator(key)
    last = max(c.hours for c in design.conditions)
    conditions = [c for c in design.conditions if c.hours == last]
    level = np.log1p(deterministic_cells(world, conditions) / world.kinetics.expression)
    moved = level.std(axis=0)
    chosen = rng.choice(len(moved), _GROWTH_GENES, replace=False, p=(moved + 1e-6) / (moved + 1e-6).sum())
    weight = np.zeros(len(moved))
    weight[chosen] = rng.standard_normal(_GROWTH_GENES)
    scaled = weight * spread / (last * max(float((level @ weight).std()), 1e-6))
    return tuple(scaled.tolist())
