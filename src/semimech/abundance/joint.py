"""Abundance and expression of the same edits together: counts of guides, and the cells that were sequenced."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from semimech._errors import DataError, raise_faults
from semimech.abundance.counts import REFERENCE
from semimech.abundance.screen import AbundanceScreen
from semimech.abundance.survivors import Survivors, correct_survivors
from semimech.abundance.tilt import Tilt
from semimech.data import Dataset
from semimech.data.dataset import Cells
from semimech.experiment import CONTROL


def correct_expression(
    data: Dataset,
    screen: AbundanceScreen,
    *,
    relaxation_hours: float = math.inf,
    level: float = 0.9,
    n_draws: int = 100,
    key: PRNGKeyArray,
) -> Survivors:
    """Effects on expression at the last harvest, freed of survivor bias by what the same edits did to abundance.

    Parameters
    ----------
    data
        Single cells. Of the last time of harvest the medium with most conditions is taken, and its single edits.
    screen
        Effects of the same genes on abundance. Rates per hour are taken to hold until that harvest; fold changes to be those of it.
    relaxation_hours
        How long a cell keeps its state, see `Tilt`.
    level
        Coverage of intervals.
    n_draws
        Draws behind them.
    key
        Decides the draws.

    Raises
    ------
    DataError
        If there are no single cells, no harvest after time 0, or see `correct_survivors`.
    """
    faults = []
    if data.cells is None:
        faults.append("there are no single cells: means alone do not say how cells of one edit differ")
    finite = data.hours[np.isfinite(data.hours)]
    if not len(finite) or finite.max() <= 0:
        faults.append("no harvest has a time: name the column of times, for selection takes time")
    raise_faults(DataError, f"{data.name}: survivors", faults)
    cells = cast(Cells, data.cells)
    hours = float(finite.max())
    last = [i for i, c in enumerate(data.conditions) if c.hours == hours and len(c.edits) <= 1]
    media = pd.Series([data.conditions[i].medium or "" for i in last])
    medium = media.value_counts().index[0]
    last = [i for i, m in zip(last, media, strict=True) if m == medium]
    names = {i: data.conditions[i].perturbation if data.conditions[i].edits else CONTROL for i in last}
    rows = np.flatnonzero(np.isin(cells.condition, last))
    genes = screen.genes.set_index("gene")
    scale = hours if screen.unit == "ln per hour" else 1.0
    return correct_survivors(
        cells.take(rows),
        [names[i] for i in cells.condition[rows]],
        scale * genes[["effect", "standard_error"]],
        genes=data.genes,
        tilt=Tilt(hours=hours, relaxation_hours=relaxation_hours),
        founders=founders_of_edits(screen),
        level=level,
        n_draws=n_draws,
        key=key,
    )


def founders_of_edits(screen: AbundanceScreen) -> dict[str, float]:
    """Effective founders of the cells of each gene's guides, and of neutral ones (``control``), over all samples of the last time.

    Of a sample whose founders have no upper end the lower one is taken.

    Parameters
    ----------
    screen
        Founders of each sample, of which an edit has the share that its guides had before.
    """
    counts, samples = screen.counts, screen.counts.samples.set_index("sample")
    hours = samples.loc[screen.founders["sample"], "hours"].to_numpy(float)
    last = np.ones(len(hours), bool) if np.isnan(hours).any() else hours == hours.max()
    is_told = np.isfinite(screen.founders["upper"])
    total = float(screen.founders["founders"].where(is_told, screen.founders["lower"]).to_numpy(float)[last].sum())
    before = counts.counts[:, (samples["role"] == REFERENCE).to_numpy()].sum(axis=1)
    who = np.where(counts.is_tested, counts.genes, CONTROL)
    share = pd.Series(before / before.sum()).groupby(who).sum()
    return {str(name): total * float(value) for name, value in share.items()}
