"""Experiments as a long table, one row per step, and back without loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pandas as pd

from semimech._errors import ExperimentError, raise_faults
from semimech._files import replacing
from semimech.experiment.experiment import Experiment
from semimech.experiment.steps import (
    CONCENTRATION_UNITS,
    EDIT_KINDS,
    Dose,
    Edit,
    EditKind,
    Harvest,
    Passage,
    SetMedia,
    Step,
    Transplant,
    Wait,
)

COLUMNS = ("experiment", "step", "kind", "target", "value", "unit", "hours", "label")
DELAY_COLUMNS = ("onset_hours", "turnover_hours")

_KNOWN = (*COLUMNS, *DELAY_COLUMNS)
_USED: dict[str, tuple[str, ...]] = dict.fromkeys(EDIT_KINDS, ("target", "value", "unit", *DELAY_COLUMNS)) | {
    "dose": ("target", "value", "unit"),
    "medium": ("target",),
    "wait": ("hours",),
    "passage": ("value", "unit"),
    "transplant": ("target", "value", "unit"),
    "harvest": ("label", "value", "unit"),
}


def experiments_to_table(experiments: Iterable[Experiment]) -> pd.DataFrame:
    """Write experiments as a table of strings with the columns of ``experiments.tsv``.

    The columns of delays stand there only where an edit has one.
    """
    rows = []
    for experiment in experiments:
        for number, step in enumerate(experiment.steps, 1):
            row = dict.fromkeys(_KNOWN, "") | {"experiment": experiment.id, "step": str(number)}
            rows.append(row | _cells(step))
    delays = [column for column in DELAY_COLUMNS if any(row[column] for row in rows)]
    return pd.DataFrame(rows, columns=[*COLUMNS, *delays])


def experiments_from_table(table: pd.DataFrame, *, source: str = "experiments table") -> tuple[Experiment, ...]:
    """Read experiments from a table with one row per step.

    Parameters
    ----------
    table
        Columns ``experiment, step, kind, target, value, unit, hours, label`` and, if an edit is delayed, ``onset_hours,
        turnover_hours``; rows of one experiment in the order of ``step``.
    source
        Name of the table in messages.

    Raises
    ------
    ExperimentError
        Listing every row that cannot be read and every experiment that cannot be carried out.
    """
    faults = [f"unknown column {c!r}; known: {', '.join(_KNOWN)}" for c in table.columns if c not in _KNOWN]
    faults += [f"column {c!r} is missing" for c in ("experiment", "step", "kind") if c not in table.columns]
    faults += [] if len(table) else ["no row: write one row per step"]
    raise_faults(ExperimentError, source, faults)
    table = table.reindex(columns=list(_KNOWN)).astype(object)
    table = table.where(table.notna(), "").astype(str)
    experiments = []
    for id, rows in table.groupby("experiment", sort=False):
        steps, found = _steps(str(id), rows)
        faults += found
        if not found:
            try:
                experiments.append(Experiment(id=str(id), steps=steps))
            except ExperimentError as error:
                faults.append(str(error))
    raise_faults(ExperimentError, source, faults)
    return tuple(experiments)


def write_experiments(experiments: Iterable[Experiment], path: str | Path) -> None:
    """Write ``experiments.tsv``, whole or not at all.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """
    with replacing(path) as temporary:
        experiments_to_table(experiments).to_csv(temporary, sep="\t", index=False)


def read_experiments(path: str | Path) -> tuple[Experiment, ...]:
    """Read ``experiments.tsv``.

    Raises
    ------
    ExperimentError
        If the file is missing or any of its rows cannot be read.
    """
    return experiments_from_table(read_text(path), source=str(path))


def read_text(path: str | Path) -> pd.DataFrame:
    """A tab-separated table with its cells as they are written.

    Raises
    ------
    ExperimentError
        If the file is missing or is no such table.
    """
    try:
        return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{path}: cannot be read as a tab-separated table ({error})") from None


def _cells(step: Step) -> dict[str, str]:
    """The cells of a row that a step fills."""
    match step:
        case Edit(gene=gene, kind=kind, efficacy=efficacy):
            delays = {column: repr(float(getattr(step, column))) for column in DELAY_COLUMNS if getattr(step, column)}
            return {"kind": kind, "target": gene, "value": repr(float(efficacy)), "unit": "fraction"} | delays
        case Dose(compound=compound, concentration=concentration):
            return {"kind": "dose", "target": compound, "value": repr(float(concentration)), "unit": "uM"}
        case SetMedia(name=name):
            return {"kind": "medium", "target": name}
        case Wait(hours=hours):
            return {"kind": "wait", "hours": "settled" if math.isinf(hours) else repr(float(hours))}
        case Passage(fraction=fraction):
            return {"kind": "passage", "value": repr(float(fraction)), "unit": "fraction"}
        case Transplant(founders=founders, niche=niche):
            return {"kind": "transplant", "target": niche, "value": str(founders), "unit": "cells"}
        case Harvest(label=label, cells=None):
            return {"kind": "harvest", "label": label}
        case Harvest(label=label, cells=cells):
            return {"kind": "harvest", "label": label, "value": str(cells), "unit": "cells"}


def _steps(id: str, rows: pd.DataFrame) -> tuple[tuple[Step, ...], list[str]]:
    """The steps of one experiment by number, and what is wrong with its rows."""
    steps: dict[float, Step] = {}
    faults = []
    for _, row in rows.iterrows():
        try:
            number = _number(row["step"], "step")
            if number in steps:
                raise ExperimentError("the number stands twice: number the steps 1, 2, 3 … in their order")
            steps[number] = _step(row)
        except ExperimentError as error:
            faults.append(f"experiment {id!r}, step {row['step'] or '(none)'}: {error}")
    return tuple(steps[number] for number in sorted(steps)), faults


def _step(row: pd.Series) -> Step:
    kind = row["kind"]
    if kind not in _USED:
        raise ExperimentError(f"unknown kind {kind!r}; known: {', '.join(_USED)}")
    for column in _KNOWN[3:]:
        if row[column] and column not in _USED[kind]:
            mend = "add a row of kind 'wait' before it" if column == "hours" else "leave the cell empty"
            raise ExperimentError(f"a row of kind {kind!r} has no {column}, got {row[column]!r}: {mend}")
    match kind:
        case "dose":
            unit = _unit(row, *CONCENTRATION_UNITS)
            concentration = _number(row["value"], "value") * CONCENTRATION_UNITS[unit]
            return Dose(compound=row["target"], concentration=concentration)
        case "medium":
            return SetMedia(name=row["target"])
        case "wait":
            return Wait(hours=math.inf if row["hours"] == "settled" else _number(row["hours"], "hours"))
        case "passage":
            _unit(row, "fraction")
            return Passage(fraction=_number(row["value"], "value"))
        case "transplant":
            return Transplant(founders=_count(row), niche=row["target"])
        case "harvest":
            return Harvest(label=row["label"] or "harvest", cells=_count(row) if row["value"] else None)
    _unit(row, "fraction")
    efficacy = _number(row["value"], "value") if row["value"] else 1.0
    onset, turnover = (_number(row[column], column) if row[column] else 0.0 for column in DELAY_COLUMNS)
    return Edit(
        gene=row["target"], kind=cast(EditKind, kind), efficacy=efficacy, onset_hours=onset, turnover_hours=turnover
    )


def _unit(row: pd.Series, *known: str) -> str:
    """The unit of a value; the first one known if the cell is empty."""
    if row["unit"] not in ("", *known):
        kind = "an edit" if row["kind"] in EDIT_KINDS else f"a {row['kind']}"
        raise ExperimentError(f"the unit of {kind}'s value is {' or '.join(map(repr, known))}, got {row['unit']!r}")
    return row["unit"] or known[0]


def _count(row: pd.Series) -> int:
    _unit(row, "cells")
    number = _number(row["value"], "value")
    if not number.is_integer():
        raise ExperimentError(f"value must be a whole number of cells, got {row['value']!r}")
    return int(row["value"]) if row["value"].isdecimal() else int(number)


def _number(text: str, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise ExperimentError(f"{column} must be a number, got {text!r}")
    return number
