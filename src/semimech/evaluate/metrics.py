"""Metrics: predicted and measured means, beside what they are compared with, to one number per condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats
from scipy.spatial.distance import cdist, pdist

_FALSE_DISCOVERY_RATE = 0.05
_FLOOR_SHARE = 0.1
_CONSTANT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Conditions to score, all in the observed scale.

    Parameters
    ----------
    predicted, measured
        Means over cells.
    standard_error
        Standard error of ``measured``; NaN where it is not known.
    control, control_error
        Matched unedited cells and their standard error.
    perturbed
        What training edits do on average at the same time and in the same medium.
    keep
        Genes that count.
    """

    predicted: Float[np.ndarray, "condition gene"]
    measured: Float[np.ndarray, "condition gene"]
    standard_error: Float[np.ndarray, "condition gene"]
    control: Float[np.ndarray, "condition gene"]
    control_error: Float[np.ndarray, "condition gene"]
    perturbed: Float[np.ndarray, "condition gene"]
    keep: Bool[np.ndarray, "condition gene"]


def mse(scene: Scene) -> Float[np.ndarray, " condition"]:
    """Mean squared error over genes."""
    return _mean((scene.predicted - scene.measured) ** 2, scene.keep)


def wmse(scene: Scene) -> Float[np.ndarray, " condition"]:
    """Mean over genes of the squared error in units of the measured variance: 1 is the noise itself.

    The variance of a gene is its squared standard error plus a floor of a tenth of their median in the condition, so that no
    silent gene weighs without bound. NaN where standard errors are not known.
    """
    return _mean((scene.predicted - scene.measured) ** 2 / error_variance(scene), scene.keep)


def pearson_control(scene: Scene) -> Float[np.ndarray, " condition"]:
    """Pearson correlation of the change against control.

    High for any predictor that knows what edits have in common; a reference shared by prediction and measurement
    adds to it [1]_. Read it beside `pearson_perturbed`.

    References
    ----------
    .. [1] Viñas Torné et al., Systema: a framework for evaluating genetic perturbation response prediction beyond
       systematic variation, Nature Biotechnology (2025). https://doi.org/10.1038/s41587-025-02777-8
    """
    return pearson(scene.predicted - scene.control, scene.measured - scene.control, scene.keep)


def pearson_perturbed(scene: Scene) -> Float[np.ndarray, " condition"]:
    """Pearson correlation of what sets the condition apart from the mean of training edits.

    The mean of edits itself scores 0 here.
    """
    return pearson(scene.predicted - scene.perturbed, scene.measured - scene.perturbed, scene.keep)


