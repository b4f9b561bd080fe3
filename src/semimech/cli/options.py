"""Options that several commands share, each with the help that the user sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from semimech.pipeline import Source

Data: TypeAlias = Annotated[Path, typer.Argument(help="AnnData file (.h5ad or .zarr).", show_default=False)]
Out: TypeAlias = Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for results.", show_default=False)]
PerturbationKey: TypeAlias = Annotated[
    str | None, typer.Option(help="Column of obs that names the edited genes; combinations as A+B.")
]
Control: TypeAlias = Annotated[str | None, typer.Option(help="Label of unedited cells.")]
TimeKey: TypeAlias = Annotated[str | None, typer.Option(help="Column of obs with the time of harvest.")]
TimeUnit: TypeAlias = Annotated[str | None, typer.Option(help="Unit of that column: hours or days.")]
BatchKey: TypeAlias = Annotated[str | None, typer.Option(help="Column of obs with the batch.")]
MediumKey: TypeAlias = Annotated[str | None, typer.Option(help="Column of obs with the culture medium.")]
MaintenanceMedium: TypeAlias = Annotated[str | None, typer.Option(help="Name of the medium in which cells are kept.")]
EditKind: TypeAlias = Annotated[str, typer.Option(help="Kind of the edits: knockout, crispri, crispra or drug.")]
Differentiating: TypeAlias = Annotated[
    bool, typer.Option("--differentiating", help="Unedited cells change with time: no steady-state loss.")
]
Environment: TypeAlias = Annotated[
    str | None,
    typer.Option(help="in-vitro (the default), or in-vivo: in a host since time 0, so no steady-state loss."),
]
Start: TypeAlias = Annotated[
    str | None,
    typer.Option(help="How unedited cells start: settled, observed (those of time 0) or learned.", show_default=False),
]
MinCells: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Leave out conditions of fewer cells.")]
Experiments: TypeAlias = Annotated[
    Path | None, typer.Option(help="experiments.tsv that obs['experiment'] and obs['harvest'] refer to.")
]
Compounds: TypeAlias = Annotated[
    Path | None, typer.Option(help="compounds.tsv: what the compounds act on that were dosed, see the manual.")
]
Settings: TypeAlias = Annotated[Path | None, typer.Option("--config", help="Settings of the fit (TOML).")]
Prior: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        help="Table of known regulation (columns source, target, sign; CollecTRI, DoRothEA, TRRUST); repeatable."
    ),
]
PriorUse: TypeAlias = Annotated[
    str, typer.Option(help="soft: edges outside the table are dearer; mask: they are forbidden.")
]
Complexes: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(help="Table of complexes or pathways (columns complex, gene; or CORUM's); repeatable."),
]
Embedding: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(help="Table of vectors of genes: the gene, then a column per dimension; repeatable."),
]
Guides: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Counts of the guides of the same edits (as of semimech abundance): cells that are not edited are told by them and left out.",
        show_default=False,
    ),
]
Samples: TypeAlias = Annotated[
    Path | None, typer.Option(help="Sample sheet of --guides: sample, role, hours.", show_default=False)
]
Editing: TypeAlias = Annotated[
    float, typer.Option(help="With --guides: share of the cells with a guide that it edits.")
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Seed of all randomness; that of the settings if not given.")
]
Folds: TypeAlias = Annotated[int, typer.Option(min=2, help="Folds of held-out edits.")]
Seeds: TypeAlias = Annotated[int, typer.Option(min=1, help="Repetitions with other folds and starts.")]
Neural: TypeAlias = Annotated[bool, typer.Option("--neural", help="Score a Neural ODE too.")]
Scheduler: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A Dask cluster to work on, whose workers see the same files (a large file is streamed there).",
        show_default=False,
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, help="Processes of this machine to work in, of one core each.", show_default=False),
]
Resume: TypeAlias = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")]

READING = (
    *("perturbation_key", "control", "time_key", "time_unit", "batch_key", "medium_key", "maintenance_medium"),
    *("edit_kind", "differentiating", "environment", "start", "min_cells", "experiments", "compounds"),
)
"""Options that say how to read a data file: the arguments of `semimech.read`."""


def reading_keys(options: dict[str, Any]) -> dict[str, Any]:
    """Those options of a command that say how to read its data, as far as they were given."""
    return {name: options[name] for name in READING if options[name] is not None and options[name] is not False}


def source_of(data: Path, options: dict[str, Any]) -> Source:
    """What a command starts from, by its options."""
    from semimech.pipeline import Source

    counted = {name: options[name] for name in ("guides", "samples", "editing") if name in options}
    return Source(
        path=data,
        keys=reading_keys(options),
        prior=tuple(options["prior"] or ()),
        complexes=tuple(options["complexes"] or ()),
        embeddings=tuple(options["embedding"] or ()),
        prior_use=options["prior_use"],
        **counted,
    )
