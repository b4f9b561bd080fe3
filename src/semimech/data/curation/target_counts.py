r"""Escapers from the counts of the target, as a mixture tied to the effect on it.

Counts of unedited cells are negative binomial with mean :math:`\ell\lambda` and dispersion :math:`\alpha`, those of edited ones with mean
:math:`f\ell\lambda` and a dispersion of their own, as what is left of a transcript is uneven. A cell of an edit is of the first law with probability :math:`\pi`, and
:math:`\pi, f` and the second dispersion are those of the largest likelihood. Where the two laws overlap much, shares are not told from dispersion: see `MOST_AMBIGUOUS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import expit, gammaln, logit
from scipy.stats import nbinom

from semimech.data.curation.mixtures import ambiguity, share_error
from semimech.data.curation.shifts import references, strata
from semimech.data.screen import Screen

LEAST_LOSS = 0.2
"""Loss of the target's transcript from which its counts say something."""
LEAST_CELLS = 30
"""Cells of an edit, and controls of a stratum."""
MOST_AMBIGUOUS = 0.05
"""Largest `ambiguity` at which a share is told; beyond it the two laws overlap so far that a share comes from their shapes."""
MISFIT = 0.03
"""Distance (Kolmogorov) of the counts of controls from a negative binomial law, beyond chance, at which they are taken for cells of two kinds."""

_MOST_CELLS = 2000
_STARTS = (0.02, 0.2, 0.4, 0.6, 0.8)
_UNEVEN = (np.log(2.0), 1.0)
"""Mean and spread of the logarithm of the ratio of dispersions of edited and unedited cells, known beforehand."""
_BOUNDS = ((-7.0, 5.0), (-6.0, 3.0), (-0.7, 4.0))


@dataclass(frozen=True, kw_only=True)
class Escape:
    """What one edit's target says.

    Parameters
    ----------
    share
        Share of escapers.
    share_error
        Its standard error.
    kept
        Share of the target's transcript that is left in all cells together.
    kept_error
        Its standard error.
    n_cells
        Edited cells.
    """

    share: float
    share_error: float
    kept: float
    kept_error: float
    n_cells: int

    @property
    def is_visible(self) -> bool:
        """Whether the edit lowers the target's transcript enough, and its cells fall apart into two kinds."""
        is_lowered = 1.0 - self.kept >= max(LEAST_LOSS, 3.0 * self.kept_error)
        return is_lowered and ambiguity(self.share, self.share_error, self.n_cells) <= MOST_AMBIGUOUS


def escape(
    counts: Float[np.ndarray, " cell"], expected: Float[np.ndarray, " cell"], *, dispersion: float, error: float = 0.0
) -> Escape:
    """Fit the mixture to one target's counts in the cells of its edit.

    Parameters
    ----------
    counts
        Counts.
    expected
        What unedited cells of the same depth and batch would have.
    dispersion
        That of unedited cells.
    error
        Standard error of the expected counts, as a share of them.
    """
    unedited = _log_mass(counts, expected, dispersion)
    kept = float(counts.sum() / expected.sum())

    def edited(p: Float[np.ndarray, " parameter"]) -> Float[np.ndarray, " cell"]:
        return _log_mass(counts, expit(p[1]) * expected, dispersion * np.exp(p[2]))

    def of_cells(p: Float[np.ndarray, " parameter"]) -> Float[np.ndarray, " cell"]:
        return np.logaddexp(unedited - np.logaddexp(0.0, -p[0]), edited(p) - np.logaddexp(0.0, p[0]))

    def loss(p: Float[np.ndarray, " parameter"]) -> float:
        return float(-of_cells(p).sum() + 0.5 * ((p[2] - _UNEVEN[0]) / _UNEVEN[1]) ** 2)

    starts = [np.array([logit(s), logit(np.clip((kept - s) / (1 - s), 0.03, 0.9)), _UNEVEN[0]]) for s in _STARTS]
    best = minimize(loss, min(starts, key=loss), method="L-BFGS-B", bounds=_BOUNDS).x
    share = float(expit(best[0]))
    step = 1e-3 * np.eye(3)
    slopes = np.stack([(of_cells(best + e) - of_cells(best - e)) / 2e-3 for e in step])
    slopes[0] /= share * (1.0 - share)
    information = slopes @ slopes.T + np.diag([0.0, 0.0, _UNEVEN[1] ** -2])
    return Escape(
        share=share,
        share_error=share_error(edited(best) - unedited, information),
        kept=kept,
        kept_error=float(np.hypot(np.std(counts / expected, ddof=1) / np.sqrt(len(counts)), kept * error)),
        n_cells=len(counts),
    )


