"""The command that compares two orders of two protocols."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def order(
    folder: Annotated[Path, typer.Argument(help="Folder of a fitted model, or of a run.", show_default=False)],
    first: Annotated[str, typer.Option(help='Steps, as "edit GATA1 > wait 48h".', show_default=False)],
    second: Annotated[str, typer.Option(help='Steps, as "medium EPO > wait 48h".', show_default=False)],
    then: Annotated[str, typer.Option(help="What is done after both.")] = "wait 0h",
) -> None:
    """Predict two protocols in either order, and by how much the order matters for each gene."""
    from semimech.fit import load, order_effect
    from semimech.pipeline import model_folder

    effect = order_effect(load(model_folder(folder)), first, second, then=then)
    effect.table.to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")
    typer.echo(f"size {effect.size:.4g}, standard error {effect.standard_error:.4g}", err=True)
