r"""Variance components of cells, batches and batch × condition per gene, by moments, with intervals.

With :math:`n` cells in a group (one condition in one batch), :math:`N = \mathrm{diag}(n)` and group means :math:`\bar Y`, three
sums of squares are taken: within groups, :math:`S_c`; of the groups around the weighted additive fit of conditions and
batches, :math:`S_i = \bar Y^T A_i \bar Y`; and of batches beyond conditions, :math:`S_b = \bar Y^T A_b \bar Y`. Conditions are fixed. Then

.. math::
    E S_c = \sigma^2 f_c,\quad E S_i = \sigma^2 f_i + \omega^2 \mathrm{tr} A_i,\quad
    E S_b = \sigma^2 f_b + \omega^2 \mathrm{tr} A_b + \tau^2 \mathrm{tr}(Z^T A_b Z)

are solved one after the other: Henderson's third method (Biometrics 9, 226, 1953), unbiased for any allocation, and in balanced
designs equal to REML where no estimate is negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.special import chdtr
from scipy.stats import chi2
from scipy.stats import t as student

from semimech._errors import ConfigError
from semimech._types import GeneVector
from semimech.design.groups import Groups
from semimech.design.layout import Components

Moments: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
_NAMES = ("cell", "batch", "interaction")
_TINY = 1e-9
_STEPS = 60


@dataclass(frozen=True, kw_only=True)
class VarianceComponents:
    """Variance components of every gene.

    Parameters
    ----------
    table
        Columns ``gene`` and, for ``cell``, ``batch`` and ``interaction`` (batch × condition), the variance with ``_lower``
        and ``_upper``, in the square of the scale of the values. An estimate below zero is told as zero, one that
        the allocation does not allow as NaN.
    typical
        Of a typical gene: the median variance of cells over genes that vary, times the mean over these genes of the
        ratios of the other components to it (those below zero included, so that many small ones do not add up).
    level
        Level of the intervals.
    """

    table: pd.DataFrame
    typical: Components
    level: float

    def of_gene(self, gene: str) -> Components:
        """The components of one gene; what the allocation does not allow is taken from the typical gene.

        Raises
        ------
        KeyError
            If there is no such gene, or it does not vary.
        """
        rows = np.flatnonzero(self.table["gene"] == gene)
        cell, batch, interaction = (float(self.table[name].iloc[rows[0]]) if len(rows) else 0.0 for name in _NAMES)
        if not cell > 0:
            raise KeyError(f"{gene} is not among the genes, or does not vary within groups")
        ratio = cell / float(self.typical.cell)
        return Components(
            cell=cell,
            batch=batch if np.isfinite(batch) else self.typical.batch * ratio,
            interaction=interaction if np.isfinite(interaction) else self.typical.interaction * ratio,
        )


@dataclass(frozen=True, kw_only=True)
class _Forms:
    """What the allocation alone says of the sums of squares: traces of their matrices and products."""

    batch_degrees: int
    batch_trace: float
    batch_gain: float
    batch_pairs: Float[np.ndarray, "3 3"]
    interaction_degrees: int
    interaction_trace: float
    interaction_square: float


def estimate_components(groups: Groups, genes: tuple[str, ...], *, level: float = 0.9) -> VarianceComponents:
    r"""Estimate the variance components of every gene.

    The interval of :math:`\sigma^2` follows from its spread over groups, so it also holds for cells that are not normal. Those of
    :math:`\omega^2` and :math:`\tau^2` hold the values for which the sum of squares is neither too small nor too large
    under a scaled chi-squared law of the same mean and variance (Satterthwaite, Biometrics Bulletin 2, 110, 1946), the
    components before it being taken as estimated; means of groups are taken as normal.

    Parameters
    ----------
    groups
        Cells pooled by condition and batch.
    genes
        Names of the genes.
    level
        Level of the intervals.

    Raises
    ------
    ConfigError
        If ``level`` is no probability, no group has two cells, or no gene varies within groups.
    """
    if not 0 < level < 1:
        raise ConfigError(f"The level of intervals must lie between 0 and 1, got {level:g}")
    degrees = int(groups.cells.sum()) - len(groups.cells)
    if degrees < 1:
        raise ConfigError("Variance components: no condition has two cells in one batch; means alone tell no variance")
    cell = groups.scatter.sum(axis=0) / degrees
    varies = cell > 0
    if not varies.any():
        raise ConfigError("Variance components: no gene varies within conditions and batches; are these single cells?")
    forms, batch_sum, interaction_sum = _sums_of_squares(groups)
    unknown = np.full_like(cell, np.nan)
    interaction = batch = unknown
    if forms.interaction_trace > _TINY:
        interaction = (interaction_sum - cell * forms.interaction_degrees) / forms.interaction_trace
    if forms.batch_gain > _TINY:
        known = np.nan_to_num(interaction)
        batch = (batch_sum - cell * forms.batch_degrees - known * forms.batch_trace) / forms.batch_gain
    positive = np.maximum(np.nan_to_num(interaction), 0.0)

    def interaction_moments(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = cell * forms.interaction_degrees + value * forms.interaction_trace
        mixed = 2 * cell * value * forms.interaction_trace
        return mean, 2 * (cell**2 * forms.interaction_degrees + mixed + value**2 * forms.interaction_square)

    def batch_moments(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = np.stack([cell, positive, value])
        mean = cell * forms.batch_degrees + positive * forms.batch_trace + value * forms.batch_gain
        return mean, 2 * np.einsum("ag,ab,bg->g", parts, forms.batch_pairs, parts)

    lower, upper = cell_interval(groups, cell, level)
    columns: dict[str, object] = {"gene": list(genes), "cell": cell, "cell_lower": lower, "cell_upper": upper}
    for name, value, sums, moments, gain in (
        ("batch", batch, batch_sum, batch_moments, forms.batch_gain),
        ("interaction", interaction, interaction_sum, interaction_moments, forms.interaction_trace),
    ):
        columns[name] = np.maximum(value, 0.0)
        is_told = np.isfinite(value) & varies
        for end, chance in (("lower", (1 + level) / 2), ("upper", (1 - level) / 2)):
            columns[f"{name}_{end}"] = invert(sums, moments, chance, gain, is_told) if is_told.any() else unknown
    scale = float(np.median(cell[varies]))
    ratios = [float(np.nan_to_num(np.mean(value[varies] / cell[varies]))) for value in (batch, interaction)]
    typical = Components(cell=scale, batch=scale * max(ratios[0], 0.0), interaction=scale * max(ratios[1], 0.0))
    return VarianceComponents(table=pd.DataFrame(columns), typical=typical, level=level)


def _sums_of_squares(groups: Groups) -> tuple[_Forms, GeneVector, GeneVector]:
    """Sums of squares of batches and of what is not additive, through matrices no larger than batches by batches."""
    shape = (groups.n_conditions, groups.n_batches)
    n = groups.cells.astype(float)
    row, column = groups.condition, groups.batch
    cells = np.zeros(shape)
    cells[row, column] = n
    per_row = cells.sum(axis=1)
    safe = np.where(per_row > 0, per_row, 1.0)
    share = cells / safe[:, None]
    centre = np.zeros((groups.n_conditions, groups.mean.shape[1]))
    np.add.at(centre, row, n[:, None] * groups.mean)
    centred = groups.mean - (centre / safe[:, None])[row]
    conditions_only = (n[:, None] * centred**2).sum(axis=0)

    # P = A Z, where A takes conditions out and Z says which batch a group stands in; C = Zᵀ A Z.
    within = n[:, None] * (np.eye(groups.n_batches)[column] - share[row])
    information = np.diag(cells.sum(axis=0)) - cells.T @ share
    inverse = np.linalg.pinv(information, rcond=_TINY, hermitian=True)
    rank = int(np.linalg.matrix_rank(information, hermitian=True, tol=_TINY * max(n.sum(), 1.0)))
    score = within.T @ groups.mean
    batch_sum = np.einsum("bg,bc,cg->g", score, inverse, score)

    squared = within.T @ within
    by_row = np.zeros(shape)
    np.add.at(by_row, row, within * n[:, None])
    twice = n[:, None] * within - n[:, None] * (by_row / safe[:, None])[row]
    weights = [information, squared, information @ information]
    halves = [inverse @ weight for weight in weights]
    n2, n3 = (np.bincount(row, n**power, minlength=groups.n_conditions) for power in (2, 3))
    trace_all = float(n.sum() - (n2 / safe).sum())
    square_all = float(n2.sum() - (2 * n3 / safe).sum() + (n2**2 / safe**2).sum())
    batch_trace = float(np.trace(halves[1]))
    forms = _Forms(
        batch_degrees=rank,
        batch_trace=batch_trace,
        batch_gain=float(np.trace(information)),
        batch_pairs=np.array([[np.trace(a @ b) for b in halves] for a in halves]),
        interaction_degrees=len(n) - int((per_row > 0).sum()) - rank,
        interaction_trace=trace_all - batch_trace,
        interaction_square=square_all
        - 2 * float(np.trace(inverse @ (within.T @ twice)))
        + float(np.trace(halves[1] @ halves[1])),
    )
    return forms, batch_sum, np.maximum(conditions_only - batch_sum, 0.0)


def cell_interval(groups: Groups, cell: GeneVector, level: float) -> tuple[GeneVector, GeneVector]:
    """Interval on the log scale from the spread of the scatter over groups."""
    degrees = groups.cells - 1.0
    n_groups = int((degrees > 0).sum())
    if n_groups > 1:
        left = groups.scatter - degrees[:, None] * cell
        error = np.sqrt((left**2).sum(axis=0) * n_groups / (n_groups - 1)) / degrees.sum()
        quantile = float(student.ppf((1 + level) / 2, n_groups - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(quantile * np.nan_to_num(error / cell))
        return cell / factor, cell * factor
    low, high = (float(chi2.ppf(chance, degrees.sum())) for chance in ((1 + level) / 2, (1 - level) / 2))
    return cell * degrees.sum() / low, cell * degrees.sum() / high


def invert(
    sums: GeneVector, moments: Moments, chance: float, gain: float, is_told: Bool[np.ndarray, " gene"]
) -> GeneVector:
    """The component at which a sum of squares stands at a quantile of its law, by bisection; 0 if it is below at 0."""
    low = np.zeros_like(sums)
    high = 1e5 * sums / gain + _TINY
    for _ in range(_STEPS):
        middle = (low + high) / 2
        mean, variance = moments(middle)
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = 2 * mean**2 / variance
            is_low = chdtr(freedom, sums * freedom / mean) > chance  # ten times as fast as chi2.cdf
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return np.where(is_told, np.where(low > 0, (low + high) / 2, 0.0), np.nan)
