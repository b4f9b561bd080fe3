"""Figures of what a fitted model says: paths that carry an effect, half-lives, what predictions are made of."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from semimech.interpret import PARTS, Explanation
from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, SMALL, WIDTH, head, label, legend, look, panel

_ROW = 0.21
_HATCHES = ("", "////", "....", "xxxx")
_LETTERS = 30
_DRAWN = 30
_TICKS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256)


def _fill(number: int) -> dict[str, Any]:
    """How the bars of a part are filled, told apart by hatching too."""
    return {"facecolor": look(number).colour, "edgecolor": "white", "hatch": _HATCHES[number], "linewidth": 0.4}


def plot_explanation(explanation: Explanation, *, count: int = 10) -> Figure:
    """What a predicted change is made of: one bar per term, whiskers of one standard deviation over members.

    Parameters
    ----------
    explanation
        From `semimech.explain`.
    count
        Paths to draw; further ones are added to all other paths.
    """
    table = explanation.table
    paths = table[table["kind"] == "path"]
    others = table[table["kind"] != "path"].copy()
    is_rest = (others["kind"] == "other paths").to_numpy()
    others.loc[is_rest, "contribution"] += paths["contribution"].iloc[count:].sum()
    others.loc[is_rest, "spread"] = np.nan if len(paths) > count else others.loc[is_rest, "spread"]
    shown = pd.concat(
        [paths.head(count), others[is_rest | (others["contribution"].abs() > 1e-6 * abs(explanation.change))]]
    )
    names = ["\n".join(textwrap.wrap(str(term), _LETTERS)) for term in shown["term"]]
    heights = np.array([1 + 0.62 * name.count("\n") for name in names] + [1.0])
    y = np.cumsum(heights) - heights / 2
    top = 0.5
    width = WIDTH + 1.6
    figure = Figure(figsize=(width, top + 0.42 + _ROW * float(heights.sum())))
    tall = figure.get_figheight()
    axes = figure.add_axes((2.05 / width, 0.42 / tall, (width - 2.2) / width, (tall - top - 0.42) / tall))
    values = np.append(shown["contribution"].to_numpy(float), explanation.change)
    spread = np.append(shown["spread"].to_numpy(float), np.nan)
    colours = [
        MUTED if kind != "path" else BLUE if value >= 0 else ORANGE
        for kind, value in zip(shown["kind"], values, strict=False)
    ]
    axes.barh(y, values, height=0.7, color=[*colours, INK])
    axes.errorbar(values, y, xerr=np.nan_to_num(spread), fmt="none", ecolor=INK, elinewidth=0.9, capsize=0)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.axhline(y[-1] - heights[-1] / 2, color=MUTED, linewidth=0.6)
    axes.set_ylim(float(heights.sum()), 0.0)
    axes.set_yticks(y, [*names, "predicted change"])
    axes.tick_params(axis="both", labelsize=SMALL, colors=INK, color=MUTED, length=3)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    label(axes, x="contribution to the change (observed scale)")
    time = "settled" if np.isinf(explanation.hours) else f"{explanation.hours:g} h"
    figure.text(0.06 / width, 1 - 0.04 / tall, f"{explanation.gene} after {explanation.perturbation}, {time}", va="top")
    figure.texts[-1].set(fontsize=SMALL + 1, fontweight="bold", color=INK)
    detail = f"{explanation.control:.3g} → {explanation.predicted:.3g}; whiskers: spread of the ensemble's members"
    figure.text(0.06 / width, 1 - 0.24 / tall, detail, fontsize=SMALL, color=MUTED, va="top")
    return figure


def plot_half_lives(half_lives: pd.DataFrame, *, expected: float | None = None) -> Figure:
    """Half-lives of genes with their range over members; filled where the data could tell them.

    Parameters
    ----------
    half_lives
        From `semimech.half_lives`. Of many genes, evenly spaced ones are drawn.
    expected
        Half-life in hours that was expected before the data, as a dashed line.
    """
    table = half_lives.sort_values("half_life_hours", kind="stable", ignore_index=True)
    if len(table) > _DRAWN:
        table = table.iloc[np.linspace(0, len(table) - 1, _DRAWN).astype(int)]
    top = 0.62
    figure, axes = panel(top + 0.45 + 0.16 * len(table), left=0.85, top=top)
    y = np.arange(len(table))
    told = table["could_tell"].to_numpy(bool)
    axes.hlines(y, table["lower"], table["upper"], color=np.where(told, BLUE, MUTED), linewidth=1.3)
    axes.scatter(table["half_life_hours"][told], y[told], color=BLUE, s=18, zorder=3)
    axes.scatter(
        table["half_life_hours"][~told], y[~told], facecolor="white", edgecolor=MUTED, s=18, linewidth=1.1, zorder=3
    )
    if expected is not None:
        axes.axvline(expected, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_xscale("log")
    low, high = float(table["lower"].min()), float(table["upper"].max())
    ticks = [tick for tick in _TICKS if low / 1.5 <= tick <= high * 1.5]
    axes.set_xticks(ticks or [low])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(y, [str(gene) for gene in table["gene"]])
    axes.tick_params(axis="y", labelsize=SMALL - 1, length=0)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    head(figure, "Half-lives")
    marks = [
        Line2D([], [], color=BLUE, marker="o", linestyle="None", label="data could tell"),
        Line2D([], [], color=MUTED, marker="o", markerfacecolor="white", linestyle="None", label="not told"),
    ]
    if expected is not None:
        marks.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (4, 2)), label="expected before the data"))
    legend(figure, marks, below=0.2, columns=2)
    label(axes, x="hours (log scale)")
    return figure


def plot_shares(shares: pd.DataFrame, *, by: str, count: int = 24) -> Figure:
    """What predicted changes are made of, one stacked bar per perturbation or gene, largest change first.

    Parameters
    ----------
    shares
        From `semimech.interpret.shares`.
    by
        The column that names the bars.
    count
        Bars to draw.
    """
    table = shares.dropna(subset=list(PARTS)).nlargest(count, "size")
    top = 0.66
    figure, axes = panel(top + 0.45 + 0.17 * len(table), left=1.1, right=0.25, top=top)
    y = np.arange(len(table))
    for values in (table[list(PARTS)].clip(lower=0.0), table[list(PARTS)].clip(upper=0.0)):
        start = np.zeros(len(table))
        for number, part in enumerate(PARTS):
            axes.barh(y, values[part], left=start, height=0.72, **_fill(number))
            start = start + values[part].to_numpy(float)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.axvline(1.0, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_yticks(y, [textwrap.shorten(str(name), 18, placeholder="…") for name in table[by]])
    axes.tick_params(axis="y", labelsize=SMALL - 1, length=0)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    head(figure, "What predictions are made of")
    names = [Patch(**_fill(n), label=part.replace("_", " ")) for n, part in enumerate(PARTS)]
    legend(figure, names, below=0.2, columns=2)
    label(axes, x="share of the squared change")
    return figure
