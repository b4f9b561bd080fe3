"""The figure of a campaign: the error on held-out edits against the edits made."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semimech.report.plots.style import LOOKS, MUTED, head, label, legend, panel


def plot_campaign(curves: pd.DataFrame) -> Figure:
    """Learning curve of each strategy with its interval; 1 is no change.

    Parameters
    ----------
    curves
        From `semimech.design.learning_curves`.
    """
    names = list(dict.fromkeys(curves["strategy"]))
    figure, axes = panel(2.9, top=1.0)
    axes.axhline(1.0, color=MUTED, linewidth=0.8, zorder=0)
    handles = []
    width = (curves["n_edits"].max() - curves["n_edits"].min()) / 90
    for place, (name, look) in enumerate(zip(names, LOOKS, strict=False)):
        part = curves[curves["strategy"] == name]
        x = part["n_edits"] + width * (place - (len(names) - 1) / 2)
        axes.vlines(x, part["lower"], part["upper"], color=look.colour, linewidth=1.0)
        axes.plot(x, part["error"], color=look.colour, marker=look.marker, linestyle=look.dashes, markersize=4)
        handles.append(Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.dashes, label=name))
    head(figure, "Campaign", "squared error on held-out edits, 90 % intervals")
    legend(figure, handles, below=0.42, columns=3)
    label(axes, x="edits made", y="error / no change")
    return figure
