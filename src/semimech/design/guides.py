r"""The variance component of guides: how far guides of one edit differ, per gene, by moments, with intervals.

With conditions :math:`c`, batches :math:`b` and the guides :math:`k` of each condition, cells are
:math:`Y = \mu_{cb} + g_k + \varepsilon`, where :math:`\mu_{cb}` is whatever a condition does in a batch, and guides are nested in
conditions. Of each condition :math:`Q_c = \mathrm{diag}(n_{k\cdot}) - \sum_b n_{\cdot b} n_{\cdot b}^T / n_{b}` and
:math:`s_c = \bigl(\sum_b n_{kb} (\bar Y_{kb} - \bar Y_{b})\bigr)_k` give

.. math:: S = \sum_c s_c^T Q_c^{+} s_c, \qquad E S = \sigma^2 \sum_c \mathrm{rank}\, Q_c + \upsilon^2 \sum_c \mathrm{tr}\, Q_c,

Henderson's third method again (see `semimech.design.components`): unbiased for any allocation. A guide of one edit may stand in several
conditions, at several harvests or in several media, and brings what it does along: three harvests of three guides are not nine guides. The
variance of :math:`S` then has :math:`\upsilon^4` times :math:`\mathrm{tr}\,(\sum_c Q_c)^2`, over guides, instead of
:math:`\sum_c \mathrm{tr}\,Q_c^2`; intervals take it so, which makes them too wide, never too narrow, where guides differ otherwise at each harvest.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int

from semimech._errors import ConfigError, DataError
from semimech.data.screen import Screen
from semimech.design.audit import Audit
from semimech.design.components import cell_interval, invert
from semimech.design.groups import Groups, pool_groups


def guide_component(
    groups: Groups,
    of_guide: Int[np.ndarray, " guide"],
    genes: tuple[str, ...],
    *,
    same: Int[np.ndarray, " guide"] | None = None,
    level: float = 0.9,
) -> pd.DataFrame:
    """Estimate the variance between guides of one condition, for every gene.

    Parameters
    ----------
    groups
        Cells pooled by guide, in the place of the condition, and batch.
    of_guide
        Condition of each guide; a guide that is used in several conditions stands here once for each.
    genes
        Names of the genes.
    same
        A number of each guide, equal where one guide stands in several conditions; without it all are different guides.
    level
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``gene``, and the variances ``cell`` (within guides and batches) and ``guide`` with ``_lower`` and ``_upper``, in the square of the scale of
        the values. An estimate below zero is told as zero, and as it is in ``guide_unbiased``, for means over genes.

    Raises
    ------
    ConfigError
        If ``level`` is no probability, no guide has two cells in one batch, or no batch has two guides of one condition.
    """
    if not 0 < level < 1:
        raise ConfigError(f"The level of intervals must lie between 0 and 1, got {level:g}")
    degrees = int(groups.cells.sum()) - len(groups.cells)
    if degrees < 1:
        raise ConfigError("Variance of guides: no guide has two cells in one batch; means alone tell no variance")
    cell = groups.scatter.sum(axis=0) / degrees
    sums, rank, trace = np.zeros(len(cell)), 0, 0.0
    forms: list[np.ndarray] = []
    identity = np.unique(np.arange(len(of_guide)) if same is None else same, return_inverse=True)[1]
    condition = of_guide[groups.condition]
    for c in np.unique(condition):
        rows = np.flatnonzero(condition == c)
        guides, guide = np.unique(groups.condition[rows], return_inverse=True)
        batch = np.unique(groups.batch[rows], return_inverse=True)[1]
        n = np.zeros((len(guides), int(batch.max()) + 1))
        n[guide, batch] = groups.cells[rows]
        total = np.zeros((n.shape[1], len(cell)))
        weighted = groups.cells[rows, None] * groups.mean[rows]
        np.add.at(total, batch, weighted)
        score = np.zeros((len(guides), len(cell)))
        np.add.at(score, guide, weighted - groups.cells[rows, None] * (total / n.sum(axis=0)[:, None])[batch])
        form = np.diag(n.sum(axis=1)) - (n / n.sum(axis=0)) @ n.T
        sums += np.einsum("kg,kl,lg->g", score, np.linalg.pinv(form, rcond=1e-9, hermitian=True), score)
        rank += int(np.linalg.matrix_rank(form, hermitian=True, tol=1e-9 * n.sum()))
        trace += float(np.trace(form))
        pairs = np.meshgrid(identity[guides], identity[guides], indexing="ij")
        forms.append(np.stack([form, *pairs]).reshape(3, -1))
    if not rank:
        raise ConfigError("Variance of guides: no batch has cells of two guides of one condition")
    values, row, column = np.concatenate(forms, axis=1)
    shared = sp.coo_matrix((values, (row.astype(int), column.astype(int)))).tocsr()  # of equal places the sum
    square = float((shared.data**2).sum())
    unbiased = (sums - cell * rank) / trace

    def moments(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        spread = cell**2 * rank + 2 * cell * value * trace + value**2 * square
        return cell * rank + value * trace, 2 * spread

    lower, upper = cell_interval(groups, cell, level)
    ends = [invert(sums, moments, chance, trace, cell > 0) for chance in ((1 + level) / 2, (1 - level) / 2)]
    return pd.DataFrame(
        {
            "gene": list(genes),
            "cell": cell,
            "cell_lower": lower,
            "cell_upper": upper,
            "guide": np.maximum(unbiased, 0.0),
            "guide_lower": ends[0],
            "guide_upper": ends[1],
            "guide_unbiased": unbiased,
        }
    )


def guide_components(screen: Screen, *, level: float = 0.9) -> pd.DataFrame:
    """The variance between guides of the edited conditions of a screen, see `guide_component`; cells are read once, by blocks.

    Guides of unedited cells do not count: they have no effect to differ in. A guide of one perturbation is the same one at all harvests and
    in all media, so that these add no guides to the intervals.

    Raises
    ------
    DataError
        If no guides of edited cells are known.
    ConfigError
        If the cells tell no variance.
    """
    is_known = ~screen.is_control & (screen.guides.code >= 0 if screen.guides is not None else False)
    if screen.guides is None or not is_known.any():
        raise DataError("Variance of guides: no guide of edited cells is known; put their names into obs['guide']")
    n_names = len(screen.guides.names)
    pair = screen.annotation.condition * n_names + screen.guides.code
    present, code = np.unique(pair[is_known], return_inverse=True)
    guide = np.full(len(pair), -1)
    guide[is_known] = code
    groups = pool_groups(
        screen.measurement.observed,
        condition=guide,
        batch=screen.annotation.batch,
        n_conditions=len(present),
        n_batches=len(screen.annotation.batches),
    )
    perturbation = np.unique([c.perturbation for c in screen.annotation.conditions], return_inverse=True)[1]
    same = perturbation[present // n_names] * n_names + present % n_names
    return guide_component(groups, present // n_names, screen.annotation.genes, same=same, level=level)


def typical_guide_variance(table: pd.DataFrame) -> float:
    """The variance between guides of a typical gene: the median variance of cells over genes that vary, times the mean over these of the ratio of the two.

    Parameters
    ----------
    table
        From `guide_components`.
    """
    told = table[table["cell"] > 0]
    ratio = float((told["guide_unbiased"] / told["cell"]).mean())
    return max(float(told["cell"].median()) * ratio, 0.0)


def audit_guides(
    found: Audit, *, row: Int[np.ndarray, " cell"], guide: Int[np.ndarray, " cell"], between: float
) -> Audit:
    r"""Add to an audit what the guides of each edit put into its error.

    The mean of an edit whose guides have shares :math:`s_k` of its cells is off by guides with variance :math:`\upsilon^2 \sum_k s_k^2`,
    :math:`\upsilon^2/k` for :math:`k` guides alike: it stands on top of that of cells and batches, in any estimator, and more cells leave it as it is.

    Parameters
    ----------
    found
        The audit.
    row
        Row of each cell in the layout of the audit, from `layout_of`.
    guide
        Index of the guide of each cell, -1 where none is known.
    between
        :math:`\upsilon^2`, for instance from `typical_guide_variance`.

    Returns
    -------
    Audit
        With columns ``guides``, those known of the condition's cells, and ``se_guides``, NaN where none is.
    """
    known, n_rows = guide >= 0, len(found.layout.conditions)
    pairs, cells = np.unique(np.stack([row[known], guide[known]]), axis=1, return_counts=True)
    count, total, square = (np.bincount(pairs[0], cells**power, minlength=n_rows) for power in (0.0, 1.0, 2.0))
    edited = found.layout.edited
    with np.errstate(invalid="ignore"):
        concentration = square[edited] / total[edited] ** 2
    place = list(found.effects.columns).index("verdict")
    effects = found.effects.copy()
    effects.insert(place, "se_guides", np.sqrt(between * concentration))
    effects.insert(place, "guides", count[edited].astype(int))
    return replace(found, effects=effects)
