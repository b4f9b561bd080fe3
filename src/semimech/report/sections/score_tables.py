"""Tables of scores: predictors by metrics, and condition by condition."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from semimech.evaluate import CEILING
from semimech.report.blocks import Table
from semimech.report.words import capital, measure, number, time_name


def scores_table(summary: pd.DataFrame, caption: str) -> Table:
    """Predictors by metrics, sorted by the first metric, the best value of each metric emphasised.

    Parameters
    ----------
    summary
        Means with intervals of one split, mode and scope.
    caption
        What the table shows.
    """
    metrics = list(dict.fromkeys(summary["metric"]))
    cells = {(row["predictor"], row["metric"]): row for row in summary.to_dict("records")}
    first = summary[summary["metric"] == metrics[0]]
    first = first.sort_values("mean", ascending=measure(metrics[0]).is_error, kind="stable")
    names = sorted(dict.fromkeys([*first["predictor"], *summary["predictor"]]), key=lambda name: name == CEILING)
    contenders = [name for name in names if name != CEILING]
    best = set()
    for column, metric in enumerate(metrics, 1):
        means = np.array([float(cells.get((name, metric), {}).get("mean", np.nan)) for name in contenders])
        known = means[np.isfinite(means)]
        if len(known) and not np.isclose(known.min(), known.max(), rtol=1e-6):
            level = known.min() if measure(metric).is_error else known.max()
            best |= {(int(row), column) for row in np.flatnonzero(np.isclose(means, level, rtol=1e-6))}
    return Table(
        caption=f"{caption} ↓ lower is better, ↑ higher is better; best in bold.",
        head=("Predictor", *(_headed(metric) for metric in metrics)),
        rows=tuple((name, *(_cell(cells.get((name, metric), {})) for metric in metrics)) for name in names),
        emphasised=frozenset(best),
    )


def _headed(metric: str) -> str:
    """A metric as the head of a column, its arrow held to the last word."""
    reading = measure(metric)
    return capital(reading.name) + ("\N{NO-BREAK SPACE}↓" if reading.is_error else "\N{NO-BREAK SPACE}↑")


def _cell(row: Mapping[Hashable, Any]) -> str:
    """A mean, with its interval on a second line."""
    mean, lower, upper = (float(row.get(name, np.nan)) for name in ("mean", "lower", "upper"))
    return number(mean) if not np.isfinite(lower) else f"{number(mean)}\n{number(lower)} to {number(upper)}"


def conditions_table(scores: pd.DataFrame, model: str, baseline: str, *, metric: str, scope: str) -> Table:
    """One metric condition by condition for a model and a baseline, the model's worst first.

    Parameters
    ----------
    scores
        Scores of one split and mode.
    model, baseline
        The two predictors.
    metric, scope
        What to show.
    """
    reading = measure(metric)
    keys = [column for column in ("perturbation", "hours", "medium") if column in scores.columns]
    part = scores[
        (scores["metric"] == metric) & (scores["scope"] == scope) & scores["predictor"].isin([model, baseline])
    ]
    wide = part.pivot_table(index=keys, columns="predictor", values="value", aggfunc="mean", sort=False).dropna()
    wide = wide.sort_values(model, ascending=not reading.is_error, kind="stable").reset_index()
    has_media = "medium" in keys and wide["medium"].nunique() > 1
    rows = []
    for row in wide.to_dict("records"):
        place = [str(row["perturbation"])]
        place += [time_name(row["hours"])] if "hours" in keys else []
        place += [str(row["medium"])] if has_media else []
        is_better = row[model] < row[baseline] if reading.is_error else row[model] > row[baseline]
        rows.append((", ".join(place), number(row[model]), number(row[baseline]), "model" if is_better else "baseline"))
    head = ("Condition", model, baseline, "Better")
    return Table(
        caption=f"{capital(reading.name)} of each condition, the model's worst first.", head=head, rows=tuple(rows)
    )
