"""The law of barcode counts behind a bottleneck: founders, their clones, and reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln, ndtri, xlog1py
from scipy.stats import nbinom, poisson

EXACT, MATCHED = 15.0, 40.0
"""Expected founders of a barcode up to which their number is summed over, and from which two moments are matched instead; between them one law fades into
the other, so that a likelihood has no steps."""
_BLOCKS = (-1.0, 1.0, 4.0, 10.0, 20.0, MATCHED)
"""Barcodes with like numbers of founders are summed over together."""
_TINY, _LEAST_DISPERSION, _NOTHING = 1e-12, 1e-9, 1e-300
"""Dispersions below the first are none; beside larger ones they count as the second. A mean of nothing."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    r"""What share of the cells each barcode had before the bottleneck.

    Parameters
    ----------
    share
        Above 0, below 1.
    size
        Counts that each share rests on, infinite where it is known.
    """

    share: Float[np.ndarray, " barcode"]
    size: Float[np.ndarray, " barcode"]

    def __getitem__(self, rows: np.ndarray) -> Shares:
        """Some of the barcodes; their shares remain those of all cells."""
        return Shares(share=self.share[rows], size=self.size[rows])


@dataclass(frozen=True, kw_only=True)
class CountLaw:
    r"""Counts of barcodes in a sample that a number of cells founded.

    Of :math:`N` founders, :math:`K_g` carry barcode :math:`g`, which was a share :math:`p_g` of the cells before; each grows to a clone of random size, and the sample
    is sequenced to :math:`D` reads:

    .. math::
        K_g \sim \mathrm{Binomial}(N, p_g), \qquad
        y_g \mid K_g \sim \mathrm{NB}\bigl(D K_g / N,\; c^2 (1/K_g - 1/N) + \varphi\bigr)

    with NB(mean, dispersion) of variance mean + dispersion · mean². These are the marginal laws of multinomial founders and gamma distributed clones, as shares of a
    total: exact where either :math:`c` or :math:`\varphi` is 0, matched in mean and variance where neither is. If the share itself was counted, from :math:`a_g`
    reads, :math:`K_g` has dispersion :math:`1/a_g - 1/N` beyond Poisson: negative binomial, Poisson or binomial by the sign of it.

    From `EXACT` to `MATCHED` expected founders the sum over :math:`K_g` fades, as a mixture, into the negative binomial law of the same mean and variance, of dispersion
    :math:`(1 + c^2)(1/p_g - 1)/N + 1/a_g + \varphi`. That differs in its third moment only; a fitted founder number moves by about :math:`0.7/K_g` of itself.

    Parameters
    ----------
    shares
        Shares before, and the counts that they rest on.
    reads
        :math:`D`, reads of all barcodes together.
    cells
        :math:`N`, founders, counted by head.
    clone_variance
        :math:`c^2`, variance of the sizes of clones over their squared mean; 1 if cells divide at random times and none dies.
    dispersion
        :math:`\varphi`, what varies between barcodes beside founders: amplification, selection.
    """

    shares: Shares
    reads: float
    cells: float
    clone_variance: float
    dispersion: float

    @property
    def mean(self) -> Float[np.ndarray, " barcode"]:
        """Expected counts."""
        return self.reads * self.shares.share

    def log_prob(self, counts: Float[np.ndarray, " barcode"]) -> Float[np.ndarray, " barcode"]:
        """Logarithm of the probability of each count."""
        weight, matched, summed = self._over_founders(counts, _log_prob, _log_sum)
        with np.errstate(divide="ignore"):
            return np.logaddexp(np.log(weight) + matched, np.log1p(-weight) + summed)

    def residual(self, counts: Float[np.ndarray, " barcode"]) -> Float[np.ndarray, " barcode"]:
        """Standard normal residual of each count: the quantile at which it stands, half of its own probability below it.

        Both tails keep their precision; a residual is at most 37 in size, where double precision ends.
        """
        half = np.exp(self.log_prob(counts)) / 2
        above, below = (self._faded(*self._over_founders(counts, f, _weighted_sum)) + half for f in (_above, _below))
        least = np.finfo(float).tiny
        return np.where(below < above, ndtri(np.clip(below, least, 0.5)), -ndtri(np.clip(above, least, 0.5)))

    def total_dispersion(self) -> Float[np.ndarray, " barcode"]:
        """Variance of counts beyond that of reads, over their squared mean."""
        drift = (1.0 + self.clone_variance) * (1.0 / self.shares.share - 1.0) / self.cells
        return drift + 1.0 / self.shares.size + self.dispersion

    def _over_founders(
        self,
        counts: np.ndarray,
        of_counts: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
        gather: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A function of counts by matched moments, and taken over the law of founders; and the weight of the former, beside 0 and 1 where founders are neither few nor many."""
        matched, summed = np.zeros(len(counts)), np.zeros(len(counts))
        expected = self.cells * self.shares.share
        weight = np.clip((expected - EXACT) / (MATCHED - EXACT), 0.0, 1.0)
        rows = np.flatnonzero(weight > 0)
        moments = of_counts(counts[rows][None], self.mean[rows][None], self.total_dispersion()[rows][None])
        matched[rows] = gather(np.zeros((1, 1)), moments)
        for least, most in pairwise(_BLOCKS):
            rows = np.flatnonzero((expected > least) & (expected <= most))
            if not len(rows):
                continue
            log_weight = founder_law(expected[rows], 1.0 / self.shares.size[rows] - 1.0 / self.cells)
            number = np.arange(len(log_weight))[:, None]
            varies = self.clone_variance * np.maximum(1.0 / np.maximum(number, 1) - 1.0 / self.cells, 0.0)
            given = of_counts(counts[rows][None], number * (self.reads / self.cells), varies + self.dispersion)
            summed[rows] = gather(log_weight, given)
        return weight, matched, summed

    @staticmethod
    def _faded(weight: np.ndarray, matched: np.ndarray, summed: np.ndarray) -> np.ndarray:
        """One law fading into the other: a mixture of both, which is a law again."""
        return weight * matched + (1.0 - weight) * summed


