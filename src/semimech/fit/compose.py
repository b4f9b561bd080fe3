r"""What stands beside the laws: residuals of what was seen, and of the parts of what was seen in parts only.

Of edits :math:`e` the parts are :math:`e` alone for as long as it was in force, and no edit at all. With predictions
:math:`f` of the laws, and residuals :math:`r` (observed minus :math:`f`) of parts that were harvested,

.. math:: a = f_\varnothing + \sum_e (f_e - f_{\varnothing e}), \qquad s = \sum_e (r_e - r_{\varnothing e}),

the composed prediction is :math:`a + \lambda (f - a) + \mu r_\varnothing + \kappa s + \nu (f_\varnothing + \ell - a - s)`: what the law says beyond the sum
of its parts, what unedited cells of the same time and media were seen to do beyond the law, what the parts were, and what all conditions
that carry the edits say beyond that (:math:`\ell`, `semimech.fit.linear`), as far as held-out combinations bear out.
:math:`(\lambda, \mu, \kappa, \nu) = (0, 1, 1, 0)` is the additive prediction from what was measured, :math:`(0, 1, 1, 1)` ridge regression on edits,
:math:`(1, 0, 0, 0)` the law alone. Where not all parts were harvested alone, and in this dose, :math:`s = f_\varnothing + \ell - a`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from semimech.experiment import Condition, Context, Edit, Period

SETTLED_HOURS = 1e9
Term: TypeAlias = tuple[float, Condition]


@dataclass(frozen=True, kw_only=True, eq=False)
class Composition:
    r"""A condition made of its parts.

    Parameters
    ----------
    additive
        Sum of the parts by the law, :math:`a`.
    control
        Residual of unedited cells, :math:`r_\varnothing`.
    beyond
        Residuals of the edited parts, each less that of unedited cells, :math:`s`.
    linear
        What all conditions that carry the edits say beyond the parts, :math:`f_\varnothing + \ell - a - s`; zero where they cannot tell.
    """

    additive: Float[np.ndarray, " gene"]
    control: Float[np.ndarray, " gene"]
    beyond: Float[np.ndarray, " gene"]
    linear: Float[np.ndarray, " gene"]

    def steps(self, by_law: Float[np.ndarray, " gene"]) -> list[Float[np.ndarray, " gene"]]:
        """What is added to the sum of parts, each as far as it was found to help; ``by_law`` is of the condition itself."""
        return [by_law - self.additive, self.control, self.beyond, self.linear]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """Harvested conditions with their residuals, looked up by what was done in which order.

    Parameters
    ----------
    conditions
        What was harvested.
    residual
        Observed minus fitted, one row for each.
    pool
        Observed mean of unedited cells in the maintenance medium, where they are stationary: then waiting before the first
        change does nothing, and controls of all times are one. Else ``None``.
    """

    conditions: tuple[Condition, ...]
    residual: Float[np.ndarray, "condition gene"]
    pool: Float[np.ndarray, " gene"] | None

    def knows(self, condition: Condition) -> bool:
        """Whether the same was done in the same order, for whatever times."""
        return self.shape(condition) in self._rows

    def is_beyond(self, condition: Condition) -> bool:
        """Whether a known condition was harvested at no later time."""
        asked = self.reduced(condition)
        return _hours(asked) > max(_hours(self._reduced[row]) for row in self._like(asked))

    def is_before(self, condition: Condition) -> bool:
        """Whether a known condition was harvested at no earlier time, nor at the same."""
        asked = self.reduced(condition)
        return _hours(asked) < min(_hours(self._reduced[row]) for row in self._like(asked))

    def is_newest(self, condition: Condition) -> bool:
        """Whether no edited cells at all were harvested as late."""
        return _hours(self.reduced(condition)) > self._newest

    def last(self, condition: Condition) -> Condition:
        """The latest harvest of a known condition's course."""
        rows = self._like(self.reduced(condition))
        return self.conditions[max(rows, key=lambda row: _hours(self._reduced[row]))]

    def residual_of(self, condition: Condition) -> Float[np.ndarray, " gene"]:
        """Residual of a known condition, linear in time between harvests.

        It grows from zero before the first harvest of cells that were kept in one context, and persists after the last.
        """
        asked = self.reduced(condition)
        rows = self._like(asked)
        times = np.array([_hours(self._reduced[row]) for row in rows])
        order = np.argsort(times, kind="stable")
        times, values = times[order], self.residual[[rows[i] for i in order]]
        if len(asked.history) == 1 and times[0] > 0:
            times, values = np.append(0.0, times), np.concatenate([np.zeros_like(values[:1]), values])
        settled, hours = times >= SETTLED_HOURS, _hours(asked)
        if settled.any() and not settled.all() and hours < SETTLED_HOURS:
            times, values = times[~settled], values[~settled]
        right = int(np.clip(np.searchsorted(times, hours), 1, max(len(times) - 1, 1)))
        if len(times) == 1 or hours <= times[0]:
            return values[0]
        share = np.clip((hours - times[right - 1]) / max(times[right] - times[right - 1], 1e-12), 0.0, 1.0)
        return (1.0 - share) * values[right - 1] + share * values[right]

    def unedited(self, control: Condition, by_law: Float[np.ndarray, " gene"]) -> Float[np.ndarray, " gene"]:
        """What unedited cells were measured to be beyond what the law says of them; zero where none were harvested."""
        if self.pool is not None and control.media == (None,):
            return self.pool - by_law
        return self.residual_of(control) if self.knows(control) else np.zeros_like(by_law)

    def has_unedited(self, condition: Condition) -> bool:
        """Whether unedited cells to hold a condition against were measured."""
        control = merged(condition, without_edits)
        return (self.pool is not None and control.media == (None,)) or self.knows(control)

    def terms(self, condition: Condition) -> tuple[Term, ...] | None:
        """The parts of a condition of edits that were all seen, with their signs; ``None`` if one was not, or there is none.

        An edit is taken from the media that the cells were in; else from all others in which it was seen, in equal shares. Edits that were
        made together in other media are one part.
        """
        names = names_of(condition)
        together = self.alone(condition, *names, but=self.shape(condition)) if len(names) > 1 else []
        found: list[Term] = [(1.0, merged(condition, without_edits))]
        for part in [names] if together else [[name] for name in names]:
            alone = self.alone(condition, *part, but=self.shape(condition))
            if not alone:
                return None
            for seen in alone:
                found += [(1.0 / len(alone), seen), (-1.0 / len(alone), merged(seen, without_edits))]
        return tuple(found) if len(found) > 1 else None

    def told_terms(self, condition: Condition, change: Float[np.ndarray, " gene"] | None) -> tuple[Term, ...] | None:
        """As `terms`; where not all parts were seen but the change of all edits together is known, whether they were or not."""
        found = self.terms(condition)
        if found is not None or change is None:
            return found
        alone = [self._alone_here(condition, name) for name in names_of(condition)]
        signed = [[(1.0, part), (-1.0, merged(part, without_edits))] for part in alone]
        return ((1.0, merged(condition, without_edits)), *(term for terms in signed for term in terms))

    def composition(
        self,
        terms: Sequence[Term],
        by_law: Float[np.ndarray, "part gene"],
        change: Float[np.ndarray, " gene"] | None,
    ) -> Composition:
        """What the laws say of parts, summed, and what they were seen to be beyond that, alone or in ``change``, which is of all edits together."""
        signs, parts = np.array([sign for sign, _ in terms]), [part for _, part in terms]
        additive = signs @ by_law
        control = self.unedited(parts[0], by_law[0])
        linear = None if change is None else by_law[0] + change - additive
        if linear is not None and not all(part.is_control or self.knows(part) for part in parts):
            return Composition(additive=additive, control=control, beyond=linear, linear=np.zeros_like(additive))
        residual = np.stack(
            [
                self.unedited(part, law) if part.is_control else self.residual_of(part)
                for part, law in zip(parts, by_law, strict=True)
            ]
        )
        beyond = signs[1:] @ residual[1:]
        rest = np.zeros_like(beyond) if linear is None else linear - beyond
        return Composition(additive=additive, control=control, beyond=beyond, linear=rest)

    def alone(self, condition: Condition, *names: tuple[str, str], but: tuple[Context, ...] = ()) -> list[Condition]:
        """Edits or compounds alone since they came into force, as they were seen: in these media, else in all others; ``but`` in one shape.

        Other media are those in the place of all that the cells were in, and of all but the maintenance medium.
        """
        here = self._alone_here(condition, *names)
        if self.knows(here) and self.shape(here) != but:
            return [here]
        changes = [partial(change, medium) for change in (_in_medium, _in_other_medium) for medium in self._media]
        others = dict.fromkeys(merged(here, change) for change in changes)
        return [other for other in others if self.knows(other) and self.shape(other) != but]

    def _alone_here(self, condition: Condition, *names: tuple[str, str]) -> Condition:
        """Edits or compounds alone since they came into force, in the media that the cells were in."""
        first = next(i for i, p in enumerate(condition.history) if any(name_of(e) in names for e in p.context.edits))

        def alone(context: Context) -> Context:
            doses = tuple(dose for dose in context.doses if ("compound", dose.compound) in names)
            return replace(context, edits=tuple(e for e in context.edits if name_of(e) in names), doses=doses)

        return merged(Condition(history=condition.history[first:]), alone)

    @cached_property
    def _media(self) -> tuple[str | None, ...]:
        """All media, in order of appearance."""
        return tuple(dict.fromkeys(p.context.medium for c in self.conditions for p in c.history))

    def shape(self, condition: Condition) -> tuple[Context, ...]:
        """What was done, in order, without the times: contexts that lasted, neighbours different."""
        return tuple(period.context for period in self.reduced(condition).history)

    def reduced(self, condition: Condition) -> Condition:
        """The condition without what leaves no trace: changes that did not last, and idle waiting at the start."""
        kept = merged(condition, lambda context: context)
        idle = self.pool is not None and kept.history[0].context == Context()
        return Condition(history=kept.history[1:]) if idle and len(kept.history) > 1 else kept

    @cached_property
    def _reduced(self) -> tuple[Condition, ...]:
        return tuple(map(self.reduced, self.conditions))

    @cached_property
    def _newest(self) -> float:
        edited = (each for each, c in zip(self._reduced, self.conditions, strict=True) if not c.is_control)
        return max(map(_hours, edited), default=-np.inf)

    @cached_property
    def _rows(self) -> dict[tuple[Context, ...], list[int]]:
        found: dict[tuple[Context, ...], list[int]] = {}
        for row, condition in enumerate(self.conditions):
            found.setdefault(self.shape(condition), []).append(row)
        return found

    def _like(self, asked: Condition) -> list[int]:
        """Rows of the same shape whose times before the last change are nearest."""
        rows = self._rows[tuple(period.context for period in asked.history)]
        before = [abs(_before(self._reduced[row]) - _before(asked)) for row in rows]
        return [row for row, distance in zip(rows, before, strict=True) if distance <= min(before) + 1e-9]


