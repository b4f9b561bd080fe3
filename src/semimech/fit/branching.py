"""BranchingModel: a law for what an edit does within each fate, and shares of cells that take each fate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from semimech.assumptions.catalogue import ADDITIVE, NO_SELECTION, Assumption
from semimech.data import Dataset
from semimech.experiment import Condition, Edit
from semimech.fit.fates import Fates, cells_of, fate_means, fates_by_time
from semimech.predictor import AbstractDynamicPredictor, Prediction

_MOST_PULL = 10.0
_QUANTILE = 1.645
_SETTLED_HOURS = 1e9


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Where the cells of a condition part.

    Parameters
    ----------
    fates
        The fates of unedited cells at the nearest time of harvest in the same media.
    unedited
        Shares of unedited cells in them.
    """

    fates: Fates
    unedited: Float[np.ndarray, " fate"]


class Shares:
    r"""Shares of cells in each fate: as found for the edits harvested, and as expected for others.

    .. math:: \pi_k(p) \propto \pi_k(\varnothing) \exp \sum_{g \in p} s_{gk}

    The shift :math:`s_{gk}` of an edit that was harvested alone is what was found, linear in time between harvests. That of
    another edit is :math:`-\beta e_g \log(x_{gk} / \bar x_g)` with :math:`e_g` its efficacy and :math:`x_{gk}` the
    abundance of its gene in fate :math:`k`, relative to the mean over fates: a fate is lost with what is made in it alone. The
    pull :math:`\beta \ge 0` is fitted to the edits harvested, by least squares of shares weighted by cells.

    Parameters
    ----------
    dataset
        Training data with single cells.
    seed
        Starts of the mixtures by which fates are found.
    known
        Parts that cells are in by time of harvest, also in the maintenance medium (as the phases of the cell cycle); fates are found if there are none.
    """

    def __init__(self, dataset: Dataset, *, seed: int, known: Mapping[float, Fates] | None = None) -> None:
        self.dataset = replace(dataset, cells=None)
        self._is_known = known is not None
        self._fates = dict(known) if known is not None else fates_by_time(dataset, seed=seed)
        self._unedited: dict[int, np.ndarray] = {}
        for row in map(int, np.flatnonzero(dataset.is_control)):
            fates = self._fates.get(dataset.hours[row])
            if fates is not None and (self._is_known or not self._is_resting(row)):
                even = np.full(len(fates.centre), 1.0 / len(fates.centre))
                self._unedited[row] = fates.membership(cells_of(dataset, np.array([row])), even)[0]
        self.found = np.zeros_like(dataset.mean)
        self._shifts: dict[tuple[object, object], list[tuple[float, np.ndarray]]] = {}
        observed: list[tuple[Condition, Branch, np.ndarray, int]] = []
        for row, condition in enumerate(dataset.conditions):
            branch = self.branch(condition)
            if branch is None or not condition.edits:
                continue
            cells = cells_of(dataset, np.array([row]))
            share, belongs = branch.fates.membership(cells, branch.unedited)
            self.found[row] = (share - branch.unedited) @ fate_means(cells, belongs, branch.fates)
            shift = np.log(share / branch.unedited)
            key = (condition.edits, condition.media)
            self._shifts.setdefault(key, []).append((condition.hours, shift))
            observed.append((condition, branch, share, len(cells)))
        self.pull, self.error = self._fit_pull(observed)

    def branch(self, condition: Condition) -> Branch | None:
        """Where a condition's cells part; ``None`` where unedited cells of its media and time do not."""
        rows = self.dataset.control_rows(condition)
        if self._is_known and len(rows) > 1:
            gap = np.abs(self.dataset.hours[rows] - condition.hours)
            rows = rows[[int(np.argmin(np.nan_to_num(gap, nan=0.0)))]]
        if len(rows) != 1 or int(rows[0]) not in self._unedited:
            return None
        if self.dataset.conditions[rows[0]].media != condition.media:
            return None
        return Branch(fates=self._fates[self.dataset.hours[rows[0]]], unedited=self._unedited[int(rows[0])])

    def shares(self, condition: Condition, branch: Branch) -> tuple[Float[np.ndarray, " fate"], bool]:
        """Shares of a condition's cells in each fate, and whether all its edits were harvested in these media."""
        whole = self._seen(condition.edits, condition)
        if whole is not None:
            return _shifted(branch, whole), True
        total, is_seen = np.zeros(len(branch.unedited)), True
        for edit in condition.edits:
            shift = self._seen((edit,), condition)
            is_seen &= shift is not None
            total += self.pull * self._direction(edit, branch) if shift is None else shift
        return _shifted(branch, total), is_seen

    def _is_resting(self, row: int) -> bool:
        return bool(self.dataset.is_stationary_control[row]) and self.dataset.system.is_stationary

    def _seen(self, edits: tuple[Edit, ...], condition: Condition) -> np.ndarray | None:
        """Shift of the shares by edits that were harvested in these media, linear in time between harvests."""
        found = sorted(self._shifts.get((edits, condition.media), []), key=lambda harvest: harvest[0])
        if not found:
            return None
        times = np.minimum([hours for hours, _ in found], _SETTLED_HOURS)
        asked = min(condition.hours, _SETTLED_HOURS)
        return np.array([np.interp(asked, times, shift) for shift in np.array([s for _, s in found]).T])

    def _direction(self, edit: Edit, branch: Branch) -> Float[np.ndarray, " fate"]:
        """Shift of the logarithms of the shares by an edit not harvested, where the pull is one."""
        if edit.gene not in self.dataset.genes:
            return np.zeros(len(branch.unedited))
        column = self.dataset.genes.index(edit.gene)
        state = np.maximum(self.dataset.scale.to_state(branch.fates.centre[:, column]), 0.0)
        floor = 0.02 * max(float(np.median(self.dataset.state)), 1e-9)
        sign = 1.0 if edit.kind == "crispra" else -1.0
        return sign * edit.efficacy * np.log((state + floor) / (state.mean() + floor))

    def _fit_pull(self, observed: Sequence[tuple[Condition, Branch, np.ndarray, int]]) -> tuple[float, float]:
        """The pull that fits the shares of edits made alone, and the root mean squared error of a share."""
        single = [(c, branch, share, n) for c, branch, share, n in observed if len(c.edits) == 1]
        if not single:
            return 0.0, 0.0
        weights = np.array([n for *_, n in single], dtype=float)

        def misfit(pull: float) -> float:
            squared = [
                np.mean((_shifted(branch, pull * self._direction(c.edits[0], branch)) - share) ** 2)
                for c, branch, share, _ in single
            ]
            return float(np.average(squared, weights=weights))

        pull = float(minimize_scalar(misfit, bounds=(0.0, _MOST_PULL), method="bounded").x)
        pull = pull if misfit(pull) < misfit(0.0) else 0.0
        return pull, float(np.sqrt(misfit(pull)))


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
        """Predict conditions; intervals of edits not harvested are widened by the error of their shares."""
        conditions = [self.shares.dataset.system.resolve(condition) for condition in conditions]
        within = self.law.predict_conditions(conditions)
        move, spread = np.zeros_like(within.mean), np.zeros_like(within.mean)
        for row, condition in enumerate(conditions):
            branch = self.shares.branch(condition) if condition.edits else None
            if branch is None:
                continue
            share, is_seen = self.shares.shares(condition, branch)
            move[row] = (share - branch.unedited) @ branch.fates.centre
            if not is_seen:
                spread[row] = _QUANTILE * self.shares.error * np.ptp(branch.fates.centre, axis=0)
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
        share, _ = self.shares.shares(condition, branch)
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


def _shifted(branch: Branch, shift: Float[np.ndarray, " fate"]) -> Float[np.ndarray, " fate"]:
    return softmax(np.log(branch.unedited) + shift)
