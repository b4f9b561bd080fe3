"""Shares of cells in each fate: found for the edits harvested, expected for others, with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from semimech.data import Dataset
from semimech.experiment import Condition, Edit
from semimech.fit.fates import PRIOR_CELLS, Fates, cells_of, fate_means, fates_by_time

_MOST_PULL = 10.0
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
    error
        Covariance of the logarithms of those shares, up to what all fates share.
    """

    fates: Fates
    unedited: Float[np.ndarray, " fate"]
    error: Float[np.ndarray, "fate fate"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """Shares of a condition's cells in each fate.

    Parameters
    ----------
    share
        They add up to 1.
    sampling
        Covariance of them: cells that were counted, in unedited ones too where edits are composed, and the moment of change between two harvests.
    beyond
        Root mean squared error of a share that is told from other edits: of an edit not harvested, or of edits whose shifts are added up.
    """

    share: Float[np.ndarray, " fate"]
    sampling: Float[np.ndarray, "fate fate"]
    beyond: float

    def variance(self, centre: Float[np.ndarray, "fate gene"]) -> Float[np.ndarray, " gene"]:
        """Variance of the mean over fates, by the error of their shares."""
        return np.einsum("kg,kl,lg->g", centre, self.sampling, centre) + (self.beyond * np.ptp(centre, axis=0)) ** 2


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
        self._unedited: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for row in map(int, np.flatnonzero(dataset.is_control)):
            fates = self._fates.get(dataset.hours[row])
            if fates is not None and (self._is_known or not self._is_resting(row)):
                even = np.full(len(fates.centre), 1.0 / len(fates.centre))
                found, belongs = fates.membership(cells_of(dataset, np.array([row])), even)
                self._unedited[row] = found, _error_of_logs(found, belongs)
        self.found = np.zeros_like(dataset.mean)
        self._shifts: dict[tuple[object, object], list[tuple[float, np.ndarray, np.ndarray]]] = {}
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
            self._shifts.setdefault(key, []).append((condition.hours, shift, _error_of_logs(share, belongs)))
            observed.append((condition, branch, share, len(cells)))
        self.pull, self.error = self._fit_pull(observed)
        self.pair_error = 0.0
        self.pair_error = self._error_of_pairs(observed)

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
        unedited, error = self._unedited[int(rows[0])]
        return Branch(fates=self._fates[self.dataset.hours[rows[0]]], unedited=unedited, error=error)

    def shares(self, condition: Condition, branch: Branch) -> Share:
        """Shares of a condition's cells in each fate: as found for its edits together, else composed of them."""
        whole = self._seen(condition.edits, condition)
        if whole is None:
            return self._composed(condition, branch)
        share = _shifted(branch, whole[0])
        return Share(share=share, sampling=_of_shares(share, whole[1]), beyond=0.0)

    def _composed(self, condition: Condition, branch: Branch) -> Share:
        """Log odds of edits added up."""
        total, error = np.zeros(len(branch.unedited)), np.zeros_like(branch.error)
        seen = [self._seen((edit,), condition) for edit in condition.edits]
        for edit, found in zip(condition.edits, seen, strict=True):
            total += self.pull * self._direction(edit, branch) if found is None else found[0]
            error += 0.0 if found is None else found[1]
        # A shift that was found is one from unedited shares: their error is in each, and once taken away.
        n_seen = sum(found is not None for found in seen)
        error += (1 - n_seen) ** 2 * branch.error
        share = _shifted(branch, total)
        beyond = self.pair_error if n_seen == len(seen) else self.error
        return Share(share=share, sampling=_of_shares(share, error), beyond=beyond)

    def _is_resting(self, row: int) -> bool:
        return bool(self.dataset.is_stationary_control[row]) and self.dataset.system.is_stationary

    def _seen(self, edits: tuple[Edit, ...], condition: Condition) -> tuple[np.ndarray, np.ndarray] | None:
        """Shift of the shares by edits that were harvested in these media, linear in time between harvests, and its covariance.

        A share that jumps at an unknown moment between two harvests has this mean, and of its variance the last term.
        """
        found = sorted(self._shifts.get((edits, condition.media), []), key=lambda harvest: harvest[0])
        if not found:
            return None
        times = np.minimum([hours for hours, *_ in found], _SETTLED_HOURS)
        place = float(np.interp(min(condition.hours, _SETTLED_HOURS), times, np.arange(len(times))))
        before, share = int(place), place % 1.0
        (_, first, error), (_, last, error_last) = found[before], found[min(before + 1, len(found) - 1)]
        jump = last - first
        shift = first + share * jump
        return shift, (1 - share) ** 2 * error + share**2 * error_last + share * (1 - share) * np.outer(jump, jump)

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

    def _error_of_pairs(self, observed: Sequence[tuple[Condition, Branch, np.ndarray, int]]) -> float:
        """Root mean squared error of shares of harvested combinations, told from their edits, beyond that of counting; 0 where there are none."""
        squared, weights = [], []
        for condition, branch, share, n in observed:
            parts = [self._seen((edit,), condition) for edit in condition.edits]
            if len(parts) > 1 and all(part is not None for part in parts):
                told = self._composed(condition, branch)
                counted = np.diag(told.sampling) + share * (1.0 - share) / max(n, 1)
                squared.append(np.mean((told.share - share) ** 2 - counted))
                weights.append(float(n))
        return float(np.sqrt(max(np.average(squared, weights=weights), 0.0))) if squared else 0.0


def _shifted(branch: Branch, shift: Float[np.ndarray, " fate"]) -> Float[np.ndarray, " fate"]:
    return softmax(np.log(branch.unedited) + shift)


def _error_of_logs(share: np.ndarray, belongs: Float[np.ndarray, "cell fate"]) -> np.ndarray:
    """Covariance of logarithms of shares, up to what all share.

    The inverse of the information of cells that may be of any fate (Louis, Journal of the Royal Statistical Society B 44, 226, 1982), and of the two cells that the prior counts as.
    """
    apart = belongs - share
    return np.linalg.pinv(apart.T @ apart + PRIOR_CELLS * _spread_of(share), hermitian=True)


def _of_shares(share: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Covariance of shares from that of their logarithms."""
    return _spread_of(share) @ error @ _spread_of(share)


def _spread_of(share: np.ndarray) -> np.ndarray:
    return np.diag(share) - np.outer(share, share)
