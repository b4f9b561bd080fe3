"""One look for every figure: panels as wide as a phone, told apart by marker and line style before colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1a1a1a"
MUTED = "#5f5f5f"
GRID = "#dcdcdc"
BLUE = "#0072B2"
ORANGE = "#D55E00"
WIDTH = 3.7
"""Width of a panel in inches: about 355 CSS pixels, one column of a phone."""
SMALL = 8.0
"""Size of labels in points: about 11 CSS pixels."""

Dashes: TypeAlias = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one of several series is drawn.

    Parameters
    ----------
    colour
        From the palette of Okabe and Ito, which colour-blind readers can tell apart.
    marker
        Marker of points.
    dashes
        Line style.
    """

    colour: str
    marker: str
    dashes: Dashes


LOOKS: tuple[Look, ...] = (
    Look(colour=BLUE, marker="o", dashes="-"),
    Look(colour=ORANGE, marker="s", dashes=(0, (5, 2))),
    Look(colour="#009E73", marker="^", dashes=(0, (1.2, 1.6))),
    Look(colour="#8C4A77", marker="D", dashes=(0, (6, 2, 1.2, 2))),
    Look(colour="#8A6000", marker="v", dashes=(0, (3, 1.2, 1.2, 1.2, 1.2, 1.2))),
    Look(colour="#1f1f1f", marker="P", dashes=(0, (9, 2.5))),
)
"""Looks in the order in which series take them."""


def panel(
    height: float, *, left: float = 0.55, right: float = 0.12, top: float = 0.12, bottom: float = 0.45
) -> tuple[Figure, Axes]:
    """A figure of one panel with fixed margins, outside pyplot's global state.

    Parameters
    ----------
    height
        Height in inches.
    left, right, top, bottom
        Margins around the axes in inches.
    """
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes(
        (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - top - bottom) / height)
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(labelsize=SMALL, colors=INK, color=MUTED, length=3)
    axes.set_axisbelow(True)
    return figure, axes


def label(axes: Axes, *, x: str = "", y: str = "") -> None:
    """Name the axes, with their units."""
    axes.set_xlabel(x, fontsize=SMALL, color=INK)
    axes.set_ylabel(y, fontsize=SMALL, color=INK)


def head(figure: Figure, title: str, detail: str = "") -> None:
    """Name the panel at its upper left, with a word of detail beneath."""
    height = figure.get_figheight()
    figure.text(0.06 / WIDTH, 1 - 0.04 / height, title, fontsize=SMALL + 1, fontweight="bold", color=INK, va="top")
    if detail:
        figure.text(0.06 / WIDTH, 1 - 0.25 / height, detail, fontsize=SMALL, color=MUTED, va="top")


def legend(figure: Figure, handles: Sequence[Artist], *, below: float = 0.0, columns: int = 1) -> None:
    """Say at the upper left what is drawn how.

    Parameters
    ----------
    handles
        Labelled entries.
    below
        Distance from the upper edge, in inches.
    columns
        Entries side by side.
    """
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 1 - below / figure.get_figheight()),
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        handlelength=3 if any(getattr(h, "get_linestyle", str)() not in ("None", "") for h in handles) else 1.2,
        handletextpad=0.4,
        columnspacing=1.0,
        labelspacing=0.3,
        borderpad=0.2,
    )


def look(number: int) -> Look:
    """The look of a series by its number, from zero, beginning again after the last."""
    return LOOKS[number % len(LOOKS)]
