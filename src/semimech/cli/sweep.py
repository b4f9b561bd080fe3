"""The command that fits many settings, each with many seeds to many held-out sets."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from semimech._errors import ConfigError
from semimech.cli import options as o
from semimech.cli.cluster import cluster
from semimech.cli.display import Display


def sweep(
    data: o.Data,
    out: o.Out,
    config: Annotated[list[Path], typer.Option(help="Settings of a fit (TOML), told apart by file name; repeatable.")],
    perturbation_key: o.PerturbationKey = None,
    control: o.Control = None,
    time_key: o.TimeKey = None,
    time_unit: o.TimeUnit = None,
    batch_key: o.BatchKey = None,
    medium_key: o.MediumKey = None,
    maintenance_medium: o.MaintenanceMedium = None,
    edit_kind: o.EditKind = "knockout",
    differentiating: o.Differentiating = False,
    environment: o.Environment = None,
    start: o.Start = None,
    min_cells: o.MinCells = None,
    experiments: o.Experiments = None,
    compounds: o.Compounds = None,
    prior: o.Prior = None,
    prior_use: o.PriorUse = "soft",
    complexes: o.Complexes = None,
    embedding: o.Embedding = None,
    seed: o.Seed = None,
    folds: o.Folds = 3,
    seeds: o.Seeds = 1,
    scheduler: o.Scheduler = None,
    workers: o.Workers = None,
) -> None:
    """Score many settings on held-out conditions, here or on a Dask cluster; the same command goes on after an interruption."""
    import numpy as np

    from semimech import pipeline
    from semimech.evaluate import Known, summarise, sweep, write_scores
    from semimech.fit import read_config

    twice = [name for name, n in Counter(path.stem for path in config).items() if n > 1]
    if twice:
        raise ConfigError(
            f"--config: several files of one name ({', '.join(twice)}); arms are named by their files: rename them"
        )
    arms = {path.stem: read_config(path) for path in config}
    source = o.source_of(data, locals())
    with cluster(scheduler, workers) as client, Display() as display:
        dataset = display.read(source, out, executor=None if client is None else client.get_executor())
        known = Known(dataset=dataset, prior=source.network(), kinship=source.kinship())
        first = min(arms.values(), key=lambda arm: arm.seed).seed if seed is None else seed
        splits = pipeline.hold_out(dataset, n_folds=folds, seeds=range(first, first + seeds))
        scores = sweep(known, arms, splits, out / "fits", client=client, say=display.say)
    write_scores(scores, out)
    table = summarise(scores, rng=np.random.default_rng(first))
    table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
