"""Comparison of a quantity of cells, condition by condition, with the unedited cells of the same batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.screen import Screen

LEVEL = 0.01 / 8
"""Probability, over all comparisons of one check, of a difference that is none: 0.01 over the eight checks that compare with chance."""
MIN_EDITS = 5
"""Edits from which one can be compared with the others where there are no unedited cells."""


@dataclass(frozen=True, kw_only=True)
class Shifts:
    """Differences of conditions from their controls within batches; NaN where there are none to compare with.

    Parameters
    ----------
    shift
        Difference of means, in the unit of the quantity.
    standard_error
        Its standard error.
    spread
        Standard deviation of the quantity over the cells compared with, within batches.
    """

    shift: Float[np.ndarray, " condition"]
    standard_error: Float[np.ndarray, " condition"]
    spread: float

    def beyond(self, size: float, *, n_tests: int | None = None) -> Bool[np.ndarray, " condition"]:
        """Conditions whose shift is at least ``size`` and none by chance, see `threshold`."""
        n_tests = int(np.isfinite(self.shift).sum()) if n_tests is None else n_tests
        with np.errstate(invalid="ignore"):
            large = np.abs(self.shift) >= size
            return large & (np.abs(self.shift) > threshold(n_tests) * self.standard_error)


def threshold(n_tests: int) -> float:
    """Standard errors beyond which one of ``n_tests`` normal differences lies with probability `LEVEL` (Bonferroni)."""
    return float(norm.isf(LEVEL / 2 / max(n_tests, 1)))


def strata(screen: Screen) -> Int[np.ndarray, " cell"]:
    """Index of what a cell shares with its controls: the batch, and the time and medium where controls move, or where there are none."""
    comparison, annotation = screen.comparison, screen.annotation
    if not screen.is_control.any():
        places = [(c.media, c.hours) for c in annotation.conditions]
        comparison = np.array([places.index(place) for place in places])[annotation.condition]
    return annotation.batch * (int(comparison.max(initial=0)) + 1) + comparison


def references(screen: Screen) -> Callable[[int], Bool[np.ndarray, " cell"]]:
    """Cells with which those of a condition are compared: unedited ones, in the same array for all conditions.

    Without unedited cells, those of edits of other genes: what most edits do not do shows against their mean. None if there are fewer
    than `MIN_EDITS`.
    """
    is_control, conditions = screen.is_control, screen.annotation.conditions
    if is_control.any():
        return lambda condition: is_control
    genes = [{e.gene for period in c.history for e in period.context.edits} for c in conditions]
    if len(set(map(frozenset, genes))) < MIN_EDITS:
        return lambda condition: is_control
    return lambda condition: np.array([not mine & genes[condition] for mine in genes])[screen.annotation.condition]


def compared_with(screen: Screen) -> str:
    """What `references` are, in words."""
    return "controls" if screen.is_control.any() else "the other edits"


def control_shifts(screen: Screen, values: Float[np.ndarray, " cell"]) -> Shifts:
    r"""Compare each condition with its `references`.

    Within stratum b the difference is :math:`d_b = \bar y_{pb} - \bar y_{0b}`. Differences are averaged with weights
    :math:`1/(1/n_{pb} + 1/n_{0b})`, which are the best for cells of equal variance and leave batch effects out.

    Parameters
    ----------
    screen
        The cells.
    values
        One quantity per cell; NaN where it is unknown.
    """
    stratum, condition, known = strata(screen), screen.annotation.condition, np.isfinite(values)
    n_strata, n_conditions = int(stratum.max()) + 1, len(screen.annotation.conditions)
    shift, error = np.full(n_conditions, np.nan), np.full(n_conditions, np.nan)
    of, others, spreads = references(screen), None, []
    for c in (i for i, each in enumerate(screen.annotation.conditions) if not each.is_control):
        if others is not of(c):
            others = of(c)
            rows = others & known
            n_controls = np.bincount(stratum[rows], minlength=n_strata)
            is_usable = n_controls >= MIN_CONTROLS
            mean, variance = _moments(values[rows], stratum[rows], n_strata)
            pooled = float(np.average(variance, weights=n_controls * is_usable)) if is_usable.any() else np.nan
            spreads.append(np.sqrt(pooled))
        kept = np.flatnonzero((condition == c) & known & is_usable[stratum])
        if len(kept) < 2:
            continue
        n = np.bincount(stratum[kept], minlength=n_strata)
        at = np.flatnonzero(n)
        centre, _ = _moments(values[kept], stratum[kept], n_strata)
        within = float(((values[kept] - centre[stratum[kept]]) ** 2).sum() / max(len(kept) - len(at), 1))
        within = max(within, pooled) if len(kept) < 2 * MIN_CONTROLS else within
        weight = 1 / (1 / n[at] + 1 / n_controls[at])
        weight /= weight.sum()
        shift[c] = weight @ (centre[at] - mean[at])
        error[c] = np.sqrt(weight**2 @ (within / n[at] + variance[at] / n_controls[at]))
    return Shifts(shift=shift, standard_error=error, spread=float(np.mean(spreads)) if spreads else np.nan)


def contrast(screen: Screen, condition: int) -> Float[np.ndarray, " cell"]:
    """Weights of cells whose sum over a quantity is its `control_shifts` of one condition; zero without controls."""
    stratum, is_control = strata(screen), references(screen)(condition)
    weights = np.zeros(len(stratum))
    total = 0.0
    for s in np.unique(stratum[screen.annotation.condition == condition]):
        edited = (screen.annotation.condition == condition) & (stratum == s)
        controls = is_control & (stratum == s)
        if controls.sum() >= MIN_CONTROLS:
            weight = 1 / (1 / edited.sum() + 1 / controls.sum())
            weights[edited] += weight / edited.sum()
            weights[controls] -= weight / controls.sum()
            total += weight
    return weights / total if total else weights


def _moments(
    values: Float[np.ndarray, " cell"], code: Int[np.ndarray, " cell"], n_groups: int
) -> tuple[Float[np.ndarray, " group"], Float[np.ndarray, " group"]]:
    """Mean and variance by group; zero where there is none."""
    n = np.bincount(code, minlength=n_groups)
    mean = np.bincount(code, weights=values, minlength=n_groups) / np.maximum(n, 1)
    squares = np.bincount(code, weights=(values - mean[code]) ** 2, minlength=n_groups)
    return mean, squares / np.maximum(n - 1, 1)
