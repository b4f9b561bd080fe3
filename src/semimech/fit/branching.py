"""BranchingModel: a law for what an edit does within each fate, and shares of cells that take each fate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from semimech.assumptions.catalogue import ADDITIVE, NO_SELECTION, Assumption
from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit.shares import Shares
from semimech.predictor import AbstractDynamicPredictor, Prediction

_QUANTILE = 1.645


class BranchingModel(AbstractDynamicPredictor):
    """A predictor of cells that part into fates: a law within fates, and the shares of cells that take each.

    Where the cells of one condition part into separate states, their mean is a state of none. The law is fitted to the mean
    that a condition would have with the shares of unedited cells, and the shift of the shares is added to its prediction.
    Without fates it predicts what the law does.

    Parameters
    ----------
    law
        Predicts conditions at the shares of unedited cells.
    shares
        Shares of the cells in each fate.
    parts
        What cells part into, in the name.
    lifted
        Assumptions of the law that the shares make unnecessary.
    """

    def __init__(
        self,
        law: AbstractDynamicPredictor,
        shares: Shares,
        *,
        parts: str = "fates",
        lifted: tuple[Assumption, ...] = (),
    ) -> None:
        kept = [a for a in law.assumptions if a not in lifted]
        super().__init__(
            name=f"{law.name} + {parts}",
            genes=law.genes,
            assumptions=tuple(dict.fromkeys((*kept, ADDITIVE, NO_SELECTION))),
            var_names=law.var_names,
            maintenance_medium=law.maintenance_medium,
        )
        self.law = law
        self.shares = shares

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions; intervals are widened by the error of the shares."""
        conditions = [self.shares.dataset.system.resolve(condition) for condition in conditions]
        within = self.law.predict_conditions(conditions)
        move, spread = np.zeros_like(within.mean), np.zeros_like(within.mean)
        for row, condition in enumerate(conditions):
            branch = self.shares.branch(condition) if condition.edits else None
            if branch is None:
                continue
            found = self.shares.shares(condition, branch)
            move[row] = (found.share - branch.unedited) @ branch.fates.centre
            spread[row] = _QUANTILE * np.sqrt(found.variance(branch.fates.centre))
        mean = within.mean + move
        least = self.shares.dataset.scale.to_observed(np.zeros(1))
        return Prediction(
            mean=np.maximum(mean, least),
            lower=np.maximum(mean - np.hypot(within.mean - within.lower, spread), least),
            upper=mean + np.hypot(within.upper - within.mean, spread),
        )

    def population(
        self, condition: Condition, cells: Float[np.ndarray, "cell gene"], *, rng: np.random.Generator
    ) -> Float[np.ndarray, "cell gene"]:
        """Cells of a condition, from unedited ones of the same time and media, observed scale.

        Parameters
        ----------
        condition
            What was done.
        cells
            Unedited cells; as many are returned.
        rng
            Draws cells again, so that each fate has its predicted share.

        Returns
        -------
        numpy.ndarray
            The cells drawn, each moved by what the law predicts within fates.
        """
        condition = self.shares.dataset.system.resolve(condition)
        change = self.law.predict_conditions([condition]).mean[0] - self.shares.dataset.matched_control(condition)
        branch = self.shares.branch(condition) if condition.edits else None
        if branch is None:
            return cells + change
        share = self.shares.shares(condition, branch).share
        _, belongs = branch.fates.membership(cells, branch.unedited)
        chance = belongs @ (share / branch.unedited)
        return rng.choice(cells, len(cells), p=chance / chance.sum()) + change

    def advance(
        self,
        observed: Float[np.ndarray, "condition gene"],
        before: Sequence[Condition],
        after: Sequence[Condition],
    ) -> Float[np.ndarray, "condition gene"]:
        """Add the predicted difference between the two harvests to what was observed at the earlier one."""
        step = self.predict_conditions(after).mean - self.predict_conditions(before).mean
        return np.maximum(observed + step, self.shares.dataset.scale.to_observed(np.zeros(1)))


def with_fates(
    dataset: Dataset, fit_law: Callable[[Dataset], AbstractDynamicPredictor], *, seed: int = 0
) -> BranchingModel:
    """Fit a law within fates, and the shares of cells that take each.

    Parameters
    ----------
    dataset
        Training data; fates are found only where it has single cells.
    fit_law
        Fits the law to means at the shares of unedited cells, for instance `semimech.fit`. Cells are handed on as they are: its loss
        should be one on means.
    seed
        Starts of the mixtures by which fates are found.
    """
    shares = Shares(dataset, seed=seed)
    return BranchingModel(fit_law(replace(dataset, mean=dataset.mean - shares.found)), shares)
