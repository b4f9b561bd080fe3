"""From abundances to UMI counts: depth, batches, sampling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import nbinom, poisson

TARGET_SUM = 1e4

_NODES = 9
_EXACT_BELOW = 80.0
_N_COUNTS = 600


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How cells are sequenced.

    Counts of a cell are negative binomial with mean ``library · abundance / total abundance`` and variance
    ``mean + dispersion · mean²``; libraries are log-normal.

    Parameters
    ----------
    library_mean
        Mean UMI per cell.
    library_spread
        Standard deviation of the log library size.
    dispersion
        Technical over-dispersion; 0 is Poisson.
    outside
        Abundance of all that is sequenced but is no gene of the world, counts per 10⁴; 0 where the genes are a panel
        that takes all reads.
    batch_depth_spread
        Standard deviation over batches of the log capture efficiency.
    batch_gene_spread
        Standard deviation over batches of the log factor of a batch on a gene.

    Raises
    ------
    ValueError
        If ``library_mean`` is not positive or another field is negative.
    """

    library_mean: float = 5000.0
    library_spread: float = 0.35
    dispersion: float = 0.02
    outside: float = 0.0
    batch_depth_spread: float = 0.1
    batch_gene_spread: float = 0.1

    def __post_init__(self) -> None:
        if not self.library_mean > 0:
            raise ValueError(f"Measurement: library_mean must be positive, got {self.library_mean:g}")
        for name in ("library_spread", "dispersion", "outside", "batch_depth_spread", "batch_gene_spread"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Measurement: {name} must be 0 or more, got {getattr(self, name):g}")

    def cp10k(self, abundance: Float[np.ndarray, "*cells gene"]) -> Float[np.ndarray, "*cells gene"]:
        """Abundances as counts per 10⁴ of all that is sequenced."""
        total = abundance.sum(axis=-1, keepdims=True) + self.outside
        return TARGET_SUM * abundance / total


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Technical groups of cells; log factors average to 0 over batches, so that only their differences matter.

    Parameters
    ----------
    depth
        Factor of each batch on library sizes.
    gene_fold
        Factor of each batch on each gene.
    """

    depth: Float[np.ndarray, " batch"]
    gene_fold: Float[np.ndarray, "batch gene"]


def draw_batches(measurement: Measurement, n_batches: int, n_genes: int, *, rng: np.random.Generator) -> Batches:
    """Draw the factors of batches; a single batch has none."""
    depth = measurement.batch_depth_spread * rng.standard_normal(n_batches)
    fold = measurement.batch_gene_spread * rng.standard_normal((n_batches, n_genes))
    return Batches(depth=np.exp(depth - depth.mean()), gene_fold=np.exp(fold - fold.mean(axis=0)))


def draw_libraries(measurement: Measurement, n_cells: int, *, rng: np.random.Generator) -> Float[np.ndarray, " cell"]:
    """Draw library sizes: expected UMI per cell."""
    spread = measurement.library_spread
    return measurement.library_mean * np.exp(spread * rng.standard_normal(n_cells) - 0.5 * spread**2)


def sample_counts(
    cp10k: Float[np.ndarray, "cell gene"],
    library: Float[np.ndarray, " cell"],
    *,
    dispersion: float,
    rng: np.random.Generator,
) -> Int[np.ndarray, "cell gene"]:
    """Draw counts of cells.

    Parameters
    ----------
    cp10k
        Abundances, counts per 10⁴ of the library.
    library
        Expected UMI per cell.
    dispersion
        Excess of the variance, in units of the squared mean.
    rng
        Source of the draw.
    """
    rate = cp10k.astype(float) * (library[:, None] / TARGET_SUM)
    if dispersion > 0:
        rate = rate * rng.gamma(1 / dispersion, dispersion, rate.shape)
    return rng.poisson(rate).astype(np.int32)


def expected_log1p(
    cp10k: Float[np.ndarray, "*cells gene"], measurement: Measurement
) -> Float[np.ndarray, "*cells gene"]:
    """Expectation of log1p of normalised counts, given the abundance; no batch effects.

    The expectation over counts and libraries is computed on a grid of abundances, the one over libraries by
    Gauss–Hermite quadrature. Counts are divided by the expected library: the realised one differs by its own Poisson
    noise, which matters little beyond some hundred UMI.

    Parameters
    ----------
    cp10k
        Abundances, counts per 10⁴ of the library.
    measurement
        How cells are sequenced.
    """
    grid, curve = _curve(measurement.library_mean, measurement.library_spread, measurement.dispersion)
    return np.interp(cp10k, grid, curve)


@cache
def _curve(mean: float, spread: float, dispersion: float) -> tuple[np.ndarray, np.ndarray]:
    """The expectation on a grid of abundances: it is the same for all cells of a screen."""
    grid = np.concatenate([[0.0], np.geomspace(1e-3, TARGET_SUM, 400)])
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    libraries = mean * np.exp(spread * nodes - 0.5 * spread**2)
    curves = [_expected_log1p(grid * size / TARGET_SUM, TARGET_SUM / size, dispersion) for size in libraries]
    return grid, np.average(curves, axis=0, weights=weights)


def _expected_log1p(mean: np.ndarray, unit: float, dispersion: float) -> np.ndarray:
    """``E log1p(unit · y)`` for counts of a given mean; second-order Taylor expansion where the mean is large."""
    value = np.log1p(unit * mean) - 0.5 * (mean + dispersion * mean**2) * (unit / (1 + unit * mean)) ** 2
    small = mean < _EXACT_BELOW
    counts = np.arange(_N_COUNTS)
    rate = np.maximum(mean[small, None], 1e-12)
    if dispersion > 0:
        size = 1 / dispersion
        mass = nbinom.pmf(counts, size, size / (size + rate))
    else:
        mass = poisson.pmf(counts, rate)
    value[small] = mass @ np.log1p(unit * counts)
    return value
