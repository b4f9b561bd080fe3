"""Figures of what was measured: conditions over time, cells per batch, depth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from semimech._errors import DataError
from semimech.data import Dataset
from semimech.evaluate.metrics import changed_genes
from semimech.evaluate.reference import measured_scene, target_mask
from semimech.experiment import CONTROL
from semimech.report.plots.style import GRID, INK, MUTED, SMALL, WIDTH, head, label, legend, panel
from semimech.report.words import time_name

ROWS_PER_PANEL = 30
_ROW = 0.185
_LARGEST = 105.0
"""Area of the largest dot, in square points; controls with more cells than any edit get the same."""


def condition_table(dataset: Dataset) -> pd.DataFrame:
    """One row per condition, with the size of its change.

    Returns
    -------
    pandas.DataFrame
        Columns ``perturbation``, ``hours``, ``medium``, ``cells``; ``changed``, the number of genes besides the edited
        ones that differ from the matched control by `semimech.evaluate.metrics.changed_genes`; ``strength``, the root
        mean square of their change, in standard errors where there are any. Both are zero for controls.
    """
    rows = np.arange(len(dataset.conditions))
    scene = measured_scene(dataset, rows)
    others = ~target_mask(dataset, rows) & ~dataset.is_control[:, None]
    error = np.where(scene.standard_error > 0, scene.standard_error, np.nan)
    unit = np.where(np.isfinite(error), error, 1.0)
    squares = np.where(others, ((scene.measured - scene.control) / unit) ** 2, 0.0)
    maintenance = dataset.system.maintenance_medium
    return pd.DataFrame(
        {
            "perturbation": dataset.perturbations,
            "hours": dataset.hours,
            "medium": [" > ".join(medium or maintenance for medium in c.media) for c in dataset.conditions],
            "cells": dataset.n_cells,
            "changed": (changed_genes(scene) & others).sum(axis=1),
            "strength": np.sqrt(squares.sum(axis=1) / np.maximum(others.sum(axis=1), 1)),
        }
    )


def by_strength(table: pd.DataFrame) -> list[str]:
    """Perturbations of a `condition_table`, the control first and then by the change at its largest."""
    largest = table.groupby("perturbation")[["changed", "strength"]].max().astype(float)
    largest[largest.index == CONTROL] = np.inf
    return [str(name) for name in largest.sort_values(["changed", "strength"], ascending=False, kind="stable").index]


def plot_conditions(dataset: Dataset) -> list[Figure]:
    """Map of conditions: a dot per harvest of an edit, large with its cells and dark with the genes that change.

    Controls come first, then edits by strength, in panels of about equal length, one set of panels per medium.
    """
    table = condition_table(dataset)
    edited = table[table["perturbation"] != CONTROL]
    most = int((edited if len(edited) else table)["cells"].max())
    changed = max(10, int(table["changed"].max()))
    figures = []
    for medium, part in table.groupby("medium", sort=False):
        names = by_strength(part)
        heading = f"medium: {medium}" if table["medium"].nunique() > 1 else ""
        for rows in np.array_split(np.array(names, dtype=object), -(-len(names) // ROWS_PER_PANEL)):
            figures.append(_dot_map(part, list(rows), heading, most, changed))
    return figures


def _area(cells: np.ndarray | float, most: int) -> np.ndarray | float:
    """Area of a dot in square points."""
    return 5 + (_LARGEST - 5) * np.minimum(cells / max(most, 1), 1.0)


def _dot_map(table: pd.DataFrame, names: list[str], heading: str, most: int, changed: int) -> Figure:
    """One panel of the map, with the dots of these perturbations."""
    times = sorted(table["hours"].unique())
    part = table[table["perturbation"].isin(names)]
    top = 0.62 + (0.2 if heading else 0.0)
    left = min(1.5, 0.3 + 0.068 * max(len(name) for name in names))
    figure, axes = panel(top + 0.45 + _ROW * len(names), left=left, right=0.15, top=top)
    rows = {name: row for row, name in enumerate(names)}
    columns = {hours: column for column, hours in enumerate(times)}
    dots = axes.scatter(
        part["hours"].map(columns),
        part["perturbation"].map(rows),
        s=_area(part["cells"].to_numpy(dtype=float), most),
        c=part["changed"].to_numpy(dtype=float) + 1,
        cmap="Greys",
        norm=LogNorm(1, changed + 1),
        edgecolors=INK,
        linewidths=0.7,
    )
    axes.set_xlim(-0.6, len(times) - 0.4)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xticks(range(len(times)), [time_name(hours) for hours in times])
    if len(times) > 5:
        axes.tick_params(axis="x", labelsize=SMALL - 1, rotation=45 if len(times) > 7 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.grid(color=GRID, linewidth=0.5)
    label(axes, x="time of harvest" if len(times) <= 7 else "")
    if heading:
        head(figure, heading)
    _dot_legend(figure, dots, most, changed, 0.2 if heading else 0.0)
    return figure


def _dot_legend(figure: Figure, dots: PathCollection, most: int, changed: int, below: float) -> None:
    """What area and darkness stand for, above the map."""
    rounded = [max(1, int(float(f"{most * share:.1g}"))) for share in (0.1, 0.5)]
    counts = [(count, f"{count:,}") for count in dict.fromkeys(rounded)] + [(most, f"≥ {most:,}")]
    sizes = [_dot(float(np.sqrt(_area(count, most))), "white", text) for count, text in counts]
    levels = (0, round(np.sqrt(changed + 1) - 1), changed)
    shades = [_dot(8, dots.cmap(dots.norm(level + 1)), f"{level:,}") for level in levels]
    for row, (title, handles) in enumerate((("cells", sizes), ("genes changed", shades))):
        y = 1 - (below + 0.13 + 0.22 * row) / figure.get_figheight()
        figure.text(0.06 / WIDTH, y, title, fontsize=SMALL, color=MUTED, va="center")
        figure.legend(
            handles=handles,
            loc="center left",
            bbox_to_anchor=(1.05 / WIDTH, y),
            ncols=3,
            frameon=False,
            fontsize=SMALL,
            handletextpad=0.1,
            columnspacing=1.2,
            borderpad=0,
        )


def _dot(size: float, colour: object, text: str) -> Line2D:
    """A legend entry for a dot; the size is its diameter in points."""
    return Line2D([], [], linestyle="", marker="o", markersize=size, color=colour, markeredgecolor=INK, label=text)


def plot_batches(dataset: Dataset) -> Figure:
    """Cells per batch, unedited and edited.

    Raises
    ------
    DataError
        If the data set holds no single cells.
    """
    if dataset.cells is None:
        raise DataError(f"{dataset.name}: it holds no single cells, so there are no batches to draw")
    batches = np.unique(dataset.cells.batch)
    is_control = dataset.is_control[dataset.cells.condition]
    figure, axes = panel(1.1 + 0.42 * len(batches), left=0.75, right=0.3, top=0.5)
    rows = np.arange(len(batches))
    bars = []
    for side, wanted, hatch, colour, name in (
        (-0.19, True, "////", "white", "controls"),
        (0.19, False, "", "#8d8d8d", "edited"),
    ):
        counts = [int(np.sum((dataset.cells.batch == batch) & (is_control == wanted))) for batch in batches]
        axes.barh(rows + side, counts, 0.34, color=colour, edgecolor=INK, hatch=hatch, linewidth=0.8)
        bars.append(Patch(facecolor=colour, edgecolor=INK, hatch=hatch, label=name))
        for row, count in enumerate(counts):
            axes.annotate(
                f"{count:,}",
                (count, row + side),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL - 0.5,
            )
    axes.set_yticks(rows, [f"batch {batch + 1}" for batch in batches])
    axes.set_ylim(len(batches) - 0.5, -0.5)
    axes.margins(x=0.14)
    axes.locator_params(axis="x", nbins=5)
    head(figure, "Cells per batch")
    legend(figure, bars, below=0.2, columns=2)
    label(axes, x="cells")
    return figure


def plot_detection(dataset: Dataset) -> Figure:
    """Genes detected per cell, by batch: median, middle half and 5–95% range.

    Raises
    ------
    DataError
        If the data set holds no single cells.
    """
    if dataset.cells is None:
        raise DataError(f"{dataset.name}: it holds no single cells, so detection per cell cannot be drawn")
    detected = np.asarray((dataset.cells.values != 0).sum(axis=1)).ravel()
    batches = np.unique(dataset.cells.batch)
    figure, axes = panel(0.9 + 0.34 * len(batches), left=0.75, right=0.3, top=0.35)
    for row, batch in enumerate(batches):
        levels = np.quantile(detected[dataset.cells.batch == batch], [0.05, 0.25, 0.5, 0.75, 0.95])
        axes.plot(levels[[0, 4]], [row, row], color=INK, linewidth=1)
        axes.plot(levels[[1, 3]], [row, row], color=INK, linewidth=5, solid_capstyle="butt")
        axes.plot(levels[2], row, marker="o", color="white", markeredgecolor=INK, markersize=6)
    axes.set_yticks(range(len(batches)), [f"batch {batch + 1}" for batch in batches])
    axes.set_ylim(len(batches) - 0.5, -0.5)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.locator_params(axis="x", nbins=5)
    head(figure, "Genes detected per cell")
    label(axes, x=f"genes, of {len(dataset.genes):,}")
    return figure
