"""The law of the counts of a data set: batch factors from shared controls, dispersions, and expression with its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import gamma

from semimech._errors import DataError
from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.count_groups import CountGroups, group_counts
from semimech.data.dataset import Dataset
from semimech.data.dispersion import Dispersion, estimate_dispersion, group_means

_ROUNDS = 30
_PRIOR_BATCHES = 4.0
_LEAST_COUNTS = 5.0


@dataclass(frozen=True, kw_only=True)
class BatchFactors:
    """How much of each gene a batch lets through, relative to the batches that it shares controls with.

    Parameters
    ----------
    factor
        Factors; 1 where a batch shares no controls with another.
    variance
        Variance of the logarithm of each.
    is_linked
        Batches with at least ``MIN_CONTROLS`` controls that can be compared with those of another batch.
    """

    factor: Float[np.ndarray, "batch gene"]
    variance: Float[np.ndarray, "batch gene"]
    is_linked: Bool[np.ndarray, " batch"]


@dataclass(frozen=True, kw_only=True)
class CountLaw:
    r"""Counts of a cell of condition :math:`c` in batch :math:`b`, :math:`y \sim \mathrm{NB}(e\, f_{bg}\, m_{cg}, \alpha_g)`.

    The exposure :math:`e` is the cell's library, capture included, per unit of normalised expression.

    Parameters
    ----------
    groups
        The counts in sums.
    batches
        Factors :math:`f` of batches.
    dispersion
        Dispersions :math:`\alpha`.
    expression
        Expression :math:`m` of each condition, batch factors removed.
    counts, exposed
        The counts and the exposure behind it, as Poisson counts that tell as much.
    batch_variance
        Variance of ``log(expression)`` from batch factors.
    """

    groups: CountGroups
    batches: BatchFactors
    dispersion: Dispersion
    expression: Float[np.ndarray, "condition gene"]
    counts: Float[np.ndarray, "condition gene"]
    exposed: Float[np.ndarray, "condition gene"]
    batch_variance: Float[np.ndarray, "condition gene"]

    def interval(
        self, level: float = 0.9
    ) -> tuple[Float[np.ndarray, "condition gene"], Float[np.ndarray, "condition gene"]]:
        """Interval of the expression: gamma, as for Poisson counts, with the variance of batch factors."""
        shape = 1.0 / (1.0 / (self.counts + 0.5) + self.batch_variance)
        centre = (self.counts + 0.5) / self.exposed
        lower, upper = (centre * gamma.ppf(q, shape) / shape for q in ((1 - level) / 2, (1 + level) / 2))
        return lower, upper


def count_law(dataset: Dataset) -> CountLaw:
    """Estimate the law of a data set's counts, in time linear in the number of cells.

    Raises
    ------
    DataError
        If the data set has no counts.
    """
    cells = dataset.cells
    unit = None if cells is None else cells.unit
    rows = np.arange(0) if unit is None else np.flatnonzero(np.isfinite(unit))
    if cells is None or unit is None:
        raise DataError(
            f"{dataset.name}: there are no counts of single cells; put raw counts into X or layers['counts'], and "
            "read a file with streamed=False if it was so large that its cells were not kept"
        )
    counts, condition, batch = cells.counts(rows), cells.condition[rows], cells.batch[rows]
    groups = group_counts(counts, unit[rows], condition=condition, batch=batch)
    n_batches = max(int(cells.batch.max()) + 1, len(cells.batches))
    keys = [dataset.system.comparison(each) for each in dataset.conditions]
    stratum = np.array([list(dict.fromkeys(keys)).index(key) for key in keys])
    dispersion = estimate_dispersion(groups)
    batches = batch_factors(
        groups, is_control=dataset.is_control, stratum=stratum, dispersion=dispersion.value, n_batches=n_batches
    )
    return law_of(groups, batches, dispersion, is_control=dataset.is_control)


def law_of(
    groups: CountGroups, batches: BatchFactors, dispersion: Dispersion, *, is_control: Bool[np.ndarray, " condition"]
) -> CountLaw:
    """Expression of each condition, given batch factors and dispersions; conditions without counts have none.

    Factors are relative to unedited cells, whose own expression they therefore do not blur.
    """
    present, row = np.unique(groups.condition, return_inverse=True)
    found = group_means(groups, row, dispersion.value, batches.factor[groups.batch])
    shape = (len(is_control), groups.total.shape[1])
    expression, counts, exposed = (np.zeros(shape) for _ in range(3))
    for whole, part in zip((expression, counts, exposed), found, strict=True):
        whole[present] = part
    cells = np.zeros((len(is_control), len(batches.factor)))
    np.add.at(cells, (groups.condition, groups.batch), groups.n)
    share = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1.0)
    return CountLaw(
        groups=groups,
        batches=batches,
        dispersion=dispersion,
        expression=expression,
        counts=counts,
        exposed=np.where(exposed > 0, exposed, 1e-300),
        batch_variance=np.where(is_control[:, None], 0.0, share**2 @ batches.variance),
    )


def batch_factors(
    groups: CountGroups,
    *,
    is_control: Bool[np.ndarray, " condition"],
    stratum: Int[np.ndarray, " condition"],
    dispersion: Float[np.ndarray, " gene"],
    n_batches: int,
) -> BatchFactors:
    r"""Batch factors from unedited cells.

    Within a stratum (same medium, and same time where controls move) a batch's expression is :math:`m_s f_b`. Both come in
    turns: :math:`m_s` of largest likelihood, and :math:`f_b` as its posterior mean under a gamma prior of mean 1,
    :math:`(S_b + k)/(E_b + k)` with counts :math:`S_b` where :math:`E_b` are expected, both weighted by what a negative binomial
    count tells. :math:`1/k`, the variance of factors of a gene, is what the spread of :math:`S_b/E_b` exceeds that of counts by,
    drawn to its mean over genes. Factors average one, geometrically, over batches that controls link.

    Parameters
    ----------
    groups
        Sums of counts.
    is_control, stratum
        Of each condition.
    dispersion
        Of each gene.
    n_batches
        Number of batches.
    """
    n_genes = groups.total.shape[1]
    mine = np.flatnonzero(is_control[groups.condition])
    n_in = np.bincount(groups.batch[mine], weights=groups.n[mine], minlength=n_batches)
    mine = mine[n_in[groups.batch[mine]] >= MIN_CONTROLS]
    batch, place = groups.batch[mine], stratum[groups.condition[mine]]
    component, is_linked = _linked(batch, place, n_batches)
    mine = mine[is_linked[batch]]
    factor = np.ones((n_batches, n_genes))
    if not len(mine):
        return BatchFactors(factor=factor, variance=np.zeros_like(factor), is_linked=is_linked)
    batch, place = groups.batch[mine], stratum[groups.condition[mine]]
    by_place, by_batch = _sums(place, int(place.max()) + 1), _sums(batch, n_batches)
    size = (groups.n * groups.exposure)[mine, None]
    weight, precision = np.ones((len(mine), n_genes)), np.zeros(n_genes)
    for number in range(_ROUNDS):
        expected = by_place(weight * size * factor[batch])
        mean = by_place(weight * groups.total[mine]) / np.where(expected > 0, expected, 1.0)
        seen, due = by_batch(weight * groups.total[mine]), by_batch(weight * size * mean[place])
        if number % 5 == 4 or not number:
            precision = _precision(seen, due, is_linked)
        raw = (seen + precision) / np.where(due + precision > 0, due + precision, 1.0)
        factor = _centred(np.where(is_linked[:, None] & (raw > 0), raw, 1.0), component, is_linked)
        weight = 1.0 / (1.0 + dispersion * groups.exposure[mine, None] * mean[place] * factor[batch])
    with np.errstate(divide="ignore", over="ignore"):
        variance = np.where(is_linked[:, None], 1.0 / (due + precision), 1.0 / precision)
    return BatchFactors(factor=factor, variance=np.where(np.isfinite(variance), variance, 0.0), is_linked=is_linked)


def _precision(
    seen: Float[np.ndarray, "batch gene"], due: Float[np.ndarray, "batch gene"], is_linked: Bool[np.ndarray, " batch"]
) -> Float[np.ndarray, " gene"]:
    """One over the variance of factors of each gene, large where there is none."""
    n = int(is_linked.sum())
    free, seen, due = 1.0 - 1.0 / n, seen[is_linked], np.maximum(due[is_linked], 1e-9)
    own = (((seen - due) / due) ** 2 - free / due).mean(axis=0) / free
    told = due.min(axis=0) >= _LEAST_COUNTS
    common = max(float(own[told].mean()), 0.0) if told.any() else 0.0
    drawn = (_PRIOR_BATCHES * common + (n - 1) * np.where(told, own, common)) / (_PRIOR_BATCHES + n - 1)
    return 1.0 / np.maximum(drawn, 1e-8)


def _linked(
    batch: Int[np.ndarray, " group"], place: Int[np.ndarray, " group"], n_batches: int
) -> tuple[Int[np.ndarray, " batch"], Bool[np.ndarray, " batch"]]:
    """Which batches share controls of one stratum, directly or through others."""
    n = n_batches + (int(place.max()) + 1 if len(place) else 0)
    graph = coo_matrix((np.ones(len(batch)), (batch, n_batches + place)), shape=(n, n))
    component = connected_components(graph, directed=False)[1][:n_batches]
    return component, np.bincount(component, minlength=n)[component] > 1


def _sums(code: Int[np.ndarray, " group"], n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Sums of groups by code."""
    table = np.zeros((n, len(code)))
    table[code, np.arange(len(code))] = 1.0
    return lambda values: table @ values


def _centred(
    factor: Float[np.ndarray, "batch gene"], component: Int[np.ndarray, " batch"], is_linked: Bool[np.ndarray, " batch"]
) -> Float[np.ndarray, "batch gene"]:
    for each in np.unique(component[is_linked]):
        rows = is_linked & (component == each)
        factor[rows] /= np.exp(np.log(factor[rows]).mean(axis=0))
    return factor
