"""Scores of one task of the steady-state study: errors, and what tells pulling towards no change from learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from benchmarks.steady_state_arms import Arm
from benchmarks.steady_state_tasks import Task
from semimech.data import Dataset
from semimech.evaluate import CEILING, ROLL_OUT, HeldOut, Method, run_benchmark
from semimech.evaluate.reference import target_mask

KEYS = ["group", "dataset", "seed", "split", "predictor", "perturbation"]
_KEPT = {
    ("mse", "excl"): "mse",
    ("mse", "all"): "mse_all",
    ("pearson_control", "excl"): "pearson",
    ("pearson_perturbed", "excl"): "pearson_perturbed",
}


def score_task(
    task: Task, chosen: Sequence[Arm], *, others: Sequence[Method] = (), progress: Callable[[str], None] | None = None
) -> pd.DataFrame:
    """Fit arms and other methods, and score them.

    Parameters
    ----------
    task
        Data and what is held out.
    chosen
        Arms to fit.
    others
        Methods beside them, as the baselines.
    progress
        Called with a line of text before each fit.

    Returns
    -------
    pandas.DataFrame
        One row per predictor, split and perturbation (in its medium), averaged over times: ``mse`` and ``pearson`` without the edited
        gene, ``mse_all`` with it, and per gene the products ``pp``, ``pt`` and ``tt`` of predicted and true change,
        without the edited gene. ``reason`` says why there is no prediction.
    """
    methods = (*task.workshop.methods(chosen), *others)
    result = run_benchmark(methods, task.dataset, task.splits, seed=task.seed, progress=progress)
    scores = result.scores[(result.scores["mode"] == ROLL_OUT) & (result.scores["predictor"] != CEILING)]
    medium = scores["medium"]
    suffix = (" in " + medium).where(medium != task.dataset.system.maintenance_medium, "")
    scores = scores.assign(group=task.group, perturbation=scores["perturbation"] + suffix)
    kept = pd.MultiIndex.from_frame(scores[["metric", "scope"]]).map(_KEPT)
    wide = scores.assign(metric=kept).dropna(subset="metric").groupby([*KEYS, "metric"], sort=False)["value"].mean()
    reasons = scores.groupby(KEYS, sort=False)["reason"].first()
    products = [changes(task.dataset, held) for held in result.predictions if held.mode == ROLL_OUT]
    table = wide.unstack("metric").join(reasons).reset_index()
    return table.merge(pd.concat(products), on=["split", "predictor", "perturbation"], how="left")


def changes(dataset: Dataset, held: HeldOut) -> pd.DataFrame:
    """Mean products of predicted and true change, per perturbation, edited genes left out.

    Change is against matched controls, or against the mean of the training conditions where there are none.
    """
    conditions = [dataset.conditions[row] for row in held.rows]
    source = dataset if dataset.is_control.any() else dataset.subset(held.split.train)
    control = np.stack([source.matched_control(c) for c in conditions])
    others = ~target_mask(dataset, held.rows)
    predicted, true = held.mean - control, dataset.mean[held.rows] - control
    count = others.sum(axis=1)
    table = pd.DataFrame(
        {
            "perturbation": [c.perturbation + (f" in {c.medium}" if c.medium else "") for c in conditions],
            **{
                name: np.where(others, left * right, 0.0).sum(axis=1) / count
                for name, left, right in (("pp", predicted, predicted), ("pt", predicted, true), ("tt", true, true))
            },
        }
    )
    means = table.groupby("perturbation", sort=False).mean().reset_index()
    return means.assign(split=held.split.name, predictor=held.method)
