"""The command on counts of guides: founders of each sample, and effects of genes on abundance."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from semimech.abundance import AbundanceScreen, Survivors


def abundance(
    counts: Annotated[
        Path,
        typer.Argument(
            help="Table of guide counts (MAGeCK's: sgRNA, gene, samples) or of barcodes.", show_default=False
        ),
    ],
    samples: Annotated[
        Path,
        typer.Option(
            help="Sample sheet: sample, role (reference or sample), hours, animal, tissue.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", file_okay=False, help="Folder for genes.tsv, guides.tsv, founders.tsv and report.html."),
    ] = None,
    neutral: Annotated[
        list[str] | None,
        typer.Option(
            help="Gene label of non-targeting guides; repeatable. 'all' if most guides do nothing: all calibrate, every gene is tested.",
            metavar="GENE",
        ),
    ] = None,
    min_reads: Annotated[int, typer.Option(min=1, help="Leave out guides with fewer reads in the reference.")] = 10,
    level: Annotated[float, typer.Option(help="Coverage of intervals.")] = 0.9,
    cells: Annotated[
        Path | None,
        typer.Option(
            help="Single cells of the same edits (.h5ad): their effects on expression, freed of survivor bias, as expression.tsv."
        ),
    ] = None,
    relaxation_hours: Annotated[
        float, typer.Option(min=0.0, help="How long a cell and its daughters keep their state; by default for good.")
    ] = math.inf,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws behind intervals of expression.")] = 0,
) -> None:
    """Tell selection from drift in counts of guides: founders of each sample, and what each gene does to abundance."""
    from semimech._errors import ConfigError
    from semimech._files import replacing
    from semimech.abundance import analyse_abundance, read_guide_counts

    if cells is not None and out is None:
        raise ConfigError("--cells writes expression.tsv: say where with --out")
    data = read_guide_counts(counts, samples, neutral=tuple(neutral or ()))
    found = analyse_abundance(data, min_reads=min_reads, level=level)
    tables = {"genes": found.genes, "guides": found.guides, "founders": found.founders}
    survivors = None
    if cells is not None:
        survivors = _correct(found, cells, relaxation_hours, level, seed)
        tables |= {"expression": survivors.table(), "growth": survivors.growth_table(), "weights": survivors.weights()}
    if out is not None:
        from semimech.report.abundance import write_abundance

        for name, table in tables.items():
            with replacing(out / f"{name}.tsv") as temporary:
                table.to_csv(temporary, sep="\t", index=False, float_format="%.5g")
        write_abundance(found, out / "report.html", title=f"Abundance: {counts.name}", survivors=survivors)
    shown = found.genes if len(found.genes) else found.founders
    shown.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    for row in found.founders.to_dict("records"):
        typer.echo(
            f"{row['sample']}: {row['founders']:.3g} effective founders ({row['lower']:.3g} to {row['upper']:.3g}), "
            f"dispersion beside them {row['dispersion']:.2g} (p {row['spread_p']:.2g})",
            err=True,
        )
    if left_out := found.left_out_in_words():
        typer.echo(left_out, err=True)
    typer.echo(
        f"{int((found.genes['fdr'] <= 0.05).sum())} of {len(found.genes)} genes at 5 % FDR; effects in {found.unit}",
        err=True,
    )


def _correct(found: AbundanceScreen, cells: Path, relaxation_hours: float, level: float, seed: int) -> Survivors:
    import jax

    from semimech.abundance import correct_expression
    from semimech.data import read

    key = jax.random.key(seed)
    data = read(cells, environment="in-vivo")
    survivors = correct_expression(data, found, relaxation_hours=relaxation_hours, level=level, key=key)
    typer.echo(
        f"{cells.name}: growth follows the expression of {len(survivors.edits)} edits with probability {survivors.credence:.2g}; "
        f"it explains {max(survivors.explained, 0.0):.0%} of what the abundances of edits left out differ by",
        err=True,
    )
    return survivors
