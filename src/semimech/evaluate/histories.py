"""What a model that takes something for granted is told was done to cells: histories with a distinction taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from semimech.data import Dataset
from semimech.experiment import Condition, Context, Edit, Period

Send = Callable[[Condition], Condition]


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Conditions as a model is told of them: those that become equal are one to it.

    Parameters
    ----------
    send
        What it is told of a condition.
    is_effect
        Whether only the effect of an edit is what is told: means go along as changes from matched unedited cells, which keep their
        own conditions.
    """

    send: Send
    is_effect: bool = False

    def shift(self, dataset: Dataset, condition: Condition) -> Float[np.ndarray, " gene"]:
        """What is added to a measured mean on its way to the told condition, and taken off a prediction on its way back."""
        told = self.send(condition)
        if not self.is_effect or told == condition:
            return np.zeros(len(dataset.genes))
        return dataset.matched_control(told) - dataset.matched_control(condition)

    def data(self, dataset: Dataset) -> Dataset:
        """Means of conditions that become one are averaged over their cells; single cells stay behind."""
        told = [dataset.system.resolve(self.send(condition)) for condition in dataset.conditions]
        row = {condition: i for i, condition in enumerate(dict.fromkeys(told))}
        share = np.zeros((len(row), len(told)))
        for i, condition in enumerate(told):
            share[row[condition], i] = dataset.n_cells[i]
        n_cells = share.sum(axis=1).astype(dataset.n_cells.dtype)
        share = share / share.sum(axis=1, keepdims=True)
        error = dataset.standard_error
        is_unknown = (share > 0).astype(float) @ ~np.isfinite(error) > 0
        variance = np.where(is_unknown, np.nan, share**2 @ np.nan_to_num(error**2))
        mean = dataset.mean + np.array([self.shift(dataset, condition) for condition in dataset.conditions])
        return replace(
            dataset,
            conditions=tuple(row),
            mean=share @ mean,
            standard_error=np.sqrt(variance),
            n_cells=n_cells,
            halves=None,
            cells=None,
        )


def of_contexts(change: Callable[[Context], Context]) -> Send:
    """A telling that changes every context, neighbours that become equal joined."""

    def send(condition: Condition) -> Condition:
        found: list[Period] = []
        for period in condition.history:
            context, hours = change(period.context), period.hours
            if found and found[-1].context == context:
                hours += found.pop().hours
            found.append(Period(context=context, hours=hours))
        return Condition(history=tuple(found))

    return send


def of_edits(change: Callable[[Edit], Edit | None]) -> Send:
    """A telling that changes every edit, or leaves it out."""

    def changed(context: Context) -> Context:
        edits = (change(edit) for edit in context.edits)
        return replace(context, edits=tuple(edit for edit in edits if edit is not None))

    return of_contexts(changed)


def edited_only(send: Send) -> Send:
    """A telling that leaves unedited cells as they are."""
    return lambda condition: condition if condition.is_control else send(condition)


def unedited(condition: Condition) -> Condition:
    """The same media for the same hours, and nothing else done."""
    return of_contexts(lambda context: Context(medium=context.medium))(condition)


def alone(edit: Edit) -> Send:
    """The same history with one edit only."""
    return of_edits(lambda each: each if each.gene == edit.gene else None)


def as_labels(condition: Condition) -> Condition:
    """What is in force at harvest, as if from the start: a set of labels instead of an order of steps."""
    if condition.is_control or condition.washed_out:
        return condition
    return Condition(history=(Period(context=condition.context, hours=condition.hours),))


def in_maintenance(condition: Condition) -> Condition:
    """The same edits and hours in the maintenance medium."""
    return of_contexts(lambda context: replace(context, medium=None))(condition)


def ending_at(hours: float) -> Send:
    """The last period stretched to a harvest at this time; conditions just made or settled stay."""

    def send(condition: Condition) -> Condition:
        *before, last = condition.history
        rest = hours - sum(period.hours for period in before)
        if last.hours == 0 or not np.isfinite(last.hours) or rest <= 0:
            return condition
        return Condition(history=(*before, replace(last, hours=rest)))

    return send
