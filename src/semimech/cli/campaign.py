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
        typer.Option(help="What chooses: error, information, uncertain, diverse or random; repeatable."),
    ] = None,
    begin: Annotated[int, typer.Option(help="Edits of the first round, drawn at random.")] = 10,
    batch: Annotated[int, typer.Option(help="Edits of every further round.")] = 10,
    rounds: Annotated[int, typer.Option(help="Rounds after the first.")] = 3,
    held_out: Annotated[float, typer.Option(help="Share of the edits that are never made, and scored.")] = 0.25,
    campaigns: Annotated[int, typer.Option(min=1, help="Repetitions with other held-out edits and starts.")] = 1,
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
    from semimech.design import Campaign, learning_curves, run_campaign
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
    for name, table in (("errors.tsv", errors), ("curves.tsv", curves)):
        with replacing(out / name) as temporary:
            table.to_csv(temporary, sep="\t", index=False)
    with replacing(out / "campaign.png") as temporary:
        plot_campaign(curves).savefig(temporary, format="png", dpi=200)
    curves.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    ended = curves.dropna(subset="saved")
    shares = 100 * ended[["saved", "saved_lower", "saved_upper"]].to_numpy()
    for name, (saved, lower, upper) in zip(ended["strategy"], shares, strict=True):
        typer.echo(
            f"{name} saves {saved:.0f} % of the edits that random choice needs for its error (90 % interval {lower:.0f} to {upper:.0f} %)",
            err=True,
        )
