"""The command that imposes or lifts assumptions and says how far results move."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from semimech.cli import options as o
from semimech.cli.display import Display


def sensitivity(
    data: o.Data,
    out: o.Out,
    assumption: Annotated[
        list[str] | None,
        typer.Option(help="Look at this assumption only; repeatable.", metavar="ASSUMPTION"),
    ] = None,
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
    config: o.Settings = None,
    prior: o.Prior = None,
    prior_use: o.PriorUse = "soft",
    complexes: o.Complexes = None,
    embedding: o.Embedding = None,
    seed: o.Seed = None,
    folds: o.Folds = 2,
    resume: o.Resume = False,
) -> None:
    """Impose or lift each assumption that the model can express, refit, and say how far errors and predictions move."""
    from semimech import pipeline
    from semimech.fit import FitConfig, read_config

    source = o.source_of(data, locals())
    settings = FitConfig() if config is None else read_config(config)
    settings = settings if seed is None else replace(settings, seed=seed)
    dataset = source.dataset()
    splits = pipeline.hold_out(dataset, n_folds=folds, seeds=[settings.seed])[settings.seed]
    with Display() as display:
        table = pipeline.move_assumptions(
            dataset,
            splits,
            out,
            settings,
            assumptions=assumption or (),
            prior=source.network(),
            kinship=source.kinship(),
            resume=resume,
            say=display.next_fit,
            progress=display.fit,
        )
    table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.3g")
