"""The error budget of a run: which source the held-out error of its model is from, to a table on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semimech._errors import SemimechError
from semimech._files import replacing
from semimech._types import GeneVector
from semimech.data import Dataset, Split
from semimech.design import variance_components
from semimech.evaluate import error_budget
from semimech.fit import FitConfig, FittedModel, fit
from semimech.fit.train import Progress
from semimech.model import Kinship, PriorNetwork


def budget_errors(
    dataset: Dataset,
    splits: Sequence[Split],
    out: Path,
    config: FitConfig,
    *,
    prior: PriorNetwork | None,
    kinship: Kinship | None,
    whole: FittedModel,
    say: Callable[[str], None],
    progress: Progress | None,
) -> pd.DataFrame:
    """Split the error of the model on the first of some splits into parts; write ``out/error_budget.tsv``.

    Five fits, or seven where there are batches. Where there can be no budget, because the fit is not to means or their noise is unknown, it says why, and the table
    is empty.

    Parameters
    ----------
    dataset
        The whole data set.
    splits
        What is held out.
    out
        Folder for results.
    config
        Settings of the model.
    prior
        Known wiring.
    kinship
        Tables of genes that act alike.
    whole
        The fit to the whole data set.
    say, progress
        Called with a line of text, and with label, steps done and steps in all as fits go on.
    """
    targets = tuple({e.gene for c in dataset.conditions for period in c.history for e in period.context.edits})

    def refit(part: Dataset) -> FittedModel:
        return fit(part, config, prior=prior, kinship=kinship, targets=targets, progress=progress)

    try:
        found = error_budget(
            dataset,
            splits[:1],
            refit,
            interaction=shared_variance(dataset),
            whole=whole,
            rng=np.random.default_rng(config.seed),
        )
    except SemimechError as error:
        say(f"no error budget: {error}")
        return pd.DataFrame()
    with replacing(out / "error_budget.tsv") as temporary:
        found.table.to_csv(temporary, sep="\t", index=False)
    return found.table


def shared_variance(dataset: Dataset) -> GeneVector:
    """Variance of what cells of one condition in one batch share, of each gene; 0 where the data cannot tell it."""
    try:
        table = variance_components(dataset).table
    except SemimechError:
        return np.zeros(len(dataset.genes))
    return np.nan_to_num(table["interaction"].to_numpy(dtype=float))
