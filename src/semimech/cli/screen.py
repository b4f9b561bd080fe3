"""The command that screens edits in silico."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semimech._errors import ConfigError
from semimech.cli.display import Display


def screen(
    folder: Annotated[Path, typer.Argument(help="Folder of a fitted model, or of a run.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="File to write (.h5ad or .zarr).", show_default=False)],
    gene: Annotated[
        list[str] | None, typer.Option(help="Gene to edit; repeatable. By default every regulator of the model.")
    ] = None,
    kind: Annotated[str, typer.Option(help="What the edits are: knockout, crispri, crispra or drug.")] = "knockout",
    hours: Annotated[
        list[float] | None, typer.Option(help="Time of harvest; repeatable. By default once the cells are settled.")
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of single edits, so many pairs that are expected not to add up."),
    ] = None,
    singles: Annotated[
        Path | None, typer.Option(help="The screen of single edits that the pairs are chosen from.")
    ] = None,
) -> None:
    """Predict all single edits, or the pairs most worth a look; an interrupted screen goes on where it stopped."""
    from semimech.data.files import open_anndata
    from semimech.design import edit_experiments, in_silico_screen, shortlist_pairs
    from semimech.experiment import EDIT_KINDS
    from semimech.pipeline import load_model

    if (pairs is None) != (singles is None):
        raise ConfigError("--pairs N and --singles FILE go together: pairs are chosen from a screen of single edits")
    if pairs is not None and gene:
        raise ConfigError("--gene is for single edits; the pairs are of the genes in --singles")
    if kind not in EDIT_KINDS:
        raise ConfigError(f"--kind {kind}: no kind of edit; write one of {', '.join(EDIT_KINDS)}")
    model = load_model(folder)
    edits: list[tuple[str, ...]]
    if pairs is None or singles is None:
        edits = [(name,) for name in gene or model.roster.regulators]
    else:
        edits = list(shortlist_pairs(open_anndata(singles), pairs))
    asked = edit_experiments(edits, kind=kind, hours=hours or ())  # type: ignore[arg-type]
    with Display() as display:
        in_silico_screen(model, asked, out, progress=display.experiments)
    typer.echo(f"{out}\t{len(asked)} experiments\t{len(model.genes)} genes")
