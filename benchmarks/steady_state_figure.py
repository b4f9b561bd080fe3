"""The figure of the steady-state study: error and correlation of every arm, one column per set."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from benchmarks.steady_state_tables import NO_CHANGE, best_baseline, change_of, learned, ratios, words

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

_COLOURS = {"Neural ODE": "#b2560d", "semi-mechanistic": "#1f5f8b"}
_MARKS = {"none": "o", "weight decay": "s", "point": "^", "mean": "v", "moment": "D", "auto": "*", "default": "P"}
_COLUMNS = 4


def draw(scores: pd.DataFrame, path: Path) -> None:
    """Write the figure; the suffix of the path tells the format."""
    panels = list(scores.groupby(["group", "split"], sort=False))
    n_rows = -(-len(panels) // _COLUMNS)
    figure, axes = plt.subplots(n_rows, _COLUMNS, figsize=(4.4 * _COLUMNS, 3.9 * n_rows), squeeze=False)
    for axis, ((group, split), part) in zip(axes.ravel(), panels, strict=False):
        _panel(axis, part)
        axis.set_title(f"{group}\n{words(split)}", fontsize=10)
    for axis in axes.ravel()[len(panels) :]:
        axis.axis("off")
    figure.supxlabel("mean squared error relative to no change, without the edited gene (95 % interval)", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axis: plt.Axes, scores: pd.DataFrame) -> None:
    """Arms from top to bottom, their error along the axis, their correlation as text."""
    change, best = change_of(scores), best_baseline(scores)
    names = [n for n in (*learned(scores), best) if n in change.index]
    found = ratios(scores, NO_CHANGE, names)
    for place, name in enumerate(names):
        law, treatment = name.split(", ") if "," in name else (name, "")
        colour = _COLOURS.get(law.split(" + ")[0], "#333333")
        error = change.loc[name, "error"]
        if name in found.index and np.isfinite(found.loc[name, "lower"]):
            axis.plot(found.loc[name, ["lower", "upper"]], [place, place], color=colour, linewidth=1.2)
        filled = colour if " prior" in law else "white"
        axis.plot(error, place, _MARKS.get(treatment, "X"), color=colour, markerfacecolor=filled, markersize=6)
        correlation = change.loc[name, "correlation"]
        if np.isfinite(correlation):
            axis.annotate(
                f"r {correlation:.2f}", (1.0, place), xycoords=("axes fraction", "data"), fontsize=6.5, va="center"
            )
    axis.axvline(1.0, color="#888888", linewidth=0.8)
    if best in change.index:
        axis.axvline(change.loc[best, "error"], color="#333333", linewidth=0.8, linestyle=":")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_yticks(range(len(names)), [n.replace("semi-mechanistic", "semi-mech.") for n in names], fontsize=7)
    axis.invert_yaxis()
    axis.tick_params(axis="x", labelsize=7, which="both")
    axis.spines[["top", "right"]].set_visible(False)
