"""Scores of one split: every prediction of its test conditions, metric by metric, as tidy rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from semimech.data import Dataset
from semimech.data.split import Split
from semimech.evaluate.ceiling import CEILING, ceiling_rank, ceiling_scores
from semimech.evaluate.cells import energy_scores
from semimech.evaluate.metrics import METRICS, Scene, rank_score
from semimech.evaluate.reference import condition_label, target_mask

ROLL_OUT = "roll-out"
ONE_STEP = "one-step"
SCOPES: tuple[str, ...] = ("all", "excl")

COLUMNS: tuple[str, ...] = (
    "predictor",
    "dataset",
    "split",
    "fold",
    "condition",
    "perturbation",
    "hours",
    "medium",
    "metric",
    "scope",
    "value",
    "seed",
    "stratum",
    "mode",
    "reason",
)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """One method's prediction of test conditions of one split.

    Parameters
    ----------
    method, mode
        What predicted, and how: ``"roll-out"`` from the start, ``"one-step"`` from the latest earlier harvest.
    split
        What was held out.
    rows
        Rows of the data set.
    mean, lower, upper
        Predicted mean and its 90 % interval, observed scale; NaN where the method gives none.
    reason
        Why a row is not predicted; empty where it is.
    """

    method: str
    mode: str
    split: Split
    rows: Int[np.ndarray, " row"]
    mean: Float[np.ndarray, "row gene"]
    lower: Float[np.ndarray, "row gene"]
    upper: Float[np.ndarray, "row gene"]
    reason: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Jury:
    """What all predictions of one split are scored against.

    Parameters
    ----------
    dataset
        The whole data set.
    scene
        Measurements of the test rows beside their references.
    split
        What was held out.
    stratum
        Size of the effect of every row of the data set.
    seed
        Draws cells; written in the table.
    """

    dataset: Dataset
    scene: Scene
    split: Split
    stratum: tuple[str, ...]
    seed: int

    @cached_property
    def arm(self) -> tuple[tuple[tuple[str | None, ...], float], ...]:
        """Media and time of every row of the data set."""
        return tuple((c.media, c.hours) for c in self.dataset.conditions)

    @cached_property
    def targets(self) -> Bool[np.ndarray, "condition gene"]:
        """Targets of every row of the data set."""
        return target_mask(self.dataset, np.arange(len(self.dataset.conditions)))


def score_split(jury: Jury, predictions: Sequence[HeldOut]) -> pd.DataFrame:
    """Score predictions of one split, and the noise ceiling beside them.

    Returns
    -------
    pandas.DataFrame
        Tidy, with the columns of `COLUMNS`.
    """
    parts = [_rows(jury, p.method, p.mode, p.rows, _scores(jury, p), p.reason) for p in predictions]
    parts += [_energy(jury, [p for p in predictions if p.mode == mode]) for mode in (ROLL_OUT, ONE_STEP)]
    for mode in dict.fromkeys(p.mode for p in predictions):
        rows = np.unique(np.concatenate([p.rows for p in predictions if p.mode == mode]))
        parts.append(_rows(jury, CEILING, mode, rows, _ceiling(jury, rows), ("",) * len(rows)))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _keep(jury: Jury, rows: np.ndarray, scope: str) -> Bool[np.ndarray, "row gene"]:
    targets = jury.targets[rows]
    return np.ones_like(targets) if scope == "all" else ~targets


def _scene(jury: Jury, rows: np.ndarray, mean: np.ndarray, scope: str) -> Scene:
    """The scene of some of the test rows."""
    place = {row: i for i, row in enumerate(jury.split.test)}
    at = np.array([place[row] for row in rows], dtype=int)
    scene = jury.scene
    return Scene(
        predicted=mean,
        measured=scene.measured[at],
        standard_error=scene.standard_error[at],
        control=scene.control[at],
        control_error=scene.control_error[at],
        perturbed=scene.perturbed[at],
        keep=_keep(jury, rows, scope),
    )


def _scores(jury: Jury, prediction: HeldOut) -> Iterator[tuple[str, str, np.ndarray]]:
    rows = prediction.rows
    for scope in SCOPES:
        scene = _scene(jury, rows, prediction.mean, scope)
        for metric in METRICS:
            yield metric.name, scope, metric.score(scene)
        rank = np.full(len(rows), np.nan)
        for at, candidates, own in _groups(jury, rows):
            rank[at] = rank_score(
                prediction.mean[at],
                jury.dataset.mean[candidates],
                own,
                scene.keep[at],
                _keep(jury, candidates, scope),
            )
        yield "rank", scope, rank


def _ceiling(jury: Jury, rows: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    halves = jury.dataset.halves
    for scope in SCOPES:
        scene = _scene(jury, rows, jury.dataset.mean[rows], scope)
        for name, values in ceiling_scores(scene, None if halves is None else halves[:, rows]).items():
            yield name, scope, values
        rank = np.full(len(rows), np.nan)
        for at, candidates, own in _groups(jury, rows):
            keep, candidate_keep = scene.keep[at], _keep(jury, candidates, scope)
            rank[at] = ceiling_rank(None if halves is None else halves[:, candidates], own, keep, candidate_keep)
        yield "rank", scope, rank


def _groups(jury: Jury, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, list[int]]]:
    """Places in ``rows`` harvested at one time in one medium, all test rows there, and each one's place among them."""
    for arm in dict.fromkeys(jury.arm[row] for row in rows):
        at = np.array([i for i, row in enumerate(rows) if jury.arm[row] == arm])
        candidates = np.array([row for row in jury.split.test if jury.arm[row] == arm])
        place = {row: i for i, row in enumerate(candidates)}
        yield at, candidates, [place[rows[i]] for i in at]


