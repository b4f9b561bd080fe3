"""What sums of scores look like where nothing acts, as neutral guides show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MIN_GENES, MOST_GUIDES = 8, 50
"""Neutral genes that are needed to tell what guides of one gene share; guides that one has at most."""
_STEP = 0.01
_LEAST_P = 1e-14
"""Where the Fourier transform ends in double precision."""


@dataclass(frozen=True, kw_only=True)
class NeutralNull:
    r"""The law of the mean of scores of neutral guides.

    The law of one score is that of the neutral guides, smoothed by a Gaussian kernel of Silverman's bandwidth and scaled back to their variance (Silverman and Young,
    Biometrika 74, 469, 1987); that of the mean of :math:`n` is its :math:`n`-fold convolution, by fast Fourier transform. No draw is made, and tails reach to 10⁻¹⁴.

    Parameters
    ----------
    scores
        One of each neutral guide.
    correlation
        Of scores of guides of one gene, see `shared_by_genes`; 0 where they are independent. The mean of :math:`n` scores is held against the law of independent ones after division by
        :math:`\sqrt{1 + (n - 1)\rho}` (the design effect of clusters: Kish, Survey Sampling, 1965), as far from the mean of all.
    """

    scores: Float[np.ndarray, " guide"]
    correlation: float = 0.0

    def two_sided(self, mean: Float[np.ndarray, " gene"], n: int) -> Float[np.ndarray, " gene"]:
        """Probability of a mean of ``n`` scores as far out as these, doubled from the nearer tail.

        Parameters
        ----------
        mean
            Means of ``n`` scores.
        n
            Guides that each is the mean of.
        """
        grid, mass = self._summed(n)
        below = np.cumsum(mass)
        above = np.cumsum(mass[::-1])[::-1]
        centre = float(self.scores.mean())
        at = (centre + (np.asarray(mean, float) - centre) / np.sqrt(1.0 + (n - 1) * self.correlation)) * n
        lower, upper = np.interp(at, grid, below), np.interp(at, grid, above)
        return np.clip(2.0 * np.minimum(lower, upper), _LEAST_P, 1.0)

    def _summed(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        centre, sd = self.scores.mean(), max(float(self.scores.std(ddof=1)), 1e-6)
        width = 1.06 * len(self.scores) ** -0.2
        shrink = 1.0 / np.sqrt(1.0 + width**2)
        points = (self.scores - centre) * shrink / sd
        reach = float(np.abs(points).max()) + 8.0 * width
        half = int(np.ceil(n * reach / _STEP))
        size = 1 << int(np.ceil(np.log2(2 * half + 1)))
        # The transform of the smoothed law of one score is known: that of its points times that of the kernel.
        place = np.rint(points / _STEP).astype(int) % size
        one = np.bincount(place, minlength=size) / len(points)
        angular = 2.0 * np.pi * np.fft.rfftfreq(size) / _STEP
        transform = np.fft.rfft(one) * np.exp(-0.5 * (width * shrink * angular) ** 2)
        mass = np.fft.fftshift(np.fft.irfft(transform**n, size))
        mass = np.maximum(mass, 0.0)
        grid = (np.arange(size) - size // 2) * _STEP * sd + n * centre
        return grid, mass / mass.sum()


def shared_by_genes(scores: Float[np.ndarray, " guide"], genes: Sequence[str]) -> float:
    """Correlation of scores of neutral guides of one gene; 0 unless they come from `MIN_GENES` genes of several guides.

    The one-way analysis of variance, groups of unequal size (Donner, International Statistical Review 54, 67, 1986). Non-targeting guides under one label are no gene: a gene has at most
    `MOST_GUIDES`.

    Parameters
    ----------
    scores
        One of each neutral guide.
    genes
        What each of them targets.
    """
    codes = np.unique(np.asarray(genes, dtype=str), return_inverse=True)[1]
    sizes = np.bincount(codes)
    kept = (sizes[codes] > 1) & (sizes[codes] <= MOST_GUIDES)
    codes = np.unique(codes[kept], return_inverse=True)[1]
    values, sizes = np.asarray(scores, float)[kept], np.bincount(codes)
    if len(sizes) < MIN_GENES:
        return 0.0
    means = np.bincount(codes, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum()) / (len(sizes) - 1)
    within = float(((values - means[codes]) ** 2).sum()) / (len(values) - len(sizes))
    size = (len(values) - float((sizes**2).sum()) / len(values)) / (len(sizes) - 1)
    return max(0.0, (between - within) / (between + (size - 1.0) * within))
