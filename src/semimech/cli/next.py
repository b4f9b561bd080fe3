"""The command that chooses the next experiments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from semimech._errors import ConfigError
from semimech.cli import options as o
from semimech.cli.display import Display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semimech.data import Dataset
    from semimech.design import Criterion, Goal, Rivals
    from semimech.experiment import Condition
    from semimech.fit import FitConfig, FittedModel
    from semimech.model import PriorNetwork


def next_(
    source: Annotated[
        Path, typer.Argument(help="A fitted model, a folder of a run, or data to fit first.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", file_okay=False, help="Folder for next.tsv, experiments.tsv and next.toml.")
    ] = None,
    genes: Annotated[
        Path | None, typer.Option(help="Genes that can be edited, one per line; all known ones if not given.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Kind of the edits; that of the data if not given.")] = None,
    efficacy: Annotated[list[float] | None, typer.Option(help="Dose of an edit; repeatable.")] = None,
    hours: Annotated[
        list[float] | None, typer.Option(help="Time of harvest that is possible; repeatable; those of the data.")
    ] = None,
    medium: Annotated[list[str] | None, typer.Option(help="Medium that is possible; repeatable.")] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Pairs of edits too.")] = False,
    candidates: Annotated[
        Path | None, typer.Option(help="experiments.tsv of what can be done, instead of all of the above.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Most candidates; pairs are drawn beyond it.")] = 2000,
    batch: Annotated[int, typer.Option(min=1, help="Conditions in the round.")] = 10,
    budget: Annotated[float | None, typer.Option(help="Most that may be spent.")] = None,
    max_edits: Annotated[int | None, typer.Option(help="Most genes edited in the round.")] = None,
    max_times: Annotated[int | None, typer.Option(help="Most times of harvest in the round.")] = None,
    cost_per_edit: Annotated[float, typer.Option(help="Cost of an edit new to the round.")] = 0.0,
    cost_per_harvest: Annotated[float, typer.Option(help="Cost of a condition.")] = 1.0,
    cost_per_cell: Annotated[float, typer.Option(help="Cost of a cell.")] = 0.0,
    cells: Annotated[int, typer.Option(min=1, help="Cells per condition.")] = 100,
    criterion: Annotated[str, typer.Option(help="error, information, lessons or assumptions.")] = "error",
    assumption: Annotated[
        list[str] | None,
        typer.Option(help="With --criterion assumptions: one to impose or lift; all that are undecided; repeatable."),
    ] = None,
    goal: Annotated[
        Path | None, typer.Option(help="Wanted state: table with columns gene and value; instead of a criterion.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option("--for", help="experiments.tsv of what predictions are wanted for; all candidates.")
    ] = None,
    prior: o.Prior = None,
    config: o.Settings = None,
    seed: o.Seed = None,
) -> None:
    """Choose the next experiments: a ranked table with reasons, and experiments.tsv."""
    from semimech import pipeline
    from semimech.design import Limits, Prices, plan_round
    from semimech.design.choose import criterion_of
    from semimech.experiment import read_experiments

    if goal is not None and criterion != "error":
        raise ConfigError("--goal and --criterion both say what experiments are for: leave one of them out")
    chosen = criterion_of(criterion)
    if assumption and chosen != "assumptions":
        raise ConfigError("--assumption says what --criterion assumptions shall tell apart: give both, or neither")
    pipeline.refuse_unknown(assumption or [])
    network = pipeline.Source(path=source, prior=tuple(prior or ())).network()
    model, noise, told = _model(source, config, seed, network)
    able = (
        [c for e in read_experiments(candidates) for c in e.conditions.values()]
        if candidates is not None
        else _space(model, genes, kind, efficacy, hours, medium, pairs, most, seed or 0)
    )
    asked = [] if queries is None else [c for e in read_experiments(queries) for c in e.conditions.values()]
    prices = Prices(edit=cost_per_edit, harvest=cost_per_harvest, cell=cost_per_cell, cells=cells)
    limits = Limits(batch=batch, budget=budget, edits=max_edits, times=max_times, prices=prices)
    wanted: Criterion | Literal["lessons"] | Goal | Rivals
    if chosen == "assumptions":
        wanted = _rivals(model, told, network, able, assumption or [])
    else:
        wanted = chosen if goal is None else _goal(goal, model)
    found = plan_round(model, able, limits, criterion=wanted, queries=asked, noise=noise, prior=network, seed=seed or 0)
    if out is not None:
        import tomli_w

        from semimech._files import replacing
        from semimech.experiment import write_experiments

        with replacing(out / "next.tsv") as temporary:
            found.table.to_csv(temporary, sep="\t", index=False)
        write_experiments(found.experiments, out / "experiments.tsv")
        with replacing(out / "next.toml") as temporary:
            temporary.write_text(tomli_w.dumps(found.summary), encoding="utf-8")
    found.table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    said = "; ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in found.summary.items())
    typer.echo(f"{len(able)} candidates, {len(found.table)} chosen: {said}", err=True)


def _model(
    source: Path, config: Path | None, seed: int | None, network: PriorNetwork | None
) -> tuple[FittedModel, float | None, tuple[Dataset, FitConfig] | None]:
    """The model; the noise of a measurement and what it was fitted to where the data are there."""
    from dataclasses import replace

    import numpy as np

    from semimech import read
    from semimech.fit import FitConfig, fit, is_model, load, read_config

    for folder in (source, source / "model"):
        if is_model(folder):
            return load(folder), None, None
    if source.is_dir() and source.suffix != ".zarr":
        raise ConfigError(f"{source}: neither a model nor a folder of a run; 'semimech fit' makes one")
    settings = FitConfig() if config is None else read_config(config)
    settings = settings if seed is None else replace(settings, seed=seed)
    dataset = read(source)
    with Display() as display:
        model = fit(dataset, settings, prior=network, progress=display.fit)
    error = dataset.standard_error[~dataset.is_control]
    noise = float(np.nanmean(error**2)) if np.isfinite(error).any() else None
    return model, noise, (dataset, settings)


def _rivals(
    model: FittedModel,
    told: tuple[Dataset, FitConfig] | None,
    network: PriorNetwork | None,
    able: Sequence[Condition],
    assumptions: list[str],
) -> Rivals:
    from semimech import pipeline

    if told is None:
        raise ConfigError(
            "--criterion assumptions fits the data again under each assumption: give the data, not a fitted model"
        )
    with Display() as display:
        return pipeline.fit_rivals(
            model,
            *told,
            prior=network,
            asked=able,
            assumptions=assumptions,
            say=display.next_fit,
            progress=display.fit,
        )


def _space(
    model: FittedModel,
    genes: Path | None,
    kind: str | None,
    efficacy: list[float] | None,
    hours: list[float] | None,
    medium: list[str] | None,
    pairs: bool,
    most: int,
    seed: int,
) -> tuple[Condition, ...]:
    from semimech.design import CandidateSpace

    kinds = [edit.kind for condition in model.training for edit in condition.edits]
    known = [c.hours for c in model.training if c.hours > 0]
    maintenance = model.system.maintenance_medium
    space = CandidateSpace(
        genes=model.roster.regulators if genes is None else _lines(genes),
        hours=tuple(hours) if hours else tuple(sorted(set(known))),
        kind=kind or (max(set(kinds), key=kinds.count) if kinds else "knockout"),
        efficacies=tuple(efficacy) if efficacy else (1.0,),
        media=tuple(None if m == maintenance else m for m in medium) if medium else (None,),
        n_genes=2 if pairs else 1,
    )
    return space.conditions(most=most, seed=seed, but=model.training)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--genes {path}: no readable text file with one gene per line") from error
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _goal(path: Path, model: FittedModel) -> Goal:
    import pandas as pd

    from semimech.design import make_goal

    try:
        table = pd.read_csv(path, sep="\t")
        wanted = dict(zip(table["gene"].astype(str), table["value"].astype(float), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"--goal {path}: no tab-separated table with columns gene and value ({error})") from None
    return make_goal(wanted, model.genes, model.fit.control)
