"""What is added to the predictions of the laws: residuals of what was seen, alone or in parts, and pooling of what was not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from semimech.experiment import Condition
from semimech.fit.compose import Seen, Term, merged, without_edits
from semimech.fit.donors import Lender, Loan, make_donors
from semimech.fit.linear import LinearEffects
from semimech.fit.pooling import Nested, anonymous
from semimech.fit.record import Fit

Kind: TypeAlias = Literal["seen", "late", "later", "parts", "unseen"]
"""How a condition stands to the training data; the calibration of its intervals has the same name."""
_PLACES = ("seen", "late", "later")


@dataclass(frozen=True, kw_only=True, eq=False)
class Corrected:
    """Corrected predictions.

    Parameters
    ----------
    mean
        Predictions, observed scale.
    carried
        What residuals add to them.
    kinds
        How each condition stands to what was seen.
    borrowed
        What unseen edits borrow, a part of the mean.
    unedited
        Unedited cells of the same times and media, as measured where they were, else by the laws.
    """

    mean: Float[np.ndarray, "condition gene"]
    carried: Float[np.ndarray, "condition gene"]
    kinds: tuple[Kind, ...]
    borrowed: Float[np.ndarray, "condition gene"]
    unedited: Float[np.ndarray, "condition gene"]


class Corrections:
    """Corrections of a fit.

    Parameters
    ----------
    fit
        Its residuals, and the shares in which corrections were found to help.
    training
        Conditions of the residuals.
    genes
        Measured genes.
    kin
        Genes of which it is known how much they are like edits of training.
    has_pool
        Whether controls of all times are one, in the maintenance medium.
    """

    def __init__(
        self,
        fit: Fit,
        training: tuple[Condition, ...],
        *,
        genes: tuple[str, ...],
        kin: tuple[str, ...],
        has_pool: bool,
    ) -> None:
        self._fit = fit
        pool = np.asarray(fit.control, np.float64) if has_pool else None
        self._seen = Seen(conditions=training, residual=np.asarray(fit.residual, np.float64), pool=pool)
        lent, donors = fit.lent, [training[row] for row in fit.lent.row]
        change = np.asarray(fit.change, np.float64)
        self._measured = Seen(conditions=training, residual=change, pool=pool)
        linear = LinearEffects(self._measured, genes)
        self._has_controls = any(c.is_control for c in training)
        self._linear = linear if self._has_controls else None
        donated = make_donors(donors, change[lent.row], genes, pool)
        self._lender = Lender(donors=donated, kin=kin, lent=lent, linear=self._linear)
        # without unedited cells, what edits were measured to have in common is all of it borrowed, or nothing (`semimech.fit.select`)
        self._stands_on_edits = bool(fit.trust[3] > 0) and not self._has_controls
        self._trained_genes = {gene for condition in training for gene in _genes(condition)}

    def predict(
        self,
        conditions: Sequence[Condition],
        own: Bool[np.ndarray, "condition gene"],
        predict_laws: Callable[[Sequence[Condition]], Float[np.ndarray, "condition gene"]],
    ) -> Corrected:
        """Correct the predictions of the laws.

        Parameters
        ----------
        conditions
            What is asked.
        own
            Where their edited genes are, which are not pooled.
        predict_laws
            Mean prediction of the laws alone.
        """
        changes = [self._change(condition) for condition in conditions]
        terms = [
            None if self._seen.knows(c) else self._seen.told_terms(c, change)
            for c, change in zip(conditions, changes, strict=True)
        ]
        kinds: list[Kind] = [self._kind(c, parts) for c, parts in zip(conditions, terms, strict=True)]
        unseen = [row for row, c in enumerate(conditions) if not _genes(c) <= self._trained_genes]
        controls = [merged(condition, without_edits) for condition in conditions]
        less = [anonymous(conditions[row]) for row in unseen]
        later = [row for row, c in enumerate(conditions) if kinds[row] in ("late", "later") and not c.is_control]
        before = [self._seen.last(conditions[row]) for row in later]
        parts = [part for found in terms if found is not None for _, part in found]
        found = predict_laws([*conditions, *controls, *less, *before, *parts])
        ends = np.cumsum([len(conditions), len(controls), len(less), len(before)])
        mean, no_edit, any_edit, by_then, of_parts = np.split(found, ends)
        halted = dict(zip(later, by_then - mean[later], strict=True))
        trust, compose = np.asarray(self._fit.trust, np.float64), np.asarray(self._fit.compose, np.float64)
        steps = np.zeros((len(unseen), mean.shape[1], 3))
        for place, row in enumerate(unseen):
            steps[place] = self._lender.loan(conditions[row], _genes(conditions[row]) - self._trained_genes).steps
        nested = Nested(
            unedited=no_edit[unseen], control=no_edit[unseen], shared=any_edit, specific=mean[unseen], borrowed=steps
        )
        nested = nested.moved(self._fit.control - nested.unedited) if self._stands_on_edits else nested
        mean[unseen] = np.where(own[unseen], mean[unseen], nested.pooled(trust))
        carried, borrowed, used = np.zeros_like(mean), np.zeros_like(mean), 0
        measured = [self._seen.unedited(*each) for each in zip(controls, no_edit, strict=True)]
        borrowed[unseen] = np.where(own[unseen], 0.0, steps @ trust[3:])
        for row, (condition, known, change) in enumerate(zip(conditions, terms, changes, strict=True)):
            if known is not None:
                made = self._seen.composition(known, of_parts[used : used + len(known)], change)
                used += len(known)
                law, control, beyond, linear = made.steps(mean[row])
                mean[row] = made.additive + compose[0] * law
                carried[row] = compose[1] * control + compose[2] * beyond + compose[3] * np.where(own[row], 0.0, linear)
                continue
            control = measured[row]
            if condition.is_control:
                carried[row] = control
            elif kinds[row] == "unseen":
                carried[row] = trust[0] * control
            else:
                shares = self._fit.carry_over[_PLACES.index(kinds[row]) if row in halted else 0]
                residual = self._seen.residual_of(condition)
                carried[row] = shares[0] * control + shares[1] * (residual - control)
                if row in halted:
                    carried[row] += shares[2] * halted[row]
                elif not self._seen.is_before(condition):
                    interpolated = no_edit[row] + control + self._measured.residual_of(condition)
                    carried[row] += shares[2] * (interpolated - mean[row] - residual)
        mean = mean + carried
        unedited = (
            no_edit + np.reshape(measured, mean.shape)
            if self._has_controls
            else np.broadcast_to(self._fit.control, mean.shape)
        )
        return Corrected(mean=mean, carried=carried, kinds=tuple(kinds), borrowed=borrowed, unedited=unedited)

    def loan(self, condition: Condition) -> Loan | None:
        """What a condition borrows, before it is shared out; ``None`` where all its edits were trained on."""
        unseen = _genes(condition) - self._trained_genes
        return self._lender.loan(condition, unseen) if unseen else None

    def _change(self, condition: Condition) -> Float[np.ndarray, " gene"] | None:
        """What all conditions that carry the edits say of one that was not seen, if that counts."""
        counts = self._linear is not None and self._fit.compose[2] > 0.0 and not self._seen.knows(condition)
        return self._linear.change(condition) if self._linear is not None and counts else None

    def _kind(self, condition: Condition, terms: tuple[Term, ...] | None) -> Kind:
        if terms is not None:
            return "parts"
        if not self._seen.knows(condition):
            return "unseen"
        if not self._seen.is_beyond(condition):
            return "seen"
        return "later" if self._seen.is_newest(condition) else "late"


def _genes(condition: Condition) -> set[str]:
    """Genes that were edited at any time, also through a compound that was washed out."""
    return {edit.gene for period in condition.history for edit in period.context.edits}
