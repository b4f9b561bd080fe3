"""The command that predicts protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semimech._errors import ExperimentError


def predict(
    folder: Annotated[Path, typer.Argument(help="Folder of a fitted model, or of a run.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="File to write (.h5ad).", show_default=False)],
    query: Annotated[
        list[str] | None, typer.Option(help='Protocol, as "edit GATA1 knockout > wait 120h > harvest"; repeatable.')
    ] = None,
    experiments: Annotated[Path | None, typer.Option(help="experiments.tsv with the protocols.")] = None,
    compounds: Annotated[
        Path | None, typer.Option(help="compounds.tsv: compounds that the training data did not dose.")
    ] = None,
) -> None:
    """Predict protocols: one row per harvest, in the order asked."""
    from semimech._h5ad import write_h5ad
    from semimech.experiment import parse_experiment, read_compounds, read_experiments
    from semimech.pipeline import load_model

    if not query and experiments is None:
        raise ExperimentError("nothing asked: give --query or --experiments")
    asked = [parse_experiment(text) for text in query or []]
    asked += read_experiments(experiments) if experiments is not None else []
    model = load_model(folder, compounds=read_compounds(compounds) if compounds is not None else ())
    prediction = model.predict(asked)
    write_h5ad(prediction, out)
    typer.echo(f"{out}\t{prediction.n_obs} harvests\t{prediction.n_vars} genes")
