"""Donors: edits that were made alone, and what unseen edits take from them."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from semimech.experiment import Condition, Context, Edit
from semimech.fit.compose import SETTLED_HOURS, Seen, merged, name_of, names_of
from semimech.fit.kriging import shares
from semimech.fit.linear import LinearEffects


class Lent(eqx.Module):
    """The numbers behind what unseen edits borrow.

    Parameters
    ----------
    row
        Training conditions in which one edit was made alone.
    likeness
        How much each gene that is known of is like each donor, all sources with their strengths.
    own
        Variance that each donor's effect has to itself, with the noise of its measurement.
    response
        Change of all genes where unedited cells have less of one (`semimech.data.conditioning.conditional_changes`); no row where their
        covariance is unknown.
    hours
        Times of harvest.
    amplitude
        At each of them, how much of a borrowed departure from the mean of edits, and of a response, was found in edits that were held out.
    """

    row: Int[np.ndarray, " donated"]
    likeness: Float[np.ndarray, "kin donor"]
    own: Float[np.ndarray, " donor"]
    response: Float[np.ndarray, "target gene"]
    hours: Float[np.ndarray, " time"]
    amplitude: Float[np.ndarray, "2 time"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Loan:
    """What one condition borrows, observed scale.

    Parameters
    ----------
    mean
        The mean change of edits, for each edit that is unseen; of an edit that is seen, its own. Of several edits, both as all conditions that
        carry them say, where these can tell (`semimech.fit.linear`).
    beyond
        What edits that are like the unseen ones did beyond that mean.
    response
        What unedited cells with less of the unseen targets are like.
    shares
        Share of each donor in ``mean + beyond``, summed over the unseen edits; one row per donor with its change at this time.
    """

    mean: Float[np.ndarray, " gene"]
    beyond: Float[np.ndarray, " gene"]
    response: Float[np.ndarray, " gene"]
    shares: dict[str, tuple[float, float, Float[np.ndarray, " gene"]]]

    @property
    def steps(self) -> Float[np.ndarray, "gene 3"]:
        """``mean``, ``beyond`` and ``response`` side by side."""
        return np.stack([self.mean, self.beyond, self.response], axis=-1)


@dataclass(frozen=True, eq=False)
class Donors:
    """Edits that were made alone, and their changes.

    Parameters
    ----------
    seen
        Conditions in which one edit was made alone; for residuals, their changes against matched controls.
    genes
        Measured genes.
    """

    seen: Seen
    genes: tuple[str, ...]
    _effects: dict[Condition, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def made(self) -> tuple[Edit, ...]:
        """The edit of each condition.

        Raises
        ------
        ValueError
            If a condition has another number of edits.
        """
        edits = tuple(map(lone_edit, self.seen.conditions))
        if None in edits:
            raise ValueError("a donor's condition has one edit, no more and no less")
        return tuple(edit for edit in edits if edit is not None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Genes of the donors, in order of appearance."""
        return tuple(dict.fromkeys(edit.gene for edit in self.made))

    @cached_property
    def number(self) -> dict[str, int]:
        """Number of each donor."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def column(self) -> dict[str, int]:
        """Column of each measured gene."""
        return {gene: i for i, gene in enumerate(self.genes)}

    def effects(
        self, condition: Condition, edit: Edit, *, but: AbstractSet[str] = frozenset()
    ) -> tuple[Int[np.ndarray, " donor"], Float[np.ndarray, "donor gene"]]:
        """Which donors, but for some, have an effect in the place of an edit of a condition, and that effect.

        Of a donor's own gene nothing can be borrowed: there stands the mean of the others.
        """
        rows, values = self._all_effects(condition, edit)
        keep = np.array([self.names[row] not in but for row in rows], dtype=bool)
        return rows[keep], self._without_own(rows[keep], values[keep])

    def template(self, condition: Condition, edit: Edit) -> Condition:
        """The condition with the edit made in any gene: what has the same template borrows the same effects."""
        return merged(condition, partial(_in_place, edit, replace(edit, gene="ANY")))

    def _all_effects(self, condition: Condition, edit: Edit) -> tuple[np.ndarray, np.ndarray]:
        template = self.template(condition, edit)
        if template not in self._effects:
            found = {}
            made = list(dict.fromkeys(self.made))
            alike = [e for e in made if e.kind == edit.kind] or made
            for donor in self.names:
                edits = [e for e in alike if e.gene == donor]
                if edits:
                    nearest = min(edits, key=lambda e: abs(e.efficacy - edit.efficacy))
                    effect = self.effect(merged(condition, partial(_in_place, edit, nearest)), nearest)
                    if effect is not None:
                        found[self.number[donor]] = effect
            rows = np.array(list(found), dtype=int)
            values = np.array(list(found.values())).reshape(len(rows), len(self.genes))
            self._effects[template] = rows, values
        return self._effects[template]

    def effect(self, condition: Condition, edit: Edit) -> Float[np.ndarray, " gene"] | None:
        """Change that an edit of a condition made alone; ``None`` if that was not seen."""
        parts = self.seen.alone(condition, name_of(edit))
        return np.mean([self.seen.residual_of(part) for part in parts], axis=0) if parts else None

    def _without_own(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        values = values.copy()
        for place, row in enumerate(rows):
            column = self.column.get(self.names[row])
            if column is not None:
                values[place, column] = np.delete(values[:, column], place).mean() if len(rows) > 1 else 0.0
        return values


@dataclass(frozen=True, kw_only=True, eq=False)
class Lender:
    """Lends what donors did to edits that were not seen.

    Parameters
    ----------
    donors
        The donors.
    kin
        Genes of which it is known how much they are like donors.
    lent
        Numbers.
    linear
        What edits did in all conditions that carry them; ``None`` where that is not known.
    """

    donors: Donors
    kin: tuple[str, ...]
    lent: Lent
    linear: LinearEffects | None = None

    @cached_property
    def _place(self) -> dict[str, int]:
        return {gene: i for i, gene in enumerate(self.kin)}

    def loan(self, condition: Condition, unseen: AbstractSet[str]) -> Loan:
        """What a condition borrows while some of its edited genes are unseen, also as donors.

        A gene that no table or measurement knows, and a compound, borrow the mean of edits and nothing, in turn.
        """
        nothing = np.zeros(len(self.donors.genes))
        mean, beyond, response = nothing.copy(), nothing.copy(), nothing.copy()
        found: dict[str, tuple[float, float, np.ndarray]] = {}
        scale = self._amplitude(condition.hours)
        for edit in _edits_of(condition):
            effect = None if edit.gene in unseen else self.donors.effect(condition, edit)
            if effect is not None:
                mean += effect
                continue
            rows, effects = self.donors.effects(condition, edit, but=unseen)
            response += scale[1] * self._response(edit)
            if not len(rows):
                continue
            equal = np.full(len(rows), 1.0 / len(rows))
            borrowed = self._shares(edit.gene, rows)
            mean += equal @ effects
            beyond += scale[0] * (borrowed - equal) @ effects
            for row, one, other, values in zip(rows, equal, borrowed, effects, strict=True):
                name = self.donors.names[row]
                before = found.get(name, (0.0, 0.0, nothing))
                found[name] = (before[0] + one, before[1] + scale[0] * (other - one), values)
        if len(condition.edits) > 1 and self.linear is not None:
            together = self.linear.change(condition, unseen=unseen)
            mean = mean if together is None else together
        return Loan(mean=mean, beyond=beyond, response=response, shares=found)

    def _shares(self, gene: str, rows: np.ndarray) -> np.ndarray:
        likeness, place = np.asarray(self.lent.likeness, np.float64), self._place
        among = likeness[[place[self.donors.names[row]] for row in rows]][:, rows]
        towards = likeness[place[gene]][rows] if gene in place else np.zeros(len(rows))
        return shares(towards[None], among, np.asarray(self.lent.own, np.float64)[rows])[0]

    def _response(self, edit: Edit) -> Float[np.ndarray, " gene"]:
        column = self.donors.column.get(edit.gene)
        if column is None or not len(self.lent.response):
            return np.zeros(len(self.donors.genes))
        sign = -1.0 if edit.kind == "crispra" else 1.0
        return sign * edit.efficacy * np.asarray(self.lent.response[column], np.float64)

    def _amplitude(self, hours: float) -> Float[np.ndarray, 2]:
        at, times = min(hours, SETTLED_HOURS), np.minimum(self.lent.hours, SETTLED_HOURS)
        if not len(times):
            return np.zeros(2)
        return np.array([np.interp(at, times, values) for values in self.lent.amplitude])


def nothing_lent(n_genes: int) -> Lent:
    """The numbers of a lender that lends nothing."""
    none, genes = np.zeros(0, np.float32), np.zeros((0, n_genes), np.float32)
    return Lent(
        row=np.zeros(0, int),
        likeness=np.zeros((0, 0), np.float32),
        own=none,
        response=genes,
        hours=none,
        amplitude=np.zeros((2, 0), np.float32),
    )


def lone_edit(condition: Condition) -> Edit | None:
    """The one edit of a condition, in force from some time to the harvest and not by a compound; ``None`` if there are others."""
    names = names_of(condition)
    edits = [edit for edit in condition.edits if not edit.compound]
    return edits[0] if len(names) == 1 and len(edits) == 1 else None


def make_donors(
    conditions: Sequence[Condition],
    changes: Float[np.ndarray, "condition gene"],
    genes: tuple[str, ...],
    pool: Float[np.ndarray, " gene"] | None,
) -> Donors:
    """Donors of conditions in which one edit was made alone, with their changes against matched controls."""
    return Donors(Seen(conditions=tuple(conditions), residual=changes, pool=pool), genes)


def _edits_of(condition: Condition) -> list[Edit]:
    """The edits that the harvested cells carry and that are not a compound's."""
    return [edit for edit in condition.edits if not edit.compound]


def _in_place(edit: Edit, other: Edit, context: Context) -> Context:
    """The context with another edit in the place of one of its own, and nothing beside it."""
    kept = tuple(other for each in context.edits if name_of(each) == name_of(edit))
    return replace(context, edits=kept, doses=())
