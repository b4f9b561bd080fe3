"""Paired comparisons between predictors, with bootstrap intervals over edits and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from semimech.baselines import BASELINES
from semimech.evaluate.ceiling import CEILING
from semimech.evaluate.metrics import ERRORS
from semimech.evaluate.score import ONE_STEP, ROLL_OUT, SCOPES

_KEYS = ["dataset", "seed", "fold", "condition"]
_RESULT = ["estimate", "lower", "upper", "n_conditions", "n_edits", "won", "unit"]
_BASELINES = tuple(baseline.name for baseline in BASELINES)


def compare(
    scores: pd.DataFrame,
    *,
    metric: str,
    reference: str | None = None,
    predictors: Sequence[str] | None = None,
    scope: str = "excl",
    mode: str = ROLL_OUT,
    level: float = 0.95,
    n_boot: int = 2000,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Compare predictors on the conditions that both predicted.

    Errors are compared by the ratio of their means, other metrics by the difference. The interval is from a bootstrap
    that draws edits and seeds apart [1]_: conditions of one edit stand or fall together, and so do those of one seed. Its
    percentiles are widened for the number of edits, as Student's t is [2]_; with a handful of seeds that shift all edits
    alike it is still too narrow.

    Parameters
    ----------
    scores
        Tidy scores, of one or several seeds and data sets.
    metric
        Metric to compare by.
    reference
        Predictor to compare with; all pairs if not given.
    predictors
        Predictors to compare; all but the noise ceiling if not given.
    scope
        ``"all"`` genes, or ``"excl"`` the edited ones.
    mode
        ``"roll-out"`` or ``"one-step"``.
    level
        Coverage of the interval.
    n_boot
        Number of bootstrap draws.
    rng
        Draws them.

    Returns
    -------
    pandas.DataFrame
        Columns ``predictor, reference, split, metric, scope, mode, estimate, lower, upper, n_conditions, n_edits, won,
        unit``; ``won`` is the share of conditions in which the predictor is better, a tie counting half; ``unit`` is
        ``"ratio"`` or ``"difference"``. The interval is NaN with fewer than two edits.

    Raises
    ------
    ValueError
        If the metric, the reference or a predictor is not in the table, ``scope`` or ``mode`` is none, or ``level`` is not between 0 and 1.

    References
    ----------
    .. [1] Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 386 (2007). https://doi.org/10.1214/07-AOAS122
    .. [2] Hesterberg, What teachers should know about the bootstrap, The American Statistician 69, 371 (2015).
    """
    _check(scores, metric, level, [] if reference is None else [reference], predictors or [])
    for name, value, known in (("scope", scope, SCOPES), ("mode", mode, (ROLL_OUT, ONE_STEP))):
        if value not in known:
            raise ValueError(f"{name} must be {' or '.join(map(repr, known))}, got {value!r}")
    chosen = scores[(scores["metric"] == metric) & (scores["scope"] == scope) & (scores["mode"] == mode)]
    rows = []
    for split, part in chosen.groupby("split", sort=False):
        wide = part.pivot_table(index=[*_KEYS, "perturbation"], columns="predictor", values="value", sort=False)
        names = [n for n in predictors or part["predictor"].unique() if n in wide and n != CEILING]
        for name, other in _pairs(names, reference):
            if other in wide:
                row = _compare_pair(wide[[name, other]].dropna(), metric in ERRORS, level, n_boot, rng)
                rows.append({"predictor": name, "reference": other, "split": split, **row})
    table = pd.DataFrame(rows, columns=["predictor", "reference", "split", *_RESULT])
    return table.assign(metric=metric, scope=scope, mode=mode)[
        ["predictor", "reference", "split", "metric", "scope", "mode", *_RESULT]
    ]


def best_simple_baseline(
    scores: pd.DataFrame,
    *,
    metric: str = "mse",
    scope: str = "excl",
    mode: str = ROLL_OUT,
    baselines: Sequence[str] = _BASELINES,
) -> dict[str, str]:
    """The best baseline of each split, chosen by its mean on the test conditions, which favours it.

    Only baselines that predicted as many conditions as any of them can be best.

    Parameters
    ----------
    scores
        Tidy scores.
    metric, scope, mode
        What to choose by.
    baselines
        Predictors to choose among.

    Returns
    -------
    dict
        Name of a baseline by name of a split; splits that no baseline predicted are absent.
    """
    chosen = scores[(scores["metric"] == metric) & (scores["scope"] == scope) & (scores["mode"] == mode)]
    chosen = chosen[chosen["predictor"].isin(list(baselines)) & np.isfinite(chosen["value"].astype(float))]
    best = {}
    for split, part in chosen.groupby("split", sort=False):
        means = part.groupby("predictor", sort=False)["value"].agg(["mean", "count"])
        means = means.loc[means["count"] == means["count"].max(), "mean"]
        best[str(split)] = str(means.idxmin() if metric in ERRORS else means.idxmax())
    return best


