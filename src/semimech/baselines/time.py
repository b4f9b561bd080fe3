"""Baselines that predict an edit from its own other harvests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from semimech._errors import DataError
from semimech.assumptions.catalogue import ADDITIVE, MEDIUM_INDEPENDENT, SETTLED
from semimech.baselines.baseline import AbstractBaseline, Question
from semimech.baselines.effects import Edits, Effects, Media
from semimech.experiment import Condition


class Persistence(AbstractBaseline):
    """The change at the latest training harvest of the same edits that is not later than the one asked.

    Raises
    ------
    DataError
        If no training condition is edited; on prediction, if the same edits were never harvested earlier.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects, name="persistence", assumptions=(SETTLED,))
        _need_times(effects, self.name, at_least=1)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The change at the latest earlier harvest, in the same media."""
        found = []
        for made in question.made:
            rows = self.effects.curve(made, question.media)
            rows = rows[self.effects.hours[rows] <= question.hours]
            if not len(rows):
                raise DataError(_unseen(self.name, made, question, "an earlier harvest of these edits in these media"))
            latest = self.effects.hours[rows] == self.effects.hours[rows].max()
            found.append(self.effects.change[rows[latest]].mean(axis=0))
        return np.array(found)

    def advance(
        self,
        observed: Float[np.ndarray, "condition gene"],
        before: Sequence[Condition],
        after: Sequence[Condition],
    ) -> Float[np.ndarray, "condition gene"]:
        """What was observed, moved as the matched controls move."""
        matched, resolve = self.effects.matched_control, self.effects.dataset.system.resolve
        step = [
            matched(resolve(later)) - matched(resolve(earlier)) for earlier, later in zip(before, after, strict=True)
        ]
        return observed + np.array(step).reshape(observed.shape)


class TimeInterpolation(AbstractBaseline):
    """Linear interpolation in time between training harvests of the same edits; persistence beyond the last.

    Where there are controls, a change grows from zero at the edit to its first harvest.

    Raises
    ------
    DataError
        If no training condition is edited; on prediction, if the same edits were never harvested.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects, name="time interpolation", assumptions=(SETTLED, MEDIUM_INDEPENDENT))
        _need_times(effects, self.name, at_least=1)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The interpolated change; the mean over other media if the edits were not made in these."""
        found = []
        for made in question.made:
            effect = self.effects.effect(made, question.media, question.hours)
            if effect is None:
                raise DataError(_unseen(self.name, made, question, "another harvest of these edits"))
            found.append(effect)
        return np.array(found)


class TimeTrend(AbstractBaseline):
    r"""Time interpolation that beyond the last harvest goes on along a damped linear trend.

    .. math:: \Delta(t) = \Delta(t_n) + \varphi \frac{\Delta(t_n) - \Delta(t_{n-1})}{t_n - t_{n-1}} (t - t_n)

    The damping :math:`\varphi \in [0, 1]`, common to all edits and genes, is fitted by least squares to the training
    harvests that have two earlier ones; where there are controls, the moment of the edit counts as a harvest of zero
    change. At 0 it is persistence, at 1 straight extrapolation.

    Raises
    ------
    DataError
        If no training edits have two harvests and an earlier one, or controls; on prediction, if the same edits were
        never harvested.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects, name="time trend", assumptions=(ADDITIVE, MEDIUM_INDEPENDENT))
        _need_times(effects, self.name, at_least=2)
        self._interpolation = TimeInterpolation(effects)
        self.damping = self._fit()

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The interpolated change, or the damped trend beyond the last harvest."""
        found = self._interpolation.changes(question)
        for row, made in enumerate(question.made):
            times, change = self._series(made, question.media)
            if len(times) > 1 and times[-1] < question.hours < np.inf:
                pace = (change[-1] - change[-2]) / (times[-1] - times[-2])
                found[row] = change[-1] + self.damping * pace * (question.hours - times[-1])
        return found

    def _series(self, made: Edits, media: Media) -> tuple[np.ndarray, np.ndarray]:
        """Finite harvest times of some edits in some media, and the changes then."""
        effects = self.effects
        rows = effects.curve(made, media)
        rows = rows[np.isfinite(effects.hours[rows])]
        times = np.unique(effects.hours[rows])
        change = np.array([effects.change[rows[effects.hours[rows] == time]].mean(axis=0) for time in times])
        change = change.reshape(len(times), len(self.genes))
        if len(times) and times[0] > 0 and effects.dataset.is_control.any():
            return np.concatenate([[0.0], times]), np.concatenate([np.zeros((1, len(self.genes))), change])
        return times, change

    def _fit(self) -> float:
        product = power = 0.0
        for made, media in dict.fromkeys((c.edits, c.media) for c in self.effects.conditions):
            times, change = self._series(made, media)
            step = np.diff(change, axis=0)
            hours = np.diff(times)[:, None]
            expected = step[:-1] / hours[:-1] * hours[1:]
            product += float((expected * step[1:]).sum())
            power += float((expected**2).sum())
        if power == 0:
            raise DataError(
                f"{self.name!r} needs training edits with three harvests, or two and controls; there are none"
            )
        return float(np.clip(product / power, 0.0, 1.0))


def _need_times(effects: Effects, name: str, *, at_least: int) -> None:
    most = max((len(np.unique(effects.hours[effects.curve(c.edits, c.media)])) for c in effects.conditions), default=0)
    if most < at_least:
        raise DataError(f"{name!r} needs {at_least} harvests of the same edits in training, the most is {most}")


def _unseen(name: str, made: Edits, question: Question, wanted: str) -> str:
    genes = "+".join(edit.gene for edit in made)
    return f"{name!r} cannot predict {genes!r} {question.hours:g} h after the edit: training has not {wanted}"
