"""Rounds: a simulated laboratory that carries out what was planned next, in the world of the rounds before, and adds its cells to theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anndata as ad
import pandas as pd
from jaxtyping import PRNGKeyArray

from semimech._errors import DataError, raise_faults
from semimech.experiment import Condition, Experiment, as_experiment
from semimech.simulate.screen import ScreenDesign, simulate_screen, unedited
from semimech.simulate.world import World

_OF_CELLS = (
    "conditions",
    "mean_cp10k",
    "deterministic_cp10k",
    "observed",
    "batch_depth",
    "batch_gene_fold",
    "is_escaper",
)
"""What the truth of one round knows of its own conditions, batches and cells, and not of the world."""


def next_round(
    world: World, design: ScreenDesign, experiments: Sequence[Experiment], before: ad.AnnData, *, key: PRNGKeyArray
) -> ad.AnnData:
    """Carry out experiments in batches of their own, each with unedited cells of the same times, and add the cells to those of the rounds before.

    Parameters
    ----------
    world
        The cells.
    design
        How many cells are made of each condition, in how many batches, and how they are sequenced; its experiments are not made again.
    experiments
        What is done.
    before
        The rounds before, as `simulate_screen` or this function made them.
    key
        Decides all draws; another one for each round.

    Returns
    -------
    anndata.AnnData
        All cells; batches of this round are called ``round2-…`` and so on. Of the truth what is of the world is kept.

    Raises
    ------
    DataError
        If the rounds before are of another world, or noted otherwise.
    ExperimentError
        If an edited gene or a medium is unknown to the world.
    ValueError
        If cells change medium, or are edited, after time 0.
    """
    asked = [c for e in experiments for c in e.conditions.values()]
    plan = replace(design, experiments=(*_controls(asked), *experiments))
    after = simulate_screen(world, plan, key=key)
    _refuse_other_worlds(before, after)
    number = 2 + len({b.partition("-")[0] for b in before.obs["batch"].astype(str) if b.startswith("round")})
    after.obs["batch"] = [f"round{number}-{name}" for name in after.obs["batch"].astype(str)]
    after.obs_names = [f"round{number}-{name}" for name in after.obs_names]
    found = ad.concat([before, after], join="outer")
    found.uns["truth"] = {name: value for name, value in after.uns["truth"].items() if name not in _OF_CELLS}
    return found


def _controls(asked: Sequence[Condition]) -> list[Experiment]:
    """Unedited cells of each time and medium."""
    conditions = dict.fromkeys(map(unedited, asked))
    return [as_experiment(c, id=f"unedited {number}") for number, c in enumerate(conditions, 1)]


def _refuse_other_worlds(before: ad.AnnData, after: ad.AnnData) -> None:
    truth = before.uns.get("truth", {})
    same = (
        "network" in truth
        and list(before.var_names) == list(after.var_names)
        and _edges(truth["network"]).equals(_edges(after.uns["truth"]["network"]))
    )
    faults = [] if same else ["its cells are of another world: give the preset, genes, edits and seed that made it"]
    names = [set(each.obs.columns) for each in (before, after)]
    if names[0] != names[1]:
        faults.append(
            f"its cells are noted with {', '.join(sorted(names[0]))}, those of this round with {', '.join(sorted(names[1]))}: make rounds in the same media"
        )
    raise_faults(DataError, "rounds before", faults)


def _edges(network: pd.DataFrame) -> pd.DataFrame:
    table = network[["source", "target"]].astype(str).assign(weight=network["weight"].astype(float).round(6))
    return table.reset_index(drop=True)
