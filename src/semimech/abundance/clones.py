"""Clones across times and lineages: how fast each grows, which lineage it leans to, and where it will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.stats import norm

from semimech._errors import DataError, raise_faults

MIN_CLONES = 20
"""Clones that the law of their courses is fitted to, at the least."""
_LOG_BOUNDS = (-7.0, 4.0)
_READ = 0.5


@dataclass(frozen=True, kw_only=True)
class CloneLaw:
    r"""The prior of courses of clones.

    The logarithm of the share of clone :math:`c` in lineage :math:`l` at time :math:`t` is

    .. math:: \eta_{clt} = a_c + b_{cl} + g_c(t) + h_{cl}(t)

    with a size :math:`a`, a bias :math:`b` that lasts, and Brownian courses :math:`g` of the clone and :math:`h` of its lineages, all normal. Brownian courses have
    straight lines between harvests as their expectation and persistence after the last one; size and bias alone give means: what is observed decides how far. Counts of one lineage do not tell :math:`b` from :math:`a`, nor
    :math:`h` from :math:`g`: bias and turnover are 0 there, and all growth is that of the clone.

    Parameters
    ----------
    centre
        Mean of :math:`a`.
    size, bias
        Variances of :math:`a` and :math:`b`.
    growth, turnover
        Variances of :math:`g` and :math:`h` per unit of time.
    noise
        Variance of the logarithm of a count beyond that of reads.
    """

    centre: float
    size: float
    bias: float
    growth: float
    turnover: float
    noise: float

    def covariance(self, first: pd.DataFrame, second: pd.DataFrame) -> Float[np.ndarray, "first second"]:
        """Between logarithms of shares of one clone; both tables have ``lineage`` and ``time`` since the first harvest."""
        same = first["lineage"].to_numpy()[:, None] == second["lineage"].to_numpy()[None]
        earlier = np.minimum(first["time"].to_numpy(float)[:, None], second["time"].to_numpy(float)[None])
        return self.size + self.growth * earlier + same * (self.bias + self.turnover * earlier)


@dataclass(frozen=True, kw_only=True)
class Clones:
    """Courses of clones, given their counts.

    Parameters
    ----------
    samples
        What was counted: ``lineage`` and ``time``.
    law
        Fitted to all clones.
    growth
        One row per clone: ``growth`` of its share per unit of time over the harvests, natural logarithm, ``lower`` and ``upper``.
    bias
        One row per clone and lineage: ``bias``, natural logarithm of its share there over the mean of lineages, ``lower`` and ``upper``.
    residual, variance
        Logarithms of counted shares less the law's centre, and the variance of their counting.
    """

    samples: pd.DataFrame
    law: CloneLaw
    growth: pd.DataFrame
    bias: pd.DataFrame
    residual: Float[np.ndarray, "clone sample"]
    variance: Float[np.ndarray, "clone sample"]

    def predict(
        self, lineages: Sequence[str], times: Sequence[float]
    ) -> tuple[Float[np.ndarray, "clone asked"], Float[np.ndarray, "clone asked"]]:
        """Mean and standard deviation of the logarithm of the share of each clone, without the noise of its counting.

        Parameters
        ----------
        lineages, times
            Where and when, one of each per column of what is returned; times are not before the first harvest.

        Raises
        ------
        DataError
            If a time lies before the first harvest, where the law knows no course, or a lineage was not sampled and only one was.
        """
        first, sampled = float(self.samples["time"].min()), set(self.samples["lineage"])
        before = [f"{t:g}" for t in times if not t >= first]
        faults = [f"times {', '.join(before)}: ask for none before the first harvest, {first:g}"] if before else []
        strange = sorted({str(x) for x in lineages if x not in sampled})
        if len(sampled) == 1 and strange:
            faults.append(
                f"lineages {', '.join(strange)} were not sampled, and one lineage does not tell how lineages differ"
            )
        if len(lineages) != len(times):
            faults.append(f"{len(lineages)} lineages for {len(times)} times; give one of each")
        raise_faults(DataError, "clones", faults)
        asked = pd.DataFrame({"lineage": list(lineages), "time": np.asarray(times, float) - self.samples["time"].min()})
        weight = np.eye(len(asked))
        mean, variance = _posterior(self.law, _since(self.samples), self.residual, self.variance, asked, weight)
        return mean + self.law.centre * weight.sum(axis=1), np.sqrt(variance)


def follow_clones(
    counts: Float[np.ndarray, "clone sample"],
    samples: pd.DataFrame,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.9,
) -> Clones:
    """Estimate growth and bias of clones from counts of their barcodes.

    The law of courses is fitted by marginal likelihood to all clones, each then given its own counts: closed forms of normal laws, with the logarithm of a count taken as normal, of variance one over its reads plus what the
    law calls noise. It is meant for clones of some reads; leave out those that are hardly seen.

    Parameters
    ----------
    counts
        Reads.
    samples
        One row per column: ``lineage``, ``time`` and, if the clones are some of all, ``reads`` of all together.
    names
        Of the clones.
    level
        Coverage of intervals.

    Raises
    ------
    DataError
        If there are too few clones or samples, columns are missing, numbers are none, or the level is no share.
    """
    faults = [f"samples have no column {name!r}" for name in ("lineage", "time") if name not in samples]
    if "time" in samples and not np.isfinite(pd.to_numeric(samples["time"], errors="coerce")).all():
        faults.append("times of samples must be numbers: leave out samples without one")
    if names is not None and len(names) != len(counts):
        faults.append(f"{len(names)} names for {len(counts)} clones; give one of each")
    if not 0.0 < level < 1.0:
        faults.append(f"level must lie between 0 and 1, got {level:g}: a 90 % interval is 0.9")
    if counts.shape[1] != len(samples) or len(samples) < 2:
        faults.append(f"{len(samples)} rows of samples for {counts.shape[1]} columns of counts; at least 2 are needed")
    if len(counts) < MIN_CLONES:
        faults.append(f"{len(counts)} clones, at least {MIN_CLONES} are needed to tell what they have in common")
    if (counts < 0).any() or not np.isfinite(counts).all():
        faults.append("counts must be numbers, 0 or more")
    elif (_total(counts, samples) <= 0).any():
        faults.append("samples without reads: leave them out")
    raise_faults(DataError, "clones", faults)
    observed = log_shares(counts, _total(counts, samples))
    reads = 1.0 / (counts + _READ)
    places = _since(samples)
    law = _fit(places, observed, reads)
    names = list(names) if names is not None else [f"clone{n}" for n in range(len(counts))]
    residual, variance = observed - law.centre, reads + law.noise
    z = float(norm.ppf(0.5 + level / 2.0))
    begin, end = places["time"].min(), places["time"].max()
    ends = pd.DataFrame({"lineage": "", "time": [begin, end]})
    slope = np.array([[-1.0, 1.0]]) / max(end - begin, 1e-12)
    mean, var = _posterior(law, places, residual, variance, ends, slope)
    growth = pd.DataFrame({"clone": names, "growth": mean[:, 0]})
    growth["lower"], growth["upper"] = mean[:, 0] - z * np.sqrt(var[:, 0]), mean[:, 0] + z * np.sqrt(var[:, 0])
    lineages = list(dict.fromkeys(places["lineage"]))
    whole = pd.DataFrame({"lineage": lineages, "time": (begin + end) / 2.0})
    contrast = np.eye(len(lineages)) - 1.0 / len(lineages)
    mean, var = _posterior(law, places, residual, variance, whole, contrast)
    bias = pd.DataFrame({"clone": np.repeat(names, len(lineages)), "lineage": lineages * len(names)})
    bias["bias"], spread = mean.ravel(), z * np.sqrt(var.ravel())
    bias["lower"], bias["upper"] = bias["bias"] - spread, bias["bias"] + spread
    return Clones(
        samples=samples[["lineage", "time"]].reset_index(drop=True),
        law=law,
        growth=growth,
        bias=bias,
        residual=residual,
        variance=variance,
    )


def log_shares(counts: Float[np.ndarray, "clone sample"], reads: Float[np.ndarray, " sample"]) -> np.ndarray:
    """Logarithms of shares of all reads, half a read added to each count.

    Parameters
    ----------
    counts
        Reads of the clones followed.
    reads
        Of all clones together.
    """
    return np.log((counts + _READ) / reads)


def _total(counts: np.ndarray, samples: pd.DataFrame) -> np.ndarray:
    return samples["reads"].to_numpy(float) if "reads" in samples else counts.sum(axis=0)


def _since(samples: pd.DataFrame) -> pd.DataFrame:
    return samples[["lineage", "time"]].assign(time=samples["time"].astype(float) - float(samples["time"].min()))


def _posterior(
    law: CloneLaw,
    places: pd.DataFrame,
    residual: np.ndarray,
    variance: np.ndarray,
    asked: pd.DataFrame,
    weight: Float[np.ndarray, "contrast asked"],
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance, given a clone's counts, of contrasts of what is asked; a lineage that was not sampled has the clone's course and an unknown bias."""
    cross = weight @ law.covariance(asked, places)
    prior = np.einsum("ca,ab,cb->c", weight, law.covariance(asked, asked), weight)
    whole = law.covariance(places, places)[None] + variance[:, :, None] * np.eye(len(places))
    solved = np.linalg.solve(whole, np.broadcast_to(cross.T, (len(residual), *cross.T.shape)))
    mean = np.einsum("nsc,ns->nc", solved, residual)
    return mean, np.maximum(prior - np.einsum("cs,nsc->nc", cross, solved), 0.0)


