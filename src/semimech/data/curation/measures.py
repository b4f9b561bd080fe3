"""What the checks measured of each condition, as one table, for pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.data.curation.cells import cycle_scores, log_depth, mitochondrial_share
from semimech.data.curation.edits import on_target_effects
from semimech.data.curation.escapers import escapers_by_condition
from semimech.data.curation.shifts import control_shifts
from semimech.data.screen import Screen


def condition_quality(screen: Screen) -> pd.DataFrame:
    """Measure each condition against the controls of its batches.

    Returns
    -------
    pandas.DataFrame
        One row per condition: ``perturbation``, ``hours``, ``medium``, ``cells``; ``depth``, the ratio of geometric mean
        depths; ``mitochondrial``, the difference of shares; ``s_phase`` and ``g2m_phase``, the differences of scores in
        standard deviations of cells; ``on_target``, the ratio of mean expressions of the edited gene; ``escapers``, the share
        of cells that look unedited; each with its standard error in the column ``…_error``. NaN where it cannot be told.
    """
    conditions = screen.annotation.conditions
    home = screen.annotation.system.maintenance_medium
    table = pd.DataFrame(
        {
            "perturbation": [c.perturbation for c in conditions],
            "hours": [c.hours for c in conditions],
            "medium": [" > ".join(m or home for m in c.media) for c in conditions],
            "cells": np.bincount(screen.annotation.condition, minlength=len(conditions)),
        }
    )
    for name in ("depth", "mitochondrial", "s_phase", "g2m_phase", "on_target", "escapers"):
        table[name] = np.nan
        table[f"{name}_error"] = np.nan
    if not screen.is_control.any():
        return table
    scores = cycle_scores(screen)
    values = {
        "depth": log_depth(screen),
        "mitochondrial": mitochondrial_share(screen),
        "s_phase": scores.get("S"),
        "g2m_phase": scores.get("G2M"),
    }
    for name, value in values.items():
        if value is None:
            continue
        shifts = control_shifts(screen, value)
        unit = shifts.spread if name.endswith("phase") else 1.0
        table[name], table[f"{name}_error"] = shifts.shift / unit, shifts.standard_error / unit
    table["depth"] = np.exp(table["depth"])
    table["depth_error"] *= table["depth"]
    for effect in on_target_effects(screen):
        table.loc[effect.condition, ["on_target", "on_target_error"]] = effect.fold, effect.standard_error
    for row, escapers in escapers_by_condition(screen).items():
        table.loc[row, ["escapers", "escapers_error"]] = escapers.share, escapers.standard_error
    return table
