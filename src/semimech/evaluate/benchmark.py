"""Benchmark: predictors × splits × metrics to one tidy table, every method on the same held-out conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import SemimechError
from semimech.baselines import BASELINES, fit_baseline
from semimech.data import Dataset
from semimech.data.split import Split, check_leakage
from semimech.evaluate.reference import earlier_harvests, measured_scene, strata, target_mask
from semimech.evaluate.score import COLUMNS, ONE_STEP, ROLL_OUT, HeldOut, Jury, score_split
from semimech.experiment import Condition
from semimech.predictor import AbstractDynamicPredictor, AbstractPredictor, Prediction

_TIME_SPLITS = ("unseen_time", "unseen_edit_time")


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to fit a predictor.

    Parameters
    ----------
    name
        Name in tables.
    fit
        Fits it to training data, with a seed; raises `SemimechError` where the data cannot carry it.
    """

    name: str
    fit: Callable[[Dataset, int], AbstractPredictor]


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """Scores, and the predictions behind them.

    Parameters
    ----------
    scores
        One row per predictor, split, condition, mode, metric and scope: columns ``predictor, dataset, split, fold,
        condition, perturbation, hours, medium, metric, scope, value, seed, stratum, mode, reason``. A method that
        cannot predict a condition has NaN there and the reason; the noise ceiling is the predictor
        ``"replicate ceiling"``.
    predictions
        What was predicted.
    dataset
        What was measured.
    """

    scores: pd.DataFrame
    predictions: tuple[HeldOut, ...]
    dataset: Dataset

    def held_out(self, *, methods: Sequence[str] | None = None, mode: str = ROLL_OUT) -> pd.DataFrame:
        """Predicted and measured means gene by gene, in long form, for figures.

        Parameters
        ----------
        methods
            Methods to include; all if not given.
        mode
            ``"roll-out"`` or ``"one-step"``.

        Returns
        -------
        pandas.DataFrame
            Columns ``split, fold, predictor, perturbation, hours, medium, gene, observed, predicted, lower, upper,
            control, is_target``.
        """
        chosen = [p for p in self.predictions if p.mode == mode and (methods is None or p.method in methods)]
        return pd.concat([_long(self.dataset, p) for p in chosen], ignore_index=True) if chosen else pd.DataFrame()


def baseline_methods() -> tuple[Method, ...]:
    """All baselines, as methods."""
    return tuple(Method(name=b.name, fit=_fit_named(b.name)) for b in BASELINES)


def run_benchmark(
    methods: Sequence[Method],
    dataset: Dataset,
    splits: Sequence[Split],
    *,
    seed: int,
    training: Callable[[Split], Dataset] | None = None,
    progress: Callable[[str], None] | None = None,
) -> BenchmarkResult:
    """Fit every method on every split and score it.

    Splits with the same training rows share one fit of each method. Splits by time are scored twice: as a roll-out from
    the start, and one step ahead from the latest earlier harvest for the methods that can go on from observed cells. Ranks are among the test conditions of a split at the same time in the
    same medium: among conditions that trained a method, the mean of edits would fall behind chance.

    Parameters
    ----------
    methods
        Methods to compare.
    dataset
        The whole data set.
    splits
        Splits, of one seed.
    seed
        Handed to every fit, and written in the table.
    training
        Gives what methods are trained on in a split, where this is not the data set's own rows: measured values that depend on other conditions, as those of
        `semimech.abundance.edited_cells` do, have to be found again without what is held out. Conditions may be missing from it.
    progress
        Called with a line of text before each fit.

    Raises
    ------
    DataError
        If a split leaks; nothing is fitted then.
    """
    for split in splits:
        check_leakage(dataset, split)
    stratum = strata(dataset)
    tables: list[pd.DataFrame] = []
    predictions: list[HeldOut] = []
    fitted: dict[tuple[str, bytes], AbstractPredictor | SemimechError] = {}
    for split in splits:
        train = dataset.subset(split.train) if training is None else training(split)
        observed = dataset.mean if training is None else _known(dataset, train)
        earlier = earlier_harvests(dataset, split.test) if split.name in _TIME_SPLITS else np.full(len(split.test), -1)
        earlier = np.where(np.isfinite(observed[earlier]).all(axis=1), earlier, -1)
        held: list[HeldOut] = []
        for method in methods:
            key = (method.name, np.sort(split.train).tobytes())
            if key not in fitted:
                if progress is not None:
                    progress(f"{split.name}, fold {split.fold}: {method.name}")
                fitted[key] = _fit(method, train, seed)
            held += _predict(method, fitted[key], dataset, split, earlier, observed)
        scene = measured_scene(dataset, split.test, train=train)
        jury = Jury(dataset=dataset, scene=scene, split=split, stratum=stratum, seed=seed)
        tables.append(score_split(jury, held))
        predictions += held
    scores = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    return BenchmarkResult(scores=scores, predictions=tuple(predictions), dataset=dataset)


