"""The command that replays a campaign of rounds on a screen that was measured in full."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from semimech.cli import options as o
from semimech.cli.display import Display


def campaign(
    data: o.Data,
    out: o.Out,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="What chooses: error, information, lessons, targeted, uncertain, diverse, k-means, badge, fused or random; repeatable."
        ),
    ] = None,
    begin: Annotated[int, typer.Option(help="Edits of the first round, drawn at random.")] = 10,
    batch: Annotated[int, typer.Option(help="Edits of every further round.")] = 10,
    rounds: Annotated[int, typer.Option(help="Rounds after the first.")] = 3,
    held_out: Annotated[float, typer.Option(help="Share of the edits that are never made, and scored.")] = 0.25,
    campaigns: Annotated[int, typer.Option(min=1, help="Repetitions with other held-out edits and starts.")] = 1,
    cold: Annotated[
        bool, typer.Option("--cold", help="Fit every round from nothing, with its own choice of settings.")
    ] = False,
    cost_per_edit: Annotated[float, typer.Option(help="Cost of an edit.")] = 100.0,
    cost_per_harvest: Annotated[float, typer.Option(help="Cost of a condition.")] = 50.0,
    cost_per_cell: Annotated[float, typer.Option(help="Cost of a cell.")] = 0.1,
    cells: Annotated[int, typer.Option(min=1, help="Cells per condition.")] = 100,
    cost_per_week: Annotated[float, typer.Option(help="Cost of a week of the laboratory.")] = 0.0,
    edits_per_week: Annotated[float, typer.Option(help="Edits that the laboratory makes in a week.")] = 10.0,
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
) -> None:
    """Replay rounds of edits on a full screen: how fast strategies learn, and what they save against random choice."""
    from semimech._files import replacing
    from semimech.design import Campaign, Prices, learning_curves, run_campaign, savings
    from semimech.design.value import FAR
    from semimech.fit import FitConfig, read_config
    from semimech.report.plots import plot_campaign

    source = o.source_of(data, locals())
    settings = FitConfig() if config is None else read_config(config)
    first = settings.seed if seed is None else seed
    plan = Campaign(
        strategies=tuple(strategy or ("error", "random")),
        start=begin,
        batch=batch,
        rounds=rounds,
        held_out=held_out,
        seeds=tuple(range(first, first + campaigns)),
        warm=not cold,
    )
    with Display() as display:
        dataset = display.read(source)
        errors = run_campaign(
            dataset,
            plan,
            settings,
            prior=source.network(),
            kinship=source.kinship(),
            folder=out,
            progress=display.fit,
            say=display.say,
        )
    curves = learning_curves(errors)
    prices = Prices(edit=cost_per_edit, harvest=cost_per_harvest, cell=cost_per_cell, cells=cells, week=cost_per_week)
    edited = ~dataset.is_control
    per_edit = edited.sum() / max(
        len({p for p, is_edited in zip(dataset.perturbations, edited, strict=True) if is_edited}), 1
    )
    value = savings(errors, prices, conditions_per_edit=float(per_edit), edits_per_week=edits_per_week)
    for name, table in (("errors.tsv", errors), ("curves.tsv", curves), ("value.tsv", value)):
        with replacing(out / name) as temporary:
            table.to_csv(temporary, sep="\t", index=False)
    with replacing(out / "campaign.png") as temporary:
        plot_campaign(curves).savefig(temporary, format="png", dpi=200)
    curves.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    ended = curves.dropna(subset="saved")
    shares = ended[["saved", "saved_lower", "saved_upper"]].to_numpy()
    more = lambda share: f"{100 * share:.0f} %{' or more' if share >= 1 - 1 / FAR else ''}"
    for name, (saved, lower, upper) in zip(ended["strategy"], shares, strict=True):
        typer.echo(
            f"{name} saves {more(saved)} of the edits that random choice needs for its error (90 % interval {100 * lower:.0f} to {more(upper)})",
            err=True,
        )
