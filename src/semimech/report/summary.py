"""What the scores and comparisons say in short: the metric to speak of, the best baseline, who stands against whom."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.evaluate import CEILING, METRICS, ROLL_OUT, STRATA
from semimech.evaluate import summarise as summarise_scores
from semimech.report.words import measure

_FIRST = ("mse", "wmse", *(metric.name for metric in METRICS))
_DRAWS = 1000


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Means of scores with their intervals, as `semimech.evaluate.summarise` gives them, from the same draws each time.

    The seed is fixed so that one content always gives one report; predictors without any value are left out.
    """
    if scores.empty:
        columns = [
            "predictor",
            "split",
            "mode",
            "metric",
            "scope",
            "mean",
            "lower",
            "upper",
            "n_conditions",
            "n_missing",
        ]
        return pd.DataFrame(columns=columns)
    summary = summarise_scores(scores, n_boot=_DRAWS, rng=np.random.default_rng(0))
    return summary[np.isfinite(summary["mean"].to_numpy(dtype=float))].reset_index(drop=True)


def main_metric(table: pd.DataFrame) -> tuple[str, str] | None:
    """The metric and the scope to speak about first: an error, without the edited genes if it was scored so."""
    if table.empty:
        return None
    metrics = list(dict.fromkeys(table["metric"]))
    metric = next((m for m in _FIRST if m in metrics), str(metrics[0]))
    scopes = set(table.loc[table["metric"] == metric, "scope"])
    return metric, "excl" if "excl" in scopes else "all"


def best_baseline(summary: pd.DataFrame, models: tuple[str, ...], *, metric: str, scope: str) -> str | None:
    """The predictor without mechanism that scores best among those that predicted most conditions.

    It is chosen on the test set, which favours it.
    """
    rows = summary[(summary["metric"] == metric) & (summary["scope"] == scope)]
    rows = rows[~rows["predictor"].isin([*models, CEILING])]
    if rows.empty:
        return None
    rows = rows[rows["n_conditions"] == rows["n_conditions"].max()]
    return str(rows.sort_values("mean", ascending=measure(metric).is_error, kind="stable")["predictor"].iloc[0])


def mean_of(summary: pd.DataFrame, predictor: str, *, metric: str, scope: str) -> float:
    """The mean of one predictor; NaN where it was not scored."""
    is_row = (summary["predictor"] == predictor) & (summary["metric"] == metric) & (summary["scope"] == scope)
    values = summary.loc[is_row, "mean"]
    return float(values.iloc[0]) if len(values) else float("nan")


def main_pairs(comparisons: pd.DataFrame, models: tuple[str, ...], split: str) -> pd.DataFrame:
    """Comparisons of the main model with the baselines on one split, in the main metric, predicted from the start.

    Pairs in which the model stands as the reference are turned round.
    """
    if comparisons.empty or not models:
        return comparisons.iloc[:0]
    part = comparisons[comparisons["split"] == split]
    if "mode" in part.columns:
        part = part[part["mode"] == ROLL_OUT]
    part = pd.concat([part[part["predictor"] == models[0]], turned(part[part["reference"] == models[0]])])
    part = part[~part["reference"].isin([*models, CEILING])]
    chosen = main_metric(part)
    if chosen is None:
        return part
    part = part[(part["metric"] == chosen[0]) & (part["scope"] == chosen[1])]
    return part.drop_duplicates("reference").reset_index(drop=True)


def turned(pairs: pd.DataFrame) -> pd.DataFrame:
    """Comparisons with predictor and reference exchanged: ratios inverted, differences with the other sign."""
    is_ratio = (pairs["unit"] == "ratio").to_numpy(dtype=bool)
    estimate, lower, upper = (pairs[name].to_numpy(dtype=float) for name in ("estimate", "lower", "upper"))
    with np.errstate(divide="ignore"):
        return pairs.assign(
            predictor=pairs["reference"],
            reference=pairs["predictor"],
            estimate=np.where(is_ratio, 1 / estimate, -estimate),
            lower=np.where(is_ratio, 1 / upper, -upper),
            upper=np.where(is_ratio, 1 / lower, -lower),
            won=1 - pairs["won"].to_numpy(dtype=float),
        )


def by_stratum(scores: pd.DataFrame, predictors: list[str], *, metric: str, scope: str) -> pd.DataFrame:
    """Mean score per predictor and size of effect, in the order of both: ``predictor``, ``stratum``, ``mean``."""
    rows = scores[(scores["metric"] == metric) & (scores["scope"] == scope) & scores["predictor"].isin(predictors)]
    means = rows.groupby(["predictor", "stratum"], sort=False)["value"].mean()
    strata = sorted(dict.fromkeys(rows["stratum"]), key=lambda s: STRATA.index(s) if s in STRATA else len(STRATA))
    order = pd.MultiIndex.from_product([predictors, strata], names=["predictor", "stratum"])
    return means.reindex(order).rename("mean").reset_index()
