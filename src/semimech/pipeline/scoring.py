"""Scoring in a folder: models and all baselines on held-out conditions, to tables on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semimech._errors import DataError
from semimech._files import replacing
from semimech.baselines import BASELINES
from semimech.data import Dataset, Split, joint_splits
from semimech.evaluate import Method, baseline_methods, compare, run_benchmark, write_scores
from semimech.fit import FitConfig, FittedModel, fit
from semimech.fit.config import Law
from semimech.fit.train import Progress
from semimech.model import Kinship, PriorNetwork

NAMES: dict[Law, str] = {"semi-mechanistic": "semi-mechanistic", "neural": "Neural ODE"}
"""Names of models in tables, by their law."""


def hold_out(dataset: Dataset, *, n_folds: int, seeds: Sequence[int]) -> dict[int, tuple[Split, ...]]:
    """Splits to score models by, for each seed.

    Raises
    ------
    DataError
        If there is too little to hold any of it out.
    """
    splits = {seed: joint_splits(dataset, n_folds=n_folds, seed=seed) for seed in seeds}
    if not all(splits.values()):
        raise DataError(
            f"{dataset.name}: too few conditions to hold any out; scores need two edits, or edits at two times. "
            "'semimech fit' and 'semimech report' do without scores"
        )
    return splits


def evaluate_model(
    dataset: Dataset,
    splits: Mapping[int, Sequence[Split]],
    out: Path,
    config: FitConfig,
    *,
    prior: PriorNetwork | None,
    kinship: Kinship | None,
    laws: Sequence[Law],
    training: Callable[[Split], Dataset] | None = None,
    say: Callable[[str], None] | None,
    progress: Progress | None,
) -> pd.DataFrame:
    """Score models and all baselines on held-out conditions; write scores, comparisons and held-out predictions.

    A fit that finds its checkpoint in ``out/checkpoint`` goes on from there.

    Parameters
    ----------
    dataset
        The whole data set.
    splits
        What to hold out, for each seed; see `hold_out`.
    out
        Folder for results.
    config
        Settings of the models.
    prior
        Known wiring.
    kinship
        Tables of genes that act alike.
    laws
        Laws of the models, the main one first.
    training
        As for `semimech.evaluate.run_benchmark`.
    say, progress
        Called with a line of text before each fit, and with label, steps done and steps in all as it goes on.

    Returns
    -------
    pandas.DataFrame
        Paired comparisons of each model with every baseline.
    """
    periods = [period for condition in dataset.conditions for period in condition.history]
    targets = tuple({edit.gene for period in periods for edit in period.context.edits})

    def method(law: Law) -> Method:
        def fit_law(train: Dataset, seed: int) -> FittedModel:
            settings = replace(config, law=law, seed=seed)
            rows = hashlib.sha256(repr(train.conditions).encode()).hexdigest()[:12]
            checkpoint = out / "checkpoint" / f"{law}-{seed}-{rows}"
            known: dict[str, Any] = {"prior": prior, "kinship": kinship, "targets": targets}
            return fit(train, settings, **known, checkpoint=checkpoint, progress=progress)

        return Method(name=NAMES[law], fit=fit_law)

    methods = [*(method(law) for law in laws), *baseline_methods()]
    results = [
        run_benchmark(methods, dataset, held, seed=seed, training=training, progress=say)
        for seed, held in splits.items()
    ]
    scores = pd.concat([result.scores for result in results], ignore_index=True)
    names = [NAMES[law] for law in laws]
    comparisons = compare_models(scores, names, seed=config.seed)
    write_scores(scores, out)
    (out / "error_budget.tsv").unlink(missing_ok=True)  # of scores that are no more
    with replacing(out / "comparisons.tsv") as temporary:
        comparisons.to_csv(temporary, sep="\t", index=False)
    held_out = results[0].held_out(methods=[*names, *{str(r) for r in comparisons["reference"]}])
    with replacing(out / "held_out.parquet") as temporary:
        held_out.to_parquet(temporary)
    return comparisons


def compare_models(scores: pd.DataFrame, models: Sequence[str], *, seed: int) -> pd.DataFrame:
    """Paired comparisons of models with every baseline, by error and by correlation of the change."""
    rng = np.random.default_rng(seed)
    baselines = [b.name for b in BASELINES if b.name in set(scores["predictor"])]
    tables = [
        compare(scores, metric=metric, scope=scope, reference=baseline, predictors=[model, baseline], rng=rng)
        for model in models
        for baseline in baselines
        for metric in ("mse", "pearson_control")
        for scope in ("excl", "all")
    ]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
