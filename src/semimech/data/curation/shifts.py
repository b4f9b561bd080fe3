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
"""Probability, over all comparisons of one check, of a difference that is none: 0.01 over the eight checks that compare with chance.

They are depth by edit, mitochondrial share, cell cycle, on-target effect, kind of edit, loss of cells, guides of one gene and control
stationarity. Escapers are told by their share less two standard errors, and are not among them.
"""
MIN_EDITS = 5
"""Edits, of one stratum, from which one can be compared with the others where there are no unedited cells."""


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


def is_compared(screen: Screen) -> Bool[np.ndarray, " cell"]:
    """Cells with which others are compared: unedited ones, and without any those of all edits; none if there are fewer than `MIN_EDITS`."""
    if screen.is_control.any():
        return screen.is_control
    genes = {frozenset(names) for names in _genes(screen)}
    return np.full(len(screen.annotation.condition), len(genes) >= MIN_EDITS)


def related_cells(screen: Screen) -> Callable[[int], Int[np.ndarray, " related"]]:
    """Cells among `is_compared` that share an edited gene with a condition, its own among them; none where there are unedited cells."""
    if screen.is_control.any():
        return lambda condition: np.zeros(0, dtype=int)
    genes, cells = _genes(screen), cells_by(screen.annotation.condition, len(screen.annotation.conditions))
    having: dict[str, list[int]] = {}
    for c, names in enumerate(genes):
        for name in names:
            having.setdefault(name, []).append(c)
    return lambda condition: np.concatenate(
        [cells[c] for c in sorted({c for name in genes[condition] for c in having[name]} | {condition})]
    )


def references(screen: Screen) -> Callable[[int], Bool[np.ndarray, " cell"]]:
    """Cells with which those of a condition are compared: `is_compared` without `related_cells`."""
    compared, related = is_compared(screen), related_cells(screen)

    def of(condition: int) -> Bool[np.ndarray, " cell"]:
        rows = compared.copy()
        rows[related(condition)] = False
        return rows

    return of


def cells_by(code: Int[np.ndarray, " cell"], n_groups: int) -> list[Int[np.ndarray, " member"]]:
    """Cells of each group, in their order."""
    return np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code, minlength=n_groups))[:-1])


def _genes(screen: Screen) -> list[set[str]]:
    """Genes edited in the history of each condition."""
    return [{e.gene for period in c.history for e in period.context.edits} for c in screen.annotation.conditions]


def compared_with(screen: Screen) -> str:
    """What `references` are, in words."""
    return "controls" if screen.is_control.any() else "the other edits"


def control_shifts(screen: Screen, values: Float[np.ndarray, " cell"]) -> Shifts:
    r"""Compare each condition with unedited cells or, without any, with the median of the edits.

    Within stratum b the difference is :math:`d_b = \bar y_{pb} - \bar y_{0b}`. Differences are averaged with weights
    :math:`1/(1/n_{pb} + 1/n_{0b})`, which are the best for cells of equal variance and leave batch effects out.

    Without unedited cells :math:`\bar y_{0b}` is the median of the means of all edits in the stratum, of `MIN_EDITS` or more, so that
    a few strong edits do not move it. Its variance is :math:`\pi s^2 / 2k` for k edits whose means spread by s, from their median
    absolute deviation, or what finite numbers of cells explain where that is more; :math:`n_{0b}` is the number of cells of
    which a mean has that variance.

    Parameters
    ----------
    screen
        The cells.
    values
        One quantity per cell; NaN where it is unknown.
    """
    stratum, condition, known = strata(screen), screen.annotation.condition, np.isfinite(values)
    n_strata, n_conditions = int(stratum.max()) + 1, len(screen.annotation.conditions)
    rows = is_compared(screen) & known
    if screen.is_control.any():
        zero = _mean_cell(values[rows], stratum[rows], n_strata)
    else:
        zero = _median_edit(values[rows], stratum[rows], condition[rows], n_strata)
    rows = ~screen.is_control & known & (zero.size[stratum] > 0)
    c, s, n, centre, squares = _by_pair(values[rows], condition[rows], stratum[rows], n_strata)

    def total(each: np.ndarray) -> Float[np.ndarray, " condition"]:
        return np.bincount(c, weights=each, minlength=n_conditions).astype(
            float
        )  # of nothing, NumPy counts in whole numbers

    cells = total(n)
    within = total(squares) / np.maximum(cells - total(np.ones(len(c))), 1)
    within = np.where(cells < 2 * MIN_CONTROLS, np.maximum(within, zero.spread**2), within)
    weight = 1 / (1 / n + 1 / zero.size[s])
    weight /= total(weight)[c]
    variance = total(weight**2 * (within[c] / n + zero.variance[s]))
    return Shifts(
        shift=np.where(cells > 1, total(weight * (centre - zero.mean[s])), np.nan),
        standard_error=np.where(cells > 1, np.sqrt(variance), np.nan),
        spread=zero.spread,
    )


