"""The figure of sensitivity: what each assumption costs on what was held out, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, head, label, panel

_ROW = 0.3


def plot_sensitivity(table: pd.DataFrame, *, title: str = "Sensitivity") -> Figure:
    """One row per assumption: the share of the held-out error that lifting it takes off.

    Right of zero the assumption costs, left of it it pays. A filled dot is an assumption that the model makes, an empty one that it does not.

    Parameters
    ----------
    table
        Of one question: columns ``assumption``, ``change``, ``saved``, ``saved_lower`` and ``saved_upper``.
    title
        What it is.
    """
    rows = table.sort_values("saved", ascending=False, kind="stable")
    at = np.arange(len(rows))
    saved, lower, upper = (100 * rows[name].to_numpy(float) for name in ("saved", "saved_lower", "saved_upper"))
    top = 0.5
    figure, axes = panel(top + 0.5 + _ROW * max(len(rows), 2), left=1.6, right=0.2, top=top)
    axes.axvline(0.0, color=MUTED, linewidth=0.8, zorder=1)
    known = np.isfinite(lower) & np.isfinite(upper)
    axes.hlines(at[known], lower[known], upper[known], color=INK, linewidth=1.2, zorder=2)
    for place, value, change in zip(at, saved, rows["change"], strict=True):
        colour = ORANGE if value > 0 else BLUE
        axes.plot(
            value, place, marker="o", color=colour, markerfacecolor=colour if change == "lifted" else "white", zorder=3
        )
    axes.set_yticks(at, rows["assumption"])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.locator_params(axis="x", nbins=4)
    head(figure, title, "whiskers are 90% intervals" if known.any() else "")
    label(axes, x="error that lifting it takes off, %")
    return figure
