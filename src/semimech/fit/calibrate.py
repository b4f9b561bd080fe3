"""Intervals from held-out residuals: how far predictions were from conditions that the fit had not seen."""

from __future__ import annotations

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

_PRIOR_ROWS = 4.0
_LEAST = 0.05
_PASSES = 5


class Calibration(eqx.Module):
    """Half-width of a 90 % interval: ``factor · sqrt(gene² + slope² · change²)``.

    A split-conformal scale (Lei et al. 2018, J. Am. Stat. Assoc. 113:1094) on residuals of conditions that were held out.

    Parameters
    ----------
    gene
        Root mean squared residual per gene where no change is predicted, shrunk to that of all genes.
    slope
        Growth of the residual with the size of the predicted change.
    own
        Root mean squared residual on the edited gene itself.
    factor
        Quantile of the scaled absolute residuals.
    """

    gene: Float[np.ndarray, " gene"]
    slope: Float[np.ndarray, ""]
    own: Float[np.ndarray, ""]
    factor: Float[np.ndarray, ""]

    def half_width(
        self, change: Float[np.ndarray, "condition gene"], is_own: Bool[np.ndarray, "condition gene"]
    ) -> Float[np.ndarray, "condition gene"]:
        """Half-width of the interval of each prediction.

        Parameters
        ----------
        change
            Predicted change against unedited cells, observed scale.
        is_own
            Where the edited genes themselves are.
        """
        base = np.where(is_own, np.maximum(self.own, self.gene), self.gene)
        return self.factor * np.sqrt(base**2 + (self.slope * change) ** 2)


def calibrate(
    residual: Float[np.ndarray, "condition gene"],
    change: Float[np.ndarray, "condition gene"],
    is_own: Bool[np.ndarray, "condition gene"],
    *,
    level: float = 0.9,
) -> Calibration:
    """Calibrate on held-out residuals; rows of NaN were not held out.

    Parameters
    ----------
    residual
        Observed minus predicted, observed scale.
    change
        Predicted change against unedited cells.
    is_own
        Where the edited genes themselves are.
    level
        Share of observations that intervals should cover.
    """
    rows = np.isfinite(residual).all(axis=1)
    residual, change, other = residual[rows], change[rows], ~is_own[rows]
    squared = residual**2
    pooled = squared[other].mean()
    own = np.sqrt(squared[~other].mean()) if (~other).any() else np.sqrt(pooled)
    leverage = change**2 * other
    counts, growth = other.sum(axis=0), 0.0
    for _ in range(_PASSES):
        rest = (squared - growth * leverage) * other
        variance = (rest.sum(axis=0) + _PRIOR_ROWS * rest.sum() / other.sum()) / (counts + _PRIOR_ROWS)
        variance = np.maximum(variance, _LEAST * pooled)
        growth = np.clip(((squared - variance) * leverage).sum() / max((leverage**2).sum(), 1e-12), 0.0, 1.0)
    gene, slope = np.sqrt(variance), np.sqrt(growth)
    base = np.where(other, gene, np.maximum(own, gene))
    scaled = np.abs(residual) / np.sqrt(np.maximum(base**2 + (slope * change) ** 2, 1e-12))
    n = len(residual)
    factor = np.quantile(scaled, min(level * (n + 1) / n, 1.0))
    as_array = lambda x: np.asarray(x, np.float32)
    return Calibration(gene=as_array(gene), slope=as_array(slope), own=as_array(own), factor=as_array(factor))
