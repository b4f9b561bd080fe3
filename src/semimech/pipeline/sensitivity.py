"""Sensitivity in a folder: which assumptions the results of a data set rest on, to tables on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semimech._errors import ConfigError
from semimech._files import replacing
from semimech.assumptions import ASSUMPTIONS
from semimech.data import Dataset, Split
from semimech.data.findings import suggestion
from semimech.evaluate.sensitivity import sensitivity
from semimech.fit import FitConfig
from semimech.fit.train import Progress
from semimech.model import Kinship, PriorNetwork
from semimech.pipeline.modelling import remove_checkpoints


def move_assumptions(
    dataset: Dataset,
    splits: Sequence[Split],
    out: Path,
    config: FitConfig,
    *,
    assumptions: Collection[str],
    prior: PriorNetwork | None,
    kinship: Kinship | None,
    resume: bool,
    say: Callable[[str], None],
    progress: Progress | None,
) -> pd.DataFrame:
    """Impose or lift assumptions; write ``out/sensitivity.tsv`` and ``out/sensitivity_predictions.tsv``.

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
    assumptions
        Ids of those to look at; all that the model can express if none are given.
    prior
        Known wiring.
    kinship
        Tables of genes that act alike.
    resume
        Go on from the fits in ``out/checkpoint``, finished and unfinished ones.
    say, progress
        Called with a line of text, and with label, steps done and steps in all as fits go on.

    Returns
    -------
    pandas.DataFrame
        The table of `semimech.evaluate.Sensitivity`.

    Raises
    ------
    ConfigError
        If an assumption is unknown, the model is not fitted to means, or there are checkpoints of other data or settings to resume.
    """
    refuse_unknown(assumptions)
    if not resume:
        remove_checkpoints(out)
    found = sensitivity(
        dataset,
        splits,
        config,
        prior=prior,
        kinship=kinship,
        assumptions=assumptions,
        rng=np.random.default_rng(config.seed),
        checkpoint=out / "checkpoint",
        say=say,
        progress=progress,
    )
    for name, table in (("sensitivity", found.table), ("sensitivity_predictions", found.predictions)):
        with replacing(out / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False)
    remove_checkpoints(out)
    return found.table


def refuse_unknown(assumptions: Collection[str]) -> None:
    """Refuse names that are none of an assumption.

    Raises
    ------
    ConfigError
        Naming those, and all that there are.
    """
    known = [assumption.id for assumption in ASSUMPTIONS]
    unknown = [id for id in assumptions if id not in known]
    if unknown:
        hints = " ".join(suggestion(id, known) for id in unknown)
        raise ConfigError(f"unknown assumptions {unknown}. {hints}Write some of: {', '.join(known)}")
