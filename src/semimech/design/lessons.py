r"""Lessons: what the outcome of one edit would teach about the predictions of others, gene by gene.

Errors are written as products of features :math:`f_c`, :math:`\operatorname{cov}(\epsilon_c, \epsilon_{c'}) = f_c^\top f_{c'}`, so that measuring :math:`c` with noise
:math:`\sigma^2` takes :math:`(f_w^\top f_c)^2 / (f_c^\top f_c + \sigma^2)` off the expected squared error of :math:`w`; a batch is chosen one by one, with the features left after each
(Chaloner and Verdinelli 1995, Stat. Sci. 10:273: Bayesian A-optimal design). Features come from the weights of the law (`semimech.design.law_lessons`) and from edits that act
alike (`semimech.design.kin_lessons`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from semimech.design.choose import Pick, in_turn
from semimech.design.prices import Limits, Purse
from semimech.experiment import Condition


@dataclass(frozen=True, kw_only=True, eq=False)
class Lessons:
    """Errors of predictions as products of features, one set of features for each gene, or for a group that errs alike.

    Parameters
    ----------
    feature
        Features of each condition, in units of the response.
    noise
        Variance of what is measured.
    weight
        How much each group counts.
    """

    feature: Float[np.ndarray, "group condition feature"]
    noise: Float[np.ndarray, " group"]
    weight: Float[np.ndarray, " group"]

    def gains(self, asked: Float[np.ndarray, " condition"], *, own: bool) -> Float[np.ndarray, " condition"]:
        """What measuring each condition takes off the squared error of what is asked.

        Parameters
        ----------
        asked
            How much the error of each condition counts.
        own
            Whether its own error counts too; not where others of its kind are asked for, which are never made.
        """
        size = (self.feature**2).sum(axis=-1)
        taught = np.swapaxes(self.feature, 1, 2) @ (self.feature * asked[:, None].astype(self.feature.dtype))
        removed = ((self.feature @ taught) * self.feature).sum(axis=-1)
        if not own:
            removed = removed - asked * size**2
        return self.weight @ (np.maximum(removed, 0.0) / (size + self.noise[:, None]))

    def errors(self) -> Float[np.ndarray, " condition"]:
        """Expected squared error of each condition."""
        return self.weight @ (self.feature**2).sum(axis=-1)

    def after(self, row: int) -> Lessons:
        """What is left once a condition is measured."""
        taken = self.feature[:, row]
        size = (taken**2).sum(axis=-1)
        shrink = (1.0 - np.sqrt(self.noise / (size + self.noise))) / np.maximum(size, 1e-30)
        along = shrink[:, None] * (self.feature @ taken[..., None])[..., 0]
        left = self.feature - along.astype(self.feature.dtype)[..., None] * taken[:, None]
        return Lessons(feature=left, noise=self.noise, weight=self.weight)


def choose_lessons(
    lessons: Sequence[Lessons],
    conditions: Sequence[Condition],
    limits: Limits,
    *,
    asked: Float[np.ndarray, " condition"],
    is_candidate: Bool[np.ndarray, " condition"],
    own: bool,
) -> tuple[Pick, ...]:
    """Conditions that teach most of what is asked, taken one by one; with a budget, per unit of cost.

    Parameters
    ----------
    lessons
        What conditions teach, by several ways that add up.
    conditions
        The conditions.
    limits
        What fits into the round.
    asked
        How much the error of each condition counts.
    is_candidate
        Which ones can be done.
    own
        See `Lessons.gains`.

    Raises
    ------
    ConfigError
        If nothing fits into the round.
    """
    left = list(lessons)
    before: float = max(sum(float(each.errors() @ asked) for each in lessons), 1e-300)

    def take(row: int) -> Float[np.ndarray, " condition"]:
        after = [each.after(row) for each in left]
        fallen = np.sum([old.errors() - new.errors() for old, new in zip(left, after, strict=True)], axis=0)
        left[:] = after
        return asked * fallen

    return in_turn(
        Purse(conditions=conditions, limits=limits),
        is_candidate,
        gains=lambda: np.sum([each.gains(asked, own=own) for each in left], axis=0) / before,
        take=take,
    )
