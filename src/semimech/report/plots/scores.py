"""Figures of scores: each predictor's mean with its interval beside the noise ceiling, and paired comparisons."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semimech.evaluate import CEILING
from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, Dashes, head, label, legend, look, panel
from semimech.report.words import capital, measure

_LABEL = 24
"""Characters of a predictor's name on one line."""
_GREY = "#777777"
_DASHED: Dashes = (0, (4, 3))


def plot_scores(summary: pd.DataFrame, *, metric: str, models: Sequence[str] = ()) -> Figure:
    """Mean and interval of one metric for every predictor, best first.

    Filled points are scored without the edited genes, hollow diamonds on all genes. Models with mechanism are round
    and blue, baselines square and grey; the dashed line is what a replicate of the experiment would score.

    Parameters
    ----------
    summary
        Columns ``predictor``, ``metric``, ``scope``, ``mean``, ``lower``, ``upper``, of one split and mode.
    metric
        The metric to draw.
    models
        Predictors with mechanism.
    """
    reading = measure(metric)
    part = summary[(summary["metric"] == metric) & np.isfinite(summary["mean"].to_numpy(dtype=float))]
    scopes = {str(scope): rows.set_index("predictor") for scope, rows in part.groupby("scope")}
    main = scopes["excl" if "excl" in scopes else next(iter(scopes))]
    others = scopes["all"] if "all" in scopes and "excl" in scopes else main.iloc[:0]
    names = [n for n in main["mean"].sort_values(ascending=reading.is_error, kind="stable").index if n != CEILING]
    figure, axes = _rows(names, top=0.5)
    for row, name in enumerate(names):
        _whisker(axes, main.loc[name], row, is_model=name in models)
        if name in others.index:
            axes.plot(
                others.loc[name, "mean"], row, marker="D", markersize=4, color="white", markeredgecolor=MUTED, zorder=1
            )
    handles = [_handle("o", BLUE, "model"), _handle("s", _GREY, "baseline")]
    if len(others):
        handles.append(_handle("D", "white", "with edited gene"))
    if CEILING in main.index:
        axes.axvline(main.loc[CEILING, "mean"], color=INK, linewidth=1.2, linestyle=_DASHED, zorder=0)
        handles.append(Line2D([], [], color=INK, linestyle="", marker=(2, 0), markersize=9, label="replicate"))
    head(figure, capital(reading.name))
    legend(figure, handles, below=0.2, columns=4)
    label(axes, x="lower is better" if reading.is_error else "higher is better")
    return figure


def _rows(names: Sequence[str], *, top: float) -> tuple[Figure, Axes]:
    """A panel with one row per name."""
    labels = ["\n".join(textwrap.wrap(name, _LABEL)) for name in names]
    lines = 1 + max((text.count("\n") for text in labels), default=0)
    figure, axes = panel(
        top + 0.5 + max(0.27, 0.145 * lines + 0.04) * max(1, len(names)), left=1.62, right=0.2, top=top
    )
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.locator_params(axis="x", nbins=4)
    return figure, axes


def _whisker(axes: Axes, row: pd.Series, y: float, *, is_model: bool) -> None:
    """One predictor: interval and mean."""
    colour = BLUE if is_model else _GREY
    if np.isfinite(row["lower"]) and np.isfinite(row["upper"]):
        axes.plot([row["lower"], row["upper"]], [y, y], color=colour, linewidth=2 if is_model else 1.4, zorder=2)
    marker, size = ("o", 7.0) if is_model else ("s", 5.5)
    axes.plot(row["mean"], y, marker=marker, markersize=size, color=colour, markeredgecolor=INK, markeredgewidth=0.7)


def _handle(marker: str, colour: str, text: str) -> Line2D:
    """A legend entry for a point."""
    return Line2D([], [], linestyle="", marker=marker, markersize=6, color=colour, markeredgecolor=INK, label=text)


def plot_comparisons(comparisons: pd.DataFrame, *, title: str = "", rows: Sequence[str] = ()) -> Figure:
    """Ratio of errors (or difference of scores) of a model to baselines, with intervals, the hardest baseline on top.

    Round points stand where the interval lies on the model's side, crosses where on the baseline's, hollow squares
    where the interval includes no difference.

    Parameters
    ----------
    comparisons
        Rows of one metric and unit: ``reference``, ``metric``, ``estimate``, ``lower``, ``upper``, ``unit``.
    title
        Heading of the panel.
    rows
        Names of the rows, in the order of the table, which is then kept; by default the references.
    """
    reading = measure(str(comparisons["metric"].iloc[0]))
    is_ratio = bool((comparisons["unit"] == "ratio").all())
    neutral, sign = (1.0 if is_ratio else 0.0), (1.0 if is_ratio or reading.is_error else -1.0)
    part = comparisons if rows else comparisons.sort_values("estimate", ascending=sign < 0, kind="stable")
    figure, axes = _rows(list(rows) or [str(name) for name in part["reference"]], top=0.5)
    for row, (_, item) in enumerate(part.iterrows()):
        ends = sorted(sign * (float(item[name]) - neutral) for name in ("lower", "upper"))
        marker, fill = ("o", BLUE) if ends[1] < 0 else ("X", ORANGE) if ends[0] > 0 else ("s", "white")
        axes.plot([item["lower"], item["upper"]], [row, row], color=INK, linewidth=1.4)
        axes.plot(item["estimate"], row, marker=marker, color=fill, markeredgecolor=INK, markersize=7)
    axes.axvline(neutral, color=INK, linewidth=1, linestyle=_DASHED, zorder=0)
    head(figure, title or ("Model against baselines"))
    handles = [_handle("o", BLUE, "model wins"), _handle("s", "white", "tie"), _handle("X", ORANGE, "baseline wins")]
    legend(figure, handles, below=0.2, columns=3)
    label(axes, x="error of model / of baseline" if is_ratio else "model minus baseline")
    return figure


def plot_strata(strata: pd.DataFrame, *, metric: str) -> Figure:
    """A metric by effect size: one line per predictor over the strata.

    Parameters
    ----------
    strata
        Columns ``predictor``, ``stratum`` (in the order to draw), ``mean``; few predictors.
    metric
        The metric drawn.
    """
    order = list(dict.fromkeys(strata["stratum"]))
    names = list(dict.fromkeys(strata["predictor"]))
    top = 0.3 + 0.17 * len(names)
    figure, axes = panel(top + 2.2, left=0.62, top=top)
    for index, name in enumerate(names):
        style = look(index)
        values = strata[strata["predictor"] == name].set_index("stratum")["mean"].reindex(order)
        axes.plot(
            range(len(order)),
            values,
            color=style.colour,
            marker=style.marker,
            linestyle=style.dashes,
            markersize=5,
            markeredgecolor=INK,
            markeredgewidth=0.6,
            linewidth=1.6,
            label=str(name),
        )
    axes.set_xticks(range(len(order)), [str(stratum) for stratum in order])
    axes.set_xlim(-0.3, len(order) - 0.7)
    if measure(metric).is_error:
        axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.locator_params(axis="y", nbins=5)
    head(figure, f"{capital(measure(metric).name)} by effect size")
    legend(figure, axes.get_legend_handles_labels()[0], below=0.2)
    label(axes, x="size of the edit's effect", y=measure(metric).name)
    return figure
