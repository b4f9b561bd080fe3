"""Optimal-transport interpolation: cells at an unseen time lie between those of the neighbouring harvests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from semimech._errors import DataError
from semimech.assumptions.catalogue import NO_SELECTION, SMOOTH
from semimech.baselines.effects import Effects
from semimech.baselines.interpolate import time_weights
from semimech.experiment import Condition, Period
from semimech.predictor import AbstractDynamicPredictor, Prediction


@dataclass(frozen=True, kw_only=True)
class End:
    """Cells of one harvest between which, or at which, a population lies.

    Parameters
    ----------
    rows
        Rows of the data set that were harvested then.
    share
        Weight of this end; the shares of all ends add up to 1.
    """

    rows: Int[np.ndarray, " row"]
    share: float


class TransportInterpolation(AbstractDynamicPredictor):
    """McCann's displacement interpolation between harvests, with nothing learned.

    A population asked at an unseen time is that of the neighbouring harvests of the same course, coupled by the optimal
    plan for squared distance in the observed scale, each pair of cells met part of the way [1]_. Where cells start from
    stationary unedited ones, those are the harvest at time zero. Beyond the last harvest it persists. Edits that were never
    harvested in this course are predicted as unedited cells of the same time and media.

    The mean over pairs is the mean of the harvests weighted by their distance in time, whatever the plan: for means this is
    linear interpolation, and costs nothing. The plan decides about all else of the population: `population`.

    Raises
    ------
    DataError
        If the data set has no single cells; on prediction, if there is neither another harvest nor an unedited one to take.

    References
    ----------
    .. [1] McCann, A convexity principle for interacting gases, Advances in Mathematics 128, 153 (1997).
       https://doi.org/10.1006/aima.1997.1634
    """

    def __init__(self, effects: Effects) -> None:
        dataset = effects.dataset
        super().__init__(name="OT interpolation", genes=dataset.genes, assumptions=(SMOOTH, NO_SELECTION))
        if dataset.cells is None:
            raise DataError(f"{self.name!r} needs single cells, which this data set does not have")
        self.dataset = dataset
        self._cells = dataset.cells

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions, one row each: the mean over the displaced cells of the whole harvests."""
        found = [
            sum(end.share * self._mean(end.rows) for end in self.ends(condition))
            for condition in map(self.dataset.system.resolve, conditions)
        ]
        return Prediction.without_interval(np.array(found, dtype=float).reshape(len(found), len(self.genes)))

    def advance(
        self,
        observed: Float[np.ndarray, "condition gene"],
        before: Sequence[Condition],
        after: Sequence[Condition],
    ) -> Float[np.ndarray, "condition gene"]:
        """Add the predicted difference between the two harvests to what was observed at the earlier one."""
        step = self.predict_conditions(after).mean - self.predict_conditions(before).mean
        return np.maximum(observed + step, self.dataset.scale.to_observed(np.zeros(1)))

    def population(
        self, condition: Condition, *, n_cells: int = 256, rng: np.random.Generator
    ) -> Float[np.ndarray, "cell gene"]:
        """Cells of a condition, observed scale, batch effects removed.

        Parameters
        ----------
        condition
            What was done.
        n_cells
            Cells to give. As many are drawn from each harvest, every cell as often as any other within one; the plan
            between them is exact, and its time grows with the cube of their number.
        rng
            Draws the cells.
        """
        ends = self.ends(self.dataset.system.resolve(condition))
        clouds = [self._cells.take(self._draw(end.rows, n_cells, rng)) for end in ends]
        return clouds[0] if len(clouds) == 1 else displaced(clouds[0], clouds[1], ends[1].share)

    def ends(self, condition: Condition) -> tuple[End, ...]:
        """The one or two harvests that stand for a resolved condition, the earlier one first.

        Raises
        ------
        DataError
            If neither the same course nor an unedited one was harvested.
        """
        data = self.dataset
        if condition.is_control and data.system.comparison(condition)[1] is None:
            pooled = data.control_rows(condition)
            if len(pooled):
                return (End(rows=pooled, share=1.0),)
        harvests = self._harvests(condition)
        if not harvests and condition.is_control:
            raise DataError(
                f"{self.name!r} needs unedited cells in the media {condition.media} where the edits asked were never "
                "harvested; there are none"
            )
        if not harvests:
            return self.ends(unedited(condition))
        times = np.array(sorted(harvests))
        weights = time_weights(times, condition.hours, from_zero=False)
        return tuple(
            End(rows=harvests[time], share=float(weight))
            for time, weight in zip(times, weights, strict=True)
            if weight > 0
        )

    def _harvests(self, condition: Condition) -> dict[float, np.ndarray]:
        """Rows of each harvest in the last period of a course, and of its beginning if any is there."""
        data, *before = self.dataset, *condition.history[:-1]
        found: dict[float, np.ndarray] = {}
        for row, other in enumerate(data.conditions):
            if other.history[:-1] == condition.history[:-1] and other.context == condition.context:
                found[other.hours] = np.array([row])
        begin = float(sum(period.hours for period in before))
        if not found or begin in found:
            return found
        if before:
            rows = [data.index[c] for c in (Condition(history=tuple(before)),) if c in data.index]
        else:
            rows = [] if not data.system.is_stationary else list(np.flatnonzero(data.is_stationary_control))
        return {begin: np.array(rows), **found} if rows else found

    def _mean(self, rows: np.ndarray) -> Float[np.ndarray, " gene"]:
        return np.average(self.dataset.mean[rows], axis=0, weights=self.dataset.n_cells[rows])

    def _draw(self, rows: np.ndarray, n_cells: int, rng: np.random.Generator) -> Int[np.ndarray, " cell"]:
        """Positions of cells of some rows, each as often as any other within one, in random order."""
        members = rng.permutation(np.flatnonzero(np.isin(self._cells.condition, rows)))
        return rng.permutation(np.resize(members, n_cells))


def displaced(
    first: Float[np.ndarray, "cell gene"], second: Float[np.ndarray, "cell gene"], share: float
) -> Float[np.ndarray, "cell gene"]:
    """Cells part of the way from one cloud to another of as many cells, along the optimal plan for squared distance.

    Between clouds of equal size and weight an optimal plan is an assignment (Birkhoff–von Neumann), which is found exactly.

    Parameters
    ----------
    first, second
        The clouds.
    share
        How far to go: 0 is the first cloud, 1 the second.
    """
    here, there = linear_sum_assignment(cdist(first, second, "sqeuclidean"))
    return (1.0 - share) * first[here] + share * second[there]


def unedited(condition: Condition) -> Condition:
    """The condition without its edits and compounds."""
    history: list[Period] = []
    for period in condition.history:
        context = replace(period.context, edits=(), doses=())
        hours = period.hours + (history.pop().hours if history and history[-1].context == context else 0.0)
        history.append(Period(context=context, hours=hours))
    return Condition(history=tuple(history))
