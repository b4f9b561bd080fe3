"""Figures of the fit: loss over steps, candidates of the inner validation, the learned network."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import FuncFormatter, NullFormatter

from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, SMALL, WIDTH, head, label, legend, look, panel

_STEPS_DRAWN = 150


def plot_history(history: pd.DataFrame) -> Figure:
    """Loss over the steps of the optimiser, one line per term, the range over runs as a band.

    Parameters
    ----------
    history
        Columns ``step``, ``run``, ``term``, ``value``; values that are not positive have no place on the logarithmic axis.
    """
    positive = history[(history["value"] > 0) & (history["step"] % max(1, history["step"].max() // _STEPS_DRAWN) == 0)]
    terms = list(dict.fromkeys(positive["term"]))
    top = 0.3 + 0.17 * -(-len(terms) // 2)
    figure, axes = panel(top + 2.3, left=0.62, top=top)
    for number, term in enumerate(terms):
        style = look(number)
        runs = positive[positive["term"] == term].groupby("step")["value"].agg(["median", "min", "max"])
        axes.fill_between(runs.index, runs["min"], runs["max"], color=style.colour, alpha=0.15, linewidth=0)
        axes.plot(
            runs.index,
            runs["median"],
            color=style.colour,
            linestyle=style.dashes,
            linewidth=1.7,
            marker=style.marker,
            markevery=[len(runs) - 1],
            markersize=5,
            markeredgecolor=INK,
            markeredgewidth=0.6,
            label=str(term),
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=GRID, linewidth=0.5)
    head(figure, "Loss")
    legend(figure, axes.get_legend_handles_labels()[0], below=0.2, columns=2)
    label(axes, x="step of the optimiser", y="loss (log scale)")
    return figure


def setting_names(selection: pd.DataFrame) -> list[str]:
    """Columns of candidates that hold settings."""
    return [str(c) for c in selection.columns if c not in ("error", "standard_error", "averaged", "chosen")]


def varying_settings(selection: pd.DataFrame) -> list[str]:
    """Names of the settings in which candidates differ."""
    return [c for c in setting_names(selection) if selection[c].astype(str).nunique() > 1]


def plot_selection(selection: pd.DataFrame, *, count: int = 14) -> Figure:
    """Inner validation error of candidate settings, best first, the chosen one as a star.

    Parameters
    ----------
    selection
        Columns ``error``, ``chosen``, optionally ``standard_error``; every other column is a setting.
    count
        How many of the best candidates to draw; a chosen one is always drawn.
    """
    varying = varying_settings(selection)
    ranked = selection[np.isfinite(selection["error"])].sort_values("error", kind="stable")
    part = ranked[(np.arange(len(ranked)) < count) | ranked["chosen"].to_numpy(dtype=bool)]
    labels = [" · ".join(setting(row[c]) for c in varying) or "only candidate" for _, row in part.iterrows()]
    named = textwrap.wrap(" · ".join(c.replace("_", " ") for c in varying), 58)
    top = 0.35 + 0.15 * len(named)
    left = min(1.9, 0.3 + 0.066 * max(len(text) for text in labels))
    figure, axes = panel(top + 0.55 + 0.25 * len(part), left=left, right=0.2, top=top, bottom=0.48)
    for row, (_, item) in enumerate(part.iterrows()):
        error = item.get("standard_error", np.nan)
        if np.isfinite(error):
            axes.plot([item["error"] - error, item["error"] + error], [row, row], color=MUTED, linewidth=1.3)
        marker, size, colour = ("*", 13.0, ORANGE) if item["chosen"] else ("o", 5.5, "white")
        axes.plot(
            item["error"], row, marker=marker, markersize=size, color=colour, markeredgecolor=INK, markeredgewidth=0.8
        )
    axes.set_yticks(range(len(part)), labels)
    axes.set_ylim(len(part) - 0.45, -0.55)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.locator_params(axis="x", nbins=4)
    head(figure, "Inner validation", "\n".join(named))
    label(axes, x="error relative to no change")
    return figure


def setting(value: object) -> str:
    """The value of a setting, as in a label."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def plot_network(network: pd.DataFrame, *, count: int = 24) -> Figure:
    """The strongest learned edges, from regulators on the left to targets on the right.

    Solid lines with an arrow activate, dashed lines with a bar repress; the width grows with the size of the weight.

    Parameters
    ----------
    network
        Columns ``source``, ``target``, ``weight``.
    count
        How many edges to draw.
    """
    edges = network.reindex(network["weight"].abs().sort_values(ascending=False, kind="stable").index).head(count)
    sources = list(edges.groupby("source")["weight"].apply(lambda w: w.abs().sum()).sort_values(ascending=False).index)
    left = {name: (row + 0.5) / len(sources) for row, name in enumerate(sources)}
    centre = edges.assign(y=edges["source"].map(left)).groupby("target")["y"].mean().sort_values(kind="stable")
    right = {name: (row + 0.5) / len(centre) for row, name in enumerate(centre.index)}
    figure, axes = panel(0.5 + 0.2 * max(len(left), len(right)), left=0.05, right=0.05, top=0.36, bottom=0.05)
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    largest = edges["weight"].abs().max() or 1.0
    margin = min(0.38, 0.03 + 0.022 * max(len(str(n)) for n in [*left, *right]))
    for _, edge in edges.iterrows():
        activates = edge["weight"] > 0
        axes.add_patch(
            FancyArrowPatch(
                (margin + 0.01, left[edge["source"]]),
                (1 - margin - 0.015, right[edge["target"]]),
                arrowstyle="-|>,head_width=2.4,head_length=4" if activates else "|-|,widthA=0,widthB=2.8",
                linestyle="-" if activates else (0, (5, 2)),
                color=BLUE if activates else ORANGE,
                linewidth=0.6 + 2.2 * abs(edge["weight"]) / largest,
                shrinkA=0,
                shrinkB=1,
                mutation_scale=1.3,
            )
        )
    for name, y in left.items():
        axes.text(margin, y, str(name), ha="right", va="center", fontsize=SMALL, color=INK)
    for name, y in right.items():
        axes.text(1 - margin, y, str(name), ha="left", va="center", fontsize=SMALL, color=INK)
    head(figure, "regulator")
    height = figure.get_figheight()
    figure.text(
        1 - 0.06 / WIDTH, 1 - 0.04 / height, "target", fontsize=SMALL + 1, fontweight="bold", ha="right", va="top"
    )
    return figure