def merged(condition: Condition, change: Callable[[Context], Context]) -> Condition:
    """The condition with changed contexts, neighbours in one context joined, and none that did not last but the last."""
    found: list[Period] = []
    for period in condition.history:
        period = replace(period, context=change(period.context))
        if found and found[-1].context == period.context:
            found[-1] = replace(found[-1], hours=found[-1].hours + period.hours)
        else:
            found.append(period)
    lasting = [period for period in found if period.hours > 0]
    return Condition(history=tuple(lasting or found[-1:]))


def names_of(condition: Condition) -> list[tuple[str, str]]:
    """What acts on the harvested cells or did before: edited genes by kind of edit, and compounds."""
    edits = [name_of(edit) for period in condition.history for edit in period.context.edits]
    return list(dict.fromkeys(edits))


def name_of(edit: Edit) -> tuple[str, str]:
    """What an edit is called: its kind and gene, or the compound through which it acts."""
    return ("compound", edit.compound) if edit.compound else (edit.kind, edit.gene)


def _in_medium(medium: str | None, context: Context) -> Context:
    return replace(context, medium=medium)


def _in_other_medium(medium: str | None, context: Context) -> Context:
    return context if context.medium is None else replace(context, medium=medium)


def without_edits(context: Context) -> Context:
    """A context in which no edit is in force, and no compound."""
    return replace(context, edits=(), doses=())


def _hours(condition: Condition) -> float:
    """Time of harvest, counted from when the cells had settled if they had."""
    *before, last = (period.hours for period in condition.history)
    return SETTLED_HOURS if np.isinf(last) else float(sum(hours for hours in before if np.isfinite(hours)) + last)


def _before(condition: Condition) -> float:
    """Hours before the last change, settled ones as a number."""
    return min(float(sum(period.hours for period in condition.history[:-1])), SETTLED_HOURS)
