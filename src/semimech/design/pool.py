r"""Pool: what a model does not know of candidates, and how much one of them tells of the others.

The error of a prediction is taken to be normal, with the size :math:`s_{cg}^2` that calibrated intervals state for condition :math:`c` and gene :math:`g`, less the noise of a
measurement. Which errors go together comes from two places. As far as the members of the ensemble differ, from them: :math:`K^E_{cc'} = \langle d_c, d_{c'} \rangle`, the product of deviations
from their mean over members and genes. What no member shows is taken to belong to the edits: errors of an edit are shared by all conditions that carry it, in proportion to its dose, fade
with the distance between times and between media, and leave a share to each condition alone. The first is capped at nine tenths of :math:`s^2`, the second fills what is missing, so that
:math:`K_{cc} = \overline{s_c^2}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech._errors import DataError
from semimech.experiment import Condition
from semimech.fit import FittedModel

_Z = 1.6449
"""Half-width of a 90 % interval of a normal law, in standard deviations."""
_ENSEMBLE = 0.9
_SHARED = 0.9
"""Share of the error of a condition that other conditions with its edits can tell."""
_OTHER_MEDIUM = 0.5
_LEAST = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Conditions with what is not known of them.

    Parameters
    ----------
    conditions
        Conditions.
    mean
        Their predictions, observed scale.
    spread
        Standard deviation of the error of each prediction, observed scale.
    covariance
        Covariance of errors between conditions, mean over genes.
    noise
        Variance of the noise of one measured condition, mean over genes.
    """

    conditions: tuple[Condition, ...]
    mean: Float[np.ndarray, "condition gene"]
    spread: Float[np.ndarray, "condition gene"]
    covariance: Float[np.ndarray, "condition condition"]
    noise: float

    @property
    def correlation(self) -> Float[np.ndarray, "condition condition"]:
        """Correlation of errors between conditions."""
        size = np.sqrt(np.diagonal(self.covariance))
        return self.covariance / np.outer(size, size)


def make_pool(model: FittedModel, conditions: Sequence[Condition], *, noise: float | None = None) -> Pool:
    """What a model does not know of conditions.

    Parameters
    ----------
    model
        A fitted model.
    conditions
        Conditions to predict.
    noise
        Variance of one measured condition, mean over genes; where it is not given, that of residuals on conditions that
        were seen, which is too large where the law misses something.

    Raises
    ------
    DataError
        If there is no condition, or one has genes or media that the model does not know.
    """
    if not conditions:
        raise DataError("Candidates: there is none; name genes to edit and times to harvest, or give experiments")
    resolved = tuple(model.system.resolve(condition) for condition in conditions)
    prediction = model.predict_conditions(resolved)
    if noise is None:
        noise = residual_noise(model)
    total = ((prediction.upper - prediction.lower) / (2 * _Z)) ** 2
    known = np.clip(1.0 - noise / np.maximum(total.mean(axis=1), 1e-12), _LEAST, 1.0)
    squared = total * known[:, None]
    deviation = model.by_member(resolved)
    deviation = deviation - deviation.mean(axis=0)
    return Pool(
        conditions=resolved,
        mean=prediction.mean,
        spread=np.sqrt(squared),
        covariance=_covariance(deviation, squared.mean(axis=1), likeness(resolved)),
        noise=max(noise, 1e-12),
    )


def residual_noise(model: FittedModel) -> float:
    """Variance of residuals on conditions that were seen, mean over genes: that of one measured condition, too large where the law misses something."""
    return model.fit.seen.typical_variance


def _covariance(
    deviation: Float[np.ndarray, "member condition gene"],
    variance: Float[np.ndarray, " condition"],
    alike: Float[np.ndarray, "condition condition"],
) -> Float[np.ndarray, "condition condition"]:
    n_members, n_conditions, n_genes = deviation.shape
    flat = deviation.transpose(1, 0, 2).reshape(n_conditions, -1) / np.sqrt(max(n_members - 1, 1) * n_genes)
    own = np.einsum("cf,cf->c", flat, flat)
    flat *= np.sqrt(np.minimum(1.0, _ENSEMBLE * variance / np.maximum(own, 1e-30)))[:, None]
    told = flat @ flat.T
    rest = np.sqrt(variance - np.diagonal(told))
    return told + np.outer(rest, rest) * alike


def likeness(conditions: Sequence[Condition]) -> Float[np.ndarray, "condition condition"]:
    """Correlation of the errors that no member of an ensemble shows: by shared edits, times and media."""
    manners: list[dict[tuple[str, str], float]] = [
        {(e.gene, e.kind): max(e.efficacy, 1e-6) for e in c.edits} or {("", ""): 1.0} for c in conditions
    ]
    names = {name: column for column, name in enumerate(sorted({n for m in manners for n in m}))}
    edits = np.zeros((len(conditions), len(names)))
    for row, manner in enumerate(manners):
        for name, dose in manner.items():
            edits[row, names[name]] = dose
    edits /= np.linalg.norm(edits, axis=1, keepdims=True)
    log_hours = np.log2(1.0 + np.minimum([c.hours for c in conditions], 1e4))
    media = {media: number for number, media in enumerate(dict.fromkeys(c.media for c in conditions))}
    medium = np.array([media[c.media] for c in conditions])
    near = np.exp(-0.5 * (log_hours[:, None] - log_hours) ** 2)
    same = np.where(medium[:, None] == medium, 1.0, _OTHER_MEDIUM)
    return _SHARED * (edits @ edits.T) * near * same + (1.0 - _SHARED) * np.eye(len(conditions))
