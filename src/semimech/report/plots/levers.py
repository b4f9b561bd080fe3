"""The figure of levers: what each is expected to take off the held-out error."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semimech.design import Levers
from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, head, label, legend, panel

_ROW = 0.42


def plot_levers(found: Levers) -> Figure:
    """Expected fall of each lever with its interval, best on top, with the two answers and what is typical, of which it is made.

    Parameters
    ----------
    found
        From `semimech.design.levers`.
    """
    table = found.table
    at = np.arange(len(table))
    top = 0.75
    figure, axes = panel(top + 0.5 + _ROW * len(table), left=1.5, right=0.2, top=top)
    unit = 100 / found.error
    axes.hlines(at, table["lower"] * unit, table["upper"] * unit, color=INK, linewidth=1.2, zorder=1)
    looks = (
        ("fall", "o", BLUE, "believed"),
        ("fall_data", "s", ORANGE, "from the data"),
        ("fall_world", "D", MUTED, "own world"),
        ("typical", "|", INK, "typical"),
    )
    for (column, marker, colour, _), size in zip(looks, (6, 4, 4, 9), strict=True):
        axes.plot(table[column] * unit, at, linestyle="", marker=marker, color=colour, markersize=size, zorder=2)
    axes.axvline(0.0, color=MUTED, linewidth=0.8, zorder=0)
    names = [f"{row.lever}\n{textwrap.shorten(f'cost {row.cost:,.4g}', 20)}" for row in table.itertuples()]
    axes.set_yticks(at, names)
    axes.set_ylim(len(table) - 0.45, -0.55)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.locator_params(axis="x", nbins=5)
    handles = [Line2D([], [], linestyle="", marker=m, color=c, label=name) for _, m, c, name in looks]
    head(figure, "Levers", "best per cost on top; whiskers: interval of what is believed")
    legend(figure, handles, below=0.42, columns=4)
    label(axes, x="expected fall, % of the held-out error")
    return figure
