"""Gaussian conditioning: unedited cells that happen to have little of a gene stand for cells in which it is edited."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from semimech._errors import DataError
from semimech.assumptions.catalogue import NORMAL_LAW, STATIONARY_CONTROLS
from semimech.baselines.baseline import AbstractBaseline, Question
from semimech.baselines.effects import Edits, Effects, Media
from semimech.baselines.inner import choose_by_left_out_edits
from semimech.baselines.simple import need_measured_targets
from semimech.data.conditioning import observed_per_relative


class GaussianConditioning(AbstractBaseline):
    r"""The conditional mean of jointly normal unedited cells, given the edited value of the targets.

    With :math:`C` the covariance of relative abundances in unedited cells, measurement noise removed, and targets
    :math:`J`,

    .. math:: \Delta z = a(t) \, C_{:J} (C_{JJ} + \lambda N_{JJ})^{-1} \Delta z_J

    where :math:`\Delta z_J` is minus the efficacy for edits that remove and plus the efficacy for those that add. The
    amplitude :math:`a(t) \ge 0` is fitted by least squares at each time and medium to the training edits, without their
    own targets; :math:`\lambda` gives part of the measurement noise :math:`N` back to the variance of a target, against
    targets whose variance is nearly all noise. Changes reach the observed scale to first order. The targets themselves
    are set to what such edits leave of them.

    Parameters
    ----------
    effects
        What the training edits did.
    noise_share
        :math:`\lambda`.

    Raises
    ------
    DataError
        If the data set has no second moments of controls, or no measured gene was edited alone.
    """

    def __init__(self, effects: Effects, *, noise_share: float) -> None:
        super().__init__(effects, name="gaussian conditioning", assumptions=(NORMAL_LAW, STATIONARY_CONTROLS))
        moments = effects.dataset.control_moments
        if moments is None:
            raise DataError(f"{self.name!r} needs the covariance of unedited cells, which this data set does not have")
        need_measured_targets(effects, self.name, at_least=1)
        self.noise_share = noise_share
        self._covariance = moments.covariance
        self._noisy = moments.covariance + noise_share * np.diag(moments.noise)
        self._amplitudes: dict[tuple[Media, float], float] = {}
        self._unit = observed_per_relative(effects.dataset)

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """The conditional mean times the amplitude of its time and medium, targets set."""
        change = self._amplitude(question.media, question.hours) * self._responses(question.made)
        return self.effects.target_loss.set_targets(change, question.made, question.hours, question.control)

    def _responses(self, made: Sequence[Edits]) -> Float[np.ndarray, "perturbation gene"]:
        """Change of the observed mean at amplitude one."""
        weights = np.zeros((len(made), len(self.genes)))
        for row, edits in enumerate(made):
            measured = [e for e in edits if e.gene in self.effects.gene_index]
            columns = self.effects.columns(measured)
            shift = np.array([e.efficacy if e.kind == "crispra" else -e.efficacy for e in measured])
            variance = self._noisy[np.ix_(columns, columns)]
            if len(columns) == 1:
                weights[row, columns] = shift / np.maximum(variance[0], 1e-12)
            elif len(columns):
                weights[row, columns] = np.linalg.pinv(variance, hermitian=True) @ shift
        return self._unit * (weights @ self._covariance)

    def _amplitude(self, media: Media, hours: float) -> float:
        key = (media, hours)
        if key not in self._amplitudes:
            made, change = self.effects.single_table(media, hours)
            singles = [(edit,) for edit in made]
            response = self._responses(singles) * ~self.effects.target_mask(singles)
            power = float((response**2).sum())
            self._amplitudes[key] = max(float((response * change).sum()) / power, 0.0) if power > 0 else 0.0
        return self._amplitudes[key]


def fit_gaussian_conditioning(effects: Effects) -> GaussianConditioning:
    """Gaussian conditioning with the share of noise chosen by leaving out training edits."""
    need_measured_targets(effects, "gaussian conditioning", at_least=2)
    share = choose_by_left_out_edits(
        effects, (0.0, 0.3, 1.0, 3.0), lambda part, share: GaussianConditioning(part, noise_share=share)
    )
    return GaussianConditioning(effects, noise_share=share)
