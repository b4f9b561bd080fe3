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

    A conformal scale (Lei et al. 2018, J. Am. Stat. Assoc. 113:1094) on residuals of conditions that were held out. Each is scaled by
    what the other conditions say of its gene, as it will be for a new one (jackknife; Barber et al. 2021, Ann. Stat. 49:486): genes of one
    condition err together, so that conditions are exchangeable, not genes.

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
    counts, growth = other.sum(axis=0, dtype=float), 0.0
    for _ in range(_PASSES):
        rest = (squared - growth * leverage) * other
        variance = _variance(rest.sum(axis=0), counts, rest.sum() / other.sum(), pooled)
        growth = np.clip(((squared - variance) * leverage).sum() / max((leverage**2).sum(), 1e-12), 0.0, 1.0)
    gene, slope = np.sqrt(variance), np.sqrt(growth)
    left = _variance_without_each(rest, other, pooled)
    base = np.where(other, left, np.maximum(own**2, left))
    factor = np.quantile(
        np.abs(residual) / np.sqrt(np.maximum(base + growth * change**2, 1e-12)), level if len(residual) > 1 else 1.0
    )
    as_array = lambda x: np.asarray(x, np.float32)
    return Calibration(gene=as_array(gene), slope=as_array(slope), own=as_array(own), factor=as_array(factor))


def _variance(
    total: Float[np.ndarray, "*condition gene"],
    counts: Float[np.ndarray, "*condition gene"],
    typical: Float[np.ndarray, "*condition #gene"] | float,
    pooled: float,
) -> Float[np.ndarray, "*condition gene"]:
    """Variance of each gene where no change is predicted, shrunk to the typical one."""
    return np.maximum((total + _PRIOR_ROWS * typical) / (counts + _PRIOR_ROWS), _LEAST * pooled)


def _variance_without_each(
    rest: Float[np.ndarray, "condition gene"], other: Bool[np.ndarray, "condition gene"], pooled: float
) -> Float[np.ndarray, "condition gene"]:
    """The same without each condition in turn; of a single condition its own is all there is."""
    if len(rest) < 2:
        return np.broadcast_to(
            _variance(rest.sum(axis=0), other.sum(axis=0, dtype=float), rest.sum() / other.sum(), pooled), rest.shape
        )
    total, counts = rest.sum(axis=0) - rest, other.sum(axis=0, dtype=float) - other
    typical = total.sum(axis=1) / np.maximum(counts.sum(axis=1), 1.0)
    return _variance(total, counts, typical[:, None], pooled)
