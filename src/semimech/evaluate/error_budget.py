r"""Error budget: what the held-out error of a fitted model is made of, by the scatter of cells and nested refits.

With :math:`y` the measured mean of a held-out condition, :math:`p` what a fit without it predicts, and :math:`q` what the law of a fit with it says
(without residuals that predictions carry over), averages over genes and conditions of :math:`(q - y)^2` and :math:`(p - y)^2` are freed of noise. Errors
:math:`\delta` like those of the data are drawn, added to the means once more, and taken off them. Refits tell how far they move predictions, :math:`d_p` and
:math:`d_q`: half of the way between the two, which does not count how any more noise changes a fit. So it is known what each square owes to errors. This is the
covariance penalty of Efron (J. Am. Stat. Assoc. 99, 619, 2004), with the degrees of freedom of Ye (J. Am. Stat. Assoc. 93, 120, 1998), exact where
predictions are linear in the data.

======================  ==========================================================================================================
noise                   the measured mean itself, from a finite number of cells: what a replicate would be off by
finite cells            :math:`d_p^2` for errors of cells: noise of training data that a fit carries into predictions, and its jumps
batch                   :math:`(d_p - \delta)^2` for errors of batches: in the measured mean, and in training
mechanism misfit        :math:`(q - y)^2` without noise: what the law misses of conditions that it has seen
extrapolation           :math:`(p - y)^2 - (q - y)^2` without noise: what seeing the condition would have saved
interaction             twice the product of the two :math:`d_p`: errors of cells and batches that do not simply add up
======================  ==========================================================================================================

So the parts sum to the held-out error by their making; what can be wrong with each is how it is told from the others, which
``benchmarks/error_budget.py`` holds against the truth of worlds.
The parts are unbiased, not bounded: one that is small may come out below 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from semimech._errors import ConfigError, DataError
from semimech._types import GeneVector
from semimech.assumptions.coverage import Harvested
from semimech.data import Dataset
from semimech.data.split import Split, check_leakage
from semimech.evaluate.crossed import crossed_mean
from semimech.evaluate.errors_of_means import MeanErrors, draw_errors, error_variances
from semimech.evaluate.reference import condition_label, target_mask
from semimech.fit import FittedModel

ERROR_PARTS = ("noise", "finite cells", "batch", "mechanism misfit", "extrapolation", "interaction")
"""What a held-out error is made of."""
TOTAL = "held-out error"

JUMPS = 0.55
"""Doubt of the part of finite cells, as the standard deviation of its logarithm: where a refit chooses otherwise all genes move, so that one draw of errors tells less than genes that move apart would.
From worlds 3 and 140 to 143 of ``benchmarks/error_budget.py``, in which training was repeated."""
_POSITIVE = ("noise", "finite cells", TOTAL)

Refit: TypeAlias = Callable[[Dataset], FittedModel]
_Numbers: TypeAlias = Float[np.ndarray, "condition gene"]


@dataclass(frozen=True, kw_only=True)
class ErrorBudget:
    """The parts of a held-out error.

    Parameters
    ----------
    conditions
        One row per held-out condition, but those that edit every measured gene: ``split``, ``fold``, ``condition``, ``perturbation``, ``coverage`` (how it stands to training, and in what), the
        parts, and `TOTAL`, mean squared errors over genes that are not edited, in the square of the observed scale.
    table
        One row per split, coverage and part, with `TOTAL`: ``estimate`` with the interval ``lower`` to ``upper``, its ``share`` of the held-out error, ``n_conditions`` and ``n_edits``.
        Intervals take edits, and genes, for samples of others like them (see `semimech.evaluate.crossed`): genes since all edits share one draw of errors of the training data, which differ by gene;
        that of finite cells has `JUMPS` beside.
    level
        Level of the intervals.
    """

    conditions: pd.DataFrame
    table: pd.DataFrame
    level: float


def error_budget(
    dataset: Dataset,
    splits: Sequence[Split],
    refit: Refit,
    *,
    interaction: GeneVector,
    whole: FittedModel | None = None,
    level: float = 0.9,
    rng: np.random.Generator,
) -> ErrorBudget:
    """Split the held-out error of a model into parts, each with an interval.

    Three fits of the whole data set, one of them given, and three of each split's training data, five where there are errors of batches.

    Parameters
    ----------
    dataset
        The whole data set.
    splits
        What is held out.
    refit
        Fits the model to a data set, always with the same settings and seed.
    interaction
        Variance of what cells of one condition in one batch share, of each gene, for instance from `semimech.design.variance_components`.
    whole
        The fit to the whole data set, if it is there already.
    level
        Level of the intervals.
    rng
        Draws errors.

    Raises
    ------
    ConfigError
        If the model is fitted to single cells and not to means: errors of means do not reach it then.
    DataError
        If a split leaks, the noise of some means is unknown, or every held-out condition edits all measured genes.
    """
    for split in splits:
        check_leakage(dataset, split)
    variances = error_variances(dataset, interaction)
    drawn = draw_errors(dataset, variances, interaction, rng=rng)
    seen = refit(dataset) if whole is None else whole
    if seen.record.config.likelihood != "pseudobulk":
        raise ConfigError(
            f"error budget: the model is fitted with likelihood = {seen.record.config.likelihood!r}, which the errors of means do not reach; "
            "use likelihood = 'pseudobulk'"
        )
    shaken = refit(_shaken(dataset, drawn.both)), refit(_shaken(dataset, -drawn.both))
    found = [_of_split(dataset, split, refit, variances, drawn, seen, shaken) for split in splits]
    labels = pd.concat([each for each, _ in found], ignore_index=True)
    parts = {name: np.concatenate([each[name] for _, each in found]) for name in (*ERROR_PARTS, TOTAL)}
    is_told = np.isfinite(parts[TOTAL]).any(axis=1)  # not of conditions that edit every measured gene
    if not is_told.any():
        raise DataError("error budget: every held-out condition edits all measured genes, which leaves none to judge")
    labels, parts = labels[is_told].reset_index(drop=True), {name: values[is_told] for name, values in parts.items()}
    means = {name: np.nanmean(values, axis=1) for name, values in parts.items()}
    return ErrorBudget(conditions=labels.assign(**means), table=_summary(labels, parts, level), level=level)


@dataclass(frozen=True, kw_only=True)
class _Moved:
    """How far errors of the training data move predictions.

    Parameters
    ----------
    cells, batch
        By errors of cells and of batches.
    jumps
        What is left of four fits, which no answer explains that adds up over errors of cells and of batches: validation chooses otherwise, an optimiser ends elsewhere, and what both kinds of errors
        do together. Its mean is in the squares of both others too, and is a quarter of what jumps put into the variance of one prediction. 0, as unknown, of two fits.
    """

    cells: _Numbers
    batch: _Numbers
    jumps: _Numbers


def _moved(predict: Callable[[_Numbers], _Numbers], cells: _Numbers, batch: _Numbers) -> _Moved:
    """Predict with errors of cells and batches added and taken off, in all ways."""
    up, down = predict(cells + batch), predict(-cells - batch)
    other_up, other_down = (predict(cells - batch), predict(batch - cells)) if batch.any() else (up, down)
    return _Moved(
        cells=(up - down + other_up - other_down) / 4,
        batch=(up - down - other_up + other_down) / 4,
        jumps=((up + down - other_up - other_down) / 4) ** 2,
    )


def _shaken(dataset: Dataset, error: _Numbers) -> Dataset:
    return replace(dataset, mean=dataset.mean + error)


def _of_split(
    dataset: Dataset,
    split: Split,
    refit: Refit,
    variances: MeanErrors,
    drawn: MeanErrors,
    seen: FittedModel,
    shaken: tuple[FittedModel, FittedModel],
) -> tuple[pd.DataFrame, dict[str, _Numbers]]:
    """Labels of every test condition of a split, and the parts of each of its genes."""
    test = [dataset.conditions[row] for row in split.test]
    train = dataset.subset(split.train)
    predict = lambda error: refit(_shaken(train, error)).predict_conditions(test).mean
    predicted = predict(np.zeros_like(train.mean))
    moved = _moved(predict, drawn.cells[split.train], drawn.batch[split.train])
    law = seen.by_law(test)
    parts = _parts(
        measured=dataset.mean[split.test],
        predicted=predicted,
        law=law,
        moved=moved,
        moved_law=(shaken[0].by_law(test) - shaken[1].by_law(test)) / 2,
        variances=MeanErrors(cells=variances.cells[split.test], batch=variances.batch[split.test]),
        drawn=MeanErrors(cells=drawn.cells[split.test], batch=drawn.batch[split.test]),
        keep=~target_mask(dataset, split.test),
    )
    harvested = Harvested(conditions=train.conditions, system=dataset.system)
    coverage = [harvested.coverage(condition) for condition in test]
    labels = pd.DataFrame(
        {
            "split": split.name,
            "fold": split.fold,
            "condition": [condition_label(c) for c in test],
            "perturbation": [c.perturbation for c in test],
            "coverage": [f"{c.label}: {', '.join(c.axes)}" if c.axes else c.label for c in coverage],
        }
    )
    return labels, parts


def _parts(
    *,
    measured: _Numbers,
    predicted: _Numbers,
    law: _Numbers,
    moved: _Moved,
    moved_law: _Numbers,
    variances: MeanErrors,
    drawn: MeanErrors,
    keep: Bool[np.ndarray, "condition gene"],
) -> dict[str, _Numbers]:
    """The parts, see the head of this file; NaN for genes that are edited."""
    misfit, missed = (law - measured) ** 2, (predicted - measured) ** 2
    owed = moved_law**2 - 2 * moved_law * drawn.both + variances.both
    by_cells = moved.cells**2 + 3 * moved.jumps
    by_batch = moved.batch**2 - moved.jumps - 2 * moved.batch * drawn.batch + variances.batch
    by_both = 2 * moved.cells * moved.batch
    parts = {
        "noise": variances.cells,
        "finite cells": by_cells,
        "batch": by_batch,
        "mechanism misfit": misfit - owed,
        "extrapolation": missed - variances.cells - by_cells - by_batch - by_both - misfit + owed,
        "interaction": by_both,
        TOTAL: missed,
    }
    return {name: np.where(keep, values, np.nan) for name, values in parts.items()}


def _summary(labels: pd.DataFrame, parts: Mapping[str, _Numbers], level: float) -> pd.DataFrame:
    """Means over conditions, with intervals."""
    rows = []
    for (split, coverage), part in labels.groupby(["split", "coverage"], sort=False):
        edit = np.unique(part["perturbation"].to_numpy(str), return_inverse=True)[1]
        found = {
            name: crossed_mean(
                values[part.index],
                edit,
                level=level,
                is_positive=name in _POSITIVE,
                by_gene=name != "noise",
                doubt=JUMPS if name == "finite cells" else 0.0,
            )
            for name, values in parts.items()
        }
        for name, (estimate, lower, upper) in found.items():
            rows.append(
                {
                    "split": split,
                    "coverage": coverage,
                    "part": name,
                    "estimate": estimate,
                    "lower": lower,
                    "upper": upper,
                    "share": estimate / found[TOTAL][0],
                    "n_conditions": len(part),
                    "n_edits": len(np.unique(edit)),
                }
            )
    return pd.DataFrame(rows)
