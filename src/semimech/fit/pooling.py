"""Partial pooling: an unseen edit leaves "no change" and "an edit like any other" only as far as that was found to help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import lsq_linear

from semimech.experiment import Condition, Context


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

    @property
    def steps(self) -> Float[np.ndarray, "condition gene 6"]:
        """From the law's unedited cells to the measured ones; from no edit to any edit; from any edit to this one; and what is borrowed."""
        by_law = [self.control - self.unedited, self.shared - self.unedited, self.specific - self.shared]
        return np.concatenate([np.stack(by_law, axis=-1), self.borrowed], axis=-1)


def best_trust(
    nested: Nested, truth: Float[np.ndarray, "condition gene"], weight: Float[np.ndarray, "condition gene"]
) -> Float[np.ndarray, 6]:
    """How far each step is worth taking, between 0 and 1: bounded least squares on what was held out.

    A step that changes nothing is trusted. NaN, where nothing was held out, is left out.
    """
    return best_shares(nested.steps, truth - nested.unedited, weight)


def best_shares(
    steps: Float[np.ndarray, "condition gene step"],
    target: Float[np.ndarray, "condition gene"],
    weight: Float[np.ndarray, "condition gene"],
) -> Float[np.ndarray, " step"]:
    """Shares between 0 and 1 of steps whose sum is nearest to a target: bounded, weighted least squares.

    A step that changes nothing has share 1. Rows with NaN are left out.
    """
    root, n_steps = np.sqrt(weight)[..., None], steps.shape[-1]
    rows = np.concatenate([root * steps, root * target[..., None]], axis=-1).reshape(-1, n_steps + 1)
    rows = rows[np.isfinite(rows).all(axis=1)]
    left, right = rows[:, :-1], rows[:, -1]
    gram, moment = left.T @ left, left.T @ right
    is_still = np.diagonal(gram) <= 1e-9 * max(float(right @ right), 1e-12)
    shares = np.ones(n_steps)
    if not is_still.all():
        moving = np.flatnonzero(~is_still)
        factor = np.linalg.cholesky(gram[np.ix_(moving, moving)] + 1e-9 * np.trace(gram) * np.eye(len(moving)))
        shares[moving] = lsq_linear(factor.T, np.linalg.solve(factor, moment[moving]), bounds=(0.0, 1.0)).x
    return shares


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
