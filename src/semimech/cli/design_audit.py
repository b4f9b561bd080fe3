"""The command that judges a design that exists."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semimech._errors import ConfigError, DataError
from semimech.cli import options as o
from semimech.cli.write import write_png, write_table

GUIDE_COLUMNS = ("guide", "guide_lower", "guide_upper", "guide_unbiased")
"""What components.tsv says of guides, empty where they are not known."""

if TYPE_CHECKING:
    import pandas as pd

    from semimech.data import Dataset
    from semimech.data.screen import Screen
    from semimech.design import Audit


def audit(
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
    add: Annotated[int, typer.Option(min=1, help="Controls to add to one batch, to see what they buy.")] = 100,
    out: Annotated[
        Path | None,
        typer.Option("--out", file_okay=False, help="Folder for audit.tsv, controls.tsv, components.tsv, audit.png."),
    ] = None,
) -> None:
    """Tell which effects a design can estimate, how inflated they are, and what more controls buy; exit 1 if one cannot."""
    from semimech.data import Keys, open_screen, pool
    from semimech.design import audit, estimate_components, gain_of_controls, groups_of

    screen = open_screen(data, Keys(**o.reading_keys(locals())))
    dataset = pool(screen, name=data.stem)
    layout, groups = groups_of(dataset)
    components = estimate_components(groups, dataset.genes)
    found = audit(layout, components.typical)
    gains = gain_of_controls(found, add)
    found, table, said = _with_guides(screen, dataset, found, components.table)
    if out is not None:
        from semimech.report.plots import plot_layout

        write_table(found.effects, out / "audit.tsv")
        write_table(gains, out / "controls.tsv")
        write_table(table, out / "components.tsv")
        write_png(plot_layout(layout, title="Cells of the design"), out / "audit.png")
    found.effects.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    typical = components.typical
    typer.echo(
        f"variance of a typical gene: cells {typical.cell:.4g}, batches {typical.batch:.4g}, "
        f"batch × condition {typical.interaction:.4g}",
        err=True,
    )
    typer.echo(said, err=True)
    verdicts = found.effects["verdict"].value_counts()
    typer.echo("; ".join(f"{number} {verdict}" for verdict, number in verdicts.items()), err=True)
    if len(gains):
        best = gains.iloc[0]
        typer.echo(
            f"{add} more of {best['controls']!r} in batch {best['batch']!r}: {best['effects_gained']} effects told within "
            f"batches only then, the variance of the others falls by {100 * best['saved_within']:.2g} % on average",
            err=True,
        )
    raise typer.Exit(0 if found.is_sound else 1)


def _with_guides(
    screen: Screen, dataset: Dataset, found: Audit, components: pd.DataFrame
) -> tuple[Audit, pd.DataFrame, str]:
    """The audit and the table of components with what guides do, NaN where that is not known, and what is to be said of them."""
    import numpy as np

    from semimech.design import audit_guides, guide_components, layout_of, typical_guide_variance

    if screen.guides is None:
        why = "no guide is known: put their names into obs['guide'], and the audit tells what they do"
    else:
        try:
            known = guide_components(screen)
        except (ConfigError, DataError) as error:
            why = str(error)
        else:
            between, row = typical_guide_variance(known), layout_of(dataset)[1]
            with_guides = audit_guides(found, row=row, guide=screen.guides.code, between=between)
            effects = with_guides.effects
            is_limited = effects["se_guides"] > effects["se_gls"]
            said = (
                f"variance between guides of one edit, of a typical gene: {between:.4g}; {int(is_limited.sum())} of {len(effects)} effects owe more of their "
                "error as effects of the edit to guides (se_guides) than to cells and batches (se_gls): only more guides help there"
            )
            return with_guides, components.merge(known[["gene", *GUIDE_COLUMNS]], on="gene"), said
    nobody = np.zeros(0, dtype=int)
    unknown = audit_guides(found, row=nobody, guide=nobody, between=np.nan)
    return unknown, components.assign(**dict.fromkeys(GUIDE_COLUMNS, np.nan)), why
