"""Probability that a cell is edited, from its expression beside that of unedited cells."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.stats import norm

MIN_CELLS = 10
"""Cells of an edit over all harvests, and unedited ones, from which they are told apart."""
_ROUNDS, _CLOSE, _LEAST_SPREAD = 50, 1e-3, 0.7
_BINS, _REACH = 8, 7
"""Bins of a bandwidth, and bandwidths after which a kernel ends."""


def probability_edited(
    values: Float[np.ndarray, "cell gene"],
    prior: Float[np.ndarray, " cell"],
    controls: Float[np.ndarray, "control gene"],
    variance: Float[np.ndarray, " gene"],
) -> tuple[Float[np.ndarray, " cell"], float]:
    """Probability that each cell is edited, and the distance of edited cells from unedited ones, 0 if no difference stands out.

    Parameters
    ----------
    values, controls
        Cells with guides of one edit, and unedited cells, less the mean of matched unedited cells.
    prior
        Probability of each cell to be unedited, before its expression is looked at.
    variance
        Of unedited cells.
    """
    weight, distance = 1.0 - prior, 0.0
    if len(values) < MIN_CELLS:
        return weight, distance
    variance = variance + 1e-3 * max(float(variance.mean()), 1e-12)
    for _ in range(_ROUNDS):
        others = np.maximum(weight.sum() - weight, 1.0)[:, None]
        difference = (weight @ values - weight[:, None] * values) / others
        noise = variance / others
        signal = np.maximum((difference**2 - noise).mean(axis=1, keepdims=True), 0.0)
        if (signal <= 0.0).any():
            return 1.0 - prior, 0.0
        direction = signal / (signal + noise) * difference / variance
        shared = direction.mean(axis=0)
        zero = controls @ shared
        # Each cell's own direction, brought to one length, so that scores compare.
        score = (values * direction).sum(axis=1) * np.linalg.norm(shared) / np.linalg.norm(direction, axis=1)
        score, zero = (score - zero.mean()) / zero.std(), (zero - zero.mean()) / zero.std()
        centre = float(np.average(score, weights=weight))
        spread = max(float(np.sqrt(np.average((score - centre) ** 2, weights=weight))), _LEAST_SPREAD)
        unedited = np.log(kernel_density(zero, score) + 1e-12) + np.log(prior)
        edited = norm.logpdf(score, centre, spread) + np.log1p(-prior)
        before, weight, distance = weight, 1.0 / (1.0 + np.exp(np.clip(unedited - edited, -500, 500))), centre
        if weight.sum() < 1e-6 or np.abs(weight - before).max() < _CLOSE:
            break
    return weight, distance


def kernel_density(
    sample: Float[np.ndarray, " sample"], at: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """Density of a sample by a normal kernel of Scott's width, from bins: `scipy.stats.gaussian_kde` in time that does not grow with samples times points."""
    bandwidth = float(sample.std(ddof=1)) * len(sample) ** -0.2
    step, reach = bandwidth / _BINS, _REACH * bandwidth
    centres = np.arange(sample.min() - reach, sample.max() + reach + step, step)
    # Each value is shared between the two bins around it.
    left, part = np.divmod((sample - centres[0]) / step, 1.0)
    n = len(centres) + 1
    held = np.bincount(left.astype(int), 1.0 - part, n) + np.bincount(left.astype(int) + 1, part, n)
    smooth = gaussian_filter1d(held[:-1], _BINS, mode="constant", truncate=_REACH) / (len(sample) * step)
    return np.interp(at, centres, smooth, left=0.0, right=0.0)
