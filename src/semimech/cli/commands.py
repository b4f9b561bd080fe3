"""Commands on a data file, one thin function per verb: parse, call the library, print the result."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semimech._version import __version__
from semimech.cli import options as o
from semimech.cli.cluster import read_on
from semimech.cli.display import Display

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from semimech.data import Dataset, Split
    from semimech.fit import FitConfig, FittedModel
    from semimech.model import Kinship, PriorNetwork
    from semimech.pipeline import Source

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)


def _print_version(is_wanted: bool) -> bool:
    if is_wanted:
        typer.echo(f"semimech {__version__}")
        raise typer.Exit
    return is_wanted


@app.callback()
def semimech(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Semi-mechanistic models of how cells respond to edits, media and time."""


@app.command()
def check(
    data: o.Data,
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
    fix: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Write a curated copy (.h5ad) and check that; DATA stays as it is.", show_default=False
        ),
    ] = None,
) -> None:
    """Check a data set; exit 1 if it cannot be used as it is."""
    from semimech.data import Keys, examine, write_curated

    keys = Keys(**o.reading_keys(locals()))
    if fix is None:
        with Display() as display:
            findings = examine(data, keys, progress=display.reading).findings
    else:
        findings = write_curated(data, fix, keys)
    findings.to_csv(sys.stdout, sep="\t", index=False)
    raise typer.Exit(1 if (findings["severity"] == "fail").any() else 0)


@app.command()
def fit(
    data: o.Data,
    out: o.Out,
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
    guides: o.Guides = None,
    samples: o.Samples = None,
    editing: o.Editing = 0.8,
    seed: o.Seed = None,
    scheduler: o.Scheduler = None,
    resume: o.Resume = False,
) -> None:
    """Fit a model; it is saved in OUT/model."""
    from semimech import pipeline

    source = o.source_of(data, locals())
    settings = _read_config(config, seed)
    with Display() as display:
        dataset = read_on(scheduler, source, out, display)
        model = pipeline.fit_model(source, dataset, out, settings, resume=resume, progress=display.fit)
    pipeline.remove_checkpoints(out)
    _print_notes(source, model)


@app.command()
def evaluate(
    data: o.Data,
    out: o.Out,
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
    folds: o.Folds = 3,
    seeds: o.Seeds = 1,
    neural: o.Neural = False,
    scheduler: o.Scheduler = None,
) -> None:
    """Score the model and every baseline on held-out conditions."""
    from semimech import pipeline

    source = o.source_of(data, locals())
    settings = _read_config(config, seed)
    with Display() as display:
        dataset = read_on(scheduler, source, out, display)
    network, kinship = source.network(), source.kinship()
    splits = pipeline.hold_out(dataset, n_folds=folds, seeds=range(settings.seed, settings.seed + seeds))
    pipeline.remove_checkpoints(out)
    with Display() as display:
        comparisons = _evaluate(dataset, splits, out, settings, network, kinship, neural, display)
    pipeline.remove_checkpoints(out)
    comparisons.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
) -> None:
    """Write FOLDER/report.html from the model and scores in the folder."""
    from semimech import pipeline

    source = pipeline.read_source(folder)
    typer.echo(pipeline.make_report(source, source.dataset(), folder, command=_command()))


@app.command()
def run(
    data: o.Data,
    out: o.Out,
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
    guides: o.Guides = None,
    samples: o.Samples = None,
    editing: o.Editing = 0.8,
    seed: o.Seed = None,
    folds: o.Folds = 3,
    seeds: o.Seeds = 1,
    neural: o.Neural = False,
    scheduler: o.Scheduler = None,
    resume: o.Resume = False,
    error_budget: Annotated[
        bool, typer.Option(help="Tell what the error on held-out conditions is made of, by four more fits.")
    ] = False,
) -> None:
    """Check, fit, compare with every baseline on held-out conditions, and report, in one go."""
    from semimech import pipeline

    source = o.source_of(data, locals())
    settings = _read_config(config, seed)
    with Display() as display:
        dataset = read_on(scheduler, source, out, display)
    network, kinship = source.network(), source.kinship()
    splits = pipeline.hold_out(dataset, n_folds=folds, seeds=range(settings.seed, settings.seed + seeds))
    with Display() as display:
        display.say(f"{dataset.name}: {len(dataset.conditions)} conditions, {len(dataset.genes)} genes")
        model = pipeline.fit_model(source, dataset, out, settings, resume=resume, progress=display.fit)
        training = source.training(dataset)
        _evaluate(dataset, splits, out, settings, network, kinship, neural, display, training)
        if error_budget:
            display.say("error budget")
            pipeline.budget_errors(
                dataset,
                splits[settings.seed],
                out,
                settings,
                prior=network,
                kinship=kinship,
                whole=model,
                say=display.say,
                progress=display.fit,
            )
        display.say("writing the report")
        path = pipeline.make_report(source, dataset, out, command=_command())
    pipeline.remove_checkpoints(out)
    _print_notes(source, model)
    typer.echo(f"report\t{path}")


def _read_config(path: Path | None, seed: int | None) -> FitConfig:
    from semimech.fit import FitConfig, read_config

    config = FitConfig() if path is None else read_config(path)
    return config if seed is None else replace(config, seed=seed)


def _evaluate(
    dataset: Dataset,
    splits: dict[int, tuple[Split, ...]],
    out: Path,
    settings: FitConfig,
    prior: PriorNetwork | None,
    kinship: Kinship | None,
    neural: bool,
    display: Display,
    training: Callable[[Split], Dataset] | None = None,
) -> pd.DataFrame:
    from semimech import pipeline

    return pipeline.evaluate_model(
        dataset,
        splits,
        out,
        settings,
        prior=prior,
        kinship=kinship,
        laws=("semi-mechanistic", "neural") if neural else (settings.law,),
        training=training,
        say=display.within,
        progress=display.fit,
    )


def _print_notes(source: Source, model: FittedModel) -> None:
    for note in (*source.notes(), *model.record.notes):
        typer.echo(f"note\t{note}")


def _command() -> str:
    return shlex.join(["semimech", *sys.argv[1:]])