def summarise(
    scores: pd.DataFrame, *, level: float = 0.95, n_boot: int = 2000, rng: np.random.Generator
) -> pd.DataFrame:
    """Mean of every metric per predictor and split, with the interval of `compare`.

    Returns
    -------
    pandas.DataFrame
        Columns ``predictor, split, mode, metric, scope, mean, lower, upper, n_conditions, n_missing``, where
        ``n_missing`` counts conditions without a value.

    Raises
    ------
    ValueError
        If ``level`` is not between 0 and 1.
    """
    _check(scores, None, level, [], [])
    columns = ["predictor", "metric", "scope"]
    rows = []
    for (split, mode), part in scores.groupby(["split", "mode"], sort=False):
        asked = part.groupby(columns, sort=False).size()
        wide = part.pivot_table(index=[*_KEYS, "perturbation"], columns=columns, values="value", sort=False)
        where = wide.index.to_frame(index=False)
        values = wide.to_numpy(dtype=float)
        known = np.isfinite(values)
        draws = _bootstrap(where, np.hstack([np.where(known, values, 0.0), known]), n_boot, rng)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = draws[:, : len(wide.columns)] / draws[:, len(wide.columns) :]
        found = {name: column for column, name in enumerate(wide.columns)}
        for key, n_asked in zip(asked.index, asked, strict=True):
            column = found.get(key)
            scored = np.zeros(len(wide), dtype=bool) if column is None else known[:, column]
            mean, lower, upper = np.nan, np.nan, np.nan
            if column is not None and scored.any():
                mean = float(values[scored, column].mean())
                lower, upper = _interval(drawn[:, column], level, _n_edits(where[scored]))
            n_scored = int(scored.sum())
            rows.append((key[0], split, mode, *key[1:], mean, lower, upper, n_scored, n_asked - n_scored))
    names = ["predictor", "split", "mode", "metric", "scope", "mean", "lower", "upper", "n_conditions", "n_missing"]
    return pd.DataFrame(rows, columns=names)


def _compare_pair(pair: pd.DataFrame, is_error: bool, level: float, n_boot: int, rng: np.random.Generator) -> dict:
    """Estimate, interval and wins of the first column against the second."""
    unit = "ratio" if is_error else "difference"
    values = pair.to_numpy(dtype=float)
    where = pair.index.to_frame(index=False)
    if not len(values):
        return dict.fromkeys(_RESULT, np.nan) | {"n_conditions": 0, "n_edits": 0, "unit": unit}
    draws = _bootstrap(where, np.hstack([values, np.ones((len(values), 1))]), n_boot, rng)
    with np.errstate(divide="ignore", invalid="ignore"):
        if is_error:
            estimate, drawn = values[:, 0].sum() / values[:, 1].sum(), draws[:, 0] / draws[:, 1]
        else:
            estimate, drawn = np.diff(values[:, ::-1]).mean(), (draws[:, 0] - draws[:, 1]) / draws[:, 2]
    lower, upper = _interval(drawn, level, _n_edits(where))
    better = np.sign(values[:, 1] - values[:, 0]) * (1 if is_error else -1)
    return {
        "estimate": float(estimate),
        "lower": lower,
        "upper": upper,
        "n_conditions": len(values),
        "n_edits": _n_edits(where),
        "won": float((0.5 + 0.5 * better).mean()),
        "unit": unit,
    }


def _bootstrap(
    where: pd.DataFrame, values: Float[np.ndarray, "condition column"], n_boot: int, rng: np.random.Generator
) -> Float[np.ndarray, "draw column"]:
    """Sums of each column over drawn edits and drawn seeds."""
    edit = where.groupby(["dataset", "perturbation"], sort=False).ngroup().to_numpy()
    seed, seeds = pd.factorize(where["seed"])
    if not len(edit) or edit.max() < 1:
        return np.full((n_boot, values.shape[1]), np.nan)
    n_edits = int(edit.max()) + 1
    sums = np.zeros((n_edits, len(seeds), values.shape[1]))
    np.add.at(sums, (edit, seed), values)
    edit_weight = rng.multinomial(n_edits, np.full(n_edits, 1 / n_edits), size=n_boot).astype(float)
    seed_weight = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), size=n_boot).astype(float)
    return np.einsum("be,esc,bs->bc", edit_weight, sums, seed_weight, optimize=True)


def _interval(draws: np.ndarray, level: float, n_edits: int) -> tuple[float, float]:
    """Percentiles of the draws, expanded for the number of clusters."""
    draws = draws[np.isfinite(draws)]
    if n_edits < 2 or not len(draws):
        return np.nan, np.nan
    quantile = np.sqrt(n_edits / (n_edits - 1)) * stats.t.ppf((1 + level) / 2, n_edits - 1)
    outside = stats.norm.sf(quantile)
    return float(np.quantile(draws, outside)), float(np.quantile(draws, 1 - outside))


def _n_edits(where: pd.DataFrame) -> int:
    return int(len(where[["dataset", "perturbation"]].drop_duplicates()))


def _pairs(names: Sequence[str], reference: str | None) -> Iterator[tuple[str, str]]:
    if reference is not None:
        yield from ((name, reference) for name in names if name != reference)
        return
    for i, name in enumerate(names):
        yield from ((name, other) for other in names[i + 1 :])


def _check(
    scores: pd.DataFrame, metric: str | None, level: float, references: Sequence[str], predictors: Sequence[str]
) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level:g}; 95 % is 0.95")
    if metric is not None and metric not in set(scores["metric"]):
        raise ValueError(f"no score is called {metric!r}; the table has {', '.join(sorted(set(scores['metric'])))}")
    missing = sorted({*references, *predictors} - set(scores["predictor"]))
    if missing:
        raise ValueError(f"no predictor is called {missing}; the table has {sorted(set(scores['predictor']))}")
