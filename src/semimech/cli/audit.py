"""The command that holds what models take for granted against a data set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from semimech.cli import options as o
from semimech.cli.display import Display


def audit(
    data: o.Data,
    out: Annotated[
        Path | None, typer.Option("--out", file_okay=False, help="Folder for findings.tsv and families.tsv.")
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help="Exit 1 if an assumption of this family of models fails; repeatable.", metavar="FAMILY"),
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
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws of noise.")] = 0,
) -> None:
    """Test what families of models take for granted; one row per family, with its verdict and the conclusion."""
    from semimech._files import replacing
    from semimech.assumptions.diagnostics import audit, find_family
    from semimech.data.schema import Keys

    keys = Keys(**o.reading_keys(locals()))
    required = [find_family(id) for id in require or ()]
    with Display() as display:
        found = audit(data, keys, seed=seed, progress=display.say)
    families = found.families()
    if out is not None:
        for name, table in (("findings", found.table()), ("families", families)):
            with replacing(out / f"{name}.tsv") as temporary:
                table.to_csv(temporary, sep="\t", index=False, float_format="%.4g")
    for finding in found.findings:
        if finding.comparisons:
            typer.echo(f"{finding.assumption.id}: {finding.verdict}. {finding.evidence}", err=True)
    families.to_csv(sys.stdout, sep="\t", index=False)
    failing = [family for family in required if found.verdict(family) == "fails"]
    for family in failing:
        typer.echo(f"{family.name} {found.conclusion(family)}", err=True)
    raise typer.Exit(1 if failing else 0)