def direction(scene: Scene) -> Float[np.ndarray, " condition"]:
    """Share of changed genes whose direction is right; a predicted change of zero counts half.

    Genes have changed where `changed_genes` says so. NaN where none has.
    """
    predicted, measured = scene.predicted - scene.control, scene.measured - scene.control
    guess = np.where(np.abs(predicted) <= _CONSTANT, 0.0, np.sign(predicted))
    right = 0.5 + 0.5 * np.sign(measured) * guess
    return _mean(right, changed_genes(scene) & scene.keep)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric and how it is read.

    Parameters
    ----------
    name
        Name in tables.
    is_error
        Whether lower is better, and ratios make sense.
    score
        One number per condition.
    """

    name: str
    is_error: bool
    score: Callable[[Scene], Float[np.ndarray, " condition"]]


METRICS: tuple[Metric, ...] = (
    Metric(name="mse", is_error=True, score=mse),
    Metric(name="wmse", is_error=True, score=wmse),
    Metric(name="pearson_control", is_error=False, score=pearson_control),
    Metric(name="pearson_perturbed", is_error=False, score=pearson_perturbed),
    Metric(name="direction", is_error=False, score=direction),
)

ERRORS: frozenset[str] = frozenset({"energy", *(metric.name for metric in METRICS if metric.is_error)})


def error_variance(scene: Scene) -> Float[np.ndarray, "condition gene"]:
    """Measured variance of each mean, with its floor; see `wmse`."""
    variance = scene.standard_error**2
    known = np.isfinite(variance).any(axis=1)
    median = np.full(len(variance), np.nan)
    median[known] = np.nanmedian(variance[known], axis=1)
    floored = variance + _FLOOR_SHARE * median[:, None]
    return np.where(floored > 0, floored, np.nan)


def changed_genes(scene: Scene) -> Bool[np.ndarray, "condition gene"]:
    """Genes whose measured change is beyond two standard errors and passes a false-discovery rate of 5 %.

    The standard error is that of the difference to the control; the rate is Benjamini and Hochberg's, over all
    genes of the condition. No gene has changed where standard errors are not known.
    """
    error = np.sqrt(scene.standard_error**2 + np.nan_to_num(scene.control_error) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.nan_to_num(np.abs(scene.measured - scene.control) / error, nan=0.0, posinf=np.inf)
    p_value = 2.0 * stats.norm.sf(size)
    return (size > 2.0) & (stats.false_discovery_control(p_value, axis=1) <= _FALSE_DISCOVERY_RATE)


def pearson(
    predicted: Float[np.ndarray, "condition gene"],
    measured: Float[np.ndarray, "condition gene"],
    keep: Bool[np.ndarray, "condition gene"],
) -> Float[np.ndarray, " condition"]:
    """Pearson correlation over the genes kept; 0 for a constant prediction, NaN for a constant measurement."""
    predicted = np.where(keep, predicted - _mean(predicted, keep)[:, None], 0.0)
    measured = np.where(keep, measured - _mean(measured, keep)[:, None], 0.0)
    spread, truth = np.linalg.norm(predicted, axis=1), np.linalg.norm(measured, axis=1)
    is_constant = spread <= _CONSTANT * np.sqrt(keep.sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = (predicted * measured).sum(axis=1) / (spread * truth)
    return np.where(truth > 0, np.where(is_constant, 0.0, correlation), np.nan)


def rank_score(
    predicted: Float[np.ndarray, "condition gene"],
    candidates: Float[np.ndarray, "candidate gene"],
    own: list[int],
    keep: Bool[np.ndarray, "condition gene"],
    candidate_keep: Bool[np.ndarray, "candidate gene"],
) -> Float[np.ndarray, " condition"]:
    """Share of the other measured conditions that are farther from the prediction than its own; chance is 0.5.

    The perturbation discrimination score [1]_ with the mean squared distance over the genes that count in both
    conditions; a tie counts half. NaN with fewer than two candidates.

    Parameters
    ----------
    predicted
        Predicted means.
    candidates
        Measured means of the conditions to tell apart.
    own
        Row in ``candidates`` of each predicted condition.
    keep, candidate_keep
        Genes that count in each.

    References
    ----------
    .. [1] Liu et al., Effects of distance metrics and scaling on the perturbation discrimination score,
       arXiv:2511.16954 (2025).
    """
    if len(candidates) < 2:
        return np.full(len(predicted), np.nan)
    left, right = keep.astype(float), candidate_keep.astype(float)
    centre = candidates.mean(axis=0)
    filled = np.where(keep, predicted - centre, 0.0)
    other = np.where(candidate_keep, candidates - centre, 0.0)
    distance = (filled**2) @ right.T - 2.0 * filled @ other.T + left @ (other**2).T
    distance = distance / np.maximum(left @ right.T, 1.0)
    true = distance[np.arange(len(predicted)), own][:, None]
    tie = np.abs(distance - true) <= _CONSTANT * np.maximum(np.abs(true), _CONSTANT)
    farther = np.where(tie, 0.5, distance > true).sum(axis=1) - 0.5
    score = farther / (len(candidates) - 1)
    return np.where(np.isfinite(true[:, 0]), score, np.nan)


def energy_distance(left: Float[np.ndarray, "cell gene"], right: Float[np.ndarray, "other gene"]) -> float:
    """Energy distance between two samples of cells, unbiased: near 0, either side, when both have one law.

    Twice the mean Euclidean distance between them less the mean distances within each.
    """
    return float(2.0 * cdist(left, right).mean() - pdist(left).mean() - pdist(right).mean())


def _mean(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Mean over the genes kept that are known; NaN where there is none."""
    keep = keep & np.isfinite(values)
    count = keep.sum(axis=1)
    return np.where(count > 0, np.where(keep, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
