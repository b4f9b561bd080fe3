"""The join of cells to experiments.tsv through ``obs["experiment"]`` with ``obs["harvest"]``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from semimech._errors import ExperimentError
from semimech.data.annotate import Annotation, make_system, pool_conditions, read_batches
from semimech.data.findings import CheckFinding, failed, listed, passed, suggestion
from semimech.data.schema import Keys, find_column
from semimech.experiment import Experiment, read_experiments


def annotate_by_experiment(
    obs: pd.DataFrame, var: pd.DataFrame, keys: Keys
) -> tuple[Annotation | None, tuple[CheckFinding, ...]]:
    """Read what was done to each cell from a table of experiments.

    Parameters
    ----------
    obs
        Annotation of the cells, with the columns ``experiment`` and ``harvest``; ``harvest`` may be absent where
        every experiment has one harvest.
    var
        Annotation of the genes; edits are named as its index.
    keys
        ``keys.experiments`` is the path of the table.

    Returns
    -------
    tuple
        The annotation, ``None`` if it cannot be read, and all faults, with every unknown id.
    """
    faults: list[CheckFinding] = []
    experiments: tuple[Experiment, ...] = ()
    if keys.experiments is not None:
        try:
            experiments = read_experiments(keys.experiments)
        except ExperimentError as error:
            faults.append(
                failed("experiments table", str(error), mend="See the columns of experiments.tsv in the manual")
            )
    id_column, problems = find_column(obs, "experiment", "experiment", argument="the column of ids")
    faults += problems
    harvest_column, problems = find_column(obs, "harvest", None, argument="the column of harvests")
    faults += problems
    batch_column, problems = find_column(obs, "batch", keys.batch_key, argument="batch_key")
    faults += problems
    if faults or id_column is None:
        return None, tuple(faults)
    ids = obs[id_column].astype(str)
    by_id = {experiment.id: experiment for experiment in experiments}
    if harvest_column is None:
        labels = pd.Series([next(iter(by_id[i].conditions), "") if i in by_id else "" for i in ids], index=obs.index)
    else:
        labels = obs[harvest_column].astype(str)
    pairs = pd.MultiIndex.from_arrays([ids, labels])
    codes, unique = pd.factorize(pairs)
    faults = _unknown_ids(list(unique), by_id, is_harvest_named=harvest_column is not None)
    if faults:
        return None, tuple(faults)
    maintenance = keys.maintenance_medium or "maintenance"
    system, problems = make_system(obs, (), maintenance=maintenance, keys=keys)
    if system is None:
        return None, problems
    try:
        made = [system.resolve(by_id[id].conditions[label]) for id, label in unique]
    except ExperimentError as error:
        return None, (failed("compounds", str(error), mend="Name what they do with compounds"),)
    conditions, condition = pool_conditions(made, np.asarray(codes, dtype=int))
    if all(c.is_control for c in conditions):
        mend = "name the edits in the table of experiments"
        return None, (failed("edited cells", "no cell of the file was edited", mend=mend),)
    media = tuple(sorted({m for c in conditions for m in c.media if m is not None}))
    batches, batch = read_batches(None if batch_column is None else obs[batch_column], len(obs))
    columns = {"experiment": id_column} | ({"harvest": harvest_column} if harvest_column else {})
    return Annotation(
        conditions=conditions,
        condition=condition,
        batches=batches,
        batch=batch,
        system=replace(system, media=media),
        columns=columns | ({"batch": batch_column} if batch_column else {}),
        genes=tuple(map(str, var.index)),
        findings=(passed("experiments table", f"{len(set(ids))} experiments joined from {keys.experiments}"),),
    ), ()


def _unknown_ids(
    pairs: list[tuple[str, str]], by_id: dict[str, Experiment], *, is_harvest_named: bool
) -> list[CheckFinding]:
    faults = []
    unknown = sorted({id for id, _ in pairs if id not in by_id})
    if unknown:
        mend = f"{suggestion(unknown[0], list(by_id))}The table has: {listed(by_id)}"
        evidence = f"obs['experiment'] names experiments that the table lacks: {listed(unknown, limit=50)}"
        faults.append(failed("experiment ids", evidence, mend=mend))
    known = [(id, label) for id, label in pairs if id in by_id]
    lost = [f"{id} / {label}" for id, label in known if label not in by_id[id].conditions]
    if is_harvest_named and lost:
        labels = sorted({label for experiment in by_id.values() for label in experiment.conditions})
        mend = f"Labels in the table: {listed(labels)}"
        evidence = f"obs['harvest'] names harvests that their experiments lack: {listed(lost, limit=50)}"
        faults.append(failed("harvest labels", evidence, mend=mend))
    several = sorted({id for id, _ in known if len(by_id[id].conditions) > 1})
    if not is_harvest_named and several:
        evidence = f"experiments with several harvests, but no obs['harvest'] to tell them apart: {listed(several)}"
        faults.append(failed("harvest labels", evidence, mend="add obs['harvest']"))
    return faults
