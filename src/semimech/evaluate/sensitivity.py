"""Sensitivity: how far held-out errors and predictions move when one assumption after another is imposed or lifted."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from semimech._errors import ConfigError, DataError
from semimech.data import Dataset
from semimech.data.split import Split, check_leakage
from semimech.evaluate.arms import Arm, directly, make_arms
from semimech.evaluate.histories import unedited
from semimech.evaluate.reference import condition_label, target_mask
from semimech.experiment import Condition
from semimech.fit import FitConfig, FittedModel, fit
from semimech.fit.train import Progress
from semimech.model import Kinship, PriorNetwork

NEW_CELLS = "new_cells"
"""The question in which other cells of the training conditions are predicted."""

_BY = ["split", "assumption", "change", "how"]


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What moves with each assumption.

    Parameters
    ----------
    table
        One row per question (``split``) and arm: ``assumption``, ``change`` (``imposed`` or ``lifted``), ``how``; ``error_ratio``, the mean squared error of
        predicted changes over that of the model as it is, and ``saved``, the share of the error that the assumption costs where it is made; ``shift``, the root mean
        square move of predicted changes relative to these changes; each with ``_lower`` and ``_upper``, an interval from a bootstrap over edits;
        ``outside``, the share of predicted means that leave the interval of the model as it is; ``n_conditions``, ``n_edits``.
    predictions
        One row per held-out condition and arm: ``error``, ``base_error``, ``size`` (root mean square of the predicted change), ``shift`` with its interval from a
        bootstrap over genes, and ``outside``. Errors in the square of the observed scale, the others in the observed scale.
    level
        Level of the intervals.
    """

    table: pd.DataFrame
    predictions: pd.DataFrame
    level: float


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """A training set, and what is asked of a model that is fitted to it."""

    train: Dataset
    splits: tuple[Split, ...]
    measured: Dataset


