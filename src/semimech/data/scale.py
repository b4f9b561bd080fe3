"""The map between the state of a cell (expected abundance, linear) and the mean that is observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln, xlogy


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A monotone map, piecewise linear through a grid, and linear beyond it.

    Parameters
    ----------
    name
        What the observed values are, for instance ``"log1p CP10k"``.
    state_grid
        Increasing values of the state, linear scale.
    observed_grid
        The observed mean at each of them, increasing.
    """

    name: str
    state_grid: Float[np.ndarray, " grid"]
    observed_grid: Float[np.ndarray, " grid"]

    def to_observed(self, state: np.ndarray) -> np.ndarray:
        """The observed mean of cells in a state."""
        return _interpolate(state, self.state_grid, self.observed_grid)

    def to_state(self, observed: np.ndarray) -> np.ndarray:
        """The state of cells from their observed mean, exact inverse of `to_observed`."""
        return _interpolate(observed, self.observed_grid, self.state_grid)

    def state_slope(self, observed: np.ndarray) -> np.ndarray:
        """Derivative of the state by the observed mean, for standard errors by the delta method."""
        slopes = np.diff(self.state_grid) / np.diff(self.observed_grid)
        segment = np.searchsorted(self.observed_grid, observed, side="right") - 1
        return slopes[np.clip(segment, 0, len(slopes) - 1)]


def identity_scale() -> Scale:
    """Observed values are the state itself, as in bulk measurements on a linear scale."""
    grid = np.array([0.0, 1.0])
    return Scale(name="linear", state_grid=grid, observed_grid=grid)


def log_scale() -> Scale:
    """Observed values are the natural logarithm of the state."""
    grid = np.geomspace(1e-6, 1e6, 4097)
    return Scale(name="log", state_grid=grid, observed_grid=np.log(grid))


def log1p_scale() -> Scale:
    """Observed values are ``log(1 + state)``, for log-normalised means whose counts cannot be recovered."""
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 1e6, 1024)])
    return Scale(name="log1p", state_grid=grid, observed_grid=np.log1p(grid))


def count_scale(library_sizes: Float[np.ndarray, " cell"], *, target_sum: float = 1e4) -> Scale:
    """The mean of ``log1p(normalised count)`` over cells whose counts are Poisson around the state.

    Averaging after the logarithm bends the scale: at low depth the mean is proportional to the state, at high
    depth it is its logarithm. The curve is the exact expectation over the given library sizes. Over-dispersion
    changes it by a nearly constant factor per gene, which the model absorbs in the unit of that gene.

    Parameters
    ----------
    library_sizes
        Total counts per cell.
    target_sum
        Sum to which cells were normalised, 10⁴ for CP10k.
    """
    sizes = np.quantile(library_sizes, np.linspace(0.05, 0.95, 7))
    grid = np.concatenate([[0.0], np.geomspace(1e-3, target_sum / 2, 256)])
    observed = np.mean([_expected_log1p(grid * size / target_sum, target_sum / size) for size in sizes], axis=0)
    return Scale(name="log1p of normalised counts", state_grid=grid, observed_grid=np.maximum.accumulate(observed))


def _expected_log1p(rate: np.ndarray, unit: float) -> np.ndarray:
    """``E log1p(unit · Y)`` for Poisson ``Y``; second-order Taylor expansion where the rate is large."""
    large = rate > 200
    counts = np.arange(0, 400)
    small_rate = np.where(large, 1.0, rate)
    log_poisson = xlogy(counts, small_rate[:, None]) - small_rate[:, None] - gammaln(counts + 1)
    exact = np.exp(log_poisson) @ np.log1p(unit * counts)
    taylor = np.log1p(unit * rate) - 0.5 * rate * unit**2 / (1 + unit * rate) ** 2
    return np.where(large, taylor, exact)


def _interpolate(x: np.ndarray, grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Piecewise linear interpolation that goes on linearly beyond the grid."""
    x = np.asarray(x, dtype=float)
    segment = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, len(grid) - 2)
    slope = (values[segment + 1] - values[segment]) / (grid[segment + 1] - grid[segment])
    return values[segment] + slope * (x - grid[segment])
