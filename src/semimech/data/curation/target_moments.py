r"""Whether there are escapers, from the unevenness of the target's counts: nearly unbiased where there are none, and so the ground of a test.

As an estimate of how many there are it takes knockouts that leave transcripts unevenly for escapers; see `semimech.data.curation.target_counts` for one that does not.

If all edited cells keep a share :math:`a` of the target's abundance :math:`\lambda`, second moments keep :math:`a^2`. If a share :math:`\pi` escapes and the rest
keep :math:`f`, then :math:`a = \pi + (1-\pi) f` and second moments keep :math:`b = \pi + (1-\pi) f^2`, so that

.. math:: b - a^2 = \pi (1 - \pi) (1 - f)^2, \qquad \pi = \frac{b - a^2}{(1-a)^2 + b - a^2}

Factorial moments of counts, :math:`E[y/\ell] = E[\lambda]` and :math:`E[y(y-1)/\ell^2] = E[\lambda^2]`, are free of Poisson noise. The depth
:math:`\ell` is that of the other genes: in a sum with its own counts an abundant target would bound itself, less so where it is edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech.data.curation.escapers import Escapers, last_harvests, told_apart
from semimech.data.curation.shifts import strata
from semimech.data.curation.target_counts import LEAST_CELLS, LEAST_LOSS
from semimech.data.screen import Screen

_SAME = 1e-3


@dataclass(frozen=True, kw_only=True)
class Escape:
    """What one edit's target says.

    Parameters
    ----------
    kept
        :math:`a`.
    kept_error
        Its standard error.
    excess
        :math:`b - a^2`.
    excess_error
        Its standard error.
    excess_third
        Third cumulant of its error.
    n_cells
        Edited cells.
    """

    kept: float
    kept_error: float
    excess: float
    excess_error: float
    excess_third: float
    n_cells: int

    @property
    def is_visible(self) -> bool:
        """Whether the edit lowers the target's transcript enough to say something."""
        return 1.0 - self.kept >= max(LEAST_LOSS, 3.0 * self.kept_error) and self.excess_error > 0

    @property
    def share(self) -> float:
        """Share of escapers, by moments; below 0 by chance."""
        excess = max(self.excess, -0.5 * (1.0 - self.kept) ** 2)
        return excess / ((1.0 - self.kept) ** 2 + excess)

    @property
    def share_error(self) -> float:
        """Standard error of the share, as if the loss were known."""
        return self.excess_error / (1.0 - self.kept) ** 2 * (1.0 - min(max(self.share, 0.0), 0.9)) ** 2


def escape(
    edited: Float[np.ndarray, " cell"],
    control: Float[np.ndarray, " control"],
    edited_depth: Float[np.ndarray, " cell"],
    control_depth: Float[np.ndarray, " control"],
) -> Escape | None:
    """Moments of one target's counts in edited and unedited cells, with errors by the delta method.

    Parameters
    ----------
    edited, control
        Counts.
    edited_depth, control_depth
        Depth of each cell, in any common unit.
    """
    first, second = edited / edited_depth, edited * (edited - 1) / edited_depth**2
    base, base_second = control / control_depth, control * (control - 1) / control_depth**2
    if not base.mean() > 0 or not base_second.mean() > 0:
        return None
    a, b = float(first.mean() / base.mean()), float(second.mean() / base_second.mean())
    of_edited = second / base_second.mean() - 2 * a * first / base.mean()
    of_control = 2 * a**2 * base / base.mean() - b * base_second / base_second.mean()
    kept = first.var(ddof=1) / base.mean() ** 2 / len(first) + a**2 * base.var(ddof=1) / base.mean() ** 2 / len(base)
    excess = of_edited.var(ddof=1) / len(first) + of_control.var(ddof=1) / len(base)
    third = sum(float(np.mean((of - of.mean()) ** 3)) / len(of) ** 2 for of in (of_edited, of_control))
    return Escape(
        kept=a,
        kept_error=float(np.sqrt(kept)),
        excess=b - a**2,
        excess_error=float(np.sqrt(excess)),
        excess_third=third,
        n_cells=len(first),
    )


def pooled(parts: Sequence[Escape]) -> Escape:
    """What parts of one edit's cells say together, by numbers of cells."""
    weight = np.array([part.n_cells for part in parts], dtype=float)
    weight /= weight.sum()
    return Escape(
        kept=float(weight @ [e.kept for e in parts]),
        kept_error=float(np.linalg.norm(weight * [e.kept_error for e in parts])),
        excess=float(weight @ [e.excess for e in parts]),
        excess_error=float(np.linalg.norm(weight * [e.excess_error for e in parts])),
        excess_third=float(weight**3 @ [e.excess_third for e in parts]),
        n_cells=sum(part.n_cells for part in parts),
    )


def escape_by_condition(screen: Screen) -> dict[int, Escape]:
    """What the targets of single edits that lower them say, by index of the condition, within batches."""
    counts, unit = screen.measurement.counts, screen.measurement.unit
    if counts is None or unit is None:
        return {}
    column = {gene: i for i, gene in enumerate(screen.annotation.genes)}
    by_gene, stratum, known = counts.tocsc(), strata(screen), np.isfinite(unit)
    total = np.asarray(counts.sum(axis=1), np.float64).ravel()
    of_total = total[known] * unit[known]
    is_own_sum = bool(np.ptp(of_total) <= _SAME * of_total.mean()) if known.any() else False
    control = {s: np.flatnonzero(screen.is_control & known & (stratum == s)) for s in np.unique(stratum).tolist()}
    found = {}
    for i, condition in enumerate(screen.annotation.conditions):
        targets = [e.gene for e in condition.edits if e.kind != "crispra" and not e.compound and e.gene in column]
        if len(condition.edits) != 1 or not targets:
            continue
        values = by_gene[:, column[targets[0]]].toarray().ravel().astype(np.float64)
        depth = np.maximum(total - values, 1.0) if is_own_sum else 1.0 / np.where(known, unit, np.nan)
        cells = np.flatnonzero((screen.annotation.condition == i) & known)
        parts = []
        for s in np.unique(stratum[cells]).tolist():
            mine, theirs = cells[stratum[cells] == s], control[s]
            if min(len(mine), len(theirs)) >= LEAST_CELLS:
                parts.append(escape(values[mine], values[theirs], depth[mine], depth[theirs]))
        told = [part for part in parts if part is not None]
        if told:
            found[i] = pooled(told)
    return found


def escapers_to_test(screen: Screen) -> dict[str, Escapers]:
    """Escapers of each perturbation: from whole cells at the last harvest, else from the target's counts at all harvests; none without unedited cells."""
    if not screen.is_control.any():
        return {}
    conditions = screen.annotation.conditions
    parts: dict[str, list[Escape]] = {}
    for i, each in escape_by_condition(screen).items():
        parts.setdefault(conditions[i].perturbation, []).append(each)
    found = {}
    for name, several in parts.items():
        each = pooled(several)
        if each.is_visible:
            found[name] = Escapers(
                share=each.share,
                standard_error=each.share_error,
                distance=np.nan,
                skewness=each.excess_third / each.excess_error**3,
                weight=each.n_cells * (1.0 - each.kept) ** 4,
            )
    return found | {
        conditions[i].perturbation: each for i, each in told_apart(screen, last_harvests(screen))[0].items()
    }