def sensitivity(
    dataset: Dataset,
    splits: Sequence[Split],
    config: FitConfig,
    *,
    prior: PriorNetwork | None = None,
    kinship: Kinship | None = None,
    assumptions: Collection[str] = (),
    level: float = 0.9,
    n_boot: int = 1000,
    rng: np.random.Generator,
    checkpoint: Path | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Impose or lift each assumption that the model can express, refit, and compare what is predicted.

    What is compared are changes from unedited cells in the same media after the same hours, over genes that are not edited. Settings are those that
    inner validation chooses for the model as it is. Splits with the same training rows share their fits; where two halves of the cells of each condition are known, a model of
    one half is asked for the other (`NEW_CELLS`).

    Parameters
    ----------
    dataset
        The whole data set.
    splits
        What is held out.
    config
        Settings of the model.
    prior
        Known wiring.
    kinship
        Tables of genes that act alike.
    assumptions
        Ids of those to look at; all that can be if none are given.
    level
        Level of the intervals.
    n_boot
        Draws of each bootstrap.
    rng
        Draws them.
    checkpoint
        Folder where each fit keeps its state; what was interrupted there goes on from it, and finished fits are not done again.
    say, progress
        Called with a line of text before each fit, and with label, steps done and steps in all.

    Raises
    ------
    ConfigError
        If the model is fitted to single cells and not to means.
    DataError
        If a split leaks, or nothing is held out.
    """
    if config.likelihood != "pseudobulk":
        raise ConfigError(
            f"sensitivity: the model is fitted with likelihood = {config.likelihood!r}; arms pool means of conditions: use likelihood = 'pseudobulk'"
        )
    for split in splits:
        check_leakage(dataset, split)
    trials = [*_by_training(dataset, splits), *_new_cells(dataset)]
    if not trials:
        raise DataError(f"{dataset.name}: nothing is held out: give a split, or data with two cells per condition")
    targets = tuple({e.gene for c in dataset.conditions for period in c.history for e in period.context.edits})

    def refit(
        number: int, place: str, what: str, data: Dataset, settings: FitConfig, network: PriorNetwork | None
    ) -> FittedModel:
        if say is not None:
            say(f"training set {number} of {len(trials)}, {place}: {what}")
        name = re.sub(r"\W+", "-", f"sensitivity {number} {what}")
        folder = None if checkpoint is None else checkpoint / name
        return fit(
            data, settings, prior=network, kinship=kinship, targets=targets, checkpoint=folder, progress=progress
        )

    tables = []
    for number, trial in enumerate(trials, 1):
        asked = [trial.measured.conditions[row] for split in trial.splits for row in split.test]
        base = refit(number, "at first", "the model as it is", trial.train, config, prior)
        chosen, network = as_chosen(config, prior, base)
        if chosen != config or network is not prior:
            base = refit(number, "at first", "the same with what was chosen", trial.train, chosen, network)
        arms = make_arms(base, trial.train, chosen, network, asked)
        arms = tuple(a for a in arms if not assumptions or a.assumption in assumptions)
        for turn, arm in enumerate(arms, 1):
            is_same = arm.dataset is trial.train and arm.config == chosen and arm.prior is network
            place, what = f"{turn} of {len(arms)}", f"{arm.assumption} {arm.change}"
            model = base if is_same else refit(number, place, what, arm.dataset, arm.config, arm.prior)
            tables += [_compared(trial, split, base, arm, model, level, n_boot, rng) for split in trial.splits]
    predictions = pd.concat(tables, ignore_index=True)
    return Sensitivity(table=_summary(predictions, level, n_boot, rng), predictions=predictions, level=level)


def as_chosen(
    config: FitConfig, prior: PriorNetwork | None, model: FittedModel
) -> tuple[FitConfig, PriorNetwork | None]:
    """The settings with what inner validation chose as the only candidate, and the tables counted as it chose."""
    chosen = model.record.chosen
    fixed = replace(config, steady_state=chosen.strength, sparsities=(chosen.sparsity,), weight_decays=(chosen.decay,))
    if chosen.strength != "none":
        fixed = replace(fixed, steady_state_weights=(chosen.weight,), latent_factors=(chosen.n_factors,))
    if prior is None or prior.use == "mask" or prior.counts or config.law == "neural":
        return fixed, prior
    return fixed, replace(prior, counts=chosen.tables or (1.0,) * len(prior.tables))


def _by_training(dataset: Dataset, splits: Sequence[Split]) -> list[_Trial]:
    shared: dict[bytes, list[Split]] = {}
    for split in splits:
        shared.setdefault(np.sort(split.train).tobytes(), []).append(split)
    return [
        _Trial(train=dataset.subset(same[0].train), splits=tuple(same), measured=dataset) for same in shared.values()
    ]


def _new_cells(dataset: Dataset) -> list[_Trial]:
    """One half of the cells of each condition to train on, the other to predict."""
    halves, edited = dataset.halves, np.flatnonzero(~dataset.is_control)
    if halves is None or not np.isfinite(halves).all() or not len(edited):
        return []
    half = {
        "standard_error": dataset.standard_error * np.sqrt(2.0),
        "n_cells": np.maximum(dataset.n_cells // 2, 1),
        "halves": None,
        "cells": None,
    }
    train, test = (replace(dataset, mean=np.asarray(mean, float), **half) for mean in halves)
    split = Split(name=NEW_CELLS, train=np.arange(len(dataset.conditions)), test=edited)
    return [_Trial(train=train, splits=(split,), measured=test)]


def _compared(
    trial: _Trial,
    split: Split,
    base: FittedModel,
    arm: Arm,
    model: FittedModel,
    level: float,
    n_boot: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Errors and moves of every test condition of a split."""
    measured = trial.measured
    conditions = [measured.conditions[row] for row in split.test]
    whole = base.predict_conditions(conditions)
    before, (moved, mean) = _changes(base, conditions)[0], _changes(model, conditions, arm)
    seen = measured.mean[split.test] - _timely_controls(measured, conditions)
    keep = ~target_mask(measured, split.test)
    lower, upper = _over_genes((moved - before) ** 2, keep, level, n_boot, rng)
    return pd.DataFrame(
        {
            "split": split.name,
            "fold": split.fold,
            "assumption": arm.assumption,
            "change": arm.change,
            "how": arm.how,
            "condition": [condition_label(c) for c in conditions],
            "perturbation": [c.perturbation for c in conditions],
            "error": _mean((moved - seen) ** 2, keep),
            "base_error": _mean((before - seen) ** 2, keep),
            "size": np.sqrt(_mean(before**2, keep)),
            "shift": np.sqrt(_mean((moved - before) ** 2, keep)),
            "shift_lower": lower,
            "shift_upper": upper,
            "outside": _mean((mean < whole.lower) | (mean > whole.upper), keep),
        }
    )


def _changes(
    model: FittedModel, conditions: Sequence[Condition], arm: Arm | None = None
) -> tuple[Float[np.ndarray, "condition gene"], Float[np.ndarray, "condition gene"]]:
    """Predicted changes from unedited cells of the same media and hours, and predicted means."""
    ask = directly if arm is None else arm.ask
    mean = ask(model, conditions)
    return mean - ask(model, [unedited(c) for c in conditions]), mean


def _timely_controls(dataset: Dataset, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
    """Unedited cells of the same media and hours, also where they are declared not to move; the nearest without any."""
    system = dataset.system
    moving = system if not system.is_stationary else replace(system, is_differentiating=True, start=None)
    timed = replace(dataset, system=moving)
    return np.array([timed.matched_control(c) for c in conditions])


def _mean(values: np.ndarray, keep: Bool[np.ndarray, "condition gene"]) -> Float[np.ndarray, " condition"]:
    return np.where(keep, values, 0.0).sum(axis=1) / np.maximum(keep.sum(axis=1), 1)


def _over_genes(
    square: Float[np.ndarray, "condition gene"],
    keep: Bool[np.ndarray, "condition gene"],
    level: float,
    n_boot: int,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, " condition"], Float[np.ndarray, " condition"]]:
    """Interval of the root mean square over genes, from a bootstrap that draws genes."""
    n_genes = square.shape[1]
    weight = rng.multinomial(n_genes, np.full(n_genes, 1 / n_genes), size=n_boot)
    drawn = (weight @ np.where(keep, square, 0.0).T) / np.maximum(weight @ keep.T, 1)
    lower, upper = np.sqrt(np.quantile(drawn, _tails(level), axis=0))
    return lower, upper


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _summary(predictions: pd.DataFrame, level: float, n_boot: int, rng: np.random.Generator) -> pd.DataFrame:
    """Means over conditions, with intervals from a bootstrap that draws edits."""
    rows = []
    squared = predictions.assign(moved=predictions["shift"] ** 2, made=predictions["size"] ** 2)
    for key, part in squared.groupby(_BY, sort=False):
        sums = part.groupby("perturbation", sort=False)[["error", "base_error", "moved", "made"]].sum().to_numpy()
        draws = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=n_boot) @ sums
        row = {**dict(zip(_BY, key, strict=True))}
        for name, value in _ratios(sums.sum(axis=0)[None], key[_BY.index("change")] == "lifted").items():
            spread = _ratios(draws, key[_BY.index("change")] == "lifted")[name]
            lower, upper = np.quantile(spread, _tails(level)) if len(sums) > 1 else (np.nan, np.nan)
            row |= {name: float(value[0]), f"{name}_lower": lower, f"{name}_upper": upper}
        row |= {"outside": part["outside"].mean(), "n_conditions": len(part), "n_edits": len(sums)}
        rows.append(row)
    return pd.DataFrame(rows)


def _ratios(sums: Float[np.ndarray, "draw 4"], is_lifted: bool) -> dict[str, Float[np.ndarray, " draw"]]:
    moved = sums[:, 2]
    error, base, _, made = np.maximum(sums, 1e-300).T
    with_it, without = (base, error) if is_lifted else (error, base)
    return {"error_ratio": error / base, "saved": 1.0 - without / with_it, "shift": np.sqrt(moved / made)}