def _fit(method: Method, train: Dataset, seed: int) -> AbstractPredictor | SemimechError:
    """A fitted predictor, or why there is none."""
    try:
        return method.fit(train, seed)
    except SemimechError as error:
        return error


def _known(dataset: Dataset, train: Dataset) -> Float[np.ndarray, "condition gene"]:
    """What training data say of each condition of the data set; NaN of those that they lack."""
    row = {condition: number for number, condition in enumerate(train.conditions)}
    missing = np.full(len(dataset.genes), np.nan)
    return np.stack([train.mean[row[c]] if c in row else missing for c in dataset.conditions])


def _predict(
    method: Method,
    predictor: AbstractPredictor | SemimechError,
    dataset: Dataset,
    split: Split,
    earlier: np.ndarray,
    observed: np.ndarray,
) -> list[HeldOut]:
    """A method's roll-out, and its one step ahead where that is asked and it can."""
    conditions = [dataset.conditions[row] for row in split.test]
    n_genes = len(dataset.genes)
    if isinstance(predictor, SemimechError):
        blank = Prediction.without_interval(np.full((len(split.test), n_genes), np.nan))
        return [_held_out(method, ROLL_OUT, split, split.test, blank, (str(predictor),) * len(split.test))]
    held = [
        _held_out(method, ROLL_OUT, split, split.test, *_one_by_one(predictor.predict_conditions, conditions, n_genes))
    ]
    if (earlier >= 0).any() and isinstance(predictor, AbstractDynamicPredictor):
        held.append(_one_step(method, predictor, dataset, split, earlier, observed))
    return held


def _one_step(
    method: Method,
    predictor: AbstractDynamicPredictor,
    dataset: Dataset,
    split: Split,
    earlier: np.ndarray,
    observed: np.ndarray,
) -> HeldOut:
    rows = split.test[earlier >= 0]
    earlier = earlier[earlier >= 0]
    before = {dataset.conditions[row]: int(start) for row, start in zip(rows, earlier, strict=True)}

    def step(after: Sequence[Condition]) -> Prediction:
        starts = [before[condition] for condition in after]
        return Prediction.without_interval(
            predictor.advance(observed[starts], [dataset.conditions[start] for start in starts], after)
        )

    return _held_out(method, ONE_STEP, split, rows, *_one_by_one(step, list(before), len(dataset.genes)))


def _one_by_one(
    predict: Callable[[Sequence[Condition]], Prediction], conditions: Sequence[Condition], n_genes: int
) -> tuple[Prediction, tuple[str, ...]]:
    """Predict all conditions; if that is refused, those that can be, with the reason for each other."""
    try:
        parts, reasons = [predict(conditions)], [""] * len(conditions)
    except SemimechError:
        parts, reasons = [], []
        for condition in conditions:
            try:
                part, reason = predict([condition]), ""
            except SemimechError as error:
                part, reason = Prediction.without_interval(np.full((1, n_genes), np.nan)), str(error)
            parts.append(part)
            reasons.append(reason)
    mean, lower, upper = (
        np.concatenate([np.asarray(getattr(part, what), dtype=float) for part in parts])
        for what in ("mean", "lower", "upper")
    )
    is_whole = np.isfinite(mean).all(axis=1)
    mean = np.where(is_whole[:, None], mean, np.nan)
    reasons = [r if r or whole else "values are not finite" for r, whole in zip(reasons, is_whole, strict=True)]
    return Prediction(mean=mean, lower=lower, upper=upper), tuple(reasons)


def _held_out(
    method: Method, mode: str, split: Split, rows: np.ndarray, prediction: Prediction, reason: tuple[str, ...]
) -> HeldOut:
    return HeldOut(
        method=method.name,
        mode=mode,
        split=split,
        rows=rows,
        mean=prediction.mean,
        lower=prediction.lower,
        upper=prediction.upper,
        reason=reason,
    )


def _fit_named(name: str) -> Callable[[Dataset, int], AbstractPredictor]:
    return lambda train, seed: fit_baseline(name, train)


def _long(dataset: Dataset, held: HeldOut) -> pd.DataFrame:
    conditions = [dataset.conditions[row] for row in held.rows]
    n_genes = len(dataset.genes)
    per_row = {
        "perturbation": [c.perturbation for c in conditions],
        "hours": [c.hours for c in conditions],
        "medium": [c.medium or dataset.system.maintenance_medium for c in conditions],
    }
    return pd.DataFrame(
        {
            "split": held.split.name,
            "fold": held.split.fold,
            "predictor": held.method,
            **{name: np.repeat(np.array(values), n_genes) for name, values in per_row.items()},
            "gene": np.tile(np.array(dataset.genes), len(conditions)),
            "observed": dataset.mean[held.rows].ravel(),
            "predicted": held.mean.ravel(),
            "lower": held.lower.ravel(),
            "upper": held.upper.ravel(),
            "control": np.array([dataset.matched_control(c) for c in conditions]).ravel(),
            "is_target": target_mask(dataset, held.rows).ravel(),
        }
    )
