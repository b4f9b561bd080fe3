"""The command that judges a pilot experiment."""

from __future__ import annotations

from typing import Annotated

import typer

from semimech.cli import options as o
from semimech.cli.display import Display


def pilot(
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
    seed: o.Seed = None,
    folds: o.Folds = 3,
    cost_per_edit: Annotated[float, typer.Option(help="Cost of an edit.")] = 100.0,
    cost_per_harvest: Annotated[float, typer.Option(help="Cost of a condition.")] = 50.0,
    cost_per_cell: Annotated[float, typer.Option(help="Cost of a cell.")] = 0.1,
    cells: Annotated[int, typer.Option(min=1, help="Cells per condition.")] = 100,
    cost_per_week: Annotated[float, typer.Option(help="Cost of a week of the laboratory.")] = 0.0,
    edits_per_week: Annotated[float, typer.Option(help="Edits that the laboratory makes in a week.")] = 10.0,
) -> None:
    """Judge a pilot: are the data good enough, does mechanism help, what would it save; exit 1 unless it is go."""
    from dataclasses import replace

    from semimech import pipeline
    from semimech._errors import DataError
    from semimech.design import Prices
    from semimech.fit import FitConfig, read_config
    from semimech.pipeline.pilot import run_pilot
    from semimech.report.pilot import write_pilot

    source = pipeline.Source(path=data, keys=o.reading_keys(locals()), prior=tuple(prior or ()), prior_use=prior_use)
    settings = FitConfig() if config is None else read_config(config)
    prices = Prices(edit=cost_per_edit, harvest=cost_per_harvest, cell=cost_per_cell, cells=cells, week=cost_per_week)
    with Display() as display:
        examination = source.examination()
        try:
            dataset, reason = source.dataset(), ""
        except DataError as error:
            dataset, reason = None, str(error)
        content = run_pilot(
            examination,
            dataset,
            settings if seed is None else replace(settings, seed=seed),
            prices,
            title=data.stem,
            reason=reason,
            prior=source.network(),
            n_folds=folds,
            edits_per_week=edits_per_week,
            say=display.within,
        )
    for path in write_pilot(content, out):
        typer.echo(f"written\t{path}")
    for name, stage in zip(("data", "mechanism", "value"), content.stages, strict=False):
        typer.echo(f"{name}\t{stage.verdict}\t{'; '.join(stage.reasons)}")
    typer.echo(f"verdict\t{content.verdict}")
    raise typer.Exit(0 if content.verdict == "go" else 1)
