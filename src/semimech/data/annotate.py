"""From the annotation of cells to their conditions: what was done to each cell, and in which batch it stood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int

from semimech._errors import ExperimentError
from semimech.data.dataset import CellSystem
from semimech.data.findings import CheckFinding, failed, listed, passed, suggestion
from semimech.data.labels import Perturbations, read_perturbations
from semimech.data.media import Media, read_media
from semimech.data.schema import Keys, field, find_column, recognise
from semimech.data.times import Times, read_times
from semimech.experiment import EDIT_KINDS, Condition, Edit, Experiment, Harvest, SetMedia, Step, Wait


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """What was done to each cell.

    Parameters
    ----------
    conditions
        The different conditions, controls first.
    condition
        Index of each cell's condition.
    batches
        Names of the batches.
    batch
        Index of each cell's batch.
    system
        Name and media of the cells.
    columns
        Column of obs that each field was read from.
    genes
        Names of the genes, in the words of the edits.
    findings
        What was noticed on the way, no faults among it.
    """

    conditions: tuple[Condition, ...]
    condition: Int[np.ndarray, " cell"]
    batches: tuple[str, ...]
    batch: Int[np.ndarray, " cell"]
    system: CellSystem
    columns: dict[str, str]
    genes: tuple[str, ...]
    findings: tuple[CheckFinding, ...]


def annotate(obs: pd.DataFrame, var: pd.DataFrame, keys: Keys) -> tuple[Annotation | None, tuple[CheckFinding, ...]]:
    """Read perturbation, time, medium and batch of every cell.

    Parameters
    ----------
    obs, var
        Annotation of cells and of genes.
    keys
        How columns are to be read.

    Returns
    -------
    tuple
        The annotation, ``None`` if it cannot be read, and all faults.
    """
    found, columns, faults = _find_columns(obs, keys)
    if keys.edit_kind not in EDIT_KINDS:
        mend = f"{suggestion(keys.edit_kind, EDIT_KINDS)}Write one of {', '.join(EDIT_KINDS)}"
        faults.append(failed("edit kind", f"edit_kind={keys.edit_kind!r} is unknown", mend=mend))
    perturbations, times = None, None
    if found["perturbation"] is not None:
        perturbations, problems = read_perturbations(found["perturbation"], var, control=keys.control)
        faults += problems
    if found["hours"] is not None:
        times, problems = read_times(found["hours"], time_unit=keys.time_unit)
        faults += problems
    media, problems = read_media(found["medium"], maintenance_medium=keys.maintenance_medium, n_cells=len(obs))
    faults += problems
    if faults or perturbations is None or media is None:
        return None, tuple(faults)
    conditions, condition, problems = _make_conditions(perturbations, times, media, keys.edit_kind)
    if problems:
        return None, problems
    batches, batch = read_batches(found["batch"], len(obs))
    return Annotation(
        conditions=conditions,
        condition=condition,
        batches=batches,
        batch=batch,
        system=make_system(obs, conditions, maintenance=media.maintenance, keys=keys),
        columns=columns,
        genes=perturbations.genes,
        findings=(*perturbations.findings, *media.findings, _time_note(times, columns)),
    ), ()


def _find_columns(
    obs: pd.DataFrame, keys: Keys
) -> tuple[dict[str, pd.Series | None], dict[str, str], list[CheckFinding]]:
    """Columns of the fields, their names, and the faults found."""
    found: dict[str, pd.Series | None] = {}
    names: dict[str, str] = {}
    faults: list[CheckFinding] = []
    for name, key, argument in (
        ("perturbation", keys.perturbation_key, "perturbation_key"),
        ("hours", keys.time_key, "time_key"),
        ("medium", keys.medium_key, "medium_key"),
        ("batch", keys.batch_key, "batch_key"),
    ):
        column, problems = find_column(obs, name, key, argument=argument)
        faults += problems
        if column is not None:
            names[name] = column
        # What is left of a column with missing values may have more faults to tell.
        found[name] = None if column is None or obs[column].isna().all() else obs[column].dropna()
    if "perturbation" not in names and keys.perturbation_key is None:
        mend = f"name the column with perturbation_key; obs has: {listed(obs.columns, limit=15) or 'no columns'}"
        faults.append(failed("perturbation column", "no column of perturbations is recognised in obs", mend=mend))
    return found, names, faults


def _make_conditions(
    perturbations: Perturbations, times: Times | None, media: Media, kind: str
) -> tuple[tuple[Condition, ...], Int[np.ndarray, " cell"], tuple[CheckFinding, ...]]:
    """Conditions, the index of each cell's condition, and the faults of labels that cannot be edits."""
    hours = np.full(len(media.code), math.inf) if times is None else times.hours
    table = pd.DataFrame({"edit": perturbations.code, "medium": media.code, "hours": hours})
    codes = table.groupby(list(table.columns), sort=False).ngroup().to_numpy()
    first = np.unique(codes, return_index=True)[1]
    made, faults = [], {}
    for row in first:
        genes = perturbations.edits[perturbations.code[row]]
        try:
            made.append(_condition(genes, media.names[media.code[row]], float(hours[row]), kind))
        except ExperimentError as error:
            faults[str(error)] = failed("perturbation labels", str(error), mend="Rename the label in obs")
    if faults:
        return (), codes, tuple(faults.values())
    return *pool_conditions(made, codes), ()


