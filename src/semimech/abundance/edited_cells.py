"""Which of the cells that were harvested with a guide are edited: in hosts, cells whose guide did not work survive in place of those it killed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import gaussian_kde, norm

from semimech._errors import DataError, raise_faults
from semimech.abundance.counts import REFERENCE, SAMPLE, GuideCounts
from semimech.data import Dataset
from semimech.data.dataset import Cells
from semimech.experiment import Condition

MIN_DISTANCE = 2.0
"""Least distance of edited cells from unedited ones, in standard deviations of unedited cells, from which cells are told apart."""
MIN_CELLS = 10
"""Cells of an edit over all harvests, and unedited ones, from which they are told apart."""
_MOST_SHARE, _ROUNDS, _CLOSE = 0.95, 50, 1e-3
_LEAST_SPREAD = 0.7


@dataclass(frozen=True, kw_only=True)
class EditedCells:
    """A data set whose edited conditions hold, as far as can be told, cells that are edited.

    Parameters
    ----------
    data
        Means of conditions weighted by the probability that a cell is edited, their standard errors widened to the cells that leaves; of the single cells those more likely edited than not.
        Conditions in which fewer than ``min_cells`` are expected to be edited are left out.
    shares
        One row per condition of an edit that was counted: ``edit``, ``medium``, ``hours``, ``cells``, ``abundance`` (natural logarithm, over unedited cells, by counts), ``expected`` share of cells that are not
        edited (by counts alone), ``found`` share (by counts and cells), ``distance`` of its edited cells, ``kept``.
    """

    data: Dataset
    shares: pd.DataFrame


def edited_cells(data: Dataset, counts: GuideCounts, *, editing: float = 0.8, min_cells: float = 2.0) -> EditedCells:
    r"""Weigh harvested cells by the probability that their guide worked.

    Of the cells that were given a guide of an edit a share :math:`1 - e` is not edited, grows as unedited cells do, and is therefore a share

    .. math:: s(t) = (1 - e) / A(t)

    of those harvested, where :math:`A(t)` is the abundance of the edit over that of unedited cells, each over what it was before, which the counts of guides tell. Edits that
    are selected against thus become, to their last cell, unedited ones. Cells of all harvests of an edit, less matched unedited cells, are scored along the difference of means over variances, each cell along a
    difference that it has no part in, shrunk to what stands out from its noise. The score of unedited cells has the law of controls, by a kernel, that of edited ones is normal; with the prior :math:`s(t)` the
    posterior is found by expectation maximisation. Where edited cells stand nearer than `MIN_DISTANCE` nothing is changed: there, unedited cells dilute little.

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
    controls = cells.take(unedited) - data.mean[cells.condition[unedited]]
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
        prior = {row: min((1.0 - editing) / np.exp(a), _MOST_SHARE) for row, a in at.items()}
        own = cells.of(rows)
        values = cells.take(own) - matched[cells.condition[own]]
        weight, distance = probability_edited(
            values, np.array([prior[int(row)] for row in cells.condition[own]]), controls
        )
        weight = weight if distance >= MIN_DISTANCE else np.ones(len(own))
        is_edited[own] = weight > 0.5
        for row, condition in zip(map(int, rows), conditions, strict=True):
            here = cells.condition[own] == row
            w = weight[here]
            keep[row] = distance < MIN_DISTANCE or (w.sum() >= min_cells and bool((w > 0.5).any()))
            found = 1.0 - float(w.mean()) if distance >= MIN_DISTANCE else np.nan
            table.append(
                (name, condition.medium, condition.hours, len(w), at[row], prior[row], found, distance, keep[row])
            )
            if distance < MIN_DISTANCE or not keep[row]:
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
    told = hashlib.sha256(f"{data.fingerprint} {editing} {min_cells}".encode())
    told.update(np.ascontiguousarray(counts.counts).tobytes())
    freed = replace(
        data,
        mean=mean,
        standard_error=error,
        halves=halves,
        n_cells=number,
        cells=_only(cells, is_edited),
        fingerprint=told.hexdigest(),
        notes=(*data.notes, _in_words(shares)),
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


def probability_edited(
    values: Float[np.ndarray, "cell gene"],
    prior: Float[np.ndarray, " cell"],
    controls: Float[np.ndarray, "control gene"],
) -> tuple[Float[np.ndarray, " cell"], float]:
    """Probability that each cell is edited, and the distance of edited cells from unedited ones, 0 if no difference stands out.

    Parameters
    ----------
    values, controls
        Cells with guides of one edit, and unedited cells, less the mean of matched unedited cells.
    prior
        Probability of each cell to be unedited, before its expression is looked at.
    """
    weight, distance = 1.0 - prior, 0.0
    if len(values) < MIN_CELLS:
        return weight, distance
    variance = controls.var(axis=0) + 1e-3 * max(float(controls.var(axis=0).mean()), 1e-12)
    for _ in range(_ROUNDS):
        others = np.maximum(weight.sum() - weight, 1.0)[:, None]
        difference = (weight @ values - weight[:, None] * values) / others
        noise = variance / others
        signal = np.maximum((difference**2 - noise).mean(axis=1, keepdims=True), 0.0)
        if (signal <= 0.0).any():
            return 1.0 - prior, 0.0
        direction = signal / (signal + noise) * difference / variance
        shared = direction.mean(axis=0)
        zero = controls @ shared
        # Each cell's own direction, brought to one length, so that scores compare.
        score = (values * direction).sum(axis=1) * np.linalg.norm(shared) / np.linalg.norm(direction, axis=1)
        score, zero = (score - zero.mean()) / zero.std(), (zero - zero.mean()) / zero.std()
        centre = float(np.average(score, weights=weight))
        spread = max(float(np.sqrt(np.average((score - centre) ** 2, weights=weight))), _LEAST_SPREAD)
        unedited = np.log(gaussian_kde(zero)(score) + 1e-12) + np.log(prior)
        edited = norm.logpdf(score, centre, spread) + np.log1p(-prior)
        before, weight, distance = weight, 1.0 / (1.0 + np.exp(np.clip(unedited - edited, -500, 500))), centre
        if weight.sum() < 1e-6 or np.abs(weight - before).max() < _CLOSE:
            break
    return weight, distance


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
