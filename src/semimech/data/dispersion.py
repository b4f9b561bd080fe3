"""The dispersion of each gene's counts, with what all genes have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln

from semimech.data.count_groups import CountGroups

LEAST, MOST = 1e-4, 30.0
"""Range of dispersions; at the least, counts are Poisson for all that data say."""

_COARSE, _FINE, _ROUNDS = 41, 25, 3
_LEAST_SPREAD = 0.3


@dataclass(frozen=True, kw_only=True)
class Dispersion:
    r"""Excess of the variance of counts in units of the squared mean, :math:`\operatorname{Var} y = \mu + \alpha \mu^2`.

    Parameters
    ----------
    value
        Posterior geometric mean of each gene.
    lower, upper
        Central 90 % of the posterior.
    """

    value: Float[np.ndarray, " gene"]
    lower: Float[np.ndarray, " gene"]
    upper: Float[np.ndarray, " gene"]


def estimate_dispersion(groups: CountGroups) -> Dispersion:
    r"""Estimate dispersions within conditions and batches.

    Each condition and batch has its own mean, the largest-likelihood one. The profile likelihood of
    :math:`\log \alpha` is adjusted for those means (Cox & Reid 1987, as in McCarthy, Chen & Smyth 2012,
    doi:10.1093/nar/gks042) and multiplied by a normal prior over genes, whose mean and spread are those of the genes'
    posteriors (expectation maximisation). A gene whose counts are too few to tell goes to what genes have in common.
    """
    _, pair = np.unique(np.stack([groups.condition, groups.batch]), axis=1, return_inverse=True)
    pair = pair.ravel()
    n_genes = groups.total.shape[1]
    coarse = np.linspace(np.log(LEAST), np.log(MOST), _COARSE)
    table = np.stack([profile(groups, pair, np.full(n_genes, np.exp(a))) for a in coarse])
    points = np.broadcast_to(coarse[:, None], table.shape)
    is_told = groups.total.sum(axis=0) > 0
    centre, spread = float(np.log(0.1)), 2.0
    for _ in range(200):
        mean, sd = _posterior(points, table, centre, spread)
        old = centre, spread
        if is_told.any():
            centre = float(mean[is_told].mean())
            spread = max(float(np.sqrt((sd[is_told] ** 2 + (mean[is_told] - centre) ** 2).mean())), _LEAST_SPREAD)
        if abs(centre - old[0]) + abs(spread - old[1]) < 1e-3:
            break
    for _ in range(_ROUNDS):  # around each gene's own posterior, whose width may be less than a step of the coarse grid
        steps = np.linspace(-4.0, 4.0, _FINE)
        points = np.clip(mean + np.maximum(sd, 0.02) * steps[:, None], np.log(LEAST), np.log(MOST))
        table = np.stack([profile(groups, pair, np.exp(row)) for row in points])
        mean, sd = _posterior(points, table, centre, spread)
    lower, upper = _quantiles(points, table, centre, spread)
    return Dispersion(value=np.exp(mean), lower=np.exp(lower), upper=np.exp(upper))


def group_means(
    groups: CountGroups,
    row: Int[np.ndarray, " group"],
    dispersion: Float[np.ndarray, " gene"],
    factor: Float[np.ndarray, "group gene"] | None = None,
) -> tuple[Float[np.ndarray, "row gene"], Float[np.ndarray, "row gene"], Float[np.ndarray, "row gene"]]:
    """The mean of largest likelihood of the groups of each row, by weighting each group with what it tells.

    Parameters
    ----------
    groups
        Sums of counts.
    row
        Row of each group.
    dispersion
        Of each gene.
    factor
        Factor on the exposure of each group and gene.

    Returns
    -------
    tuple
        Means per unit of exposure; counts and exposure, both in terms of Poisson counts that would tell as much.
    """
    n_rows = int(row.max()) + 1
    exposure = groups.exposure[:, None] * (1.0 if factor is None else factor)
    size = groups.n[:, None] * exposure
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    by_row = lambda values: np.add.reduceat(np.broadcast_to(values, groups.total.shape), starts, axis=0)
    mean = by_row(groups.total) / by_row(size)
    for _ in range(_ROUNDS):
        weight = 1.0 / (1.0 + dispersion * exposure * mean[row])
        counts, exposed = by_row(weight * groups.total), by_row(weight * size)
        mean = counts / exposed
    if len(mean) != n_rows:
        raise ValueError("rows must be sorted, and each have a group")
    return mean, counts, exposed


def profile(
    groups: CountGroups, pair: Int[np.ndarray, " group"], dispersion: Float[np.ndarray, " gene"]
) -> Float[np.ndarray, " gene"]:
    """Adjusted profile log-likelihood of one dispersion per gene, up to a constant.

    What exposures vary within a group enters to second order; left out, it would pass for dispersion.
    """
    mean, _, _ = group_means(groups, pair, dispersion)
    expected = groups.exposure[:, None] * mean[pair]
    size = groups.total + groups.n[:, None] / dispersion
    safe = np.where(expected > 0, expected, 1.0)
    value = (groups.total * np.log(safe) - size * np.log1p(dispersion * expected)).sum(axis=0)
    bent = dispersion * expected / (1.0 + dispersion * expected)
    spread = groups.spread[:, None]
    value += (spread * (0.5 * size * bent**2 - groups.total * bent)).sum(axis=0)
    r = 1.0 / dispersion[groups.gene]
    rising = gammaln(groups.count + r) - gammaln(r) - groups.count * np.log(r)
    value += np.bincount(groups.gene, weights=groups.times * rising, minlength=len(dispersion))
    told = groups.n[:, None] * expected / (1.0 + dispersion * expected)
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    information = np.add.reduceat(told, starts, axis=0)
    return value - 0.5 * np.where(information > 0, np.log(np.where(information > 0, information, 1.0)), 0.0).sum(axis=0)


def _weights(
    points: Float[np.ndarray, "point gene"], table: Float[np.ndarray, "point gene"], centre: float, spread: float
) -> Float[np.ndarray, "point gene"]:
    posterior = table - 0.5 * ((points - centre) / spread) ** 2
    weight = np.exp(posterior - posterior.max(axis=0)) * np.maximum(np.gradient(points, axis=0), 1e-12)
    return weight / weight.sum(axis=0)


def _posterior(
    points: Float[np.ndarray, "point gene"], table: Float[np.ndarray, "point gene"], centre: float, spread: float
) -> tuple[Float[np.ndarray, " gene"], Float[np.ndarray, " gene"]]:
    weight = _weights(points, table, centre, spread)
    mean = (weight * points).sum(axis=0)
    return mean, np.sqrt((weight * (points - mean) ** 2).sum(axis=0))


def _quantiles(
    points: Float[np.ndarray, "point gene"], table: Float[np.ndarray, "point gene"], centre: float, spread: float
) -> tuple[Float[np.ndarray, " gene"], Float[np.ndarray, " gene"]]:
    """The 5 % and 95 % points, from the middle of each point's share."""
    weight = _weights(points, table, centre, spread)
    share = np.cumsum(weight, axis=0) - 0.5 * weight
    at = [[float(np.interp(q, share[:, g], points[:, g])) for g in range(points.shape[1])] for q in (0.05, 0.95)]
    return np.array(at[0]), np.array(at[1])
