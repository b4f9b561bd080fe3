"""Partial pooling: an unseen edit leaves "no change" and "an edit like any other" only as far as that was found to help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import lsq_linear

from semimech.experiment import Condition, Context

SHARES = ("trust_control", "trust_shared", "trust", "trust_mean", "trust_alike", "trust_response")
"""Names of the shares of `Nested.steps`, as in the table of a selection."""
MEASURED = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
"""Shares whose prediction is the measured controls."""
ANY_EDIT = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
"""Shares whose prediction is what all edits have in common."""
LAW_ALONE = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
"""Shares whose prediction is the law's."""
THE_LAW = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
"""Shares whose prediction is the law's own change from the measured controls."""


@dataclass(frozen=True, kw_only=True)
class Nested:
    """Predictions of the same conditions, from the least to the most that is claimed to be known of their edits.

    Parameters
    ----------
    unedited
        As if no edit had been made, by the law.
    control
        Unedited cells of the same time and media as they were measured; as the law has them where none were.
    shared
        As if the edits had been made in genes that the model does not know: what all edits have in common.
    specific
        Of the edits themselves.
    borrowed
        Beside them, from measurements alone (`semimech.fit.donors.Loan`): changes that edits have in common; what edits like these did beyond
        that; and what unedited cells with less of the targets are like.
    """

    unedited: Float[np.ndarray, "condition gene"]
    control: Float[np.ndarray, "condition gene"]
    shared: Float[np.ndarray, "condition gene"]
    specific: Float[np.ndarray, "condition gene"]
    borrowed: Float[np.ndarray, "condition gene 3"]

    def pooled(self, trust: Float[np.ndarray, 6]) -> Float[np.ndarray, "condition gene"]:
        """The law's unedited cells, and as much of each step from there as it is trusted."""
        return self.unedited + self.steps @ trust

    def moved(self, shift: Float[np.ndarray, "condition gene"] | float) -> Nested:
        """All levels moved alike; steps between them stay."""
        names = ("unedited", "control", "shared", "specific")
        return replace(self, **{name: getattr(self, name) + shift for name in names})

    @classmethod
    def mean(cls, several: Sequence[Nested]) -> Nested:
        """The average of predictions that borrow the same."""
        names = ("unedited", "control", "shared", "specific")
        means = {name: np.mean([getattr(each, name) for each in several], axis=0) for name in names}
        return cls(**means, borrowed=several[0].borrowed)

    @property
    def steps(self) -> Float[np.ndarray, "condition gene 6"]:
        """From the law's unedited cells to the measured ones; from no edit to any edit; from any edit to this one; and what is borrowed."""
        by_law = [self.control - self.unedited, self.shared - self.unedited, self.specific - self.shared]
        return np.concatenate([np.stack(by_law, axis=-1), self.borrowed], axis=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trusted:
    """How far predictions of unseen edits go, and what they then were for edits that were held out.

    Parameters
    ----------
    trust
        Share of each step of `Nested`.
    held_out
        Predictions of held-out conditions, each with shares that were found without its own edits.
    """

    trust: Float[np.ndarray, " step"]
    held_out: Float[np.ndarray, "condition gene"]


def find_trust(
    nested: Nested,
    truth: Float[np.ndarray, "condition gene"],
    weight: Float[np.ndarray, "condition gene"],
    group: Int[np.ndarray, " condition"],
    *,
    anchor: Float[np.ndarray, 6] = MEASURED,
    credit: float = 0.0,
) -> Trusted:
    r"""How far each step is worth taking for an edit that was not among those on which that was found.

    Shares are the best ones on what was held out, bounded by 0 and 1. What few edits tell does not hold for the next one, so
    predictions are shrunk towards the anchor by the slope of truth on predictions whose shares were found without the
    edit at hand (Copas 1983): about 1 for many edits that agree, 0 where one edit alone speaks for a step.

    Few edits also speak against a law by chance, and held-out edits were predicted by laws that had seen less than the final one. So
    the law has credit: as many more edits, each of the average size of those held out, of which it is exactly true.

    Parameters
    ----------
    nested
        Predictions of what was held out; NaN, where nothing was, is left out.
    truth, weight
        Measured means, and weights of squared errors.
    group
        Number of the edits of each condition.
    anchor
        Shares of the prediction to stay with where the others do not hold.
    credit
        Number of edits that the law is taken to have predicted before any was held out.
    """
    steps, target = nested.steps, truth - nested.unedited
    start = steps @ anchor
    products = _products(steps, target, weight, group)
    trust = _bounded(_credited(products, credit))
    beyond = np.zeros_like(target)
    for number in range(len(products)):
        out = group == number
        beyond[out] = steps[out] @ _bounded(_credited(np.delete(products, number, axis=0), credit)) - start[out]
    slope = _slope(beyond, target - start, weight, credit=credit / max(_n_scored(products), 1))
    trust = slope * trust + (1.0 - slope) * anchor
    return Trusted(trust=trust, held_out=nested.unedited + start + slope * beyond)


def cross_fitted(
    steps: Float[np.ndarray, "condition gene step"],
    target: Float[np.ndarray, "condition gene"],
    weight: Float[np.ndarray, "condition gene"],
    group: Int[np.ndarray, " condition"],
) -> tuple[Float[np.ndarray, " step"], Float[np.ndarray, "condition gene"]]:
    """Shares between 0 and 1 of steps whose sum is nearest to a target: bounded, weighted least squares.

    A step that changes nothing has share 1. Entries with NaN are left out. Beside them, the sum of the steps of each condition with shares that were found without its group, whole
    steps where there is no other: what shares would be worth for conditions on which they were not found.
    """
    products = _products(steps, target, weight, group)
    taken = np.zeros_like(target)
    for number in range(len(products)):
        out = group == number
        taken[out] = steps[out] @ _bounded(np.delete(products, number, axis=0).sum(axis=0))
    return _bounded(products.sum(axis=0)), taken


def _products(
    steps: Float[np.ndarray, "condition gene step"],
    target: Float[np.ndarray, "condition gene"],
    weight: Float[np.ndarray, "condition gene"],
    group: Int[np.ndarray, " condition"],
) -> Float[np.ndarray, "group row row"]:
    """Weighted products of steps and target with each other, for each group of conditions."""
    n_rows = steps.shape[-1] + 1
    found = np.zeros((int(group.max(initial=-1)) + 1, n_rows, n_rows))
    for number in range(len(found)):
        out = group == number
        rows = np.concatenate([steps[out], target[out, :, None]], axis=-1) * np.sqrt(weight[out])[..., None]
        rows = rows.reshape(-1, n_rows)
        rows = rows[np.isfinite(rows).all(axis=1)]
        found[number] = rows.T @ rows
    return found


def _credited(products: Float[np.ndarray, "group row row"], credit: float) -> Float[np.ndarray, "row row"]:
    """Products of all groups, and of some more of average size in which each step alone is as far as the law says."""
    whole = products.sum(axis=0)
    power = credit / max(_n_scored(products), 1) * np.diagonal(whole)[:-1]
    whole[:-1, :-1] += np.diag(power)
    whole[:-1, -1] += power * THE_LAW
    whole[-1, :-1] += power * THE_LAW
    whole[-1, -1] += float(power @ THE_LAW)
    return whole


def _n_scored(products: Float[np.ndarray, "group row row"]) -> int:
    """Groups with any entry to score."""
    return int((products[:, -1, -1] > 0.0).sum())


def _bounded(product: Float[np.ndarray, "row row"]) -> Float[np.ndarray, " step"]:
    """The best shares, given products."""
    gram, moment, power = product[:-1, :-1], product[:-1, -1], float(product[-1, -1])
    is_still = np.diagonal(gram) <= 1e-9 * max(power, 1e-12)
    shares = np.ones(len(moment))
    if not is_still.all():
        moving = np.flatnonzero(~is_still)
        factor = np.linalg.cholesky(gram[np.ix_(moving, moving)] + 1e-9 * np.trace(gram) * np.eye(len(moving)))
        shares[moving] = lsq_linear(factor.T, np.linalg.solve(factor, moment[moving]), bounds=(0.0, 1.0)).x
    return shares


def _slope(
    predicted: Float[np.ndarray, "condition gene"],
    truth: Float[np.ndarray, "condition gene"],
    weight: Float[np.ndarray, "condition gene"],
    *,
    credit: float,
) -> float:
    """Slope of truth on predictions, between 0 and 1, with a slope of 1 counted as a share more; 1 where nothing is predicted."""
    is_scored = np.isfinite(predicted) & np.isfinite(truth)
    weight, predicted, truth = weight[is_scored], predicted[is_scored], truth[is_scored]
    power = float(weight @ predicted**2)
    if power == 0.0:
        return 1.0
    found = float(weight @ (predicted * truth)) / power
    return min(max((found + credit) / (1.0 + credit), 0.0), 1.0)


def anonymous(condition: Condition) -> Condition:
    """The condition with its edits made in genes that no model knows: what all edits share remains."""
    genes = sorted({edit.gene for period in condition.history for edit in period.context.edits})
    names = {gene: f"ANY-{i}" for i, gene in enumerate(genes)}
    return _with_contexts(
        condition,
        lambda context: replace(context, edits=tuple(replace(edit, gene=names[edit.gene]) for edit in context.edits)),
    )


def unedited(condition: Condition) -> Condition:
    """The condition without its edits and compounds: times and media remain."""
    return _with_contexts(condition, lambda context: replace(context, edits=(), doses=()))


def _with_contexts(condition: Condition, change: Callable[[Context], Context]) -> Condition:
    return Condition(history=tuple(replace(p, context=change(p.context)) for p in condition.history))
