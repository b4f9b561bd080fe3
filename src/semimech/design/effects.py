r"""Effects of edits with their variances, by three estimators that are linear in the means of conditions in batches.

The mean of :math:`n_{kb}` cells of condition :math:`k` in batch :math:`b` is
:math:`\bar Y_{kb} = \mu_k + \beta_b + \gamma_{kb} + \bar\varepsilon_{kb}`, with variances :math:`\tau^2`, :math:`\omega^2` and
:math:`\sigma^2/n_{kb}`; the effect of edit :math:`p` is :math:`\mu_p - \mu_0`.

* ``naive``: mean over all edited cells minus mean over all controls. With :math:`s_{kb} = n_{kb}/n_k`, variance
  :math:`\sigma^2(1/n_p + 1/n_0) + \tau^2 \sum_b (s_{pb} - s_{0b})^2 + \omega^2 \sum_b (s_{pb}^2 + s_{0b}^2)`.
  Where means of few cells have a curvature (`Components`), :math:`c` times the number of batches over :math:`n^2` is added for each of the two.
* ``within``: differences within batches, weighted by their precisions. Variance
  :math:`1 / \sum_b [\sigma^2(1/n_{pb} + 1/n_{0b}) + 2\omega^2]^{-1}`, free of :math:`\tau^2`; a batch without controls gives nothing.
* ``gls``: generalised least squares on all conditions at once, the best linear unbiased estimator (Searle, Casella &
  McCulloch, *Variance Components*, Wiley 1992, chapter 6). Edits that share batches tell batch effects to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float
from scipy.sparse.csgraph import connected_components

from semimech.design.layout import Components, Layout

_SINGULAR = 1e-10


@dataclass(frozen=True, kw_only=True)
class ByEstimator:
    """One array for each estimator, over the rows that `Layout.edited` lists.

    Parameters
    ----------
    naive
        All edited cells against all controls.
    within
        Within batches.
    gls
        Generalised least squares.
    """

    naive: Float[np.ndarray, " effect *gene"]
    within: Float[np.ndarray, " effect *gene"]
    gls: Float[np.ndarray, " effect *gene"]


def effect_variance(layout: Layout, components: Components) -> ByEstimator:
    """Variance of every effect; infinite where an estimator cannot tell the effect.

    Parameters
    ----------
    layout
        Cells by condition and batch.
    components
        Variances of one gene. With an infinite batch variance ``gls`` is the estimator with fixed batch effects.
    """
    rows = layout.edited
    group = components.of_groups(layout)
    cell = np.broadcast_to(np.asarray(components.cell, dtype=float), (len(layout.conditions),))
    total = layout.cells.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = layout.cells / total[:, None]
        own = cell / total + components.interaction * (share**2).sum(axis=1)
        own = own + components.curvature * (layout.cells > 0).sum(axis=1) / total**2
        apart = ((share[rows] - share[layout.control[rows]]) ** 2).sum(axis=1)
        shift = np.where(apart > _SINGULAR, components.batch * apart, 0.0)
        naive = own[rows] + own[layout.control[rows]] + shift
        within = 1 / (1 / (group[rows] + group[layout.control[rows]])).sum(axis=1)
    lost = ~_has_both(layout)
    naive[lost] = within[lost] = np.inf
    return ByEstimator(naive=naive, within=within, gls=_Normal(layout, components).variance())


def estimate_effects(
    means: Float[np.ndarray, "condition batch gene"], layout: Layout, components: Components
) -> ByEstimator:
    """Effects from the means of conditions in batches; NaN where an estimator cannot tell them.

    Parameters
    ----------
    means
        Means over cells; of no account where there are none.
    layout
        Cells by condition and batch.
    components
        Variances, the same for all these genes.
    """
    rows, control = layout.edited, layout.control[layout.edited]
    means = np.where(layout.cells[:, :, None] > 0, means, 0.0)
    group = components.of_groups(layout)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (layout.cells[:, :, None] * means).sum(axis=1) / layout.cells.sum(axis=1)[:, None]
        naive = pooled[rows] - pooled[control]
        weight = 1 / (group[rows] + group[control])
        within = (weight[:, :, None] * (means[rows] - means[control])).sum(axis=1) / weight.sum(axis=1)[:, None]
    lost = ~_has_both(layout)
    naive[lost] = within[lost] = np.nan
    return ByEstimator(naive=naive, within=within, gls=_Normal(layout, components).estimate(means))


def _has_both(layout: Layout) -> Bool[np.ndarray, " effect"]:
    """Effects with edited cells and controls."""
    total = layout.cells.sum(axis=1)
    control = layout.control[layout.edited]
    return (control >= 0) & (total[layout.edited] > 0) & (total[control] > 0)


class _Normal:
    r"""Normal equations of generalised least squares, solved in as many unknowns as there are batches.

    With precisions :math:`w_{kb} = 1/(\omega^2 + \sigma^2/n_{kb})`, :math:`D = \mathrm{diag}(\sum_b w_{kb})`,
    :math:`t_b = \tau^2/(1 + \tau^2 \sum_k w_{kb})` and :math:`L = w \sqrt t`, the information on :math:`\mu` is
    :math:`D - L L^T`, and :math:`D^{-1} + D^{-1} L (I - L^T D^{-1} L)^+ L^T D^{-1}` a generalised inverse of it (Woodbury).
    """

    def __init__(self, layout: Layout, components: Components) -> None:
        self._layout = layout
        self._rows, self._control = layout.edited, layout.control[layout.edited]
        with np.errstate(divide="ignore"):
            self._weight = 1 / components.of_groups(layout)
            in_batch = self._weight.sum(axis=0)
            tau = components.batch
            self._shrink = tau / (1 + tau * in_batch) if np.isfinite(tau) else np.where(in_batch > 0, 1 / in_batch, 0.0)
        total = self._weight.sum(axis=1)
        self._total = np.where(total > 0, total, 1.0)
        loading = self._weight * np.sqrt(self._shrink)
        self._scaled = loading / self._total[:, None]
        core = np.eye(len(in_batch)) - loading.T @ self._scaled
        self._core = np.linalg.pinv(core, rcond=_SINGULAR, hermitian=True)
        self._is_told = _has_both(layout)
        if not np.isfinite(components.batch):
            self._is_told &= is_connected(layout)

    def variance(self) -> Float[np.ndarray, " effect"]:
        apart = self._scaled[self._rows] - self._scaled[self._control]
        variance = 1 / self._total[self._rows] + 1 / self._total[self._control]
        variance += ((apart @ self._core) * apart).sum(axis=1)
        return np.where(self._is_told, variance, np.inf)

    def estimate(self, means: Float[np.ndarray, "condition batch gene"]) -> Float[np.ndarray, "effect gene"]:
        in_batch = np.einsum("kb,kbg->bg", self._weight, means)
        right = np.einsum("kb,kbg->kg", self._weight, means) - (self._weight * self._shrink) @ in_batch
        direct = right / self._total[:, None]
        apart = self._scaled[self._rows] - self._scaled[self._control]
        effect = direct[self._rows] - direct[self._control] + apart @ (self._core @ (self._scaled.T @ right))
        return np.where(self._is_told[:, None], effect, np.nan)


def is_connected(layout: Layout) -> Bool[np.ndarray, " effect"]:
    """Effects that can be told whatever the batch effects are: a chain of shared batches leads to the controls."""
    n = len(layout.conditions)
    links = sp.coo_array(layout.cells > 0)
    row, column = links.coords
    graph = sp.coo_array((np.ones(len(row)), (row, n + column)), shape=(n + len(layout.batches),) * 2)
    part = connected_components(graph, directed=False)[1]
    return _has_both(layout) & (part[layout.edited] == part[layout.control[layout.edited]])
