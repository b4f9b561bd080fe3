"""A clean simulated CRISPRi screen, and faults to plant in it: each with the check that must name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import anndata as ad
import jax
import numpy as np
import small_plants as plants
import small_renames as renames

from semimech.data.curation.cycle_genes import G2M_PHASE, S_PHASE
from semimech.experiment import Edit
from semimech.simulate import (
    Measurement,
    ScreenDesign,
    WorldRecipe,
    choose_edits,
    random_world,
    screen_experiments,
    simulate_screen,
)

N_GENES = 70
KEYS = {"edit_kind": "crispri"}


@cache
def _clean(seed: int) -> ad.AnnData:
    world_key, edit_key, key = jax.random.split(jax.random.key(seed), 3)
    world = random_world(WorldRecipe(n_genes=N_GENES, n_regulators=20), key=world_key)
    genes = [edits[0] for edits in choose_edits(world, n_singles=8, n_doubles=0, key=edit_key)[0]]
    design = ScreenDesign(
        experiments=screen_experiments([(Edit(gene=g, kind="crispri", efficacy=0.9),) for g in genes], (2, 4)),
        cells=120,
        control_cells=300,
        measurement=Measurement(library_mean=4000.0),
    )
    data = simulate_screen(world, design, n_truth_cells=8, key=key)
    others = [g for g in data.var_names if g not in genes]
    abundance = np.asarray(data[:, others].X.mean(axis=0)).ravel()
    rare = [others[i] for i in np.argsort(abundance)[:6]]
    common = [g for g in _by_move(data, genes) if g not in rare]
    names = dict(zip(rare, (f"MT-ND{i}" for i in range(1, 7)), strict=True))
    names |= dict(zip(common[:8], S_PHASE, strict=False)) | dict(zip(common[8:16], G2M_PHASE, strict=False))
    data.var_names = [names.get(g, g) for g in data.var_names]
    data.uns = {}
    return data


def _by_move(data: ad.AnnData, edited: list[str]) -> list[str]:
    """Genes that are not edited, those that the edits move least first: no edit of a clean screen shifts the cycle."""
    logs = np.log1p(data.X.toarray())
    spread = logs.std(axis=0) + 1e-9
    labels = data.obs["perturbation"].to_numpy()
    moves = [np.abs(logs[labels == e].mean(axis=0) - logs[labels == "control"].mean(axis=0)) / spread for e in edited]
    return [g for g in data.var_names[np.argsort(np.max(moves, axis=0))] if g not in edited]


def clean(seed: int) -> ad.AnnData:
    """A screen without a fault: 8 knockdowns and controls, two days, three batches, three guides, 70 genes."""
    return _clean(seed).copy()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault to plant.

    Parameters
    ----------
    name
        In words.
    check
        The check that must name it.
    plant
        Changes a data set and returns it.
    severity
        With which it is named.
    keys
        How the data set is read.
    stage
        Which of two faults is planted first: what renames everything before what needs names, what rescales values last.
    """

    name: str
    check: str
    plant: Callable[[ad.AnnData], ad.AnnData]
    severity: str = "warning"
    keys: tuple[tuple[str, object], ...] = ()
    stage: int = 1


