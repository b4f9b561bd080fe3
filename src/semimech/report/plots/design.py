"""The figure of a design: which cells stand in which batch."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from semimech.design import Layout
from semimech.report.plots.style import GRID, INK, MUTED, SMALL, head, label, panel

_NAMED = 40
_ROW = 0.19
_NUMBERED = 8
"""Batches up to which numbers of cells are written into the map."""


def plot_layout(layout: Layout, *, title: str = "Cells by batch") -> Figure:
    """A map of batches: one row per condition, controls first, darker where there are more cells.

    Parameters
    ----------
    layout
        The design.
    title
        What it is.
    """
    is_control = layout.control == np.arange(len(layout.control))
    order = np.argsort(~is_control, kind="stable")
    cells = layout.cells[order].astype(float)
    n_rows, n_batches = cells.shape
    is_named = n_rows <= _NAMED
    top = 0.5
    height = top + 0.5 + (_ROW * n_rows if is_named else 4.5)
    figure, axes = panel(height, left=1.0 if is_named else 0.6, top=top, right=0.15)
    shown = np.where(cells > 0, cells, np.nan)
    norm = PowerNorm(0.5, vmin=0.0, vmax=max(float(cells.max()), 1.0))
    axes.imshow(shown, aspect="auto", interpolation="none", cmap="Blues", norm=norm)
    controls = int(is_control.sum())
    axes.axhline(controls - 0.5, color=INK, linewidth=0.8)
    if is_named:
        names = [textwrap.shorten(layout.conditions[row], 18, placeholder="…") for row in order]
        axes.set_yticks(np.arange(n_rows), names)
    if is_named and n_batches <= _NUMBERED:
        for row, column in zip(*np.nonzero(cells), strict=True):
            is_dark = norm(cells[row, column]) > 0.6
            text = f"{cells[row, column]:.0f}"
            axes.text(
                column, row, text, ha="center", va="center", fontsize=SMALL - 2, color="white" if is_dark else INK
            )
    step = max(1, -(-n_batches // 10))
    ticks = np.arange(0, n_batches, step)
    short = [layout.batches[t].removeprefix("batch ")[:8] for t in ticks]
    axes.set_xticks(ticks, short, rotation=0 if max(map(len, short)) < 4 else 45)
    axes.tick_params(axis="both", labelsize=SMALL - 1, length=0)
    axes.set_facecolor(GRID)
    for side in axes.spines.values():
        side.set_color(MUTED)
    absent = "" if (cells > 0).all() else "; grey: none"
    head(figure, title, f"{int(cells.sum()):,} cells, at most {int(cells.max()):,} of one kind in a batch{absent}")
    label(axes, x="batch", y="" if is_named else f"{controls} control row, {n_rows - controls} edits")
    return figure
