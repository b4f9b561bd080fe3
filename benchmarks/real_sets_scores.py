"""Scores of one group of methods on one task of the benchmark over real sets, with what their intervals cover."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.real_sets_tasks import Task
from semimech.assumptions import Harvested
from semimech.evaluate import ROLL_OUT, HeldOut, run_benchmark
from semimech.evaluate.reference import condition_label, target_mask

COVERAGE = "coverage"
_KEPT = [
    *("predictor", "dataset", "split", "fold", "condition", "perturbation", "hours", "medium"),
    *("metric", "scope", "value", "seed", "stratum", "mode", "reason"),
]


def score_group(task: Task, group: str) -> pd.DataFrame:
    """Fit and score the methods of a group.

    Returns
    -------
    pandas.DataFrame
        Tidy scores of roll-outs (`semimech.evaluate.BenchmarkResult`) with a column ``label``, how the condition stands to what was
        trained on; and, as one more metric, ``coverage``: the share of genes that are not edited whose measured mean lies in its
        90 % interval.
    """
    result = run_benchmark(task.methods[group], task.dataset, (task.split,), seed=task.split.seed)
    scores = result.scores[result.scores["mode"] == ROLL_OUT][_KEPT]
    trained = Harvested(conditions=task.dataset.subset(task.split.train).conditions, system=task.dataset.system)
    label = {
        condition_label(task.dataset.conditions[row]): trained.coverage(task.dataset.conditions[row]).label
        for row in task.split.test
    }
    stratum = dict(zip(scores["condition"], scores["stratum"], strict=True))
    covered = [
        row | {"stratum": stratum[row["condition"]], "seed": task.split.seed}
        for held in result.predictions
        if held.mode == ROLL_OUT and np.isfinite(held.lower).any()
        for row in _covered(task, held)
    ]
    table = pd.concat([scores, pd.DataFrame(covered, columns=_KEPT)], ignore_index=True) if covered else scores
    return table.assign(label=table["condition"].map(label), held_out=", ".join(task.split.held_out))


def _covered(task: Task, held: HeldOut) -> list[dict[str, object]]:
    """One row per condition: the share of its genes in their intervals."""
    measured, others = task.dataset.mean[held.rows], ~target_mask(task.dataset, held.rows)
    inside = (measured >= held.lower) & (measured <= held.upper) & others
    conditions = [task.dataset.conditions[row] for row in held.rows]
    return [
        {
            "predictor": held.method,
            "dataset": task.dataset.name,
            "split": held.split.name,
            "fold": held.split.fold,
            "condition": condition_label(condition),
            "perturbation": condition.perturbation,
            "hours": condition.hours,
            "medium": condition.medium or task.dataset.system.maintenance_medium,
            "metric": COVERAGE,
            "scope": "excl",
            "value": inside[row].sum() / others[row].sum() if np.isfinite(held.lower[row]).all() else np.nan,
            "mode": ROLL_OUT,
            "reason": held.reason[row],
        }
        for row, condition in enumerate(conditions)
    ]