def pool_conditions(
    conditions: list[Condition], codes: Int[np.ndarray, " cell"]
) -> tuple[tuple[Condition, ...], Int[np.ndarray, " cell"]]:
    """Give equal conditions one index; controls first, then by edits, media and time."""
    unique = sorted(
        set(conditions),
        key=lambda c: (not c.is_control, len(c.edits), c.perturbation, str(c.media), c.hours, str(c.history)),
    )
    index = {condition: i for i, condition in enumerate(unique)}
    return tuple(unique), np.array([index[c] for c in conditions], dtype=int)[codes]


def _condition(genes: tuple[str, ...], medium: str | None, hours: float, kind: str) -> Condition:
    steps: list[Step] = [] if medium is None else [SetMedia(name=medium)]
    steps += [Edit(gene=gene, kind=kind) for gene in genes]  # type: ignore[arg-type]
    return Experiment(id="+".join(genes) or "control", steps=(*steps, Wait(hours=hours), Harvest())).conditions[
        "harvest"
    ]


def read_batches(column: pd.Series | None, n_cells: int) -> tuple[tuple[str, ...], Int[np.ndarray, " cell"]]:
    """Names of the batches and the index of each cell's batch; one batch without a column."""
    if column is None:
        return ("all",), np.zeros(n_cells, dtype=int)
    codes, names = pd.factorize(column.astype(object).astype(str), sort=True)
    return tuple(map(str, names)), codes.astype(int)


def make_system(obs: pd.DataFrame, conditions: tuple[Condition, ...], *, maintenance: str, keys: Keys) -> CellSystem:
    """What is declared about the cells."""
    column = recognise(field("obs", "cell_type"), [str(c) for c in obs.columns])
    names: Sequence[object] = () if column is None else list(obs[column].dropna().unique())
    return CellSystem(
        name=str(names[0]) if len(names) == 1 else "cells",
        maintenance_medium=maintenance,
        media=tuple(sorted({m for c in conditions for m in c.media if m is not None})),
        is_differentiating=keys.differentiating,
        compounds=keys.compounds,
    )


def _time_note(times: Times | None, columns: dict[str, str]) -> CheckFinding:
    if times is None:
        return passed("time unit", "no column of times: cells are taken as settled at harvest")
    said = listed((f"{h:g} h" for h in np.unique(times.hours)), limit=12)
    return passed("time unit", f"obs[{columns['hours']!r}] read in {times.unit} (from {times.source}): {said}")
