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
from semimech.experiment.steps import EDIT_KINDS, Edit, EditKind, Harvest, SetMedia, Step, Wait

COLUMNS = ("experiment", "step", "kind", "target", "value", "unit", "hours", "label")

_USED: dict[str, tuple[str, ...]] = dict.fromkeys(EDIT_KINDS, ("target", "value", "unit")) | {
    "medium": ("target",),
    "wait": ("hours",),
    "harvest": ("label",),
}


def experiments_to_table(experiments: Iterable[Experiment]) -> pd.DataFrame:
    """Write experiments as a table of strings with the columns of ``experiments.tsv``."""
    rows = []
    for experiment in experiments:
        for number, step in enumerate(experiment.steps, 1):
            row = dict.fromkeys(COLUMNS, "") | {"experiment": experiment.id, "step": str(number)}
            match step:
                case Edit(gene=gene, kind=kind, efficacy=efficacy):
                    row |= {"kind": kind, "target": gene, "value": repr(float(efficacy)), "unit": "fraction"}
                case SetMedia(name=name):
                    row |= {"kind": "medium", "target": name}
                case Wait(hours=hours):
                    row |= {"kind": "wait", "hours": "settled" if math.isinf(hours) else repr(float(hours))}
                case Harvest(label=label):
                    row |= {"kind": "harvest", "label": label}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def experiments_from_table(table: pd.DataFrame, *, source: str = "experiments table") -> tuple[Experiment, ...]:
    """Read experiments from a table with one row per step.

    Parameters
    ----------
    table
        Columns ``experiment, step, kind, target, value, unit, hours, label``; rows of one experiment in the order of ``step``.
    source
        Name of the table in messages.

    Raises
    ------
    ExperimentError
        Listing every row that cannot be read and every experiment that cannot be carried out.
    """
    faults = [f"unknown column {c!r}; known: {', '.join(COLUMNS)}" for c in table.columns if c not in COLUMNS]
    faults += [f"column {c!r} is missing" for c in ("experiment", "step", "kind") if c not in table.columns]
    faults += [] if len(table) else ["no row: write one row per step"]
    raise_faults(ExperimentError, source, faults)
    table = table.reindex(columns=list(COLUMNS)).astype(object)
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
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{path}: cannot be read as a tab-separated table ({error})") from None
    return experiments_from_table(table, source=str(path))


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
    for column in COLUMNS[3:]:
        if row[column] and column not in _USED[kind]:
            mend = "add a row of kind 'wait' before it" if column == "hours" else "leave the cell empty"
            raise ExperimentError(f"a row of kind {kind!r} has no {column}, got {row[column]!r}: {mend}")
    match kind:
        case "medium":
            return SetMedia(name=row["target"])
        case "wait":
            return Wait(hours=math.inf if row["hours"] == "settled" else _number(row["hours"], "hours"))
        case "harvest":
            return Harvest(label=row["label"] or "harvest")
    if row["unit"] not in ("", "fraction"):
        raise ExperimentError(f"the unit of an edit's value is 'fraction', got {row['unit']!r}")
    efficacy = _number(row["value"], "value") if row["value"] else 1.0
    return Edit(gene=row["target"], kind=cast(EditKind, kind), efficacy=efficacy)


def _number(text: str, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise ExperimentError(f"{column} must be a number, got {text!r}")
    return number
