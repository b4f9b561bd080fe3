"""A plausible report of a screen that never was: a linear world, relaxing to the steady state of each edit."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from semimech.assumptions.catalogue import ADDITIVE, STATIONARY_CONTROLS
from semimech.data import Cells, CellSystem, Dataset, log1p_scale
from semimech.evaluate import CEILING
from semimech.experiment import Condition, Edit, Experiment, Harvest, Wait
from semimech.report import ReportContent

MODEL = "semi-mechanistic"
SPLITS = ("unseen_edit", "unseen_time", "unseen_combination")


def genes(count: int) -> tuple[str, ...]:
    """Names of genes, of different lengths."""
    return tuple(f"{stem}{number}" for number in range(1, count) for stem in ("SOX", "GATA", "POU", "TBX", "NANOG"))[
        :count
    ]


def condition(edited: tuple[str, ...], hours: float) -> Condition:
    """Cells harvested some hours after knock-outs."""
    steps = (*(Edit(gene=gene) for gene in edited), Wait(hours=hours), Harvest(label="end"))
    return Experiment(id="x", steps=steps).conditions["end"]


def response(names: tuple[str, ...], edited: tuple[str, ...], hours: float) -> np.ndarray:
    """Change of every gene, in the observed scale."""
    change = np.zeros(len(names))
    for gene in edited:
        rng = np.random.default_rng(sum(map(ord, gene)))
        settled = rng.normal(0, 0.5, len(names)) * (rng.random(len(names)) < 0.15) * rng.choice([0.2, 1.0, 1.8])
        rate = rng.uniform(0.3, 1.5, len(names))
        change += settled * (1 - np.exp(-rate * min(hours, 1e6) / 24))
        change[names.index(gene)] = -1.2 * (1 - math.exp(-hours / 20))
    return change


def dataset(
    *,
    n_genes: int = 40,
    n_edits: int = 8,
    days: tuple[float, ...] = (1, 2, 3, 4),
    has_cells: bool = True,
    has_controls: bool = True,
) -> Dataset:
    """A screen of single knock-outs and a few pairs."""
    rng = np.random.default_rng(1)
    names = genes(n_genes)
    singles = [(gene,) for gene in names[:n_edits]]
    arms = ([()] if has_controls else []) + singles + list(pairwise(gene for (gene,) in singles[: n_edits // 3 + 1]))
    level = np.random.default_rng(0).uniform(0.3, 2.5, n_genes)
    conditions, means, counts = [], [], []
    for edited in arms:
        for day in days:
            conditions.append(condition(edited, 24.0 * day))
            means.append(level + response(names, edited, 24.0 * day) + rng.normal(0, 0.06, n_genes))
            counts.append(int(rng.integers(8, 60)) * (1 if edited else 5))
    means = np.maximum(np.array(means), 0.0)
    cells = None
    if has_cells:
        index = np.repeat(np.arange(len(conditions)), counts)
        values = np.maximum(means[index] + rng.normal(0, 0.6, (len(index), n_genes)), 0.0) * (
            rng.random((len(index), n_genes)) < 0.7
        )
        cells = Cells(values=values, condition=index, batch=rng.integers(0, 3, len(index)))
    return Dataset(
        genes=names,
        conditions=tuple(conditions),
        mean=means,
        standard_error=np.full(means.shape, 0.06),
        n_cells=np.array(counts),
        scale=log1p_scale(),
        system=CellSystem(name="iPSC"),
        cells=cells,
        name="invented screen",
        fingerprint="0123456789abcdef0123456789abcdef",
    )


def scores(data: Dataset, predictors: dict[str, float], *, splits: tuple[str, ...] = SPLITS) -> pd.DataFrame:
    """Scores whose size follows the factor of each predictor."""
    rng = np.random.default_rng(2)
    edits = [name for name in dict.fromkeys(data.perturbations) if name != "control"]
    rows = []
    for split in splits:
        for mode in ("roll-out", "one-step") if split == "unseen_time" else ("roll-out",):
            for edit in edits:
                difficulty = rng.gamma(4.0, 0.25)
                stratum = ("none", "small", "large")[int(np.digitize(difficulty, [0.75, 1.2]))]
                for name, factor in predictors.items():
                    noise = rng.lognormal(0, 0.15)
                    base = {
                        "predictor": name,
                        "dataset": data.name,
                        "split": split,
                        "fold": 0,
                        "condition": f"{edit} day 4",
                        "perturbation": edit,
                        "hours": 96.0,
                        "medium": "maintenance",
                        "seed": 0,
                        "stratum": stratum,
                        "mode": mode,
                    }
                    for scope, more in (("excl", 1.0), ("all", 1.6)):
                        rows.append(
                            base | {"metric": "mse", "scope": scope, "value": 0.02 * factor * difficulty * noise * more}
                        )
                        rows.append(
                            base
                            | {
                                "metric": "pearson_control",
                                "scope": scope,
                                "value": math.tanh(1.1 * more / factor * noise),
                            }
                        )
                        rows.append(base | {"metric": "rank", "scope": scope, "value": min(1.0, 0.6 / factor * noise)})
    return pd.DataFrame(rows)


def comparisons(
    baselines: tuple[str, ...], *, splits: tuple[str, ...] = SPLITS, estimates: tuple[float, ...] = (0.74, 0.97, 1.2)
) -> pd.DataFrame:
    """The model wins on the first split, ties on the second and loses on the third."""
    rows = []
    for split, centre in zip(splits, estimates, strict=False):
        for number, name in enumerate(baselines):
            estimate = centre * (1 - 0.06 * number)
            rows.append(
                {
                    "predictor": MODEL,
                    "reference": name,
                    "split": split,
                    "metric": "mse",
                    "scope": "excl",
                    "estimate": estimate,
                    "lower": estimate - 0.08,
                    "upper": estimate + 0.1,
                    "n_conditions": 24,
                    "won": 0.6,
                    "unit": "ratio",
                }
            )
    return pd.DataFrame(rows)


def held_out(data: Dataset, predictors: tuple[str, ...]) -> pd.DataFrame:
    """Held-out predictions, the first predictor near the truth and the others shrunk."""
    rng = np.random.default_rng(3)
    parts = []
    control = data.control_mean()
    for split in SPLITS:
        for place, name in enumerate(predictors):
            for row, cond in enumerate(data.conditions):
                if cond.is_control or cond.hours < data.hours.max():
                    continue
                change = response(data.genes, tuple(e.gene for e in cond.edits), cond.hours)
                predicted = control + change * (0.8 if place == 0 else 0.2) + rng.normal(0, 0.05, len(data.genes))
                parts.append(
                    pd.DataFrame(
                        {
                            "split": split,
                            "predictor": name,
                            "perturbation": cond.perturbation,
                            "hours": cond.hours,
                            "medium": "maintenance",
                            "gene": data.genes,
                            "observed": data.mean[row],
                            "predicted": predicted,
                            "control": control,
                            "is_target": [g in {e.gene for e in cond.edits} for g in data.genes],
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


def trajectories(data: Dataset) -> pd.DataFrame:
    """Predicted courses at 30 times."""
    control = data.control_mean()
    parts = []
    for edit in (name for name in dict.fromkeys(data.perturbations) if name != "control"):
        for hours in np.linspace(0, 96, 30):
            predicted = control + 0.9 * response(data.genes, tuple(edit.split("+")), float(hours))
            parts.append(
                pd.DataFrame(
                    {
                        "perturbation": edit,
                        "hours": hours,
                        "gene": data.genes,
                        "predicted": predicted,
                        "lower": predicted - 0.1,
                        "upper": predicted + 0.1,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def history() -> pd.DataFrame:
    """Loss curves of three runs."""
    steps = np.arange(0, 400, 10)
    rows = [
        {"step": step, "run": run, "term": term, "value": size * (0.15 + math.exp(-step / 80)) * (1 + 0.1 * run)}
        for run in range(3)
        for term, size in (("total", 1.4), ("data", 1.0), ("steady state", 0.3), ("sparsity", 0.05))
        for step in steps
    ]
    return pd.DataFrame(rows)


def selection() -> pd.DataFrame:
    """Candidates of the inner validation."""
    rows = [
        {
            "steady_state": strength,
            "steady_state_weight": weight,
            "sparsity": sparsity,
            "learning_rate": 0.01,
            "error": error,
            "standard_error": 0.002,
            "averaged": False,
            "chosen": False,
        }
        for strength, weight, bonus in (
            ("none", 0.0, 0.0),
            ("mean", 1.5, 0.0),
            ("point", 1.5, 0.001),
            ("moment", 1.5, 0.006),
            ("moment", 8.0, 0.004),
        )
        for sparsity, error in ((0.003, 0.03 - bonus), (0.01, 0.028 - bonus), (0.03, 0.033 - bonus))
    ]
    table = pd.DataFrame(rows)
    table.loc[table["error"].nsmallest(3).index, "averaged"] = True
    table.loc[table["error"].idxmin(), "chosen"] = True
    return table


def network(data: Dataset) -> pd.DataFrame:
    """Edges from the first genes to others."""
    rng = np.random.default_rng(4)
    rows = [
        {"source": data.genes[s], "target": data.genes[t], "weight": rng.normal(), "in_prior": bool(rng.random() < 0.6)}
        | {"inclusion": rng.choice([0.5, 0.75, 1.0])}
        for s in range(6)
        for t in rng.choice(len(data.genes), 9, replace=False)
    ]
    return pd.DataFrame(rows)


def parts(data: Dataset) -> pd.DataFrame:
    """What the predictions of three edits are made of: mostly mechanism, some of it against the rest."""
    rng = np.random.default_rng(5)
    made = [
        {"perturbation": edit, "gene": gene, "mechanism": value, "learned_residual": 0.2 * value}
        | {"carried_residual": 0.1 * rng.normal(), "pooling": -0.05 * value}
        for edit in data.genes[:3]
        for gene in data.genes
        for value in [rng.normal()]
    ]
    table = pd.DataFrame(made)
    return table.assign(change=table.iloc[:, 2:].sum(axis=1))


def half_lives(data: Dataset) -> pd.DataFrame:
    """Half-lives of which every third is told, and the last one not at all."""
    rng = np.random.default_rng(6)
    hours = np.sort(rng.lognormal(2.0, 0.7, len(data.genes)))
    error = np.where(np.arange(len(hours)) % 3 == 0, 1.4, 5.0)
    error[-1] = np.inf
    return pd.DataFrame(
        {
            "gene": list(data.genes),
            "half_life_hours": hours,
            "lower": hours / 1.3,
            "upper": hours * 1.2,
            "time_constant_hours": hours / np.log(2),
            "fold_spread": 1.2,
            "fold_error": error,
            "could_tell": error < 2,
        }
    )


def findings() -> pd.DataFrame:
    """Checks of the data, one of each severity."""
    rows = [
        ("controls", "ok", "1,180 unedited cells in 3 of 3 batches", "", ""),
        (
            "cells per condition",
            "warning",
            "SOX2 day 1 has 8 cells, fewer than 10",
            "its mean is uncertain",
            "pool times, or drop the condition",
        ),
        (
            "batch confounded with edit",
            "fail",
            "GATA3 is in batch 2 only",
            "its effect cannot be told from the batch's",
            "harvest it in a second batch",
        ),
        ("unit of time", "ok", "column 'day', values 1 to 4", "", ""),
    ]
    return pd.DataFrame(rows, columns=["check", "severity", "evidence", "threatens", "mend"])


BASELINES = {
    "no change": 1.5,
    "mean of training edits": 1.25,
    "mean + own target": 1.2,
    "low-rank linear": 1.1,
    "Gaussian conditioning on the controls": 1.3,
}


def content(**changes: Any) -> ReportContent:
    """A full report; name a field to replace it."""
    data = changes.pop("dataset", None) or dataset(**changes.pop("size", {}))
    predictors = {MODEL: 0.85, "Neural ODE": 1.0, **BASELINES, CEILING: 0.5}
    fields: dict[str, Any] = {
        "title": "Invented iPSC screen",
        "dataset": data,
        "findings": findings(),
        "scores": scores(data, predictors),
        "comparisons": comparisons(tuple(BASELINES)),
        "held_out": held_out(data, (MODEL, "low-rank linear")),
        "history": history(),
        "selection": selection(),
        "trajectories": trajectories(data),
        "network": network(data),
        "parts": parts(data),
        "half_lives": half_lives(data),
        "expected_half_life_hours": 8.0,
        "settings": '[fit]\nsteps = 400\nsteady_state = "moment"\n',
        "versions": {"semimech": "0.1.0", "jax": "0.6"},
        "assumptions": (STATIONARY_CONTROLS, ADDITIVE),
        "notes": (
            "The steady-state loss 'moment' was chosen: it lowered the inner validation error by 21 % against none, and by 12 % against an equally strong weight decay.",
        ),
        "models": (MODEL, "Neural ODE"),
        "command": "semimech run screen.h5ad --out results",
    }
    return ReportContent(**(fields | changes))
