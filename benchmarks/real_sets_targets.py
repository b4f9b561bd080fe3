"""What was to be shown on real sets: each target, what was measured, and whether it was met."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.real_sets_scores import COVERAGE
from benchmarks.real_sets_tables import against
from benchmarks.real_sets_tasks import MODEL, SHUFFLED
from benchmarks.sets_cellbox import N_MEASURED
from semimech.evaluate import CEILING, summarise

_TO_99 = N_MEASURED / 99
"""Over all 99 nodes of CellBox, the 12 inputs without error."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One line of what was to be shown.

    Parameters
    ----------
    dataset, split
        Which scores.
    words
        The target as it was set.
    bound
        Number that the measured one must not pass: at most it for errors and ratios, at least it for other metrics.
    metric
        Score compared.
    reference
        Predictor compared with, or none for the score itself.
    predictor
        Whose score.
    factor
        On the score itself.
    with_signal
        Whether only conditions with an effect count.
    strict
        Whether the whole interval must be on the right side.
    """

    dataset: str
    split: str
    words: str
    bound: float
    metric: str = "mse"
    reference: str = ""
    predictor: str = MODEL
    factor: float = 1.0
    with_signal: bool = False
    strict: bool = False


def _against_peer(dataset: str, split: str, peer: str) -> Target:
    return Target(dataset=dataset, split=split, words=f"ahead of {peer}", bound=1.0, reference=peer)


def _no_harm(dataset: str, split: str) -> Target:
    words = "a shuffled prior is not worse than none by more than noise"
    return Target(dataset=dataset, split=split, words=words, bound=1.0, reference=MODEL, predictor=SHUFFLED)


_CELLBOX, _PEER = "CellBox melanoma", "CellBox equations"
TARGETS: tuple[Target, ...] = (
    Target(dataset=_CELLBOX, split="random_70_30", words="MSE ≤ .97 × ridge", bound=0.97, reference="ridge"),
    _against_peer(_CELLBOX, "random_70_30", _PEER),
    Target(dataset=_CELLBOX, split="unseen_combination", words="MSE over 99 nodes ≤ .0290", bound=0.029, factor=_TO_99),
    _against_peer(_CELLBOX, "unseen_combination", _PEER),
    Target(dataset=_CELLBOX, split="unseen_edit", words="MSE over 99 nodes ≤ .0955", bound=0.0955, factor=_TO_99),
    _against_peer(_CELLBOX, "unseen_edit", _PEER),
    *(
        Target(
            dataset=f"hpn-{line}", split="unseen_edit_medium", words=f"MSE ≤ {bound:.2f} × additive in the logarithm", bound=bound,
            reference="additive",
        )
        for line, bound in (("MCF7", 0.82), ("BT20", 0.70))
    ),
    Target(
        dataset="renge", split="unseen_time", words="day 4 ≤ .75 × regression (ridge on edits)", bound=0.75, reference="ridge",
    ),
    Target(
        dataset="renge", split="unseen_edit", words="below the mean of the other KOs by interval", bound=1.0,
        reference="mean of edits", strict=True,
    ),
    _against_peer("renge", "unseen_edit", "RENGE equations"),
    _against_peer("renge", "unseen_time", "RENGE equations"),
    _no_harm("renge", "unseen_edit"),
    Target(
        dataset="Papalexi", split="unseen_edit", words="Pearson of change above the mean of the other edits by interval, edits with signal",
        bound=0.0, metric="pearson_control", reference="mean of edits", with_signal=True, strict=True,
    ),
    _no_harm("Papalexi", "unseen_edit"),
    *(
        Target(
            dataset=f"MorPhiC {lineage}", split=split, words=f"{name} above the mean of the training KOs", bound=0.0,
            metric=metric, reference="mean of edits",
        )
        for lineage, split in (("PrS", "unseen_edit"), ("CBO", "unseen_edit"), ("PrS", "unseen_edit_medium"), ("CBO", "unseen_time"))
        for metric, name in (("pearson_control", "Pearson of change"), ("rank", "rank"))
    ),
    _no_harm("MorPhiC PrS", "unseen_edit"),
    _no_harm("MorPhiC CBO", "unseen_edit"),
)  # fmt: skip


def target_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Every target beside what was measured."""
    rows = [row for target in TARGETS for row in _rows(scores, target)]
    return pd.DataFrame([*rows, *_coverage(scores)])


