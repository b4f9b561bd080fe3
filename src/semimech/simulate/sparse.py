"""Counts of cells in which most genes show none, drawn without a draw for every absent one."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int


def sparse_counts(
    rate: Float[np.ndarray, "cell gene"], *, dispersion: float, rng: np.random.Generator
) -> sp.csr_matrix:
    r"""Draw negative binomial counts, with variance ``rate + dispersion · rate²``, as a sparse matrix.

    Exact, by the representation of Quenouille (1949, Biometrics 5, 162–164): molecules come in clusters, a Poisson number
    of them with mean :math:`\log(1 + \phi\lambda)/\phi`, each of a size that follows the logarithmic law. The first
    arrival of a Poisson process decides whether there is any cluster, and since their mean number is below
    :math:`\lambda`, one comparison with :math:`\lambda` in single precision settles most of the zeros. What arrives after
    the second cluster is negative binomial again.

    Parameters
    ----------
    rate
        Expected counts :math:`\lambda`.
    dispersion
        :math:`\phi`, excess of the variance in units of the squared mean; 0 is Poisson.
    rng
        Source of the draw.

    Returns
    -------
    Counts, of shape cell × gene, 32-bit integers.
    """
    first = rng.standard_exponential(rate.shape, dtype=np.float32)
    place = np.flatnonzero(first < rate)
    mean, passed = rate.ravel()[place].astype(float), first.ravel()[place]
    if dispersion > 0:
        place, count = _negative_binomial(place, mean, passed, dispersion, rng)
    else:
        count = 1 + rng.poisson(mean - passed)
    row, column = np.divmod(place, rate.shape[1])
    start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(rate)))])
    parts = (count.astype(np.int32), column.astype(np.int32), start.astype(np.int32))
    return sp.csr_matrix(parts, shape=rate.shape)


def _negative_binomial(
    place: Int[np.ndarray, " candidate"],
    mean: Float[np.ndarray, " candidate"],
    passed: Float[np.ndarray, " candidate"],
    dispersion: float,
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, " present"], Int[np.ndarray, " present"]]:
    """Which places have a cluster at all, and their counts; ``passed`` is when the first cluster arrives."""
    clusters = np.log1p(dispersion * mean) / dispersion
    left = clusters - passed
    present = np.flatnonzero(left > 0)
    odds, clusters, left = dispersion * mean[present], clusters[present], left[present]
    share = odds / (1 + odds)
    single = share / (dispersion * clusters)
    count = _cluster_sizes(share, single, rng)
    left = left - rng.standard_exponential(len(left))
    more = np.flatnonzero(left > 0)
    count[more] += _cluster_sizes(share[more], single[more], rng)
    shape = left[more] / (dispersion * clusters[more])
    count[more] += rng.poisson(odds[more] * rng.standard_gamma(shape))
    return place[present], count


def _cluster_sizes(
    share: Float[np.ndarray, " cluster"], single: Float[np.ndarray, " cluster"], rng: np.random.Generator
) -> Int[np.ndarray, " cluster"]:
    """Draw from the logarithmic law by inversion; ``single`` is the chance of size 1, by far the likeliest."""
    size = np.ones(len(share), int)
    drawn = rng.random(len(share))
    place = np.flatnonzero(drawn >= single)
    above, mass, share = drawn[place] - single[place], single[place], share[place]
    number = 1
    while len(place):
        mass = mass * share * (number / (number + 1))
        number += 1
        size[place] = number
        larger = (above >= mass) & (mass > np.finfo(float).eps)
        place, share = place[larger], share[larger]
        above, mass = above[larger] - mass[larger], mass[larger]
    return size
