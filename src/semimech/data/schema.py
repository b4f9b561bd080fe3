"""Every AnnData field that is read or written, in one table, with its aliases and its check."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from semimech.data.findings import CheckFinding, counted, failed, listed, suggestion
from semimech.experiment import Compound


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an AnnData object.

    Parameters
    ----------
    place
        Where it stands: ``"X"``, ``"layers"``, ``"obs"`` or ``"var"``.
    name
        Name under which we write it, and the first under which we look for it.
    use
        Whether it is read, written or both.
    meaning
        What it holds, with its unit.
    aliases
        Other names under which it is recognised, in order of preference; case and punctuation do not matter.
    check
        Function from the values to a description of their fault, empty if there is none.
    """

    place: Literal["X", "layers", "obs", "var"]
    name: str
    use: Literal["read", "written", "both"]
    meaning: str
    aliases: tuple[str, ...] = ()
    check: Callable[[Any], str] = lambda values: ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names, preferred first."""
        return (self.name, *self.aliases)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """How the columns of one file are to be read; see `semimech.data.read.read` for each of them."""

    perturbation_key: str | None = None
    control: str | None = None
    time_key: str | None = None
    time_unit: str | None = None
    batch_key: str | None = None
    medium_key: str | None = None
    edit_kind: str = "knockout"
    maintenance_medium: str | None = None
    differentiating: bool = False
    environment: str = "in-vitro"
    start: str | None = None
    experiments: str | Path | None = None
    min_cells: int | None = None
    compounds: str | Path | tuple[Compound, ...] = ()


def missing_values(column: pd.Series) -> str:
    """Describe missing or empty values of a column."""
    codes, values = pd.factorize(column)
    is_blank = np.array([str(value).strip() == "" for value in values] + [True])
    missing = pd.Series(is_blank[codes], index=column.index)
    if not missing.any():
        return ""
    rows = column.index[missing.to_numpy()]
    return f"no value in obs[{column.name!r}] of {counted(len(rows), 'cell')} ({listed(rows, limit=3)})"


def unusable_values(values: np.ndarray) -> str:
    """Describe NaN, infinite and negative values of a matrix, given its stored values."""
    n_bad = int((~np.isfinite(values)).sum())
    n_negative = int((values < 0).sum())
    found = [f"{counted(n_bad, 'NaN or infinite value')}"] if n_bad else []
    found += [f"{counted(n_negative, 'negative value')}"] if n_negative else []
    return " and ".join(found)


FIELDS: tuple[Field, ...] = (
    Field(
        place="X",
        name="X",
        use="both",
        meaning="counts, or log1p of normalised counts; in predictions the mean over cells in the same scale",
        check=unusable_values,
    ),
    Field(
        place="layers",
        name="counts",
        use="both",
        meaning="raw counts",
        aliases=("raw_counts", "count", "umi", "umis", "raw"),
        check=unusable_values,
    ),
    Field(place="layers", name="lower", use="written", meaning="lower end of the 90 % interval of a prediction"),
    Field(place="layers", name="upper", use="written", meaning="upper end of the 90 % interval of a prediction"),
    Field(
        place="obs",
        name="perturbation",
        use="both",
        meaning="edited gene; combinations as A+B (A+ctrl is A, the order does not matter); a control label otherwise",
        aliases=(
            *(
                "perturbations",
                "pert",
                "perturbed_gene",
                "condition",
                "gene_target",
                "target_gene",
                "target",
                "targets",
            ),
            *("guide_target", "sgrna_target", "grna_target", "gene", "genes", "ko", "knockout", "kd", "knockdown"),
            *("edit", "edits", "treatment", "drug", "compound"),
        ),
        check=missing_values,
    ),
    Field(
        place="obs",
        name="guide",
        use="read",
        meaning="guide of each cell, empty where it has none; read as the perturbation where no other column is",
        aliases=("guide_identity", "guides", "guide_id", "sgrna", "grna", "sgrna_id", "grna_id"),
    ),
    Field(
        place="obs",
        name="hours",
        use="both",
        meaning="time between the edit and the harvest: a number, or a number with its unit (day3, 72h)",
        aliases=(
            *("time", "timepoint", "time_point", "day", "days", "hour", "hrs", "hr", "hpi", "hpt", "dpi", "dpt"),
            *("time_hours", "time_h", "hours_post_edit", "time_days", "time_d", "days_post_edit", "harvest_day"),
            *("collection_day", "minutes", "weeks", "week", "t"),
        ),
        check=missing_values,
    ),
    Field(
        place="obs",
        name="batch",
        use="read",
        meaning="technical group of cells: lane, library or replicate",
        aliases=(
            *("batches", "gem_group", "gem", "lane", "library", "library_id", "bio_rep", "biorep", "replicate", "rep"),
            *("plate", "experiment_batch", "batch_id"),
        ),
        check=missing_values,
    ),
    Field(
        place="obs",
        name="medium",
        use="both",
        meaning="culture medium or niche in which the cells were from the edit to the harvest",
        aliases=("media", "culture_medium", "growth_medium", "niche", "stimulation", "ligand"),
        check=missing_values,
    ),
    Field(
        place="obs",
        name="cell_type",
        use="read",
        meaning="name of the cell system, where it is the same for all cells",
        aliases=("cell_line", "celltype", "cellline", "system"),
    ),
    Field(
        place="obs",
        name="dose_value",
        use="read",
        meaning="dose of a compound of compounds.tsv: a number of µM, or a number with its unit (500nM)",
        aliases=("dose", "concentration"),
    ),
    Field(
        place="obs",
        name="experiment",
        use="both",
        meaning="id of the experiment in experiments.tsv",
        check=missing_values,
    ),
    Field(
        place="obs", name="harvest", use="both", meaning="label of the harvest in that experiment", check=missing_values
    ),
    Field(
        place="var",
        name="gene",
        use="read",
        meaning="gene symbols, used where edits are named by symbol while var_names are identifiers",
        aliases=("gene_symbol", "gene_symbols", "symbol", "gene_name", "gene_names", "feature_name"),
    ),
)


def field(place: str, name: str) -> Field:
    """The field of that name.

    Raises
    ------
    ValueError
        If the table has no such field.
    """
    for row in FIELDS:
        if (row.place, row.name) == (place, name):
            return row
    raise ValueError(f"no field {name!r} in {place}; known: {listed(f.name for f in FIELDS if f.place == place)}")


def plain(name: str) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def recognise(row: Field, names: list[str]) -> str | None:
    """The one of ``names`` that a field is known by, preferred names first."""
    by_plain = {plain(name): name for name in reversed(names)}
    return next((by_plain[plain(alias)] for alias in row.names if plain(alias) in by_plain), None)


def find_column(
    obs: pd.DataFrame, name: str, key: str | None, *, argument: str
) -> tuple[str | None, tuple[CheckFinding, ...]]:
    """Find the column of a field, by key or by its aliases.

    Parameters
    ----------
    obs
        Annotation of the cells.
    name
        Name of the field.
    key
        Column named by the user, or ``None`` to look for the aliases.
    argument
        Name of the argument that holds ``key``, for messages.

    Returns
    -------
    tuple
        The column, ``None`` if there is none, and the faults found.
    """
    row = field("obs", name)
    columns = [str(column) for column in obs.columns]
    if key is not None and key not in columns:
        mend = f"{suggestion(key, columns)}obs has: {listed(columns, limit=15) or 'no columns'}"
        return None, (failed(f"{name} column", f"{argument}={key!r} is not a column of obs", mend=mend),)
    column = key if key is not None else recognise(row, columns)
    if column is None and name == "perturbation":
        column = recognise(field("obs", "guide"), columns)
    if column is None:
        return None, ()
    if columns.count(column) > 1:
        mend = "rename or remove one of them"
        return None, (failed(f"{name} column", f"obs has {columns.count(column)} columns {column!r}", mend=mend),)
    fault = row.check(obs[column])
    if fault:
        mend = f"remove these cells or fill in the column (adata = adata[adata.obs[{column!r}].notna()])"
        return column, (failed(f"{name} column", fault, mend=mend),)
    return column, ()
