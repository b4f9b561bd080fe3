"""The figure of counts: what the fit says of single cells, beside what was counted."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, SMALL, WIDTH, head, legend

_HEIGHT, _COLUMNS = 3.6, 3


def plot_counts(counts: pd.DataFrame) -> Figure:
    """Share of cells at each count, one panel per gene: dots as counted, the negative binomial with its 90 % range, and Poisson.

    Parameters
    ----------
    counts
        Columns ``gene``, ``count`` (the least of a step), ``observed``, ``negative binomial``, ``Poisson``, ``lower`` and ``upper``.
    """
    genes = list(dict.fromkeys(counts["gene"]))
    figure = Figure(figsize=(WIDTH, _HEIGHT))
    n_rows = max(-(-len(genes) // _COLUMNS), 1)
    panels = figure.subplots(n_rows, _COLUMNS, squeeze=False)
    figure.subplots_adjust(left=0.12, right=0.98, top=0.78, bottom=0.13, wspace=0.4, hspace=0.45)
    handles = []
    for number, axes in enumerate(panels.flat):
        if number >= len(genes):
            axes.set_visible(False)
            continue
        one = counts[counts["gene"] == genes[number]]
        axes.fill_between(one["count"], one["lower"], one["upper"], color=BLUE, alpha=0.2, linewidth=0)
        (negative,) = axes.plot(
            one["count"], one["negative binomial"], color=BLUE, linewidth=1.4, label="negative binomial"
        )
        (plain,) = axes.plot(
            one["count"], one["Poisson"], color=ORANGE, linewidth=1.2, linestyle=(0, (4, 2)), label="Poisson"
        )
        (dots,) = axes.plot(one["count"], one["observed"], "o", color=INK, markersize=2.6, label="counted")
        handles = [dots, negative, plain]
        axes.set_title(str(genes[number]), fontsize=SMALL, color=INK, pad=3)
        axes.tick_params(labelsize=SMALL - 1, colors=MUTED, length=2)
        axes.set_ylim(bottom=0)
        axes.grid(color=GRID, linewidth=0.4)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("counts of a cell", fontsize=SMALL, color=INK)
    figure.supylabel("share of cells", fontsize=SMALL, color=INK)
    head(figure, "Counts", f"cells of {counts['condition'].iloc[0]}" if len(counts) else "")
    legend(figure, handles, below=0.38, columns=3)
    return figure
