r"""Delayed edits as plain ones: a history in which every edit acts at once, with the efficacy that it has by then.

An edit of efficacy :math:`e`, onset :math:`o` and turnover :math:`\tau` has, :math:`t` hours after it was made, the efficacy
:math:`e\,(1 - e^{-(t-o)/\tau})`, and none before its onset. Here that is a staircase: `PIECES` steps that
each take the same share of what is missing, at the mean efficacy over the step. The last one is :math:`2\tau`
long, so that both the missing efficacy and the mean moment at which it is missing are exact. The stairs count from the edit alone:
a later harvest does not change what an earlier one saw.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import replace

from semimech.experiment.experiment import Condition, Period
from semimech.experiment.steps import Edit

PIECES = 8
_SAME_MOMENT = 1e-9


def effective_history(condition: Condition, *, pieces: int = PIECES) -> tuple[Period, ...]:
    """The history with delayed edits replaced by plain edits of the efficacy reached; unchanged if there is none.

    Parameters
    ----------
    condition
        History of the cells.
    pieces
        Steps of the staircase that stands for one exponential.
    """
    if not _is_delayed(condition):
        return condition.history
    return _joined([part for parts in _parts(condition, pieces) for part in parts])


def remaining_history(before: Condition, after: Condition) -> tuple[Period, ...]:
    """What an earlier harvest still has to pass to become a later one, delayed edits replaced by plain ones.

    Raises
    ------
    ValueError
        If the later condition is not the earlier one continued.
    """
    elapsed = before.history
    if elapsed[-1].hours == 0 and set(before.edits) <= set(after.edits):
        elapsed = elapsed[:-1]  # no time has passed in this context
    if not elapsed:
        return effective_history(after)
    last = len(elapsed) - 1
    if last < len(after.history) and elapsed[:last] == after.history[:last]:
        left, right = elapsed[last], after.history[last]
        if left.context == right.context and left.hours <= right.hours:
            parts = _parts(after, PIECES)
            here = [] if left.hours == right.hours else _without_start(parts[last], left.hours)
            return (*here, *(part for later in parts[last + 1 :] for part in later))
    raise ValueError(f"{after} is not {before} continued")


def _is_delayed(condition: Condition) -> bool:
    edits = (edit for period in condition.history for edit in period.context.edits)
    return any(edit.onset_hours or edit.turnover_hours for edit in edits)


def _parts(condition: Condition, pieces: int) -> list[list[Period]]:
    """Each period cut where the efficacy of one of its edits changes."""
    found: list[list[Period]] = []
    age: dict[Edit, float] = {}
    for period in condition.history:
        age = {edit: age.get(edit, 0.0) for edit in period.context.edits}
        stairs = {edit: _stairs(edit, pieces) for edit in age}
        moments = {start - age[edit] for edit, steps in stairs.items() for start, _ in steps}
        cuts = [0.0, *sorted(m for m in moments if _SAME_MOMENT < m < period.hours - _SAME_MOMENT)]
        parts = []
        for start, end in zip(cuts, [*cuts[1:], period.hours], strict=True):
            edits = [_at(edit, stairs[edit], age[edit] + start) for edit in age]
            context = replace(period.context, edits=tuple(edit for edit in edits if edit is not None))
            parts.append(Period(context=context, hours=end - start))
        found.append(parts)
        age = {edit: hours + period.hours for edit, hours in age.items()}
    return found


def _stairs(edit: Edit, pieces: int) -> list[tuple[float, float]]:
    """When each step begins, in hours after the edit, and its efficacy; a plain edit has one step."""
    if not edit.turnover_hours:
        return [(edit.onset_hours, edit.efficacy)]
    begins = [-math.log1p(-step / pieces) for step in range(pieces)]
    ends = [*begins[1:], begins[-1] + 2.0]
    shares = [1.0 - 1.0 / (pieces * (end - begin)) for begin, end in zip(begins, ends, strict=True)]
    return [
        (edit.onset_hours + edit.turnover_hours * begin, edit.efficacy * share)
        for begin, share in zip([*begins, ends[-1]], [*shares, 1.0], strict=True)
    ]


def _at(edit: Edit, stairs: list[tuple[float, float]], age: float) -> Edit | None:
    """The plain edit that acts at this age; ``None`` before the onset."""
    step = bisect.bisect_right(stairs, age + _SAME_MOMENT, key=lambda stair: stair[0]) - 1
    return None if step < 0 else replace(edit, efficacy=stairs[step][1], onset_hours=0.0, turnover_hours=0.0)


def _without_start(parts: list[Period], hours: float) -> list[Period]:
    """The rest of some periods after this time."""
    rest = []
    for part in parts:
        if part.hours - hours > (_SAME_MOMENT if len(parts) > 1 else 0.0):
            rest.append(replace(part, hours=part.hours - max(hours, 0.0)))
        hours -= part.hours
    return rest


def _joined(parts: list[Period]) -> tuple[Period, ...]:
    """Neighbours in one context as one period, in which no time may pass only at the end."""
    found: list[Period] = []
    for number, part in enumerate(parts):
        if found and found[-1].context == part.context:
            found[-1] = replace(part, hours=found[-1].hours + part.hours)
        elif part.hours > 0 or number == len(parts) - 1:
            found.append(part)
    return tuple(found)
