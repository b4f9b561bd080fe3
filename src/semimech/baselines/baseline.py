"""AbstractBaseline: a predictor that adds a change to the matched control."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech.assumptions import Assumption
from semimech.baselines.effects import Edits, Effects, Media
from semimech.baselines.interpolate import hours_edited
from semimech.experiment import Condition
from semimech.predictor import AbstractDynamicPredictor, Prediction


@dataclass(frozen=True, kw_only=True)
class Question:
    """Perturbations to predict at one time in one sequence of media.

    Parameters
    ----------
    made
        Edits of each perturbation, at least one.
    media
        Media passed through.
    hours
        Time since the first edit.
    control
        Matched control, observed scale.
    """

    made: tuple[Edits, ...]
    media: Media
    hours: float
    control: Float[np.ndarray, " gene"]


class AbstractBaseline(AbstractDynamicPredictor):
    """Predicts the matched control plus a change, and unedited cells as their control.

    Parameters
    ----------
    effects
        What the training edits did.
    name
        Name in tables.
    assumptions
        What the baseline takes for granted.
    knows_recovery
        Whether cells whose compounds were washed out are predicted by other harvests of their course.
    """

    def __init__(
        self, effects: Effects, *, name: str, assumptions: tuple[Assumption, ...], knows_recovery: bool = True
    ) -> None:
        super().__init__(name=name, genes=effects.dataset.genes, assumptions=assumptions)
        self.effects = effects
        self.knows_recovery = knows_recovery

    @abc.abstractmethod
    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """Change of each perturbation against the matched control, observed scale."""

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions, one row each; never below what an abundance of zero looks like.

        Cells whose compounds were washed out are predicted from other harvests of their course (`Effects.recovery`), and
        by the edits that they still carry where there is none: as their matched control if they carry none.
        """
        resolved = [self.effects.dataset.system.resolve(condition) for condition in conditions]
        mean = np.zeros((len(resolved), len(self.genes)))
        groups: dict[tuple[Media, object, float], list[int]] = {}
        for row, condition in enumerate(resolved):
            mean[row] = self.effects.matched_control(condition)
            recovery = self.effects.recovery(condition) if self.knows_recovery and condition.washed_out else None
            if recovery is not None:
                mean[row] += recovery
            elif condition.edits:
                control = self.effects.dataset.system.comparison(condition), condition.hours
                groups.setdefault((condition.media, control, hours_edited(condition)), []).append(row)
        for (media, _, hours), rows in groups.items():
            made = tuple(resolved[row].edits for row in rows)
            mean[rows] += self.changes(Question(made=made, media=media, hours=hours, control=mean[rows[0]].copy()))
        return Prediction.without_interval(np.maximum(mean, self.effects.dataset.scale.to_observed(np.zeros(1))))

    def advance(
        self,
        observed: Float[np.ndarray, "condition gene"],
        before: Sequence[Condition],
        after: Sequence[Condition],
    ) -> Float[np.ndarray, "condition gene"]:
        """Add the predicted difference between the two harvests to what was observed at the earlier one."""
        step = self.predict_conditions(after).mean - self.predict_conditions(before).mean
        return np.maximum(observed + step, self.effects.dataset.scale.to_observed(np.zeros(1)))