FAULTS = (
    Fault(name="an edit at two fifths of the depth", check="depth by edit", plant=plants.shallow),
    Fault(name="an edit of few cells", check="cells per condition", plant=plants.rare),
    Fault(
        name="a batch without controls",
        check="controls per batch",
        plant=lambda d: plants.without(d, plants.rows(d, "control", batch="batch2")),
    ),
    Fault(name="an edit in the batch without controls only", check="batch and edit", plant=plants.confounded),
    Fault(
        name="a day per batch",
        check="time and batch",
        plant=plants.nested("day", {"batch1": 2, "batch2": 4, "batch3": 6}),
        stage=0,
    ),
    Fault(
        name="a medium per batch",
        check="medium and batch",
        plant=plants.nested("medium", {"batch1": "A", "batch2": "B", "batch3": "B"}),
        keys=(("maintenance_medium", "A"),),
    ),
    Fault(name="an edit in one batch", check="batches per edit", plant=plants.one_batch),
    Fault(name="no controls", check="controls", plant=lambda d: plants.without(d, plants.rows(d, "control")), stage=2),
    Fault(name="controls that move", check="control stationarity", plant=plants.moving_controls),
    Fault(name="a knockdown that does not work", check="on-target effect", plant=plants.dead_target),
    Fault(name="exchanged labels", check="on-target effect", plant=plants.exchanged, stage=2),
    Fault(name="activation declared as interference", check="kind of edit", plant=plants.activated),
    Fault(name="six in ten cells escaped", check="escapers", plant=plants.escaped),
    Fault(name="a guide that does not work", check="guides of one gene", plant=plants.bad_guide),
    Fault(name="a control guide that acts", check="guides of one gene", plant=plants.acting_control),
    Fault(name="a guide under two labels", check="guides and edits", plant=plants.mixed_guides),
    Fault(name="dying cells", check="mitochondrial share", plant=plants.dying),
    Fault(
        name="dying cells of one edit",
        check="mitochondrial share",
        plant=plants.scaled(plants.mitochondrial, 30.0, lambda d: plants.rows(d, plants.edits(d)[3])),
    ),
    Fault(
        name="an arrested edit",
        check="cell cycle",
        plant=plants.scaled(
            lambda d: [g for g in d.var_names if g in G2M_PHASE], 1.8, lambda d: plants.rows(d, plants.edits(d)[3])
        ),
    ),
    Fault(name="an edit that dies out", check="loss of cells", plant=plants.dying_out),
    Fault(name="fractional counts", check="integer counts", plant=plants.fractional, severity="fail", stage=3),
    Fault(name="a NaN", check="finite values", plant=plants.spoiled, severity="fail", stage=3),
    Fault(name="no logarithm", check="normalisation of X", plant=plants.stored(lambda x: x), severity="fail", stage=4),
    Fault(
        name="base 2",
        check="normalisation of X",
        plant=plants.stored(lambda x: np.log2(1 + x)),
        severity="fail",
        stage=4,
    ),
    Fault(
        name="two logarithms",
        check="normalisation of X",
        plant=plants.stored(lambda x: np.log1p(np.log1p(x))),
        severity="fail",
        stage=4,
    ),
    Fault(name="a gene name twice", check="gene names", plant=renames.twice, severity="fail", stage=2),
    Fault(
        name="identifiers of two kinds",
        check="gene identifiers",
        plant=renames.renamed(lambda i, g: renames.identifier(i, g) if i % 3 == 0 else g),
        stage=2,
    ),
    Fault(name="genes that became dates", check="gene identifiers", plant=renames.dated, stage=2),
    Fault(name="edits by symbol, genes by identifier", check="names of edits", plant=renames.ensembl, stage=0),
    Fault(name="an edit of an unknown gene", check="targets", plant=plants.unknown),
    Fault(
        name="days read as hours", check="duration", plant=lambda d: d, keys=(("time_unit", "hours"), ("time_key", "t"))
    ),
    Fault(name="copied cells", check="duplicated cells", plant=plants.copied),
    Fault(name="cells without counts", check="depth", plant=plants.empty, severity="fail"),
    Fault(name="cells without a label", check="perturbation column", plant=plants.unlabelled, severity="fail"),
    Fault(name="a silent gene", check="silent genes", plant=plants.silent),
    Fault(name="pooled doses", check="doses", plant=plants.doses),
)
"""Every fault; ``days read as hours`` needs the column of times under the name ``t``."""


_UNCHECKED = "edits by symbol, genes by identifier"
HIDDEN = {
    ("a batch without controls", "no controls"): "no batch has any",
    ("an edit in the batch without controls only", "no controls"): "no batch has any",
    ("controls that move", "no controls"): "the cells that moved are gone",
    ("a control guide that acts", "no controls"): "the cells that carried it are gone",
    ("controls that move", "a day per batch"): "no batch has controls of two times: a move is not told from a batch",
    ("a knockdown that does not work", _UNCHECKED): "which gene is the target is not told",
    ("exchanged labels", _UNCHECKED): "which gene is the target is not told",
    ("activation declared as interference", _UNCHECKED): "which gene is the target is not told",
    ("identifiers of two kinds", _UNCHECKED): "all genes have identifiers of one kind",
    ("fractional counts", "no logarithm"): "a factor on counts goes when cells are normalised",
    ("fractional counts", "base 2"): "a factor on counts goes when cells are normalised",
    ("fractional counts", "two logarithms"): "a factor on counts goes when cells are normalised",
}
"""Faults that another takes out of the data, or out of sight: nothing that is left tells of them."""


def plant(fault: Fault, data: ad.AnnData) -> ad.AnnData:
    """The data set with a fault."""
    if ("time_key", "t") in fault.keys:
        data.obs = data.obs.rename(columns={"day": "t"})
    return fault.plant(data)