def contrast(screen: Screen, condition: int) -> Float[np.ndarray, " cell"]:
    """Weights of cells whose sum over a quantity is one condition's difference from its `references`; zero without any.

    Beside unedited cells it is that of `control_shifts`; without, it is the difference from the mean of the other edits, not from the median.
    """
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


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """What conditions are compared with: its mean by stratum, the variance of that, how many cells it is worth (0: not to be used), and their spread."""

    mean: Float[np.ndarray, " stratum"]
    variance: Float[np.ndarray, " stratum"]
    size: Float[np.ndarray, " stratum"]
    spread: float


def _mean_cell(values: Float[np.ndarray, " cell"], stratum: Int[np.ndarray, " cell"], n_strata: int) -> _Reference:
    """The mean of unedited cells."""
    n = np.bincount(stratum, minlength=n_strata)
    mean = np.bincount(stratum, weights=values, minlength=n_strata) / np.maximum(n, 1)
    squares = np.bincount(stratum, weights=(values - mean[stratum]) ** 2, minlength=n_strata)
    variance, size = squares / np.maximum(n - 1, 1), n * (n >= MIN_CONTROLS)
    spread = float(np.sqrt(np.average(variance, weights=size))) if size.any() else np.nan
    return _Reference(mean=mean, variance=variance / np.maximum(n, 1), size=size.astype(float), spread=spread)


def _median_edit(
    values: Float[np.ndarray, " cell"],
    stratum: Int[np.ndarray, " cell"],
    condition: Int[np.ndarray, " cell"],
    n_strata: int,
) -> _Reference:
    """The median of the means of edits."""
    mean, variance, size = (np.zeros(n_strata) for _ in range(3))
    if not len(values):
        return _Reference(mean=mean, variance=variance, size=size, spread=np.nan)
    _, s, n, centre, squares = _by_pair(values, condition, stratum, n_strata)
    within = squares.sum() / max(n.sum() - len(n), 1)
    for b, mine in enumerate(cells_by(s, n_strata)):
        if len(mine) < MIN_EDITS:
            continue
        mean[b] = np.median(centre[mine])
        between = (1.4826 * np.median(np.abs(centre[mine] - mean[b]))) ** 2
        variance[b] = np.pi / 2 * max(between, within * np.mean(1 / n[mine])) / len(mine)
        size[b] = np.clip(within / variance[b], 1.0, n[mine].sum()) if variance[b] > 0 else n[mine].sum()
    return _Reference(mean=mean, variance=variance, size=size, spread=float(np.sqrt(within)))


def _by_pair(
    values: Float[np.ndarray, " cell"],
    condition: Int[np.ndarray, " cell"],
    stratum: Int[np.ndarray, " cell"],
    n_strata: int,
) -> tuple[np.ndarray, ...]:
    """Condition and stratum of each pair that has cells, how many, their mean, and the sum of squares about it."""
    codes, pair, n = np.unique(condition * n_strata + stratum, return_inverse=True, return_counts=True)
    centre = np.bincount(pair, weights=values, minlength=len(codes)) / n
    squares = np.bincount(pair, weights=(values - centre[pair]) ** 2, minlength=len(codes))
    return codes // n_strata, codes % n_strata, n, centre, squares
