"""The figure of the benchmark over real sets: error of every predictor relative to the best simple baseline, one panel per question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from benchmarks.real_sets_tables import LEARNED, against, best_simple, groups
from semimech.baselines import BASELINES
from semimech.evaluate import CEILING

_COLUMNS = 3
_SIMPLE = frozenset(baseline.name for baseline in BASELINES)


def draw(scores: pd.DataFrame, path: Path) -> None:
    """Write the figure; the suffix of the path tells the format."""
    panels = list(groups(scores))
    n_rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(4.8 * _COLUMNS, 3.2 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, _COLUMNS, squeeze=False).ravel()
    for axis, (name, part) in zip(axes, panels, strict=False):
        _panel(axis, part)
        axis.set_title(name.replace(": ", "\n"), fontsize=9)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    figure.supxlabel("mean squared error relative to the best simple baseline (95 % interval)", fontsize=10)
    figure.savefig(path, dpi=110)


def _panel(axis: object, scores: pd.DataFrame) -> None:
    best = best_simple(scores)
    found = against(scores, best, "mse").drop(index=CEILING, errors="ignore")
    found = pd.concat([found, pd.DataFrame({"estimate": 1.0}, index=[best])]).sort_values("estimate")
    for place, (name, row) in enumerate(found.iterrows()):
        colour = "#1f5f8b" if name in LEARNED else "#777777" if name in _SIMPLE else "#b2560d"
        if np.isfinite(row["lower"]):
            axis.plot([row["lower"], row["upper"]], [place, place], color=colour, linewidth=1.3)
        axis.plot(row["estimate"], place, "o", color=colour, markersize=5)
    axis.axvline(1.0, color="#333333", linewidth=0.8, linestyle=":")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_yticks(range(len(found)), found.index, fontsize=7)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
