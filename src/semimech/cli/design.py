"""The commands on designs: how to allocate cells, and what an allocation can tell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from semimech._errors import ConfigError, raise_faults
from semimech.cli.design_audit import audit
from semimech.cli.levers import levers
from semimech.cli.write import write_png, write_table, write_toml

if TYPE_CHECKING:
    from semimech.design import Components, Response

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Plan a screen, judge one, or extend it.")
app.command()(audit)
app.command()(levers)


@app.command()
def allocate(
    edits: Annotated[str, typer.Option(help="Number of edits, or a file with one name per line.", show_default=False)],
    batches: Annotated[int, typer.Option(help="Batches that there are.", show_default=False)],
    capacity: Annotated[
        list[float], typer.Option(help="Cells that a batch takes; repeat it to give one for each.", show_default=False)
    ],
    standard_error: Annotated[float | None, typer.Option(help="Wanted for every effect, at least cost.")] = None,
    fold_change: Annotated[
        float | None, typer.Option(help="Change to be found with --power, instead of a standard error (natural log).")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Cost not to be exceeded, for the least standard error.")] = None,
    power: Annotated[float, typer.Option(help="Probability of finding the fold change.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Level of the two-sided test.")] = 0.05,
    cost_per_cell: Annotated[float, typer.Option(help="Cost of a cell.")] = 1.0,
    cost_per_batch: Annotated[float, typer.Option(help="Cost of a batch beside its cells.")] = 0.0,
    cell_sd: Annotated[float, typer.Option(help="Standard deviation between cells of one condition and batch.")] = 1.0,
    batch_sd: Annotated[float, typer.Option(help="Of batch effects; only least squares feel it.")] = 0.0,
    interaction_sd: Annotated[float, typer.Option(help="Of what cells of one edit in one batch share.")] = 0.0,
    guide_sd: Annotated[
        float, typer.Option(help="Between guides of one edit: what no number of cells takes off its effect.")
    ] = 0.0,
    guides_per_edit: Annotated[int, typer.Option(help="Guides of each edit, with --guide-sd.")] = 1,
    mean_count: Annotated[
        float | None,
        typer.Option(help="Expected count of the gene in a control cell, instead of --cell-sd (natural log)."),
    ] = None,
    dispersion: Annotated[float, typer.Option(help="Of counts between cells, with --mean-count.")] = 0.0,
    edits_per_batch: Annotated[int | None, typer.Option(help="Most edits in one batch.")] = None,
    min_cells: Annotated[int, typer.Option(help="Fewest cells of an edit in a batch.")] = 1,
    moi: Annotated[
        float | None,
        typer.Option(help="Multiplicity of infection: infected cells with one guide count, all are paid for."),
    ] = None,
    harvest: Annotated[
        list[float] | None,
        typer.Option(help="Hours of a harvest, with --fold-change and --half-life; repeatable: planned for the best."),
    ] = None,
    half_life: Annotated[float | None, typer.Option(help="Hours, of the gene's transcripts; with --harvest.")] = None,
    turnover: Annotated[float, typer.Option(help="Hours, time constant with which the edit sets in.")] = 0.0,
    loss: Annotated[float | None, typer.Option(help="Hours in which the number of edited cells halves.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", file_okay=False, help="Folder for design.tsv, design.png and design.toml.")
    ] = None,
) -> None:
    """Allocate cells to edits, controls and batches, for a standard error, a power, a budget or the room there is."""
    from semimech.design import FORMULA, Request, allocate, single_guide_share

    faults = []
    if not guide_sd >= 0:
        faults.append(f"--guide-sd must be 0 or more, got {guide_sd:g}")
    if guides_per_edit != 1 and guide_sd == 0:
        faults.append("--guides-per-edit needs --guide-sd: guides that are alike change nothing")
    raise_faults(ConfigError, "semimech design allocate", faults)
    response = _response(fold_change, harvest or [], half_life, turnover, loss)
    fold = fold_change or 1.0
    if response is not None:
        best = max(harvest or [], key=lambda hours: float(response.signal(np.array([hours]))[0]))
        standard_error = _error_for(float(np.exp(-response.signal(np.array([best]))[0])), standard_error, power, alpha)
        fold = float(np.exp(response.log_change(np.array([best]))[0]))
    elif fold_change is not None:
        standard_error = _error_for(fold_change, standard_error, power, alpha)
    known, edited, bend = _components(cell_sd, batch_sd, interaction_sd, mean_count, dispersion, fold)
    found = allocate(
        Request(
            edits=_names(edits),
            n_batches=batches,
            capacity=capacity[0] if len(capacity) == 1 else tuple(capacity),
            components=known,
            edited_cell=edited,
            edited_curvature=bend,
            standard_error=standard_error,
            budget=budget,
            cost_per_cell=cost_per_cell,
            cost_per_batch=cost_per_batch,
            edits_per_batch=edits_per_batch,
            min_cells=min_cells,
            usable_share=1.0 if moi is None else single_guide_share(moi),
            guide=guide_sd**2,
            guides_per_edit=guides_per_edit,
        )
    )
    summary = {
        "standard_error": found.standard_error,
        "standard_error_gls": float(found.variance.gls.max()) ** 0.5,
        "standard_error_of_guides": found.request.guide_variance**0.5,
        "cost": found.cost,
        "rounding_loss": found.rounding_loss,
        "variance_of_equal_allocation": found.versus_equal,
        "formula": FORMULA,
    }
    if out is not None:
        from semimech.report.plots import plot_layout

        write_table(found.table, out / "design.tsv")
        write_png(plot_layout(found.layout, title="Allocation"), out / "design.png")
        write_toml(summary, out / "design.toml")
    if response is not None:
        _tell_harvests(response, harvest or [], found.standard_error, power, alpha, out)
    found.batches.to_csv(sys.stdout, sep="\t", index=False)
    typer.echo(
        f"standard error {found.standard_error:.4g} (least squares {summary['standard_error_gls']:.4g}; "
        f"guides alone {summary['standard_error_of_guides']:.4g}), cost {found.cost:,.6g}\n"
        f"whole cells cost {100 * found.rounding_loss:.2g} % of the variance that cells make; equal shares would have "
        f"{found.versus_equal:.3g} times the variance\n{FORMULA}",
        err=True,
    )


def _error_for(fold_change: float, standard_error: float | None, power: float, alpha: float) -> float:
    from math import log

    from semimech.design import wanted_standard_error

    faults = []
    if standard_error is not None:
        faults.append("--fold-change and --standard-error both say how exact effects shall be: leave one of them out")
    if not fold_change > 0:
        faults.append(f"--fold-change must be above 0, got {fold_change:g}: a fall to a half is 0.5")
    raise_faults(ConfigError, "semimech design allocate", faults)
    return wanted_standard_error(log(fold_change), power=power, alpha=alpha)


def _response(
    fold_change: float | None, harvest: list[float], half_life: float | None, turnover: float, loss: float | None
) -> Response | None:
    """How a gene answers, where harvests are asked for."""
    from semimech.design import Response

    faults = []
    if harvest and (fold_change is None or half_life is None):
        faults.append("--harvest needs --fold-change (of settled cells) and --half-life")
    if not harvest and (half_life is not None or turnover or loss is not None):
        faults.append("--half-life, --turnover and --loss say what a harvest tells: give one or more with --harvest")
    if any(not hours > 0 for hours in harvest):
        faults.append("--harvest must be above 0 hours: nothing has happened before")
    raise_faults(ConfigError, "semimech design allocate", faults)
    if not harvest or fold_change is None or half_life is None:
        return None
    return Response(
        fold_change=fold_change,
        half_life_hours=half_life,
        turnover_hours=turnover,
        loss_hours=np.inf if loss is None else loss,
    )


def _tell_harvests(
    response: Response, harvest: list[float], error: float, power: float, alpha: float, out: Path | None
) -> None:
    """What each harvest tells, and from when to when there is power enough."""
    from semimech.design import best_harvest, half_life_harvests, harvest_table, harvest_window

    table = harvest_table(response, sorted(harvest), standard_error=error, alpha=alpha)
    if out is not None:
        write_table(table, out / "harvests.tsv")
    for row in table.itertuples(index=False):
        typer.echo(
            f"harvest at {row.hours:g} h: {row.share:.0%} of the change, found with power {row.power:.2f}", err=True
        )
    first, last = harvest_window(response, standard_error=error, power=power, alpha=alpha)
    window = f"from {first:.3g} h on" if np.isinf(last) else f"from {first:.3g} to {last:.3g} h"
    said = [f"power {power:g} {'at no harvest' if np.isnan(first) else window}"]
    if np.isfinite(best := best_harvest(response)):
        said.append(f"best at {best:.3g} h: later, lost cells cost more than the change gains")
    elif not response.turnover_hours and len(harvest) > 1:
        early, late = half_life_harvests(response, max(harvest))
        said.append(
            f"to tell the half-life too, on the linear scale with equal errors, harvest at {early:.3g} h and {late:g} h"
        )
    typer.echo("; ".join(said), err=True)


def _components(
    cell_sd: float, batch_sd: float, interaction_sd: float, mean_count: float | None, dispersion: float, fold: float
) -> tuple[Components, float | None, float | None]:
    """Variances of controls, and variance and curvature of edited cells where the change of a count makes them others."""
    from semimech.design import Components, log_count_curvature, log_count_variance

    shared = {"batch": batch_sd**2, "interaction": interaction_sd**2}
    if mean_count is None:
        return Components(cell=cell_sd**2, **shared), None, None
    (cell, curvature), (edited, bend) = (
        (log_count_variance(mean, dispersion=dispersion), log_count_curvature(mean, dispersion=dispersion))
        for mean in (mean_count, mean_count * fold)
    )
    return Components(cell=cell, curvature=curvature, **shared), edited, bend


def _names(edits: str) -> tuple[str, ...]:
    if edits.isdigit():
        return tuple(f"edit {number + 1}" for number in range(int(edits)))
    try:
        lines = Path(edits).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--edits {edits}: neither a number nor a readable text file with one name per line"
        ) from error
    return tuple(line.strip() for line in lines if line.strip())