def founder_law(expected: Float[np.ndarray, " barcode"], dispersion: np.ndarray) -> Float[np.ndarray, "number barcode"]:
    """Logarithm of the probability of 0, 1, 2 … founders: binomial, Poisson or negative binomial by the sign of the dispersion."""
    spread = np.sqrt(expected * (1.0 + expected * np.maximum(dispersion, 0.0)))
    number = np.arange(int((expected + 6.0 * spread + 6.0).max()) + 1)[:, None]
    log_weight = np.empty((len(number), len(expected)))
    is_wide = dispersion >= 0
    log_weight[:, is_wide] = _log_prob(number, expected[is_wide][None], dispersion[is_wide][None])
    if not is_wide.all():
        cells = np.maximum(-1.0 / dispersion[~is_wide], expected[~is_wide])
        log_weight[:, ~is_wide] = _log_binomial(number, cells, np.minimum(expected[~is_wide] / cells, 1.0))
    return log_weight - _log_sum(log_weight, np.zeros((1, 1)))


def _log_binomial(number: np.ndarray, cells: np.ndarray, share: np.ndarray) -> np.ndarray:
    rest = np.maximum(cells - number, 0.0)
    ways = gammaln(cells + 1.0) - gammaln(number + 1.0) - gammaln(rest + 1.0)
    return np.where(number <= cells + 0.5, ways + number * np.log(share) + xlog1py(rest, -share), -np.inf)


def _log_sum(log_weight: np.ndarray, log_value: np.ndarray) -> np.ndarray:
    total = log_weight + log_value
    top = np.maximum(total.max(axis=0), -1e300)
    return top + np.log(np.maximum(np.exp(total - top).sum(axis=0), np.finfo(float).tiny))


def _weighted_sum(log_weight: np.ndarray, value: np.ndarray) -> np.ndarray:
    return (np.exp(log_weight) * value).sum(axis=0)


def _log_prob(count: np.ndarray, mean: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Negative binomial of a mean and a dispersion, Poisson where that is none; a mean of 0 gives 0 for certain.

    Means and dispersions come as columns where they can, so that logarithms are taken of columns and not of tables.
    """
    log_factorial = gammaln(count + 1.0)
    if (dispersion <= _TINY).all():
        return count * np.log(np.maximum(mean, _NOTHING)) - mean - log_factorial
    size = 1.0 / np.maximum(dispersion, _LEAST_DISPERSION)
    ratio = mean / size
    per_count = np.log(np.maximum(ratio, _NOTHING)) - np.log1p(ratio)
    return gammaln(count + size) - (gammaln(size) + size * np.log1p(ratio)) - log_factorial + count * per_count


def _below(count: np.ndarray, mean: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Probability of a smaller count."""
    return _tail("cdf", count - 1.0, mean, dispersion)


def _above(count: np.ndarray, mean: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Probability of a larger count."""
    return _tail("sf", count, mean, dispersion)


def _tail(side: str, at: np.ndarray, mean: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    at, mean, dispersion = np.broadcast_arrays(at, mean, dispersion)
    is_poisson = dispersion <= _TINY
    value = np.empty(at.shape)
    value[is_poisson] = getattr(poisson, side)(at[is_poisson], mean[is_poisson])
    wide = ~is_poisson
    size = 1.0 / dispersion[wide]
    value[wide] = getattr(nbinom, side)(at[wide], size, size / (size + mean[wide]))
    return value