def _log_mass(
    counts: Float[np.ndarray, " cell"], mean: Float[np.ndarray, " cell"], dispersion: float
) -> Float[np.ndarray, " cell"]:
    """Logarithms of negative binomial probabilities."""
    size = 1.0 / dispersion
    total = np.log(size + mean)
    return (
        gammaln(counts + size)
        - gammaln(size)
        - gammaln(counts + 1)
        + size * (np.log(size) - total)
        + counts * (np.log(np.maximum(mean, 1e-300)) - total)
    )


def _misfit(
    counts: Float[np.ndarray, " cell"],
    mean: Float[np.ndarray, " cell"],
    dispersion: float,
    rng: np.random.Generator,
) -> float:
    """Distance of counts from their negative binomial law: Kolmogorov's, of places in it drawn between those of a count and the one below."""
    law = nbinom(1.0 / dispersion, 1.0 / (1.0 + dispersion * mean))
    below, here = law.cdf(counts - 1), law.cdf(counts)
    places = np.sort(below + rng.random(len(counts)) * (here - below))
    steps = np.arange(len(places) + 1) / len(places)
    return float(max(np.max(steps[1:] - places), np.max(places - steps[:-1])))


def pooled(parts: Sequence[Escape]) -> Escape:
    """What parts of one edit's cells say together, by numbers of cells."""
    weight = np.array([part.n_cells for part in parts], dtype=float)
    weight /= weight.sum()
    return Escape(
        share=float(weight @ [e.share for e in parts]),
        share_error=float(np.linalg.norm(weight * [e.share_error for e in parts])),
        kept=float(weight @ [e.kept for e in parts]),
        kept_error=float(np.linalg.norm(weight * [e.kept_error for e in parts])),
        n_cells=sum(part.n_cells for part in parts),
    )


def escape_by_condition(screen: Screen) -> dict[int, Escape]:
    """What the targets of single edits that lower them say, by index of the condition."""
    counts, unit = screen.measurement.counts, screen.measurement.unit
    if counts is None or unit is None:
        return {}
    column = {gene: i for i, gene in enumerate(screen.annotation.genes)}
    by_gene, stratum, rng = counts.tocsc(), strata(screen), np.random.default_rng(0)
    known = np.isfinite(unit) & (unit > 0)
    depth = np.divide(1.0, unit, out=np.zeros(len(unit)), where=known)
    of, found = references(screen), {}
    for i, condition in enumerate(screen.annotation.conditions):
        control = of(i) & known
        enough = np.bincount(stratum[control], minlength=int(stratum.max()) + 1) >= LEAST_CELLS
        control &= enough[stratum]
        targets = [e.gene for e in condition.edits if e.kind != "crispra" and not e.compound and e.gene in column]
        cells = np.flatnonzero((screen.annotation.condition == i) & known & enough[stratum])
        if len(condition.edits) != 1 or not targets or len(cells) < LEAST_CELLS:
            continue
        cells = np.sort(rng.permutation(cells)[:_MOST_CELLS])
        beside = np.flatnonzero(control & np.isin(stratum, np.unique(stratum[cells])))
        values = by_gene[:, [column[targets[0]]]].toarray().ravel().astype(np.float64)
        sums = np.bincount(stratum[beside], weights=values[beside], minlength=len(enough))
        depths = np.bincount(stratum[beside], weights=depth[beside], minlength=len(enough))
        rate = np.divide(sums, depths, out=np.zeros(len(enough)), where=depths > 0)
        cells, beside = cells[rate[stratum[cells]] > 0], beside[rate[stratum[beside]] > 0]
        if len(cells) < LEAST_CELLS:
            continue
        ratio = values[beside] / (depth * rate[stratum])[beside]
        if values[cells].sum() > (1.0 - LEAST_LOSS) * (depth * rate[stratum])[cells].sum():
            continue
        expected = depth * rate[stratum]
        square = np.sum(values[beside] * (values[beside] - 1)) / np.sum(expected[beside] ** 2)
        dispersion = max(float(square) - 1.0, 0.01)
        if _misfit(values[beside], expected[beside], dispersion, rng) > MISFIT + 1.0 / np.sqrt(len(beside)):
            continue
        found[i] = escape(
            values[cells],
            expected[cells],
            dispersion=dispersion,
            error=float(ratio.std(ddof=1) / np.sqrt(len(ratio))),
        )
    return found
