"""Fates: into which separate states unedited cells part, and in what shares a condition's cells are found there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from semimech.data import Dataset

_MOST_FATES = 4
_AXES = 5
_LEAST_SHARE = 0.05
_SEPARATION = 4.0
_CELLS_PER_FATE = 20
PRIOR_CELLS = 2.0
"""Cells that expected shares count as."""
_ENOUGH_CELLS = 5.0
_PASSES = 50


@dataclass(frozen=True, kw_only=True)
class Fates:
    """Separate states of cells at one time, told apart by a linear discriminant.

    Parameters
    ----------
    centre
        Mean of unedited cells in each fate, observed scale.
    weight, offset
        Logarithm of the likelihood of a cell in each fate, up to what all fates share: ``offset + weight @ cell``.
    """

    centre: Float[np.ndarray, "fate gene"]
    weight: Float[np.ndarray, "fate gene"]
    offset: Float[np.ndarray, " fate"]

    def ordered(self, order: np.ndarray) -> Fates:
        """The same fates in another order."""
        return Fates(centre=self.centre[order], weight=self.weight[order], offset=self.offset[order])

    def membership(
        self, cells: Float[np.ndarray, "cell gene"], expected: Float[np.ndarray, " fate"]
    ) -> tuple[Float[np.ndarray, " fate"], Float[np.ndarray, "cell fate"]]:
        """Shares of cells in each fate, and the probability of each fate for each cell, by expectation–maximisation.

        Parameters
        ----------
        cells
            Cells, observed scale.
        expected
            Shares that count as two cells.
        """
        fit = cells @ self.weight.T + self.offset
        share = expected
        for _ in range(_PASSES):
            belongs = softmax(fit + np.log(share), axis=1)
            share = (belongs.sum(axis=0) + PRIOR_CELLS * expected) / (len(cells) + PRIOR_CELLS)
        return share, belongs


def separate(cells: Float[np.ndarray, "cell gene"], *, seed: int) -> Fates | None:
    """Find the separate states of cells: a mixture of normal laws of one covariance in their principal components.

    Two fates are tried, then one more as long as each holds at least 5 % of the cells, every two centres lie at least four
    standard deviations apart on the line that tells them best (two make a law bimodal; nearer ones may fit a skewed law of
    one mode, and at four less than 2.5 % of the cells fall on the wrong side), and the Bayesian information criterion prefers
    them to fewer; four at most.

    Parameters
    ----------
    cells
        Cells of one kind at one time, observed scale.
    seed
        Starts of the mixture.

    Returns
    -------
    Fates or None
        Ordered by size, the largest first; ``None`` where there is one state.
    """
    axes = PCA(n_components=min(_AXES, cells.shape[1], len(cells) - 1), svd_solver="full").fit(cells)
    scores = axes.transform(cells)
    best = GaussianMixture(1, covariance_type="tied", random_state=seed).fit(scores)
    least = best.bic(scores)
    for n in range(2, min(_MOST_FATES, len(cells) // _CELLS_PER_FATE) + 1):
        mixture = GaussianMixture(n, covariance_type="tied", n_init=3, random_state=seed).fit(scores)
        if mixture.bic(scores) >= least or mixture.weights_.min() < _LEAST_SHARE or _distance(mixture) < _SEPARATION:
            break
        best, least = mixture, mixture.bic(scores)
    return None if best.n_components == 1 else _fates(cells, axes, best).ordered(np.argsort(-best.weights_))


def _between(
    cells: Float[np.ndarray, "cell gene"], centre: Float[np.ndarray, "fate gene"], *, seed: int
) -> Fates | None:
    """Fates of cells that are parted before and after, from centres expected now, in their order; ``None`` if one is lost."""
    axes = PCA(n_components=min(_AXES, cells.shape[1], len(cells) - 1), svd_solver="full").fit(cells)
    scores = axes.transform(cells)
    start = axes.transform(centre)
    mixture = GaussianMixture(len(centre), covariance_type="tied", means_init=start, random_state=seed).fit(scores)
    return _fates(cells, axes, mixture) if mixture.weights_.min() >= _LEAST_SHARE else None


def _fates(cells: Float[np.ndarray, "cell gene"], axes: PCA, mixture: GaussianMixture) -> Fates:
    """A mixture in principal components as fates of cells."""
    pull = mixture.means_ @ mixture.precisions_
    weight = pull @ axes.components_
    offset = -0.5 * (pull * mixture.means_).sum(axis=1) - weight @ axes.mean_
    belongs = mixture.predict_proba(axes.transform(cells))
    return Fates(centre=belongs.T @ cells / belongs.sum(axis=0)[:, None], weight=weight, offset=offset)


def _distance(mixture: GaussianMixture) -> float:
    """Least distance between two centres, in standard deviations along the discriminant between them."""
    apart = mixture.means_[:, None] - mixture.means_[None]
    squared = np.einsum("abi,ij,abj->ab", apart, mixture.precisions_, apart)
    return float(np.sqrt(squared[~np.eye(len(squared), dtype=bool)].min()))


def fates_by_time(dataset: Dataset, *, seed: int) -> dict[float, Fates]:
    """Fates of unedited cells at each time of harvest at which they part, in one order at all times.

    Cells that never left a maintenance medium in which they are stationary have no fates. Those of all other media are
    pooled: media share fates and differ in how many cells take them. Times with fewer fates than the last are left out, but
    for those between two that have them: what was parted and will be is parted, too little to be told without that knowledge.

    Parameters
    ----------
    dataset
        Data set; without single cells there are no fates.
    seed
        Starts of the mixtures.
    """
    found: dict[float, Fates] = {}
    if dataset.cells is None:
        return found
    is_driven = dataset.is_control & ~(dataset.is_stationary_control & dataset.system.is_stationary)
    later: Fates | None = None
    for hours in sorted(set(dataset.hours[is_driven]), reverse=True):
        rows = np.flatnonzero(is_driven & (dataset.hours == hours))
        fates = separate(cells_of(dataset, rows), seed=seed)
        if fates is None or (later is not None and len(fates.centre) != len(later.centre)):
            continue
        later = fates if later is None else fates.ordered(_match(later, fates))
        found[hours] = later
    parted = dict(sorted(found.items()))
    for hours in set(dataset.hours[is_driven]) - set(parted):
        before, after = ([t for t in parted if (t < hours) == is_before] for is_before in (True, False))
        if not before or not after:
            continue
        first, last = before[-1], after[0]
        share = (hours - first) / (last - first) if np.isfinite(last) else 0.0
        centre = (1.0 - share) * parted[first].centre + share * parted[last].centre
        cells = cells_of(dataset, np.flatnonzero(is_driven & (dataset.hours == hours)))
        fates = _between(cells, centre, seed=seed)
        if fates is not None:
            found[hours] = fates
    return dict(sorted(found.items()))


def _match(later: Fates, earlier: Fates) -> np.ndarray:
    """Which earlier fate each later one comes from: the assignment of most like departures from the mean of all."""
    first, second = (f.centre - f.centre.mean(axis=0) for f in (later, earlier))
    return linear_sum_assignment(-first @ second.T)[1]


def cells_of(dataset: Dataset, rows: np.ndarray) -> Float[np.ndarray, "cell gene"]:
    """Cells of some conditions, observed scale, batch effects removed; none where the data set has no cells."""
    if dataset.cells is None:
        return np.zeros((0, len(dataset.genes)))
    return dataset.cells.take(dataset.cells.of(rows))


def fate_means(
    cells: Float[np.ndarray, "cell gene"], belongs: Float[np.ndarray, "cell fate"], fates: Fates
) -> Float[np.ndarray, "fate gene"]:
    """Mean of a condition's cells in each fate; where there are fewer than five, unedited cells moved as the others are."""
    size = belongs.sum(axis=0)
    mean = belongs.T @ cells / np.maximum(size, 1e-9)[:, None]
    enough = size >= _ENOUGH_CELLS
    if enough.all() or not enough.any():
        return mean if enough.all() else fates.centre
    moved = np.average((mean - fates.centre)[enough], axis=0, weights=size[enough])
    return np.where(enough[:, None], mean, fates.centre + moved)
