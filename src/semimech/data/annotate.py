"""From the annotation of cells to their conditions: what was done to each cell, and in which batch it stood."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from semimech._errors import DataError, ExperimentError
from semimech.data.doses import read_doses
from semimech.data.findings import CheckFinding, failed, listed, passed, suggestion
from semimech.data.labels import Perturbations, read_perturbations
from semimech.data.media import Media, read_media
from semimech.data.schema import Keys, field, find_column, recognise
from semimech.data.system import CellSystem
from semimech.data.times import Times, read_times
from semimech.experiment import (
    EDIT_KINDS,
    Condition,
    Dose,
    Edit,
    Experiment,
    Harvest,
    SetMedia,
    Step,
    Wait,
    read_compounds,
)


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
    notes
        What was done to names on the way, in sentences.
    """

    conditions: tuple[Condition, ...]
    condition: Int[np.ndarray, " cell"]
    batches: tuple[str, ...]
    batch: Int[np.ndarray, " cell"]
    system: CellSystem
    columns: dict[str, str]
    genes: tuple[str, ...]
    findings: tuple[CheckFinding, ...]
    notes: tuple[str, ...] = ()

    def take(self, rows: Int[np.ndarray, " kept"]) -> Annotation:
        """That of only these cells, with the conditions that they have."""
        condition = self.condition[rows]
        is_kept = np.bincount(condition, minlength=len(self.conditions)) > 0
        conditions = tuple(self.conditions[i] for i in np.flatnonzero(is_kept))
        return replace(
            self, conditions=conditions, condition=(np.cumsum(is_kept) - 1)[condition], batch=self.batch[rows]
        )


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
    system, problems = make_system(obs, media.names, maintenance=media.maintenance, keys=keys)
    known = [] if system is None else [compound.name for compound in system.compounds]
    doses, faulty = read_doses(obs.get(columns.get("dose_value")), perturbations, known)
    if system is None or faulty:
        return None, (*problems, *faulty)
    conditions, condition, problems = _make_conditions(perturbations, times, media, doses, known, keys.edit_kind)
    if problems:
        return None, problems
    conditions = tuple(map(system.resolve, conditions))
    batches, batch = read_batches(found["batch"], len(obs))
    return Annotation(
        conditions=conditions,
        condition=condition,
        batches=batches,
        batch=batch,
        system=system,
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
        ("dose_value", None, "the column of doses"),
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
    perturbations: Perturbations,
    times: Times | None,
    media: Media,
    doses: Float[np.ndarray, " cell"],
    compounds: Collection[str],
    kind: str,
) -> tuple[tuple[Condition, ...], Int[np.ndarray, " cell"], tuple[CheckFinding, ...]]:
    """Conditions, the index of each cell's condition, and the faults of labels that cannot be edits."""
    hours = np.full(len(media.code), math.inf) if times is None else times.hours
    table = pd.DataFrame({"edit": perturbations.code, "medium": media.code, "hours": hours, "dose": doses})
    codes = table.groupby(list(table.columns), sort=False).ngroup().to_numpy()
    # Codes are numbered as they appear.
    first = np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())
    made, faults = [], {}
    for row in first:
        names = perturbations.edits[perturbations.code[row]]
        given: list[Step] = [
            Dose(compound=name, concentration=float(doses[row])) for name in names if name in compounds
        ]
        try:
            given += [Edit(gene=n, kind=kind) for n in names if n not in compounds]  # type: ignore[arg-type]
            made.append(_condition(given, media.names[media.code[row]], float(hours[row])))
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


def _condition(given: list[Step], medium: str | None, hours: float) -> Condition:
    steps: list[Step] = [] if medium is None else [SetMedia(name=medium)]
    protocol = Experiment(id="cells", steps=(*steps, *given, Wait(hours=hours), Harvest()))
    return protocol.conditions["harvest"]


def read_batches(column: pd.Series | None, n_cells: int) -> tuple[tuple[str, ...], Int[np.ndarray, " cell"]]:
    """Names of the batches and the index of each cell's batch; one batch without a column."""
    if column is None:
        return ("all",), np.zeros(n_cells, dtype=int)
    codes, values = pd.factorize(column)
    names, places = np.unique(np.array(list(map(str, values)), dtype=object), return_inverse=True)
    return tuple(map(str, names)), places[codes].astype(int)


def make_system(
    obs: pd.DataFrame, media: Iterable[str | None], *, maintenance: str, keys: Keys
) -> tuple[CellSystem | None, tuple[CheckFinding, ...]]:
    """What is declared about the cells, ``None`` if it cannot be, and the faults."""
    column = recognise(field("obs", "cell_type"), [str(c) for c in obs.columns])
    names: Sequence[object] = () if column is None else list(obs[column].dropna().unique())
    try:
        compounds = keys.compounds if isinstance(keys.compounds, tuple) else read_compounds(keys.compounds)
        system = CellSystem(
            name=str(names[0]) if len(names) == 1 else "cells",
            maintenance_medium=maintenance,
            media=tuple(sorted({medium for medium in media if medium is not None})),
            is_differentiating=keys.differentiating,
            environment=keys.environment,
            start=keys.start,
            compounds=compounds,
        )
    except DataError as error:
        return None, (failed("cell system", str(error), mend=""),)
    except ExperimentError as error:
        return None, (failed("compounds table", str(error), mend="See the columns of compounds.tsv in the manual"),)
    return system, ()


def _time_note(times: Times | None, columns: dict[str, str]) -> CheckFinding:
    if times is None:
        return passed("time unit", "no column of times: cells are taken as settled at harvest")
    said = listed((f"{h:g} h" for h in np.unique(pd.unique(times.hours))), limit=12)
    return passed("time unit", f"obs[{columns['hours']!r}] read in {times.unit} (from {times.source}): {said}")
