"""Intervals from held-out residuals: how far predictions were from conditions that the fit had not seen."""

from __future__ import annotations

import equinox as eqx
import numpy as np
import scipy.optimize
from jaxtyping import Bool, Float

_PRIOR_ROWS = 4.0
_QUANTILE = 1.6449
_LEAST = 0.05
_PASSES = 5


class Calibration(eqx.Module):
    """Half-width of a 90 % interval: ``factor · sqrt(gene² + slope² · change² + doubt² · open)``.

    A conformal scale (Lei et al. 2018, J. Am. Stat. Assoc. 113:1094) on residuals of conditions that were held out. Each is scaled by
    what the other conditions say of its gene, as it will be for a new one (jackknife; Barber et al. 2021, Ann. Stat. 49:486): genes of one
    condition err together, so that conditions are exchangeable, not genes.

    Parameters
    ----------
    gene
        Root mean squared residual per gene where no change is predicted, shrunk to that of all genes.
    slope
        Growth of the residual with the size of the predicted change.
    doubt
        Growth of the residual with what the weights of known edges leave open (`semimech.fit.weights`).
    own
        Root mean squared residual on the edited gene itself.
    factor
        Quantile of the scaled absolute residuals.
    """

    gene: Float[np.ndarray, " gene"]
    slope: Float[np.ndarray, ""]
    doubt: Float[np.ndarray, ""]
    own: Float[np.ndarray, ""]
    factor: Float[np.ndarray, ""]

    @property
    def typical_variance(self) -> float:
        """Of residuals where no change is predicted, mean over genes."""
        return float(np.mean((np.asarray(self.factor * self.gene, np.float64) / _QUANTILE) ** 2))

    def half_width(
        self,
        change: Float[np.ndarray, "condition gene"],
        is_own: Bool[np.ndarray, "condition gene"],
        left_open: Float[np.ndarray, "condition gene"] | float = 0.0,
    ) -> Float[np.ndarray, "condition gene"]:
        """Half-width of the interval of each prediction.

        Parameters
        ----------
        change
            Predicted change against unedited cells, observed scale.
        is_own
            Where the edited genes themselves are.
        left_open
            Variance that the weights of known edges leave open.
        """
        base = np.where(is_own, np.maximum(self.own, self.gene), self.gene)
        return self.factor * np.sqrt(base**2 + (self.slope * change) ** 2 + self.doubt**2 * left_open)


def calibrate(
    residual: Float[np.ndarray, "condition gene"],
    change: Float[np.ndarray, "condition gene"],
    is_own: Bool[np.ndarray, "condition gene"],
    left_open: Float[np.ndarray, "condition gene"] | None = None,
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
    left_open
        Variance that the weights of known edges leave open, if any are known.
    level
        Share of observations that intervals should cover.
    """
    rows = np.isfinite(residual).all(axis=1)
    residual, change, other = residual[rows], change[rows], ~is_own[rows]
    squared = residual**2
    pooled = squared[other].mean() if other.any() else squared.mean()
    own = np.sqrt(squared[~other].mean()) if (~other).any() else np.sqrt(pooled)
    open_here = np.zeros_like(squared) if left_open is None else left_open[rows]
    leverage = np.stack([change**2 * other, open_here * other])
    counts, growth = other.sum(axis=0, dtype=float), np.zeros(2)
    for _ in range(_PASSES):
        rest = (squared - np.tensordot(growth, leverage, 1)) * other
        variance = _variance(rest.sum(axis=0), counts, rest.sum() / max(other.sum(), 1), pooled)
        growth = _growth(leverage, squared - variance)
    gene = np.sqrt(variance)
    left = _variance_without_each(rest, other, pooled)
    base = np.where(other, left, np.maximum(own**2, left))
    grown = growth[0] * change**2 + growth[1] * open_here
    factor = np.quantile(
        np.abs(residual) / np.sqrt(np.maximum(base + grown, 1e-12)), level if len(residual) > 1 else 1.0
    )
    slope, doubt = np.sqrt(growth)
    numbers = {"gene": gene, "slope": slope, "doubt": doubt, "own": own, "factor": factor}
    return Calibration(**{name: np.asarray(value, np.float32) for name, value in numbers.items()})


def _growth(
    leverage: Float[np.ndarray, "2 condition gene"], excess: Float[np.ndarray, "condition gene"]
) -> Float[np.ndarray, 2]:
    """Shares in which two leverages make up squared residuals, least squares; neither negative, that of the change at most 1."""
    square = np.einsum("acg,bcg->ab", leverage, leverage)
    moment = np.einsum("acg,cg->a", leverage, excess)
    scale = np.sqrt(np.maximum(np.diagonal(square), 1e-12))
    found, _ = scipy.optimize.nnls(square / np.outer(scale, scale), moment / scale)
    return np.minimum(found / scale, [1.0, np.inf])


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
            _variance(rest.sum(axis=0), other.sum(axis=0, dtype=float), rest.sum() / max(other.sum(), 1), pooled),
            rest.shape,
        )
    total, counts = rest.sum(axis=0) - rest, other.sum(axis=0, dtype=float) - other
    typical = total.sum(axis=1) / np.maximum(counts.sum(axis=1), 1.0)
    return _variance(total, counts, typical[:, None], pooled)
