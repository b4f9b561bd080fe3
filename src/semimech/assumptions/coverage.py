"""Coverage: how a query stands to what was harvested, and what must be assumed to answer it from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from semimech.assumptions.catalogue import (
    ADDITIVE,
    COMMUTING,
    KNOWN_WIRING,
    MEDIUM_INDEPENDENT,
    NO_INTERACTION,
    SETTLED,
    SMOOTH,
    START_INDEPENDENT,
    STATIONARY_CONTROLS,
    Assumption,
)
from semimech.data import CellSystem
from semimech.experiment import Condition, Context, Edit, Period

Label: TypeAlias = Literal["observed", "composed", "interpolated", "extrapolated"]
Axis: TypeAlias = Literal[
    "edit", "kind", "combination", "medium", "edit × medium", "order", "time", "dose", "onset", "protocol", "culture"
]

Manner: TypeAlias = tuple[str, str, str]
Shape: TypeAlias = tuple[tuple[str | None, tuple[Manner, ...]], ...]

_NEEDED: dict[Axis, Assumption] = {
    "edit": KNOWN_WIRING,
    "kind": KNOWN_WIRING,
    "combination": ADDITIVE,
    "medium": MEDIUM_INDEPENDENT,
    "edit × medium": MEDIUM_INDEPENDENT,
    "order": COMMUTING,
    "time": SETTLED,
    "dose": SMOOTH,
    "onset": SMOOTH,
    "protocol": START_INDEPENDENT,
    "culture": NO_INTERACTION,
}
LABELS: tuple[Label, ...] = ("observed", "composed", "interpolated", "extrapolated")
"""From what data say alone to what a model says alone."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """When data equal direct observation, and when not.

    Parameters
    ----------
    label
        ``"observed"``: this very history was harvested. ``"composed"``: it is a succession of steps that were.
        ``"interpolated"``: it lies between harvested times, doses or delays. ``"extrapolated"``: none of these.
    axes
        In what the query differs from what was harvested.
    support
        Harvested conditions that the answer rests on.
    assumptions
        What must hold for them to give the answer without a model.
    missing
        The condition that, once harvested, would make the query observed; ``None`` if it is.
    """

    label: Label
    axes: tuple[Axis, ...] = ()
    support: tuple[Condition, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    missing: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Harvested:
    """What was measured, to hold queries against.

    Parameters
    ----------
    conditions
        Histories that were measured.
    system
        What is declared about the cells.
    """

    conditions: tuple[Condition, ...]
    system: CellSystem

    def coverage(self, query: Condition) -> Coverage:
        """Hold a query against what was harvested.

        Edits without efficacy are left out. Where they are not declared to move, unedited cells in the maintenance
        medium are stationary, so that time spent as one of them before anything is done does not count.
        """
        asked = self.system.resolve(query)
        if asked in self._exact:
            return Coverage(label="observed", support=(self._exact[asked],))
        reduced = _reduced(asked, self.system)
        found = self._repeated(asked, reduced) or self._between(reduced)
        if found is None or found.label == "extrapolated":
            found = self._composed(reduced) or found or self._beyond(reduced)
        return replace(found, missing=asked)

    @cached_property
    def _exact(self) -> dict[Condition, Condition]:
        return {self.system.resolve(condition): condition for condition in self.conditions}

    @cached_property
    def _known(self) -> dict[Condition, Condition]:
        """What was harvested by its history without idle time and edits that do nothing."""
        return {_reduced(condition, self.system): source for condition, source in self._exact.items()}

    @cached_property
    def _by_shape(self) -> dict[Shape, list[Condition]]:
        found: dict[Shape, list[Condition]] = {}
        for condition in self._known:
            found.setdefault(_shape(condition), []).append(condition)
        return found

    @cached_property
    def _by_end(self) -> dict[tuple[Period, ...], list[Condition]]:
        """What was harvested by every end of its history."""
        found: dict[tuple[Period, ...], list[Condition]] = {}
        for condition in self._known:
            for start in range(len(condition.history)):
                found.setdefault(condition.history[start:], []).append(condition)
        return found

    @cached_property
    def _genes(self) -> dict[Condition, frozenset[str]]:
        return {condition: _genes(condition) for condition in self._known}

    @cached_property
    def _kinds(self) -> set[Manner]:
        return {_manner(edit) for condition in self._known for edit in _edits(condition)}

    @cached_property
    def _media(self) -> set[str | None]:
        return {medium for condition in self._known for medium in condition.media}

    def _sources(self, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
        return tuple(dict.fromkeys(self._known[condition] for condition in conditions))

    def _repeated(self, asked: Condition, query: Condition) -> Coverage | None:
        """The same but for edits that do nothing, and for idle time of stationary cells."""
        if query not in self._known:
            return None
        is_idle = self._known[query].hours != asked.hours
        return Coverage(
            label="composed", support=self._sources([query]), assumptions=(STATIONARY_CONTROLS,) if is_idle else ()
        )

    def _between(self, query: Condition) -> Coverage | None:
        """The same protocol at other times, doses and delays: between harvested ones, or beyond them."""
        alike = self._by_shape.get(_shape(query), [])
        if not alike:
            return None
        axes: list[Axis] = []
        is_inside = True
        compared: tuple[tuple[Axis, Callable[[Condition], tuple[float, ...]]], ...]
        compared = (("time", _durations), ("dose", _doses), ("onset", _delays))
        for axis, numbers in compared:
            for position, wanted in enumerate(numbers(query)):
                found = {numbers(condition)[position] for condition in alike}
                if wanted not in found:
                    axes.append(axis)
                    is_last = axis == "time" and position == len(query.history) - 1
                    low = 0.0 if is_last and _before(query) in self._known else min(found)
                    is_inside &= low <= wanted <= max(found)
        axes = list(dict.fromkeys(axes)) or ["protocol"]
        if is_inside:
            return Coverage(label="interpolated", axes=tuple(axes), support=self._sources(alike), assumptions=(SMOOTH,))
        return self._extrapolated(axes, alike)

    def _composed(self, query: Condition) -> Coverage | None:
        """Harvested up to some change of context, and what follows it was harvested after another start."""
        for cut in range(len(query.history) - 1, 0, -1):
            first = Condition(history=query.history[:cut])
            later = self._by_end.get(query.history[cut:], [])
            if first in self._known and later:
                support = self._sources([first, *later])
                return Coverage(label="composed", support=support, assumptions=(START_INDEPENDENT,))
        return None

    def _beyond(self, query: Condition) -> Coverage:
        """Nothing harvested leads there: in what the query is new, and what is nearest to it."""
        genes, made = _genes(query), frozenset[str]().union(*self._genes.values())
        axes: list[Axis] = []
        if genes - made:
            axes.append("edit")
        elif {_manner(edit) for edit in _edits(query)} - self._kinds:
            axes.append("kind")
        if set(query.media) - self._media:
            axes.append("medium")
        if not axes:
            reordered = [condition for condition in self._known if is_reordered(condition, query)]
            if reordered:
                return self._extrapolated(["order"], reordered)
            together = [condition for condition, edited in self._genes.items() if genes <= edited]
            if not together:
                axes.append("combination")
            elif query.media != (None,) and not any(set(query.media) <= set(c.media) for c in together):
                axes.append("edit × medium")
        left = set(query.media) - {None}
        edited = [condition for condition, made in self._genes.items() if made and made <= genes]
        moved = [condition for condition, made in self._genes.items() if not made and left & set(condition.media)]
        return self._extrapolated(axes or ["protocol"], [*edited, *moved])

    def _extrapolated(self, axes: Sequence[Axis], nearest: Iterable[Condition]) -> Coverage:
        needed = tuple(dict.fromkeys(_NEEDED[axis] for axis in axes))
        return Coverage(label="extrapolated", axes=tuple(axes), support=self._sources(nearest), assumptions=needed)


def _reduced(condition: Condition, system: CellSystem) -> Condition:
    """The history without edits of no efficacy and, of stationary cells, without idle time at its start."""
    history: list[Period] = []
    for period in condition.history:
        edits = tuple(edit for edit in period.context.edits if edit.efficacy > 0)
        context, hours = replace(period.context, edits=edits), period.hours
        if history and history[-1].context == context:
            hours += history.pop().hours
        history.append(Period(context=context, hours=hours))
    if system.is_stationary and history[0].context == Context():
        history = history[1:] or [Period(context=Context(), hours=0.0)]
    return Condition(history=tuple(history))


def _before(query: Condition) -> Condition:
    """The cells at the start of the last period: time zero of an interpolation."""
    return Condition(history=query.history[:-1] or (Period(context=Context(), hours=0.0),))


def _edits(condition: Condition) -> list[Edit]:
    return [edit for period in condition.history for edit in period.context.edits]


def _genes(condition: Condition) -> frozenset[str]:
    return frozenset(edit.gene for edit in _edits(condition))


def _manner(edit: Edit) -> Manner:
    """What is edited and how, without its numbers; another compound is another manner."""
    return edit.gene, edit.kind, edit.compound


def _shape(condition: Condition) -> Shape:
    """The protocol without its numbers."""
    return tuple((p.context.medium, tuple(map(_manner, p.context.edits))) for p in condition.history)


def _durations(condition: Condition) -> tuple[float, ...]:
    return tuple(period.hours for period in condition.history)


def _doses(condition: Condition) -> tuple[float, ...]:
    return tuple(edit.efficacy for edit in _edits(condition))


def _delays(condition: Condition) -> tuple[float, ...]:
    return tuple(hours for edit in _edits(condition) for hours in (edit.onset_hours, edit.turnover_hours))


def changes(condition: Condition) -> list[tuple[str, str | None]]:
    """Edits, their ends (of compounds washed out) and changes of medium, in the order in which they were made."""
    context = Context()
    found: list[tuple[str, str | None]] = []
    for period in condition.history:
        now = period.context
        before, after = ({e.gene for e in each.edits} for each in (context, now))
        found += [("edit", edit.gene) for edit in now.edits if edit.gene not in before]
        found += [("end", edit.gene) for edit in context.edits if edit.gene not in after]
        found += [("medium", now.medium)] if now.medium != context.medium else []
        context = now
    return found


def is_reordered(condition: Condition, query: Condition) -> bool:
    """Whether both make the same changes, at other moments relative to one another."""
    mine, asked = changes(condition), changes(query)
    return len(asked) > 1 and sorted(mine, key=str) == sorted(asked, key=str) and _shape(condition) != _shape(query)
