"""The noise ceiling: what a prediction free of error would score against measurements that are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy import stats

from semimech.evaluate.metrics import (
    Scene,
    changed_genes,
    direction,
    mse,
    pearson_control,
    pearson_perturbed,
    rank_score,
    wmse,
)

CEILING = "replicate ceiling"


def ceiling_scores(
    scene: Scene, halves: Float[np.ndarray, "2 condition gene"] | None
) -> dict[str, Float[np.ndarray, " condition"]]:
    """What a replicate without noise would score, metric by metric.

    With two halves of the cells, errors between them are four times the variance of the full mean, so errors are
    divided by four; a correlation r between them is raised to the full number of cells, 2r/(1 + r) (Spearman and Brown),
    and its square root is the correlation of the noise-free mean with the measurement (attenuation); a negative r gives
    0. The noise of a reference is common to both halves and counts as signal. Without halves both come from the standard errors. The direction of a changed gene is right with the
    probability that its z-score leaves it; the energy distance has no such ceiling.

    Parameters
    ----------
    scene
        The measurements; its predictions are not used.
    halves
        Means of two halves of the cells; rows of NaN where there is one replicate.
    """
    known = np.zeros(len(scene.measured), dtype=bool)
    if halves is not None:
        known = np.isfinite(halves).all(axis=(0, 2))
    from_errors = _from_standard_errors(scene)
    if halves is None or not known.any():
        return from_errors
    filled = np.where(known[:, None], halves, scene.measured)
    return {
        name: np.where(known, values, from_errors[name]) for name, values in _from_halves(scene, filled).items()
    } | {"direction": from_errors["direction"]}


def ceiling_rank(
    halves: Float[np.ndarray, "2 candidate gene"] | None, own: list[int], keep: np.ndarray, candidate_keep: np.ndarray
) -> Float[np.ndarray, " condition"]:
    """Rank score of one half of the cells among the other halves, both ways: a lower bound of the ceiling.

    Each side has half the cells, so the full measurement would tell conditions apart at least as well.
    """
    if halves is None:
        return np.full(len(own), np.nan)
    both = [
        rank_score(a[own], b, own, keep, candidate_keep) for a, b in ((halves[0], halves[1]), (halves[1], halves[0]))
    ]
    return np.mean(both, axis=0)


def _from_halves(scene: Scene, halves: np.ndarray) -> dict[str, np.ndarray]:
    between = replace(scene, predicted=halves[0], measured=halves[1])
    return {
        "mse": mse(between) / 4.0,
        "wmse": wmse(between) / 4.0,
        "pearson_control": _full_correlation(pearson_control(between)),
        "pearson_perturbed": _full_correlation(pearson_perturbed(between)),
    }


def _full_correlation(between_halves: np.ndarray) -> np.ndarray:
    """Correlation of the noise-free mean with the full measurement, from that between halves."""
    r = np.maximum(between_halves, 0.0)
    return np.sqrt(2.0 * r / (1.0 + r))


def _from_standard_errors(scene: Scene) -> dict[str, np.ndarray]:
    variance = np.where(scene.keep, scene.standard_error**2, np.nan)
    noise = _nanmean(variance)
    at_noise = replace(scene, predicted=scene.measured + scene.standard_error)

    def correlation(reference: np.ndarray) -> np.ndarray:
        change = np.where(scene.keep, scene.measured - reference, np.nan)
        total = _nanmean((change - _nanmean(change)[:, None]) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(np.maximum(1.0 - noise / total, 0.0))

    return {
        "mse": noise,
        "wmse": wmse(at_noise),
        "pearson_control": correlation(scene.control),
        "pearson_perturbed": correlation(scene.perturbed),
        "direction": _direction(scene),
    }


def _direction(scene: Scene) -> np.ndarray:
    """Mean probability that the measured direction is the true one, over changed genes."""
    changed = changed_genes(scene) & scene.keep
    error = np.sqrt(scene.standard_error**2 + np.nan_to_num(scene.control_error) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        right = stats.norm.cdf(np.abs(scene.measured - scene.control) / error)
    nothing = np.isnan(direction(replace(scene, predicted=scene.measured)))
    return np.where(nothing, np.nan, _nanmean(np.where(changed, right, np.nan)))


def _nanmean(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
