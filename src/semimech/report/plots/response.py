"""Figures of predictions beside measurements: held-out changes, and the course of one edit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from semimech.data import Dataset
from semimech.report.plots.style import BLUE, GRID, INK, MUTED, head, label, legend, look, panel

_RASTER_ABOVE = 400
"""Clouds of more points than this are drawn as pixels, which keeps the file small."""


def plot_held_out(held_out: pd.DataFrame, *, title: str, limit: float | None = None) -> Figure:
    """Predicted against observed change of held-out conditions, one point per gene and condition.

    Perfect predictions lie on the diagonal, "no change" on the horizontal line. Points beyond the axes are drawn on
    their edge.

    Parameters
    ----------
    held_out
        Rows of one split and predictor: ``observed``, ``predicted``, ``control`` in the observed scale, ``is_target``.
    title
        Heading of the panel.
    limit
        Half-width of both axes, observed scale; by default what holds 99.8% of the genes that are not edited.
    """
    observed = (held_out["observed"] - held_out["control"]).to_numpy(dtype=float)
    predicted = (held_out["predicted"] - held_out["control"]).to_numpy(dtype=float)
    is_target = held_out["is_target"].to_numpy(dtype=bool)
    if limit is None:
        limit = change_limit(held_out)
    figure, axes = panel(3.65, left=0.72, right=0.38, top=0.55, bottom=0.5)
    axes.axhline(0, color=GRID, linewidth=1, zorder=0)
    axes.axvline(0, color=GRID, linewidth=1, zorder=0)
    axes.plot([-limit, limit], [-limit, limit], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    x, y = np.clip(observed, -limit, limit), np.clip(predicted, -limit, limit)
    is_many = len(x) > _RASTER_ABOVE
    axes.scatter(
        x[~is_target],
        y[~is_target],
        s=7,
        color=BLUE,
        alpha=0.35 if is_many else 0.7,
        linewidths=0,
        rasterized=is_many,
        zorder=2,
        clip_on=False,
    )
    axes.scatter(
        x[is_target],
        y[is_target],
        s=26,
        marker="^",
        facecolors="white",
        edgecolors=INK,
        linewidths=0.9,
        zorder=3,
        clip_on=False,
    )
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.set_aspect("equal", adjustable="box")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, symmetric=True))
    label(axes, x="observed change against control", y="predicted change")
    head(figure, title, _agreement(observed[~is_target], predicted[~is_target]))
    return figure


def change_limit(held_out: pd.DataFrame) -> float:
    """Half-width of axes that holds 99.8% of the observed and predicted changes of genes that are not edited."""
    rest = held_out[~held_out["is_target"].to_numpy(dtype=bool)]
    rest = rest if len(rest) else held_out
    values = np.abs(
        np.concatenate([rest["observed"] - rest["control"], rest["predicted"] - rest["control"]]).astype(float)
    )
    values = values[np.isfinite(values)]
    return max(1e-6, 1.05 * float(np.quantile(values, 0.998))) if len(values) else 1.0


def _agreement(observed: np.ndarray, predicted: np.ndarray) -> str:
    """Correlation of changes in words."""
    usable = np.isfinite(observed) & np.isfinite(predicted)
    if usable.sum() < 3 or observed[usable].std() == 0 or predicted[usable].std() == 0:
        return "the predictor states no change"
    return f"r = {np.corrcoef(observed[usable], predicted[usable])[0, 1]:.2f} without edited genes".replace("-", "−")


def leading_genes(dataset: Dataset, perturbation: str, *, count: int = 4) -> list[str]:
    """Genes that an edit changes most, measured in standard errors where there are any, at any of its harvests."""
    rows = _rows_of(dataset, perturbation)
    if not rows:
        return []
    change = np.stack([dataset.mean[r] - dataset.matched_control(dataset.conditions[r]) for r in rows])
    error = dataset.standard_error[rows]
    if np.isfinite(error).all():
        change = change / np.sqrt(error**2 + np.median(error) ** 2)
    order = np.argsort(-np.abs(change).max(axis=0))
    return [dataset.genes[g] for g in order[:count]]


def _rows_of(dataset: Dataset, perturbation: str) -> list[int]:
    """Conditions of a perturbation with the media of the first, and as it still treated or washed, in order of time."""
    rows = [r for r, name in enumerate(dataset.perturbations) if name == perturbation]
    if not rows:
        return []
    first = dataset.conditions[rows[0]]
    alike = [r for r in rows if dataset.conditions[r].washed_out == first.washed_out]
    return sorted((r for r in alike if dataset.conditions[r].media == first.media), key=lambda r: dataset.hours[r])


def plot_trajectory(
    dataset: Dataset, trajectories: pd.DataFrame, *, perturbation: str, genes: list[str] | None = None
) -> Figure:
    """The course of an edit: predicted lines with their bands, observed means with standard errors.

    Values are changes against the mean of the controls, in the observed scale; each gene has its own line style and
    marker. Settled harvests stand at the right edge.

    Parameters
    ----------
    dataset
        Source of the observed points.
    trajectories
        Predicted course: ``perturbation``, ``hours``, ``gene``, ``predicted``, ``lower``, ``upper``.
    perturbation
        The edit to draw.
    genes
        Genes to draw; by default the four that change most.
    """
    genes = leading_genes(dataset, perturbation) if genes is None else genes
    control = dict(zip(dataset.genes, dataset.control_mean(), strict=True))
    rows = _rows_of(dataset, perturbation)
    course = trajectories[(trajectories["perturbation"] == perturbation) & trajectories["gene"].isin(genes)]
    finite = [float(h) for h in [*dataset.hours[rows], *course["hours"]] if np.isfinite(h)]
    end = max(finite, default=0.0) or 24.0
    unit, name = (24.0, "days") if end >= 48 else (1.0, "hours")
    top = 0.3 + 0.17 * -(-len(genes) // 2)
    figure, axes = panel(top + 2.1, left=0.58, top=top)
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=0)
    handles = []
    for number, gene in enumerate(genes):
        style = look(number)
        part = course[course["gene"] == gene].sort_values("hours")
        values = {
            column: part[column].to_numpy(dtype=float) - control[gene] for column in ("predicted", "lower", "upper")
        }
        times = part["hours"].to_numpy(dtype=float) / unit
        if np.isfinite(values["lower"]).any():
            axes.fill_between(times, values["lower"], values["upper"], color=style.colour, alpha=0.13, linewidth=0)
        axes.plot(times, values["predicted"], color=style.colour, linestyle=style.dashes, linewidth=1.7)
        handles.append(_observed(axes, dataset, rows, gene, control[gene], number, end, unit))
    axes.grid(axis="y", color=GRID, linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=end / unit >= 2))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    head(figure, perturbation)
    legend(figure, handles, below=0.2, columns=2)
    against = "control" if dataset.system.is_stationary else "the mean of controls of all times"
    label(axes, x=f"time since the start ({name})", y=f"change against {against}")
    return figure


def _observed(
    axes: Axes, dataset: Dataset, rows: list[int], gene: str, control: float, number: int, end: float, unit: float
) -> Line2D:
    """Draw the observed points of one gene, set apart a little so that genes do not hide one another; its legend."""
    style, column = look(number), dataset.genes.index(gene)
    hours = np.where(np.isfinite(dataset.hours[rows]), dataset.hours[rows], 1.1 * end)
    times = (hours + (number - 1.5) * 0.012 * end) / unit
    change = dataset.mean[rows, column] - control
    error = np.nan_to_num(dataset.standard_error[rows, column], nan=0.0)
    axes.vlines(times, change - error, change + error, color=INK, linewidth=1.1)
    point = {
        "marker": style.marker,
        "markersize": 5,
        "color": style.colour,
        "markeredgecolor": INK,
        "markeredgewidth": 0.6,
    }
    axes.plot(times, change, linestyle="", **point)
    return Line2D([], [], linestyle=style.dashes, linewidth=1.7, label=gene, **point)
