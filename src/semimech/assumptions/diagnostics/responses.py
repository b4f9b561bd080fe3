"""What a design lets us compare: for each assumption on responses, the contrasts of group means that vanish where it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from semimech.assumptions.coverage import changes, is_reordered
from semimech.assumptions.diagnostics.groups import Groups
from semimech.data.screen import describe
from semimech.experiment import Condition, Edit

MOST_COMPARISONS = 300
"""Comparisons that are made of one kind; more are thinned evenly."""


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """Contrasts of group means that are zero where an assumption holds.

    Parameters
    ----------
    names
        What is compared, in words.
    weights
        Weights of group means; within each batch they sum to zero.
    """

    names: tuple[str, ...]
    weights: Float[np.ndarray, "comparison group"]


def effects(groups: Groups) -> Comparisons | str:
    """Edited minus matched unedited cells, of every edited condition."""
    found = [(describe(c), groups.effect(i)) for i, c in enumerate(groups.conditions) if c.edits]
    return _gathered(found, "no edit stands in a batch with 10 matched unedited cells")


def stationary_controls(groups: Groups) -> Comparisons | str:
    """Unedited cells in the maintenance medium at one time minus those at the time before, within batches."""
    still = [i for i, c in enumerate(groups.conditions) if c.is_control and c.media == (None,)]
    still.sort(key=lambda i: groups.conditions[i].hours)
    batches = sorted({batch for i in still for batch in groups.of[i]})
    pairs = {pair for b in batches for pair in pairwise([i for i in still if b in groups.of[i]])}
    found = [(f"{_hours(groups, b)} − {_hours(groups, a)}", groups.difference(b, a)) for a, b in sorted(pairs)]
    return _gathered(found, "no batch has 10 unedited cells in the maintenance medium at each of two times")


def settled(groups: Groups) -> Comparisons | str:
    """Effects at the last time minus effects at the one before."""
    found = [_step(groups, course[-2], course[-1]) for course in _courses(groups)]
    return _gathered(found, "no edit was harvested at two times beside 10 unedited cells of each")


def independent_of_time(groups: Groups) -> Comparisons | str:
    """Effects at every time minus effects at the one before."""
    found = [_step(groups, a, b) for course in _courses(groups) for a, b in pairwise(course)]
    return _gathered(found, "no edit was harvested at two times beside 10 unedited cells of each")


def additive(groups: Groups) -> Comparisons | str:
    """Effect of a pair of edits minus the effects of both."""
    where = {(made(c), _hours_in_media(c)): i for i, c in enumerate(groups.conditions) if not c.washed_out}
    found = []
    for (edits, course), double in where.items():
        singles = [where.get((frozenset([each]), course)) for each in edits]
        if len(edits) < 2 or None in singles:
            continue
        parts = [groups.effect(i) for i in (double, *singles) if i is not None]
        if all(part is not None for part in parts):
            whole, *rest = (part for part in parts if part is not None)
            found.append((describe(groups.conditions[double]), whole - sum(rest)))
    return _gathered(found, "no pair of edits stands beside both single edits and unedited cells")


def independent_of_medium(groups: Groups) -> Comparisons | str:
    """Effect of an edit in one medium minus that in the first one, after the same hours."""
    alike = _alike(groups, lambda c: (made(c), c.hours))
    found = []
    for members in alike:
        members.sort(key=lambda i: (groups.conditions[i].media != (None,), str(groups.conditions[i].media)))
        for other in members[1:]:
            name = f"{describe(groups.conditions[other])} − in {_media(groups.conditions[members[0]])}"
            found.append((name, _minus(groups.effect(other), groups.effect(members[0]))))
    return _gathered(found, "no edit was made in two media, after the same hours, beside 10 unedited cells of each")


def commuting(groups: Groups) -> Comparisons | str:
    """Cells that went through the same steps in one order minus those of the other, within batches."""
    stepwise = [i for i, c in enumerate(groups.conditions) if c.edits and len(c.history) > 1 and not c.washed_out]
    found = []
    for n, one in enumerate(stepwise):
        for other in stepwise[:n]:
            a, b = groups.conditions[one], groups.conditions[other]
            if a.hours == b.hours and a.context == b.context and is_reordered(a, b) and changes(a) != changes(b):
                found.append((f"{describe(a)}, both orders", groups.difference(one, other)))
    return _gathered(found, "no steps were harvested in both orders in one batch after the same hours")


def _gathered(found: Iterable[tuple[str, Float[np.ndarray, " group"] | None]], why_not: str) -> Comparisons | str:
    """Those that can be made, thinned evenly where they are many; the reason if there is none."""
    possible = [(name, weights) for name, weights in found if weights is not None]
    if not possible:
        return why_not
    kept = np.unique(np.linspace(0, len(possible) - 1, min(len(possible), MOST_COMPARISONS)).round().astype(int))
    return Comparisons(names=tuple(possible[i][0] for i in kept), weights=np.stack([possible[i][1] for i in kept]))


def _courses(groups: Groups) -> Iterator[list[int]]:
    """Conditions that differ in the time of harvest only, earliest first, of each edit; those without controls left out."""
    for members in _alike(groups, lambda c: (made(c), _hours_in_media(c)[0], _hours_in_media(c)[1][:-1])):
        usable = [i for i in members if groups.effect(i) is not None]
        if len(usable) > 1:
            yield sorted(usable, key=lambda i: groups.conditions[i].hours)


def _alike(groups: Groups, key: Callable[[Condition], object]) -> list[list[int]]:
    """Edited conditions with the same key, where there are several."""
    found: dict[object, list[int]] = {}
    for i, condition in enumerate(groups.conditions):
        if condition.edits and not condition.washed_out:
            found.setdefault(key(condition), []).append(i)
    return [members for members in found.values() if len(members) > 1]


def _step(groups: Groups, before: int, after: int) -> tuple[str, Float[np.ndarray, " group"] | None]:
    name = f"{describe(groups.conditions[after])} − at {groups.conditions[before].hours:g} h"
    return name, _minus(groups.effect(after), groups.effect(before))


def _minus(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    return None if a is None or b is None else a - b


def made(condition: Condition) -> frozenset[tuple[Edit, float]]:
    """The edits in force, each with the hours at which it was made."""
    found: dict[Edit, float] = {}
    now = 0.0
    for period in condition.history:
        for edit in period.context.edits:
            found.setdefault(edit, now)
        now += period.hours
    return frozenset((edit, found[edit]) for edit in condition.edits)


def _hours_in_media(condition: Condition) -> tuple[tuple[str | None, ...], tuple[float, ...]]:
    """Media passed through, and the hours in each."""
    hours: list[float] = []
    for number, period in enumerate(condition.history):
        if number and period.context.medium == condition.history[number - 1].context.medium:
            hours[-1] += period.hours
        else:
            hours.append(period.hours)
    return condition.media, tuple(hours)


def _hours(groups: Groups, condition: int) -> str:
    return f"{groups.conditions[condition].hours:g} h"


def _media(condition: Condition) -> str:
    return " then ".join(medium or "the maintenance medium" for medium in condition.media)


def worst(names: Sequence[str], sizes: Float[np.ndarray, " comparison"]) -> str:
    """Name of the comparison with the largest departure."""
    return names[int(np.argmax(sizes))]
