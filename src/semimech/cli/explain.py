"""The command that traces a predicted change back to what was done."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def explain(
    folder: Annotated[Path, typer.Argument(help="Folder of a fitted model, or of a run.", show_default=False)],
    protocol: Annotated[
        str, typer.Argument(help='Protocol, as "edit GATA1 knockout > wait 72h > harvest".', show_default=False)
    ],
    gene: Annotated[str, typer.Option(help="Gene whose change is explained.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", file_okay=False, help="Folder for explanation.tsv and explanation.svg.")
    ] = None,
    max_edges: Annotated[int, typer.Option(min=1, help="Edges of the longest path that is followed.")] = 4,
    paths: Annotated[int, typer.Option(min=1, help="Paths to list.")] = 12,
) -> None:
    """Explain the predicted change of a gene: the paths that carry it, summing to the prediction."""
    from semimech._files import replacing
    from semimech.fit import load
    from semimech.interpret import explain
    from semimech.pipeline import model_folder
    from semimech.report.plots import plot_explanation, svg

    found = explain(load(model_folder(folder)), protocol, gene, max_edges=max_edges, n_paths=paths)
    if out is not None:
        with replacing(out / "explanation.tsv") as temporary:
            found.table.to_csv(temporary, sep="\t", index=False)
        with replacing(out / "explanation.svg") as temporary:
            temporary.write_text(svg(plot_explanation(found)), encoding="utf-8")
    found.table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    typer.echo(f"{gene} {found.control:.4g} -> {found.predicted:.4g}, change {found.change:.4g}", err=True)
