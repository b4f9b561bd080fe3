"""Tables of the benchmark over real sets: ranking, strata, coverage, priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from benchmarks.real_sets_scores import COVERAGE
from benchmarks.real_sets_tasks import MODEL, NO_MOMENT, PRIOR, SHUFFLED
from benchmarks.steady_state_tables import interval
from semimech.evaluate import CEILING, ROLL_OUT, STRATA, best_simple_baseline, compare

LEARNED = (MODEL, NO_MOMENT, PRIOR, SHUFFLED)
QUESTIONS = {
    "random_70_30": "30 % of the conditions at random",
    "unseen_combination": "all pairs, from single drugs",
    "unseen_edit": "an edit, with all that carries it",
    "unseen_time": "a time of seen edits",
    "unseen_edit_medium": "an edit in a medium that it was not made in",
}
_OTHERS = ("pearson_control", "pearson_perturbed", "rank", "direction")
_N_BOOT = 1000


def groups(scores: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and scores of each set and question, without the edited genes, each score once, where the model was run."""
    kept = scores[(scores["scope"] == "excl") & (scores["mode"] == ROLL_OUT)]
    keys = ["dataset", "split", "seed", "fold", "condition", "predictor", "metric"]
    kept = kept.drop_duplicates(keys)  # every group of methods brings the noise ceiling
    where = ["dataset", "split", "seed", "fold", "condition"]
    is_model = (kept["predictor"] == MODEL) & (kept["metric"] == "mse") & kept["value"].notna()
    kept = kept.merge(kept.loc[is_model, where], on=where)
    for (dataset, split), part in kept.groupby(["dataset", "split"], sort=False):
        yield f"{dataset}: {QUESTIONS[str(split)]}", part


def against(scores: pd.DataFrame, reference: str, metric: str, predictors: Sequence[str] | None = None) -> pd.DataFrame:
    """Predictors against a reference, paired: ratio of errors or difference of other metrics, indexed by predictor."""
    here = [p for p in (predictors or scores["predictor"].unique()) if p in set(scores["predictor"])]
    if not here or reference not in set(scores["predictor"]) or metric not in set(scores["metric"]):
        return pd.DataFrame(columns=["estimate", "lower", "upper", "won", "n_conditions"])
    found = compare(
        scores, metric=metric, reference=reference, predictors=here, n_boot=_N_BOOT, rng=np.random.default_rng(0)
    )
    return found[found["n_conditions"] > 0].set_index("predictor")


def best_simple(scores: pd.DataFrame, metric: str = "mse") -> str:
    """The best simple baseline by a metric, picked on the test conditions, which favours it."""
    return next(iter(best_simple_baseline(scores, metric=metric).values()))


def ranking(scores: pd.DataFrame) -> pd.DataFrame:
    """All predictors of one question, the least error first, with the ceiling below."""
    best = best_simple(scores)
    mean = scores.pivot_table(index="predictor", columns="metric", values="value", aggfunc="mean", sort=False)
    count = scores[(scores["metric"] == "mse") & scores["value"].notna()].groupby("predictor").size()
    ratio = against(scores, best, "mse")
    order = [p for p in mean["mse"].sort_values().index if p != CEILING and count.get(p, 0)]
    rows = []
    for name in [*order, *([CEILING] if mean["mse"].get(CEILING, np.nan) > 0 else [])]:
        row = {
            "predictor": f"**{name}**" if name == best else name,
            "MSE": f"{mean.loc[name, 'mse']:.4g}",
            "/ best simple": interval(ratio.loc[name]) if name in ratio.index else "",
            "won": f"{ratio.loc[name, 'won']:.0%}" if name in ratio.index else "",
        }
        for metric in _OTHERS:
            value = mean[metric].get(name, np.nan) if metric in mean else np.nan
            row[metric.replace("_", ", ")] = "" if np.isnan(value) else f"{value:.2f}"
        rows.append(row | {"conditions": str(count.get(name, 0))})
    return pd.DataFrame(rows)


def by_stratum(scores: pd.DataFrame) -> pd.DataFrame:
    """The model against the best simple baseline of each question, by size of effect."""
    rows = []
    for name, part in groups(scores):
        best = best_simple(part)
        for stratum in STRATA:
            of_size = part[part["stratum"] == stratum]
            found = against(of_size, best, "mse", [MODEL])
            if MODEL not in found.index:
                continue
            difference = against(of_size, best, "pearson_control", [MODEL])
            rows.append(
                {
                    "question": name,
                    "effect": stratum,
                    "conditions": f"{found.loc[MODEL, 'n_conditions']:.0f}",
                    "best simple": best,
                    "ratio of MSE": interval(found.loc[MODEL]),
                    "difference of Pearson": interval(difference.loc[MODEL]) if MODEL in difference.index else "",
                }
            )
    return pd.DataFrame(rows)


def coverage(scores: pd.DataFrame) -> pd.DataFrame:
    """What the 90 % intervals of the model cover on held-out conditions, by how these stand to the training data."""
    part = scores[(scores["metric"] == COVERAGE) & (scores["predictor"] == MODEL)]
    rows = []
    keys = ["dataset", "split", "label"]
    for (dataset, split, label), of_label in [*part.groupby(keys, sort=False), *_all_labels(part)]:
        rows.append(
            {
                "set": dataset,
                "held out": QUESTIONS.get(split, split),
                "coverage label": label,
                "covered": f"{of_label['value'].mean():.1%}",
                "worst condition": f"{of_label['value'].min():.0%}",
                "conditions": str(of_label["value"].notna().sum()),
            }
        )
    return pd.DataFrame(rows)


def _all_labels(part: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Every label over all questions, each question counted alike."""
    means = part.groupby(["label", "dataset", "split"], sort=False)["value"].mean().reset_index()
    return [(("all sets", "each question alike", label), rows) for label, rows in means.groupby("label", sort=False)]


def arms(scores: pd.DataFrame) -> pd.DataFrame:
    """What a prior, a shuffled prior and no steady-state loss change, as ratios of the squared error to the default model."""
    rows = []
    for name, part in groups(scores):
        found = against(part, MODEL, "mse", [p for p in LEARNED if p != MODEL])
        pearson = against(part, MODEL, "pearson_control", [p for p in LEARNED if p != MODEL])
        rows += [
            {
                "question": name,
                "arm": arm,
                "MSE / default": interval(found.loc[arm]),
                "Pearson − default": interval(pearson.loc[arm]) if arm in pearson.index else "",
                "conditions": f"{found.loc[arm, 'n_conditions']:.0f}",
            }
            for arm in found.index
        ]
    return pd.DataFrame(rows)
