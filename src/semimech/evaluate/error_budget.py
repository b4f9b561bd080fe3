r"""Error budget: what the held-out error of a fitted model is made of, by replicate halves and nested refits.

With :math:`y` the measured mean of a held-out condition, :math:`p` what a fit without it predicts, and :math:`q` what the law of a fit with it says
(without residuals that predictions carry over), averages over genes and conditions of :math:`(q - y)^2` and :math:`(p - y)^2` are freed of noise. Errors
:math:`\delta` like those of the data are drawn and added to the means once more; refits tell how far they move predictions, :math:`d_p` and
:math:`d_q`, and so what each square owes to them. This is the covariance penalty of Efron (J. Am. Stat. Assoc. 99, 619, 2004), with the degrees of
freedom of Ye (J. Am. Stat. Assoc. 93, 120, 1998), exact where predictions are linear in the data.

======================  ==========================================================================================
noise                   the measured mean itself, from a finite number of cells: what a replicate would be off by
finite cells            :math:`d_p^2` for errors of cells: noise of the training data that the fit carries into predictions
batch                   :math:`(d_p - \delta)^2` for errors of batches: in the measured mean, and in training
mechanism misfit        :math:`(q - y)^2` without noise: what the law misses of conditions that it has seen
extrapolation           :math:`(p - y)^2 - (q - y)^2` without noise: what seeing the condition would have saved
interaction             twice the product of the two :math:`d_p`: errors of cells and batches that do not simply add up
======================  ==========================================================================================

So the parts sum to the held-out error by their making; what can be wrong with each is how it is told from the others, which
``benchmarks/error_budget.py`` holds against the truth of worlds.
The parts are unbiased, not bounded: one that is small may come out below 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from semimech._errors import ConfigError
from semimech._types import GeneVector
from semimech.assumptions.coverage import Harvested
from semimech.data import Dataset
from semimech.data.split import Split, check_leakage
from semimech.evaluate.errors_of_means import MeanErrors, draw_errors, error_variances
from semimech.evaluate.reference import condition_label, target_mask
from semimech.fit import FittedModel

ERROR_PARTS = ("noise", "finite cells", "batch", "mechanism misfit", "extrapolation", "interaction")
"""What a held-out error is made of."""
TOTAL = "held-out error"

Refit: TypeAlias = Callable[[Dataset], FittedModel]
_Numbers: TypeAlias = Float[np.ndarray, "condition gene"]


@dataclass(frozen=True, kw_only=True)
class ErrorBudget:
    """The parts of a held-out error.

    Parameters
    ----------
    conditions
        One row per held-out condition: ``split``, ``fold``, ``condition``, ``perturbation``, ``coverage`` (how it stands to training, and in what), the
        parts, and `TOTAL`, mean squared errors over genes that are not edited, in the square of the observed scale.
    table
        One row per split, coverage and part, with `TOTAL`: ``estimate`` with the interval ``lower`` to ``upper`` from a bootstrap over edits (which does not know
        the one draw of errors that all edits share: too narrow for noise, finite cells and misfit), its
        ``share`` of the held-out error, ``n_conditions`` and ``n_edits``.
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
    n_boot: int = 2000,
    rng: np.random.Generator,
) -> ErrorBudget:
    """Split the held-out error of a model into parts, each with an interval.

    Two fits of the whole data set, one of them given, and three of each split's training data.

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
    n_boot
        Draws of the bootstrap.
    rng
        Draws errors and the bootstrap.

    Raises
    ------
    ConfigError
        If the model is fitted to single cells and not to means: errors of means do not reach it then.
    DataError
        If a split leaks, or the noise of some means is unknown.
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
    shaken = refit(_shaken(dataset, drawn.both))
    tables = [_of_split(dataset, split, refit, variances, drawn, seen, shaken) for split in splits]
    conditions = pd.concat(tables, ignore_index=True)
    return ErrorBudget(conditions=conditions, table=_summary(conditions, level, n_boot, rng), level=level)


def _shaken(dataset: Dataset, error: _Numbers) -> Dataset:
    return replace(dataset, mean=dataset.mean + error)


def _of_split(
    dataset: Dataset,
    split: Split,
    refit: Refit,
    variances: MeanErrors,
    drawn: MeanErrors,
    seen: FittedModel,
    shaken: FittedModel,
) -> pd.DataFrame:
    """The parts of every test condition of a split."""
    test = [dataset.conditions[row] for row in split.test]
    train = dataset.subset(split.train)
    predicted, with_cells, with_batch = (
        refit(_shaken(train, error)).predict_conditions(test).mean
        for error in (np.zeros_like(train.mean), drawn.cells[split.train], drawn.batch[split.train])
    )
    law = seen.by_law(test)
    parts = _parts(
        measured=dataset.mean[split.test],
        predicted=predicted,
        law=law,
        moved_cells=with_cells - predicted,
        moved_batch=with_batch - predicted,
        moved_law=shaken.by_law(test) - law,
        variances=MeanErrors(cells=variances.cells[split.test], batch=variances.batch[split.test]),
        drawn=MeanErrors(cells=drawn.cells[split.test], batch=drawn.batch[split.test]),
        keep=~target_mask(dataset, split.test),
    )
    harvested = Harvested(conditions=train.conditions, system=dataset.system)
    coverage = [harvested.coverage(condition) for condition in test]
    return pd.DataFrame(
        {
            "split": split.name,
            "fold": split.fold,
            "condition": [condition_label(c) for c in test],
            "perturbation": [c.perturbation for c in test],
            "coverage": [f"{c.label}: {', '.join(c.axes)}" if c.axes else c.label for c in coverage],
            **parts,
        }
    )


def _parts(
    *,
    measured: _Numbers,
    predicted: _Numbers,
    law: _Numbers,
    moved_cells: _Numbers,
    moved_batch: _Numbers,
    moved_law: _Numbers,
    variances: MeanErrors,
    drawn: MeanErrors,
    keep: Bool[np.ndarray, "condition gene"],
) -> dict[str, Float[np.ndarray, " condition"]]:
    """Means over genes of the parts, see the head of this file."""

    def over_genes(values: _Numbers) -> Float[np.ndarray, " condition"]:
        return np.where(keep, values, 0.0).sum(axis=1) / np.maximum(keep.sum(axis=1), 1)

    misfit, missed = (law - measured) ** 2, (predicted - measured) ** 2
    owed = moved_law**2 - 2 * moved_law * drawn.both + variances.both
    by_batch = moved_batch**2 - 2 * moved_batch * drawn.batch + variances.batch
    by_both = 2 * moved_cells * moved_batch
    return {
        "noise": over_genes(variances.cells),
        "finite cells": over_genes(moved_cells**2),
        "batch": over_genes(by_batch),
        "mechanism misfit": over_genes(misfit - owed),
        "extrapolation": over_genes(missed - variances.cells - moved_cells**2 - by_batch - by_both - misfit + owed),
        "interaction": over_genes(by_both),
        TOTAL: over_genes(missed),
    }


def _summary(conditions: pd.DataFrame, level: float, n_boot: int, rng: np.random.Generator) -> pd.DataFrame:
    """Means over conditions, with intervals from a bootstrap that draws edits."""
    names = [*ERROR_PARTS, TOTAL]
    rows = []
    for (split, coverage), part in conditions.groupby(["split", "coverage"], sort=False):
        by_edit = part.groupby("perturbation", sort=False)[names].sum().to_numpy()
        sizes = part.groupby("perturbation", sort=False).size().to_numpy(float)
        weight = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=n_boot)
        boot = (weight @ by_edit) / (weight @ sizes)[:, None]
        mean = part[names].mean().to_numpy()
        tails = (1 - level) / 2
        lower, upper = (
            np.quantile(boot, [tails, 1 - tails], axis=0) if len(sizes) > 1 else np.full((2, len(mean)), np.nan)
        )
        for number, name in enumerate(names):
            rows.append(
                {
                    "split": split,
                    "coverage": coverage,
                    "part": name,
                    "estimate": mean[number],
                    "lower": lower[number],
                    "upper": upper[number],
                    "share": mean[number] / mean[-1],
                    "n_conditions": len(part),
                    "n_edits": len(sizes),
                }
            )
    return pd.DataFrame(rows)
