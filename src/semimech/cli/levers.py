"""The command on levers: what to buy next for a screen and its model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from semimech._errors import ConfigError
from semimech.cli import options as o
from semimech.cli.display import Display
from semimech.cli.write import write_png, write_table


def levers(
    target: Annotated[
        Path, typer.Argument(help="Folder of a run or fit, or a data file.", exists=True, show_default=False)
    ],
    config: o.Settings = None,
    prior: o.Prior = None,
    seed: o.Seed = None,
    folds: o.Folds = 3,
    budget: Annotated[
        float | None, typer.Option(help="To be spent on each lever; half as many edited cells again if not given.")
    ] = None,
    cost_per_cell: Annotated[float, typer.Option(help="Cost of a cell.")] = 1.0,
    cost_per_time: Annotated[float, typer.Option(help="Cost of one more harvest beside its cells.")] = 0.0,
    cost_per_edit: Annotated[float, typer.Option(help="Cost of one more edit beside its cells.")] = 0.0,
    cost_of_prior: Annotated[float, typer.Option(help="Cost of a prior network.")] = 0.0,
    cost_of_term: Annotated[float, typer.Option(help="Cost of one more term of the law.")] = 0.0,
    worlds: Annotated[int, typer.Option(min=1, help="Screens simulated in the model's own world.")] = 6,
    out: Annotated[
        Path | None, typer.Option("--out", file_okay=False, help="Folder for levers.tsv and levers.png.")
    ] = None,
) -> None:
    """Expect what more cells, controls, times, edits, known wiring or another term would take off the held-out error."""
    import numpy as np

    from semimech import pipeline
    from semimech.data.split import available_splits
    from semimech.design import Costs, levers
    from semimech.fit import FitConfig, read_config
    from semimech.report.plots import plot_levers

    is_run = (target / "run.toml").is_file()
    source = pipeline.read_source(target) if is_run else pipeline.Source(path=target)
    settings = pipeline.load_model(target).record.config if is_run else FitConfig()
    settings = settings if config is None else read_config(config)
    dataset = source.dataset()
    splits = available_splits(dataset, n_folds=folds, seed=settings.seed)
    if not splits:
        raise ConfigError(
            f"{dataset.name}: too few conditions to hold any out; levers need two edits, or edits at two times"
        )
    with Display() as display:
        display.notes(dataset)
        found = levers(
            dataset,
            splits[0],
            settings,
            costs=Costs(
                cell=cost_per_cell, time=cost_per_time, edit=cost_per_edit, prior=cost_of_prior, term=cost_of_term
            ),
            budget=budget,
            known=source.network(),
            prior=pipeline.Source(path=target, prior=tuple(prior)).network() if prior else None,
            n_worlds=worlds,
            say=display.say,
            rng=np.random.default_rng(settings.seed if seed is None else seed),
        )
    if out is not None:
        write_table(found.table, out / "levers.tsv")
        write_png(plot_levers(found), out / "levers.png")
    found.table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    best = found.table.iloc[0]
    typer.echo(
        f"error on {splits[0].name.replace('_', ' ')} now {found.error:.4g}; first {best['lever']}: {best['buys']}, "
        f"{100 * best['share']:.2g} % of it expected to fall ({best['lower']:.2g} to {best['upper']:.2g} of {found.error:.2g})",
        err=True,
    )
