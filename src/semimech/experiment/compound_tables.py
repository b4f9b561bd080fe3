"""Compounds as a table, one row per compound, and back without loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from semimech._errors import ExperimentError, raise_faults
from semimech._files import replacing
from semimech.experiment.compounds import Compound
from semimech.experiment.steps import CONCENTRATION_UNITS
from semimech.experiment.tables import read_text

COMPOUND_COLUMNS = ("compound", "targets", "ic50", "unit", "hill")
_NEEDED = COMPOUND_COLUMNS[:3]


def compounds_to_table(compounds: Iterable[Compound]) -> pd.DataFrame:
    """Write compounds as a table of strings with the columns of ``compounds.tsv``, concentrations in µM."""
    rows = [(c.name, "+".join(c.targets), repr(float(c.ic50)), "uM", repr(float(c.hill))) for c in compounds]
    return pd.DataFrame(rows, columns=list(COMPOUND_COLUMNS))


def compounds_from_table(table: pd.DataFrame, *, source: str = "compounds table") -> tuple[Compound, ...]:
    """Read compounds from a table with one row per compound.

    Parameters
    ----------
    table
        Columns ``compound``, ``targets`` (genes joined by ``+``), ``ic50`` and, if need be, its ``unit`` (``uM`` if
        empty, ``nM`` or ``mM``) and ``hill`` (1 if empty).
    source
        Name of the table in messages.

    Raises
    ------
    ExperimentError
        Listing every row that cannot be read.
    """
    faults = [f"unknown column {c!r}; known: {', '.join(COMPOUND_COLUMNS)}" for c in table if c not in COMPOUND_COLUMNS]
    faults += [f"column {c!r} is missing" for c in _NEEDED if c not in table.columns]
    faults += [] if len(table) else ["no row: write one row per compound"]
    raise_faults(ExperimentError, source, faults)
    table = table.reindex(columns=list(COMPOUND_COLUMNS)).astype(object)
    table = table.where(table.notna(), "").astype(str).apply(lambda column: column.str.strip())
    found: dict[str, Compound] = {}
    for number, row in enumerate(table.to_dict("records"), 1):
        name = row["compound"]
        if name in found:
            faults.append(f"row {number}: compound {name!r} stands twice: keep one row of each, with all its targets")
            continue
        numbers = {column: _number(row[column]) for column in ("ic50", "hill")}
        if not row["hill"]:
            numbers["hill"] = 1.0
        unreadable = [f"{c} must be a number, got {row[c]!r}" for c, value in numbers.items() if math.isnan(value)]
        if row["unit"] not in ("", *CONCENTRATION_UNITS):
            unreadable.append(f"unit must be uM, nM or mM, got {row['unit']!r}")
        if unreadable:
            faults.append(f"row {number}, compound {name!r}: {'; '.join(unreadable)}")
            continue
        try:
            found[name] = Compound(
                name=name,
                targets=tuple(part.strip() for part in row["targets"].split("+")) if row["targets"] else (),
                ic50=numbers["ic50"] * CONCENTRATION_UNITS[row["unit"] or "uM"],
                hill=numbers["hill"],
            )
        except ExperimentError as error:
            faults.append(f"row {number}: {error}")
    raise_faults(ExperimentError, source, faults)
    return tuple(found.values())


def write_compounds(compounds: Iterable[Compound], path: str | Path) -> None:
    """Write ``compounds.tsv``, whole or not at all.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """
    with replacing(path) as temporary:
        compounds_to_table(compounds).to_csv(temporary, sep="\t", index=False)


def read_compounds(path: str | Path) -> tuple[Compound, ...]:
    """Read ``compounds.tsv``.

    Raises
    ------
    ExperimentError
        If the file is missing or any of its rows cannot be read.
    """
    return compounds_from_table(read_text(path), source=str(path))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
