"""What conditions are compared with: their controls, the mean of training edits, their earlier harvests, their strata."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from semimech.baselines import Effects
from semimech.baselines.interpolate import hours_edited
from semimech.data import Dataset
from semimech.evaluate.metrics import Scene, changed_genes
from semimech.experiment import Condition, Edit

STRATA: tuple[str, ...] = ("none", "small", "large")


def target_mask(dataset: Dataset, rows: Sequence[int] | Int[np.ndarray, " row"]) -> Bool[np.ndarray, "row gene"]:
    """Which genes the edits of each row target."""
    index = {gene: column for column, gene in enumerate(dataset.genes)}
    mask = np.zeros((len(rows), len(dataset.genes)), dtype=bool)
    for place, row in enumerate(rows):
        for edit in dataset.conditions[row].edits:
            if edit.gene in index:
                mask[place, index[edit.gene]] = True
    return mask


def measured_scene(dataset: Dataset, rows: Int[np.ndarray, " row"], *, train: Dataset | None = None) -> Scene:
    """The measurements of some rows beside their references, with the measurement in the place of the prediction.

    Parameters
    ----------
    dataset
        The whole data set.
    rows
        Rows to score.
    train
        Training data, for the mean of training edits and, where the data set has no unedited cells, for what stands in
        for them. Without it the control stands in for the mean.
    """
    shape = (len(rows), len(dataset.genes))
    conditions = [dataset.conditions[r] for r in rows]
    source = dataset if dataset.is_control.any() or train is None else train
    control = np.array([source.matched_control(c) for c in conditions]).reshape(shape)
    perturbed = control
    if train is not None:
        effects = Effects(train)
        mean = [effects.mean_effect(c.edits, c.media, hours_edited(c)) for c in conditions]
        perturbed = control + np.array(mean).reshape(shape)
    return Scene(
        predicted=dataset.mean[rows],
        measured=dataset.mean[rows],
        standard_error=dataset.standard_error[rows],
        control=control,
        control_error=np.array([_control_error(dataset, c) for c in conditions]).reshape(shape),
        perturbed=perturbed,
        keep=np.ones(shape, dtype=bool),
    )


def strata(dataset: Dataset) -> tuple[str, ...]:
    """Size of the effect of each condition, without its own targets: ``none``, ``small`` or ``large``.

    ``none``: no gene has changed (`changed_genes`); of the others, half have small effects by the root mean square of
    their change. Controls have none. Where no standard error is known, nobody can say ``none``.
    """
    rows = np.arange(len(dataset.conditions))
    scene = measured_scene(dataset, rows)
    others = ~target_mask(dataset, rows)
    is_known = np.isfinite(dataset.standard_error).any(axis=1)
    has_effect = ~dataset.is_control & ((changed_genes(scene) & others).any(axis=1) | ~is_known)
    size = np.sqrt((((scene.measured - scene.control) * others) ** 2).sum(axis=1) / np.maximum(others.sum(axis=1), 1))
    middle = np.median(size[has_effect]) if has_effect.any() else 0.0
    return tuple(
        STRATA[0] if not some else STRATA[2] if size[row] > middle else STRATA[1] for row, some in enumerate(has_effect)
    )


def earlier_harvests(dataset: Dataset, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
    """Row of the latest earlier harvest of the same protocol, after the same edits; -1 where there is none."""
    found = []
    for row in rows:
        later = dataset.conditions[row]
        earlier = [r for r, condition in enumerate(dataset.conditions) if is_earlier(condition, later)]
        found.append(max(earlier, key=lambda r: dataset.hours[r]) if earlier else -1)
    return np.array(found, dtype=int)


def is_earlier(before: Condition, after: Condition) -> bool:
    """Whether cells of one condition, left alone or taken further, become those of the other, with the same edits."""
    last = len(before.history) - 1
    if last >= len(after.history) or before.edits != after.edits or before.history[:last] != after.history[:last]:
        return False
    left, right = before.history[last], after.history[last]
    return left.context == right.context and (
        left.hours < right.hours or (left.hours == right.hours and last + 1 < len(after.history))
    )


def condition_label(condition: Condition) -> str:
    """A condition in words that no other condition shares, for tables.

    Examples
    --------
    >>> from semimech.experiment import parse_experiment
    >>> condition_label(
    ...     parse_experiment("medium M > edit A > edit B crispri 0.5 > wait 48h > harvest").conditions["harvest"]
    ... )
    'A+B (crispri 0.5), M, 48 h'
    """
    parts = []
    for period in condition.history:
        edits = "+".join(map(_edit_label, period.context.edits))
        medium = "" if period.context.medium is None else f", {period.context.medium}"
        time = "settled" if np.isinf(period.hours) else f"{period.hours:g} h"
        parts.append(f"{edits or 'control'}{medium}, {time}")
    return "; ".join(parts)


def _edit_label(edit: Edit) -> str:
    manner = [] if edit.kind == "knockout" and edit.efficacy == 1 else [f"{edit.kind} {edit.efficacy:g}"]
    manner += [f"by {edit.compound}"] if edit.compound else []
    manner += [f"onset {edit.onset_hours:g} h"] if edit.onset_hours else []
    manner += [f"turnover {edit.turnover_hours:g} h"] if edit.turnover_hours else []
    return edit.gene + (f" ({', '.join(manner)})" if manner else "")


def _control_error(dataset: Dataset, condition: Condition) -> Float[np.ndarray, " gene"]:
    """Standard error of the matched control; zero where there is no control to err."""
    rows = dataset.control_rows(condition)
    if not len(rows):
        return np.zeros(len(dataset.genes))
    weights = dataset.n_cells[rows][:, None] / dataset.n_cells[rows].sum()
    return np.sqrt(((weights * dataset.standard_error[rows]) ** 2).sum(axis=0))
