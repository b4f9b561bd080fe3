"""Cells as they were harvested, and what they would be had they not been selected."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from semimech.abundance.tilt import Tilt

_LEAST_SD, _LEAST_DRAWN = 1e-6, 2


@dataclass(frozen=True, kw_only=True)
class Unselected:
    """Differences to unedited cells: means without selection, logarithms of abundance, and (but for third moments) the derivative of those by the weights."""

    mean: Float[np.ndarray, "edit gene"]
    growth: Float[np.ndarray, " edit"]
    slope: Float[np.ndarray, "edit gene"]


@dataclass(frozen=True, kw_only=True)
class HarvestedCells:
    """Cells of group 0, the unedited ones, and of the edits, and as how many independent ones those of a group count; weights count how often each was drawn."""

    values: Float[np.ndarray, "cell gene"]
    group: np.ndarray
    tilt: Tilt
    independent: Float[np.ndarray, " group"]
    drawn: np.ndarray | None = None

    def sums(self) -> sp.csr_matrix:
        """The matrix that takes the mean of each group."""
        weight = np.ones(len(self.group)) if self.drawn is None else self.drawn.astype(float)
        total = np.bincount(self.group, weight)
        shape = (len(total), len(self.group))
        return sp.csr_matrix((weight / total[self.group], (self.group, np.arange(len(self.group)))), shape=shape)

    def scale(self) -> np.ndarray:
        """Standard deviation of each gene inside groups."""
        mean = self.sums() @ self.values
        return np.maximum(np.sqrt(((self.values - mean[self.group]) ** 2).mean(axis=0)), _LEAST_SD)

    def effects(self) -> np.ndarray:
        """Difference of means."""
        mean = self.sums() @ self.values
        return mean[1:] - mean[0]

    def taken_back(self, weight: np.ndarray) -> Unselected:
        """What the cells would be had they not been selected by these weights."""
        tilt, score = self.tilt, self.values @ weight
        least = np.full(self.group.max() + 1, np.inf)
        np.minimum.at(least, self.group, score)
        lightness = np.exp(-tilt.shift * (score - least[self.group]))
        sums = self.sums().multiply(lightness[None]).tocsr()
        total = np.asarray(sums.sum(axis=1)).ravel()
        sums = sp.diags_array(1.0 / total) @ sums
        mean, centre = sums @ self.values, sums @ score
        wider = sums.multiply(score[None]).tocsr() @ self.values - mean * centre[:, None]
        growth = tilt.shift * least - np.log(total)
        growth += (tilt.hours - tilt.shift) * centre + 0.5 * (tilt.variance - tilt.shift**2) * (wider @ weight)
        slope = tilt.hours * mean + (tilt.variance - tilt.hours * tilt.shift) * wider
        return Unselected(mean=mean[1:] - mean[0], growth=growth[1:] - growth[0], slope=slope[1:] - slope[0])

    def resampled(self, rng: np.random.Generator) -> HarvestedCells:
        """Of each group as many cells as it counts for, drawn from it: the fewer, the wider what is made of them."""
        drawn = np.zeros(len(self.group), int)
        for group in np.unique(self.group):
            rows = np.flatnonzero(self.group == group)
            n = max(round(float(self.independent[group])), _LEAST_DRAWN)
            drawn[rows] = rng.multinomial(n, np.full(len(rows), 1.0 / len(rows)))
        return replace(self, drawn=drawn)