def _fit(places: pd.DataFrame, observed: np.ndarray, reads: np.ndarray) -> CloneLaw:
    """The law that makes the counts likeliest; of one lineage, without what only several tell."""
    is_one = places["lineage"].nunique() == 1
    centre, spread = float(observed.mean()), float(observed.var())
    duration = max(float(places["time"].max()), 1e-12)

    def law_at(x: np.ndarray) -> CloneLaw:
        size, growth, noise, *apart = np.exp(x)
        bias, turnover = apart or (0.0, 0.0)
        return CloneLaw(
            centre=centre, size=size, bias=bias, growth=growth / duration, turnover=turnover / duration, noise=noise
        )

    def loss(x: np.ndarray) -> float:
        law = law_at(x)
        whole = law.covariance(places, places)[None] + (reads + law.noise)[:, :, None] * np.eye(len(places))
        low = np.linalg.cholesky(whole)
        scaled = np.linalg.solve(low, (observed - centre)[:, :, None])[:, :, 0]
        return float(0.5 * (scaled**2).sum() + np.log(np.diagonal(low, axis1=1, axis2=2)).sum())

    start = [max(0.5 * spread, 1e-3), 0.1, 0.05] + ([] if is_one else [0.1 * spread + 1e-3, 0.1])
    found = minimize(loss, np.log(start), method="L-BFGS-B", bounds=[_LOG_BOUNDS] * len(start))
    return law_at(found.x)
