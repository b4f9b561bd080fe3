"""The figure of an error budget: a waterfall from nothing to the held-out error, one step per part."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from semimech.evaluate import ERROR_PARTS, TOTAL
from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, head, label, panel

_ROW = 0.3


def plot_budget(table: pd.DataFrame, *, title: str = "Error budget") -> Figure:
    """Each part begins where the one before it ends, so that the last ends at the held-out error.

    Whiskers are intervals of the parts; a part below 0 goes back.

    Parameters
    ----------
    table
        Columns ``part``, ``estimate``, ``lower`` and ``upper``, of one split and coverage.
    title
        What it is.
    """
    rows = table.set_index("part")
    parts = [*ERROR_PARTS, TOTAL]
    estimate = rows.loc[parts, "estimate"].to_numpy(dtype=float)
    lower, upper = (rows.loc[parts, name].to_numpy(dtype=float) for name in ("lower", "upper"))
    start = np.append(np.concatenate([[0.0], np.cumsum(estimate[:-2])]), 0.0)
    top = 0.5
    figure, axes = panel(top + 0.5 + _ROW * len(parts), left=1.3, right=0.2, top=top)
    at = np.arange(len(parts))
    colour = [*[BLUE if value >= 0 else ORANGE for value in estimate[:-1]], MUTED]
    axes.barh(at, estimate, left=start, height=0.6, color=colour, zorder=2)
    known = np.isfinite(lower) & np.isfinite(upper)
    axes.hlines(at[known], (start + lower)[known], (start + upper)[known], color=INK, linewidth=1.2, zorder=3)
    ends = start + estimate
    for row in range(len(parts) - 1):
        axes.plot([ends[row]] * 2, [row + 0.3, row + 0.7], color=MUTED, linewidth=0.8, zorder=1)
    axes.set_yticks(at, parts)
    axes.set_ylim(len(parts) - 0.45, -0.55)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.locator_params(axis="x", nbins=4)
    level = "bars add up from the left; whiskers are 90% intervals" if known.any() else "bars add up from the left"
    head(figure, title, level)
    label(axes, x="mean squared error, observed scale squared")
    return figure