def verdict(estimate: float, lower: float, upper: float, target: Target) -> str:
    """Whether a target is met: on the right side, and by the whole interval where that is asked.

    A control arm that must do no harm fails only where its whole interval is on the wrong side. Too few edits for an interval tell nothing.
    """
    less_is_better = target.metric == "mse"
    sign = 1.0 if less_is_better else -1.0
    far, near = (upper, lower) if less_is_better else (lower, upper)
    if np.isnan(estimate):
        return "not run"
    if np.isnan(lower) or np.isnan(upper):
        return "cannot tell"
    if target.predictor == SHUFFLED:
        return "missed" if sign * (near - target.bound) > 0 else "met"
    is_tie = bool(np.isclose(estimate, target.bound, rtol=0.0, atol=1e-6))
    if sign * (estimate - target.bound) > 0 or (is_tie and (target.strict or not less_is_better)):
        return "missed"
    if sign * (far - target.bound) < 0 or (less_is_better and far == target.bound):
        return "met, by interval"
    return "missed (not by interval)" if target.strict else "met"


def _rows(scores: pd.DataFrame, target: Target) -> list[dict[str, str]]:
    part = scores[
        (scores["dataset"] == target.dataset) & (scores["split"] == target.split) & (scores["scope"] == "excl")
    ]
    if target.with_signal:
        part = part[part["stratum"] != "none"]
    part = part.drop_duplicates(["seed", "fold", "condition", "predictor", "metric"])
    found = _measured(part, target)
    how = f" ({'ratio' if target.metric == 'mse' else 'difference'} to {target.reference})" if target.reference else ""
    lacking = found is None or np.isnan(found[0])
    return [
        {
            "set": target.dataset,
            "held out": target.split.replace("_", " "),
            "target": target.words,
            "measured": "–" if lacking else f"{found[0]:.3g} [{found[1]:.3g}, {found[2]:.3g}]{how}",
            "noise ceiling": "" if lacking else _ceiling(part, target),
            "conditions": "0" if lacking else f"{found[3]:.0f}",
            "verdict": "not run" if lacking else verdict(*found[:3], target),
        }
    ]


def _measured(part: pd.DataFrame, target: Target) -> tuple[float, float, float, float] | None:
    """Estimate, ends of its interval, and number of conditions."""
    if target.predictor not in set(part["predictor"]) or target.metric not in set(part["metric"]):
        return None
    if target.reference:
        found = against(part, target.reference, target.metric, [target.predictor])
        if target.predictor not in found.index:
            return None
        row = found.loc[target.predictor]
        return row["estimate"], row["lower"], row["upper"], row["n_conditions"]
    mine = part[(part["predictor"] == target.predictor) & (part["metric"] == target.metric)]
    (row,) = summarise(mine, n_boot=1000, rng=np.random.default_rng(0)).to_dict("records")
    return *(target.factor * row[name] for name in ("mean", "lower", "upper")), row["n_conditions"]


def _ceiling(part: pd.DataFrame, target: Target) -> str:
    """The same number for a prediction without error, which differs from the measurement by its noise alone."""
    scores = part[part["metric"] == target.metric].pivot_table(
        index=["seed", "fold", "condition"], columns="predictor", values="value"
    )
    wanted = [CEILING, *([target.reference] if target.reference else [])]
    if not set(wanted) <= set(scores):
        return "unknown"
    mean = scores[wanted].dropna().mean()
    best = mean[CEILING]
    if np.isnan(best) or (target.metric == "mse" and best <= 0.0):
        return "unknown"
    if not target.reference:
        return f"{target.factor * best:.2g}"
    return f"{best / mean[target.reference] if target.metric == 'mse' else best - mean[target.reference]:.2g}"


def _coverage(scores: pd.DataFrame) -> list[dict[str, str]]:
    part = scores[(scores["metric"] == COVERAGE) & (scores["predictor"] == MODEL)]
    rows = []
    for (dataset, split), of_split in part.groupby(["dataset", "split"], sort=False):
        (row,) = summarise(of_split, n_boot=1000, rng=np.random.default_rng(0)).to_dict("records")
        rows.append(
            {
                "set": dataset,
                "held out": split.replace("_", " "),
                "target": "90 % intervals cover 87–93 %",
                "measured": f"{row['mean']:.1%} [{row['lower']:.1%}, {row['upper']:.1%}]",
                "noise ceiling": "90%",
                "conditions": str(row["n_conditions"]),
                "verdict": "met" if 0.87 <= row["mean"] <= 0.93 else "missed",
            }
        )
    return rows
