"""How many cells founded a sample, from the spread of barcodes that make no difference to their cells."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.stats import chi2

from semimech._errors import DataError, raise_faults
from semimech.abundance.law import CountLaw, Shares

MIN_BARCODES = 8
"""Barcodes with cells before the bottleneck that are needed to tell a spread."""
_MOST_FOUNDERS = 1e9
_LOG_BOUNDS = {
    "founders": (math.log(0.3), math.log(_MOST_FOUNDERS)),
    "clone_variance": (math.log(1e-3), math.log(300.0)),
    "dispersion": (math.log(1e-6), math.log(100.0)),
}
_FIRST_STEP, _CLOSE, _NARROW, _LEAST_STEP = 0.15, 0.1, 0.01, 1e-4
"""First step of the search for the ends of an interval, natural logarithm of founders; how near the profile likelihood comes to its bound there, and, where it jumps, how narrow the bracket gets as
a share of its distance from the estimate, and at the least."""
_EQUAL = 0.05
"""Clone variance below which clones are nearly of one size."""
_STARTS = ((1.0, 0.01), (0.03, 0.1))
"""Clone variance and dispersion from which the likelihood is climbed."""


@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """How many cells founded a sample.

    Parameters
    ----------
    founders
        Effective number: of founders with clones of one size that would give the same drift.
    lower, upper
        Interval of that number by profile likelihood; ``upper`` is infinite if the counts bear no trace of a bottleneck.
    level
        Coverage of the interval.
    clone_variance
        Variance of the sizes of clones over their squared mean. Where every barcode has many founders it cannot be told, and does not matter.
    dispersion
        What varies between barcodes beside founders, in squared natural-log units.
    spread_p
        Probability of such an excess of spread (or a larger one) if there were founders alone: below it, drift does not explain the counts.
    log_likelihood
        Of the counts, at the estimate.
    n_barcodes, lost
        Barcodes with cells before the bottleneck, and how many of them have no reads.
    reads
        Reads of all of them.
    """

    founders: float
    lower: float
    upper: float
    level: float
    clone_variance: float
    dispersion: float
    spread_p: float
    log_likelihood: float
    n_barcodes: int
    lost: int
    reads: int

    @property
    def cells(self) -> float:
        """Founders as heads: more than the effective number, since clones differ in size."""
        return self.founders * (1.0 + self.clone_variance)


def counted_shares(counts: Float[np.ndarray, " barcode"]) -> Shares:
    """Shares from the counts of the cells before the bottleneck, with half a read for what may have been missed."""
    seen = np.asarray(counts, float) + 0.5
    return Shares(share=seen / seen.sum(), size=seen)


def law_of(shares: Shares, reads: float, founders: float, clone_variance: float, dispersion: float) -> CountLaw:
    """The law of counts, given the effective number of founders."""
    cells = founders * (1.0 + clone_variance)
    return CountLaw(shares=shares, reads=reads, cells=cells, clone_variance=clone_variance, dispersion=dispersion)


def estimate_founders(
    counts: Float[np.ndarray, " barcode"],
    shares: Shares,
    *,
    clone_variance: float | None = None,
    dispersion: float | None = None,
    level: float = 0.9,
) -> Bottleneck:
    r"""Estimate how many cells founded a sample, from counts of neutral barcodes or non-targeting guides.

    Maximum of the likelihood of `CountLaw`. With :math:`N_e = N / (1 + c^2)` the spread of counts is
    :math:`\mu + \mu^2 [(1-p)/(p N_e) + 1/a + \varphi]`: founders show in spread that falls with the share of a barcode, everything else in spread that does not. With equal shares and
    many founders each, the two cannot be told apart unless `dispersion` is given, from replicates of the sequencing; the interval is then wide, and says so.

    Parameters
    ----------
    counts
        Reads of each barcode in the sample.
    shares
        What each was before. Where neutral guides are some of all, these are shares of all, and so are the founders.
    clone_variance
        Known variance of the sizes of clones; estimated if not given.
    dispersion
        Known over-dispersion of amplification and sequencing; estimated if not given.
    level
        Coverage of the interval.

    Raises
    ------
    DataError
        If there are fewer than `MIN_BARCODES` barcodes or no reads, counts are negative, or the level is none.

    Notes
    -----
    The interval is that of the profile likelihood, and the test of spread a likelihood ratio of :math:`\varphi = 0` at the boundary (Self and Liang, JASA 82, 605, 1987).
    """
    counts = np.asarray(counts, float)
    faults = []
    if len(counts) < MIN_BARCODES:
        faults.append(f"{len(counts)} neutral barcodes, at least {MIN_BARCODES} are needed to tell their spread")
    if (counts < 0).any() or not np.isfinite(counts).all():
        faults.append("counts must be numbers, 0 or more")
    elif counts.sum() <= 0:
        faults.append("no reads of neutral barcodes: leave the sample out")
    if not 0.0 < level < 1.0:
        faults.append(f"level must lie between 0 and 1, got {level:g}: a 90 % interval is 0.9")
    raise_faults(DataError, "founders", faults)
    fixed = {"clone_variance": clone_variance, "dispersion": dispersion}
    likelihood = _Likelihood(counts=counts, shares=shares, fixed=fixed)
    best, top = likelihood.maximise()
    fall = float(chi2.ppf(level, 1)) / 2.0
    lower, upper = (likelihood.crossing(best, top, fall, side) for side in (-1.0, 1.0))
    spread_p = 1.0
    if dispersion is None:
        _, without = replace(likelihood, fixed=fixed | {"dispersion": 0.0}).maximise(start=best)
        excess = max(0.0, 2.0 * (top - without))
        spread_p = 0.5 * float(chi2.sf(excess, 1)) if excess > 1e-6 else 1.0
    return Bottleneck(
        **best,
        lower=lower,
        upper=upper,
        level=level,
        spread_p=spread_p,
        log_likelihood=top,
        n_barcodes=len(counts),
        lost=int((counts == 0).sum()),
        reads=int(counts.sum()),
    )


@dataclass(frozen=True, kw_only=True)
class _Likelihood:
    """Of the founders of one sample; what is not fixed is fitted, each in its logarithm."""

    counts: Float[np.ndarray, " barcode"]
    shares: Shares
    fixed: dict[str, float | None]

    @property
    def free(self) -> tuple[str, ...]:
        """Parameters beside founders that are fitted."""
        return tuple(name for name, value in self.fixed.items() if value is None)

    def at(self, founders: float, **nuisance: float) -> float:
        """The likelihood."""
        values = {name: nuisance[name] if value is None else value for name, value in self.fixed.items()}
        reads = float(self.counts.sum() / self.shares.share.sum())
        law = law_of(self.shares, reads, founders, **values)
        return float(law.log_prob(self.counts).sum())

    def maximise(self, start: dict[str, float] | None = None) -> tuple[dict[str, float], float]:
        """The parameters of highest likelihood, and that likelihood."""
        first = _by_moments(self.counts, self.shares)
        starts = [{"founders": first, "clone_variance": c, "dispersion": d} for c, d in _STARTS]
        starts = starts if self.free else starts[:1]
        starts += [start] if start is not None else []
        if self.fixed["clone_variance"] is not None and self.fixed["clone_variance"] < _EQUAL:
            # Clones of one size make a comb of a likelihood: come down to it from unequal ones.
            starts += [replace(self, fixed=self.fixed | {"clone_variance": None}).maximise()[0]]
        free = ("founders", *self.free)
        if len(starts) > 1:
            starts = [max((self.climb(free, s, rough=True) for s in starts), key=lambda found: found[1])[0]]
        return self.climb(free, starts[0], step=0.2)

    def climb(
        self, free: tuple[str, ...], start: dict[str, float], *, step: float = 0.5, rough: bool = False, **given: float
    ) -> tuple[dict[str, float], float]:
        """The highest likelihood near a start, over some parameters."""
        known = {name: value for name, value in self.fixed.items() if value is not None} | given
        if not free:
            return known, self.at(**known)
        bounds = np.array([_LOG_BOUNDS[name] for name in free])
        first = np.clip(np.log([max(start[n], 1e-300) for n in free]), *bounds.T)
        inward = np.where(first + step > bounds[:, 1], -step, step)

        def loss(x: np.ndarray) -> float:
            return -self.at(**known, **{n: math.exp(v) for n, v in zip(free, x, strict=True)})

        found = minimize(
            loss,
            first,
            method="Nelder-Mead",
            bounds=bounds,
            options={
                "initial_simplex": np.vstack([first, first + np.diag(inward)]),
                "xatol": 0.3 if rough else 0.02 if len(free) > 1 else 0.001,
                "fatol": 0.3 if rough else 0.02,
                "maxfev": (15 if rough else 50) * len(free),
            },
        )
        return known | {n: math.exp(v) for n, v in zip(free, found.x, strict=True)}, -float(found.fun)

    def crossing(self, best: dict[str, float], top: float, fall: float, side: float) -> float:
        """Where the profile likelihood has fallen this far from the top, on one side of the best number of founders."""
        nuisance = best

        def root_of_loss(log_founders: float) -> float:
            nonlocal nuisance
            nuisance, value = self.climb(self.free, nuisance, step=0.1, founders=math.exp(log_founders))
            return math.sqrt(max(top - value, 0.0))

        centre, step, goal = math.log(best["founders"]), _FIRST_STEP, math.sqrt(fall)
        near, far = math.sqrt(max(fall - _CLOSE, 0.0)), math.sqrt(fall + _CLOSE)
        least, most = _LOG_BOUNDS["founders"]
        inner, lost_inner, outer = centre, 0.0, centre
        while (lost := root_of_loss(outer := float(np.clip(centre + side * step, least, most)))) < goal:
            if outer in (least, most):
                return 0.0 if side < 0 else math.inf
            inner, lost_inner, step = outer, lost, 3.0 * step
        lost_outer, at = lost, outer
        while not near <= lost <= far and abs(outer - inner) > max(_NARROW * abs(outer - centre), _LEAST_STEP):
            # Of a parabola the root of what is lost is a line.
            share = (goal - lost_inner) / max(lost_outer - lost_inner, 1e-12)
            at = inner + float(np.clip(share, 0.1, 0.9)) * (outer - inner)
            lost = root_of_loss(at)
            if lost < goal:
                inner, lost_inner = at, lost
            else:
                outer, lost_outer = at, lost
        return math.exp(at if near <= lost <= far else outer)


def _by_moments(counts: np.ndarray, shares: Shares) -> float:
    """Founders from the squared deviations of counts beyond those of reads and of the shares themselves."""
    mean = counts.sum() * shares.share / shares.share.sum()
    excess = float(((counts - mean) ** 2 - mean - mean**2 / shares.size).sum())
    drift = float((mean**2 * (1.0 - shares.share) / shares.share).sum())
    return float(np.clip(drift / max(excess, 1e-9 * drift), 1.0, 1e7))
