"""Figures of abundance: the bottleneck of each sample, its drift, and the course of guides of some genes."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from semimech.abundance import AbundanceScreen
from semimech.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, SMALL, head, label, legend, look, panel

_ROW = 0.24
_COURSES = 6
_INNER, _OUTER = 5, 95


def plot_bottleneck(screen: AbundanceScreen) -> Figure:
    """Effective founders of each sample with their interval; an arrow where there is no upper end.

    Parameters
    ----------
    screen
        What was estimated.
    """
    table = screen.founders
    top = 0.5
    figure, axes = panel(top + 0.6 + _ROW * max(len(table), 2), left=1.05, top=top)
    place = np.arange(len(table))
    upper = np.where(np.isfinite(table["upper"]), table["upper"], table["founders"] * 30.0)
    lower = np.maximum(table["lower"], table["founders"] / 1e3)
    axes.hlines(place, lower, upper, color=BLUE, linewidth=1.6)
    axes.plot(table["founders"], place, "o", color=BLUE, markersize=5)
    axes.plot(upper[~np.isfinite(table["upper"])], place[~np.isfinite(table["upper"])], ">", color=BLUE, markersize=5)
    axes.set_xscale("log")
    axes.set_xlim(10.0 ** np.floor(np.log10(lower.min())), 10.0 ** np.ceil(np.log10(upper.max()) + 1e-9))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(place, [textwrap.shorten(s, 16, placeholder="…") for s in table["sample"]])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    head(figure, "Bottleneck", "effective founders and their interval")
    label(axes, x="effective founders, cells")
    return figure


def plot_drift(screen: AbundanceScreen, sample: str) -> Figure:
    """Change of neutral guides and of all others in a sample against their share before.

    Parameters
    ----------
    screen
        What was estimated.
    sample
        Name of the sample.
    """
    figure, axes = panel(2.7, top=0.72)
    is_reference = (screen.counts.samples["role"] == "reference").to_numpy()
    before = screen.counts.counts[:, is_reference].sum(axis=1)
    reads = dict(zip(screen.counts.guides, before, strict=True))
    at = np.array([reads[g] for g in screen.guides["guide"]])
    change = screen.changes[sample].to_numpy() / np.log(2.0)
    neutral = screen.guides["neutral"].to_numpy()
    axes.plot(at[~neutral], change[~neutral], ".", color=MUTED, markersize=1.5, alpha=0.35, rasterized=True)
    axes.plot(at[neutral], change[neutral], ".", color=ORANGE, markersize=2.5, alpha=0.8, rasterized=True)
    axes.axhline(0.0, color=INK, linewidth=0.7)
    axes.set_xscale("log")
    handles = [
        Line2D([], [], marker=".", linestyle="None", color=ORANGE, label="neutral"),
        Line2D([], [], marker=".", linestyle="None", color=MUTED, label="others"),
    ]
    legend(figure, handles, below=0.42, columns=2)
    spread = float(change[neutral].std())
    head(
        figure,
        textwrap.shorten(f"Drift, {sample}", 40),
        f"neutral guides: sd {spread:.2g} log₂ units",
    )
    label(axes, x="reads before", y="log₂ change")
    return figure


def plot_abundance(screen: AbundanceScreen) -> Figure:
    """Trajectories of the genes with the clearest effects from the reference on, mean of their guides, against the spread of neutral guides.

    Animals of one time are points, the line runs through their mean. Without times samples stand side by side.

    Parameters
    ----------
    screen
        What was estimated.
    """
    figure, axes = panel(3.1, top=1.05)
    sheet = screen.counts.samples
    hours = sheet.set_index("sample")["hours"].reindex(screen.changes.columns)
    has_hours = bool(hours.notna().all())
    at = hours.to_numpy(float) if has_hours else np.arange(len(hours), dtype=float)
    changes = screen.changes.to_numpy() / np.log(2.0)
    neutral = screen.guides["neutral"].to_numpy()
    times = np.unique(at)
    band = np.array([np.percentile(changes[neutral][:, at == t], [_INNER, _OUTER]) for t in times])
    start = float(sheet.loc[sheet["role"] == "reference", "hours"].mean()) if has_hours else np.nan
    begins = np.isfinite(start) and start < times[0]
    if begins:
        axes.fill_between(np.r_[start, times], *np.vstack([np.zeros(2), band]).T, color=GRID, linewidth=0)
    elif has_hours and len(times) > 1:
        axes.fill_between(times, *band.T, color=GRID, linewidth=0)
    else:
        axes.vlines(times, *band.T, color=GRID, linewidth=8)
    handles = []
    for number, gene in enumerate(screen.genes.head(_COURSES)["gene"]):
        style = look(number)
        mean = changes[(screen.guides["gene"] == gene).to_numpy()].mean(axis=0)
        course = np.array([mean[at == t].mean() for t in times])
        axes.plot(at, mean, ".", color=style.colour, markersize=3, alpha=0.6)
        (line,) = axes.plot(
            np.r_[start, times] if begins else times,
            np.r_[0.0, course] if begins else course,
            color=style.colour,
            marker=style.marker,
            markersize=4,
            linestyle=style.dashes if has_hours else "None",
            linewidth=1.2,
            label=textwrap.shorten(gene, 14, placeholder="…"),
        )
        handles.append(line)
    axes.axhline(0.0, color=INK, linewidth=0.7)
    if not has_hours:
        axes.set_xticks(at, [textwrap.shorten(str(s), 10, placeholder="…") for s in screen.changes.columns])
    axes.tick_params(labelsize=SMALL)
    legend(figure, handles, below=0.42, columns=3)
    head(figure, "Abundance", f"grey: {_INNER} to {_OUTER} % of neutral guides")
    label(axes, x="hours" if has_hours else "sample", y="log₂ change")
    return figure
