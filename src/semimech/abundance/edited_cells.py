"""Which of the cells that were harvested with a guide are edited: in hosts, cells whose guide did not work survive in place of those it killed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import DataError, raise_faults
from semimech.abundance.counts import REFERENCE, SAMPLE, GuideCounts
from semimech.abundance.edited_probability import MIN_CELLS, probability_edited
from semimech.data import Dataset
from semimech.data.dataset import Cells
from semimech.data.findings import listed
from semimech.experiment import Condition

MIN_DISTANCE = 2.0
"""Least distance of edited cells from unedited ones, in standard deviations of unedited cells, from which cells are told apart."""
MOST_CONTROLS = 4000
"""Unedited cells whose law is taken; of more, as many are drawn."""
_MOST_SHARE = 0.95


@dataclass(frozen=True, kw_only=True)
class EditedCells:
    """A data set whose edited conditions hold, as far as can be told, cells that are edited.

    Parameters
    ----------
    data
        Means of conditions weighted by the probability that a cell is edited, their standard errors widened to the cells that leaves; of the single cells those more likely edited than not.
        Conditions in which fewer than ``min_cells`` are expected to be edited are left out, and where the cells do not tell, those of which the counts alone say that (most cells, and all but
        ``min_cells`` or 95 % of them, are not edited). Notes name them, edits that were not counted, as combinations are not, and harvests after the last count.
    shares
        One row per condition of an edit that was counted: ``edit``, ``medium``, ``hours``, ``cells``, ``abundance`` (natural logarithm, over unedited cells, by counts), ``expected`` share of cells that are not
        edited (by counts alone), ``found`` share (by counts and cells; NaN where cells are not told apart), ``distance`` of its edited cells, ``kept``.
    """

    data: Dataset
    shares: pd.DataFrame


def edited_cells(
    data: Dataset, counts: GuideCounts, *, editing: float = 0.8, min_cells: float = 2.0, seed: int = 0
) -> EditedCells:
    r"""Weigh harvested cells by the probability that their guide worked.

    Of the cells that were given a guide of an edit a share :math:`1 - e` is not edited, grows as unedited cells do, and is therefore a share

    .. math:: s(t) = (1 - e) / A(t)

    of those harvested, where :math:`A(t)` is the abundance of the edit over that of unedited cells, each over what it was before, which the counts of guides tell. Edits that
    are selected against thus become, to their last cell, unedited ones. Cells of all harvests of an edit, less matched unedited cells, are scored along the difference of means over variances, each cell along a
    difference that it has no part in, shrunk to what stands out from its noise. The score of unedited cells has the law of controls, by a kernel, that of edited ones is normal; with the prior :math:`s(t)` the
    posterior is found by expectation maximisation. Where edited cells stand nearer than `MIN_DISTANCE` means are not changed: there, unedited cells dilute little, or there is next to nothing else, which the counts tell. After the last count
    its abundance stands.

    Parameters
    ----------
    data
        Single cells.
    counts
        Reads of the guides of the same edits, before and at harvests, with hours.
    editing
        :math:`e`, share of the cells with a guide that it edits, as sequencing of the edited sites or the guides' design tells.
    min_cells
        Edited cells that a condition must be expected to hold.
    seed
        Decides which unedited cells are taken, of more than `MOST_CONTROLS`.

    Raises
    ------
    DataError
        If there are no single cells or too few unedited ones, no guide is of an edit of the data, hours are missing, or ``editing`` is no share.
    """
    abundance = {} if counts.samples["hours"].isna().any() else _abundances(counts)
    edits = {c.edits[0].gene for c in data.conditions if len(c.edits) == 1}
    faults = []
    if data.cells is None:
        faults.append("there are no single cells: means do not say which cells are edited")
    elif len(data.cells.of(np.flatnonzero(data.is_control))) < MIN_CELLS:
        faults.append(f"fewer than {MIN_CELLS} unedited cells to compare with")
    if counts.samples["hours"].isna().any():
        faults.append("the sample sheet has no hours: cells are selected in time")
    elif not edits & set(abundance):
        faults.append("no guide is of an edit of the cells: name edits as the table of counts does")
    if not 0.0 < editing < 1.0:
        faults.append(f"editing must lie between 0 and 1, got {editing:g}: of 80 % of cells is 0.8")
    raise_faults(DataError, f"{data.name}: edited cells", faults)
    cells = cast(Cells, data.cells)
    matched = np.stack([data.matched_control(c) for c in data.conditions])
    unedited = cells.of(np.flatnonzero(data.is_control))
    if len(unedited) > MOST_CONTROLS:
        unedited = np.sort(np.random.default_rng(seed).choice(unedited, MOST_CONTROLS, replace=False))
    controls = cells.take(unedited) - data.mean[cells.condition[unedited]]
    variance = controls.var(axis=0)
    mean, error, halves = data.mean.copy(), data.standard_error.copy(), data.halves
    number, keep = data.n_cells.copy(), np.ones(len(data.conditions), bool)
    halves = None if halves is None else halves.copy()
    is_edited = np.ones(len(cells.condition), bool)
    table = []
    for name, rows in data.rows_by_perturbation.items():
        conditions = [data.conditions[row] for row in rows]
        if len(conditions[0].edits) != 1 or conditions[0].edits[0].gene not in abundance:
            continue
        at = {int(row): _at(abundance[c.edits[0].gene], c) for row, c in zip(rows, conditions, strict=True)}
        share = {row: min(float((1.0 - editing) / np.exp(a)), 1.0) for row, a in at.items()}
        own = cells.of(rows)
        values = cells.take(own) - matched[cells.condition[own]]
        prior = np.minimum([share[int(row)] for row in cells.condition[own]], _MOST_SHARE)
        weight, distance = probability_edited(values, prior, controls, variance)
        is_told = distance >= MIN_DISTANCE
        weight = weight if is_told else np.ones(len(own))
        is_edited[own] = weight > 0.5
        for row, condition in zip(map(int, rows), conditions, strict=True):
            here = cells.condition[own] == row
            w = weight[here]
            if is_told:
                keep[row] = w.sum() >= min_cells and (w > 0.5).any()
            else:
                keep[row] = not _is_unedited(share[row], len(w), min_cells)
            found = 1.0 - float(w.mean()) if is_told and len(w) else np.nan
            table.append(
                (name, condition.medium, condition.hours, len(w), at[row], share[row], found, distance, keep[row])
            )
            if not is_told or not keep[row]:
                continue
            own_values = values[here] + matched[row]
            left = w.sum() ** 2 / (w**2).sum()
            mean[row] = np.average(own_values, axis=0, weights=w)
            error[row] *= np.sqrt(len(w) / left)
            number[row] = max(round(left), 1)
            if halves is not None:
                halves[:, row] = _halves(own_values, w)
    columns = ["edit", "medium", "hours", "cells", "abundance", "expected", "found", "distance", "kept"]
    shares = pd.DataFrame(table, columns=columns)
    told = hashlib.sha256(f"{data.fingerprint} {editing} {min_cells} {seed}".encode())
    told.update(np.ascontiguousarray(counts.counts).tobytes())
    freed = replace(
        data,
        mean=mean,
        standard_error=error,
        halves=halves,
        n_cells=number,
        cells=_only(cells, is_edited),
        fingerprint=told.hexdigest(),
        notes=(*data.notes, _in_words(shares), *_untreated(data, abundance)),
    )
    return EditedCells(data=freed.subset(keep), shares=shares)


def _in_words(shares: pd.DataFrame) -> str:
    """What was done, in a sentence."""
    told = shares[shares["distance"] >= MIN_DISTANCE]
    gone = [f"{row.edit} at {row.hours:g} h" for row in shares[~shares["kept"]].itertuples()]
    n, unedited = told["edit"].nunique(), float((told["found"] * told["cells"]).sum())
    said = f"edited cells are told from unedited ones for {n} of {shares['edit'].nunique()} edits that were counted"
    said += f": {unedited:.0f} of their {int(told['cells'].sum())} cells are not edited" if n else ""
    return said + (f"; left out for want of edited cells: {', '.join(gone)}" if gone else "") + "."


def _is_unedited(share: float, n_cells: int, min_cells: float) -> bool:
    """Whether a condition is one of unedited cells by the counts alone; few cells of an edit that nothing selects against are not."""
    return share > 0.5 and ((1.0 - share) * n_cells < min_cells or share >= _MOST_SHARE)


def _untreated(data: Dataset, abundance: dict[str, pd.Series]) -> list[str]:
    """What the counts do not tell, in sentences: edits that were not counted, and harvests after the last count."""
    edits: dict[str, None] = {}
    late: dict[str, None] = {}
    for name, condition in zip(data.perturbations, data.conditions, strict=True):
        if not condition.edits:
            continue
        course = abundance.get(condition.edits[0].gene) if len(condition.edits) == 1 else None
        if course is None:
            edits[name] = None
        elif condition.hours > course.index.max():
            late[f"{name} at {condition.hours:g} h"] = None
    said = []
    if edits:
        said.append(f"no guides were counted of {listed(edits)}: their cells are as labelled, edited or not.")
    if late:
        said.append(f"harvests after the last count of guides are taken as if it had been then: {listed(late)}.")
    return said


def _abundances(counts: GuideCounts) -> dict[str, pd.Series]:
    """Natural logarithm of the abundance of each gene's guides over that of neutral ones, less that before, by hours: mean over samples."""
    is_reference = (counts.samples["role"] == REFERENCE).to_numpy()
    neutral = ~counts.is_tested if not counts.is_tested.all() else counts.is_neutral
    reads = {"": counts.counts[neutral].sum(axis=0)}
    for gene in dict.fromkeys(np.array(counts.genes)[counts.is_tested].tolist()):
        reads[gene] = counts.counts[np.array(counts.genes) == gene].sum(axis=0)
    logs = {gene: np.log((n + 0.5) / (reads[""] + 0.5)) for gene, n in reads.items() if gene}
    before = {
        gene: np.log((reads[gene][is_reference].sum() + 0.5) / (reads[""][is_reference].sum() + 0.5)) for gene in logs
    }
    samples = counts.samples["role"] == SAMPLE
    hours = counts.samples["hours"][samples]
    return {
        gene: pd.Series(log[samples.to_numpy()] - before[gene]).groupby(hours.to_numpy()).mean()
        for gene, log in logs.items()
    }


def _at(course: pd.Series, condition: Condition) -> float:
    """Log abundance at the time of a condition, from 0 at the start and linear between counts."""
    times = np.concatenate([[0.0], np.asarray(course.index, float)])
    return float(np.interp(condition.hours, times, np.concatenate([[0.0], np.asarray(course, float)])))


def _halves(
    values: Float[np.ndarray, "cell gene"], weight: Float[np.ndarray, " cell"]
) -> Float[np.ndarray, "half gene"]:
    """Weighted means of every second cell, and of the others; NaN if one of them is empty."""
    turn = np.argsort(np.argsort(-weight)) % 2
    return np.stack(
        [
            np.average(values[turn == side], axis=0, weights=weight[turn == side])
            if weight[turn == side].sum() > 0
            else np.full(values.shape[1], np.nan)
            for side in (0, 1)
        ]
    )


def _only(cells: Cells, keep: np.ndarray) -> Cells:
    """Cells that are kept."""
    return replace(
        cells,
        values=cells.values[np.flatnonzero(keep)],
        condition=cells.condition[keep],
        batch=cells.batch[keep],
        unit=None if cells.unit is None else cells.unit[keep],
    )