def _energy(jury: Jury, predictions: Sequence[HeldOut]) -> pd.DataFrame:
    """Energy distances of all predictions of one mode, from the same cells."""
    if jury.dataset.cells is None or not predictions:
        return pd.DataFrame()
    values = [np.full((len(SCOPES), len(p.rows)), np.nan) for p in predictions]
    for row in np.unique(np.concatenate([p.rows for p in predictions])):
        at = [(i, int(np.flatnonzero(p.rows == row)[0])) for i, p in enumerate(predictions) if row in p.rows]
        at = [(i, place) for i, place in at if not predictions[i].reason[place]]
        if not at:
            continue
        mean = np.array([predictions[i].mean[place] for i, place in at])
        keep = np.concatenate([_keep(jury, np.array([row]), scope) for scope in SCOPES])
        rng = np.random.default_rng([jury.seed, int(row)])
        scored = energy_scores(jury.dataset, int(row), mean, keep, rng=rng)
        if scored is not None:
            for column, (i, place) in enumerate(at):
                values[i][:, place] = scored[:, column]
    parts = [
        _rows(jury, p.method, p.mode, p.rows, [("energy", s, v) for s, v in zip(SCOPES, value, strict=True)], p.reason)
        for p, value in zip(predictions, values, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _rows(
    jury: Jury,
    predictor: str,
    mode: str,
    rows: np.ndarray,
    scores: Iterable[tuple[str, str, np.ndarray]],
    reason: Sequence[str],
) -> pd.DataFrame:
    conditions = [jury.dataset.conditions[row] for row in rows]
    maintenance = jury.dataset.system.maintenance_medium
    named = list(scores)
    per_row = {
        "condition": [condition_label(c) for c in conditions],
        "perturbation": [c.perturbation for c in conditions],
        "hours": [c.hours for c in conditions],
        "medium": [c.medium or maintenance for c in conditions],
        "stratum": [jury.stratum[row] for row in rows],
        "reason": list(reason),
    }
    return pd.DataFrame(
        {
            "predictor": predictor,
            "dataset": jury.dataset.name,
            "split": jury.split.name,
            "fold": jury.split.fold,
            "metric": np.repeat(np.array([metric for metric, _, _ in named], dtype=object), len(rows)),
            "scope": np.repeat(np.array([scope for _, scope, _ in named], dtype=object), len(rows)),
            "value": np.concatenate([value for _, _, value in named]),
            "seed": jury.seed,
            "mode": mode,
            **{name: values * len(named) for name, values in per_row.items()},
        }
    )[list(COLUMNS)]
