"""The figure of what the checks measured of each edit against its controls."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from semimech.report.plots.style import BLUE, GRID, MUTED, ORANGE, SMALL, head, label, panel

MEASURES: tuple[tuple[str, str, str, float], ...] = (
    ("depth", "Depth", "ratio to controls of the batch", 1.0),
    ("on_target", "Edited gene", "its mRNA, ratio to controls of the batch", 1.0),
    ("escapers", "Cells that look unedited", "share of the cells", 0.0),
    ("mitochondrial", "Mitochondrial share", "difference from controls of the batch", 0.0),
    ("s_phase", "S phase", "difference from controls, in SD of cells", 0.0),
    ("g2m_phase", "G2 and M phase", "difference from controls, in SD of cells", 0.0),
)
"""Columns of a table of quality with their title, their axis, and the value of no difference."""
MOST_ROWS = 24
"""Conditions of a panel: those that differ most."""


def plot_quality(conditions: pd.DataFrame, measure: str) -> Figure | None:
    """One measure of each condition with its 95% interval, those that differ most first; ``None`` without a value.

    Parameters
    ----------
    conditions
        As of `semimech.data.Examination.conditions`.
    measure
        A column of it that stands in `MEASURES`.

    Raises
    ------
    ValueError
        If the measure is unknown.
    """
    known = {row[0]: row[1:] for row in MEASURES}
    if measure not in known:
        raise ValueError(f"no measure {measure!r}; known: {', '.join(known)}")
    title, axis, neutral = known[measure]
    if measure not in conditions:
        return None
    table = conditions[np.isfinite(conditions[measure].to_numpy(dtype=float))]
    if table.empty:
        return None
    value, error = (table[name].to_numpy(dtype=float) for name in (measure, f"{measure}_error"))
    order = np.argsort(-np.abs(value - neutral), kind="stable")[:MOST_ROWS]
    names = [_name(row, conditions) for row in table.iloc[order].to_dict("records")]
    left = min(1.7, 0.35 + 0.062 * max(map(len, names)))
    figure, axes = panel(0.95 + 0.17 * len(order), left=left, right=0.2, top=0.42)
    rows = np.arange(len(order))
    is_apart = np.abs(value[order] - neutral) > 1.96 * error[order]
    for wanted, marker, colour in ((True, "s", ORANGE), (False, "o", BLUE)):
        kept = is_apart == wanted
        axes.errorbar(
            value[order][kept],
            rows[kept],
            xerr=1.96 * error[order][kept],
            fmt=marker,
            color=colour,
            markersize=4,
            elinewidth=1,
        )
    axes.axvline(neutral, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_yticks(rows, names)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="y", labelsize=SMALL - 1)
    head(figure, title, f"{len(order)} of {len(table)} conditions" if len(order) < len(table) else "")
    label(axes, x=axis)
    return figure


def _name(row: dict[object, object], conditions: pd.DataFrame) -> str:
    """A condition by what tells it from the others."""
    parts = [str(row["perturbation"])]
    if conditions["medium"].nunique() > 1:
        parts.append(str(row["medium"]))
    if conditions["hours"].nunique() > 1:
        parts.append(f"{float(str(row['hours'])):g} h")
    return " · ".join(parts)
