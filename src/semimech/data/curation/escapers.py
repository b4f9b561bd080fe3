"""The check of escapers: cells that carry a guide but look like unedited ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.stats import norm

from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.curation.mixtures import ambiguity, share_error
from semimech.data.curation.shifts import cells_by, is_compared, related_cells, strata
from semimech.data.curation.target_counts import Escape, escape_by_condition, pooled
from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen

ESCAPED = 0.3
"""Share of escapers that calls for attention."""
MIN_CELLS = 40
"""Cells of an edit from which their share is estimated."""
MIN_MOVED = 0.2
"""Least share of edited cells that must stand apart, beyond that of unedited ones."""
MIN_DISTANCE = 3.0
"""Least distance of edited cells from unedited ones, in standard deviations of cells, at which they can be told apart."""
KNOWN = 0.025
"""Ambiguity up to which the share of these very cells is known to 5 points: its interval of two standard errors."""

Key = TypeVar("Key", int, str)

_MOST_CONTROLS = 2000
_MARKED = 3.0
"""t statistic from which a gene helps to tell edited cells."""


@dataclass(frozen=True, kw_only=True)
class Escapers:
    """Escapers of one edit.

    Parameters
    ----------
    share
        Share of the cells that look unedited.
    standard_error
        Its standard error, if the law of the cells is the one assumed.
    ambiguity
        Standard error of the share of these very cells: what is left of ``standard_error`` without the chance by which they were drawn.
    distance
        Distance of the edited cells from unedited ones, in standard deviations of unedited cells; NaN where the share is told
        from the counts of the target.
    skewness
        Of the share's error, where it is known.
    weight
        How well the share is told, up to a factor and whatever it is: cells, times the fourth power of the loss of a target.
    probability
        Probability that each cell carries no working edit; empty where only the share can be told.
    """

    share: float
    standard_error: float
    distance: float
    ambiguity: float = np.nan
    skewness: float = 0.0
    weight: float = 1.0
    probability: Float[np.ndarray, " cell"] = field(default_factory=lambda: np.zeros(0))

    @property
    def is_known_to_5_points(self) -> bool:
        """Whether the estimate itself says that the share of these cells is known to 5 points; else its error says how well."""
        return bool(self.ambiguity <= KNOWN)


def escaper_share(
    edited: Float[np.ndarray, "cell gene"],
    controls: Float[np.ndarray, "control gene"],
    *,
    rng: np.random.Generator,
) -> Escapers | None:
    r"""Estimate the share of cells that carry a guide but no edit.

    Cells are projected on the direction that tells edited from unedited ones, the difference of means over variances
    of the genes that differ. It comes from one half of the cells and is used on the other, and the reverse, so that noise
    is not taken for an effect. Scores of edited cells are then a mixture :math:`\pi N(0, 1) + (1 - \pi) N(m, s^2)`, whose
    first part is the law of unedited cells (the idea of Mixscape, Papalexi et al. 2021, doi:10.1038/s41588-021-00778-2),
    fitted by expectation maximisation.

    Parameters
    ----------
    edited, controls
        Cells, observed scale, batch means of controls removed.
    rng
        Draws the halves.

    Returns
    -------
    Escapers or None
        ``None`` if edited cells stand too near to unedited ones.
    """
    halves = rng.permutation(len(edited)) % 2, rng.permutation(len(controls)) % 2
    score, zeros = np.empty(len(edited)), []
    for side in (0, 1):
        there, zero = edited[halves[0] == side], controls[halves[1] == side]
        difference = there.mean(axis=0) - zero.mean(axis=0)
        variance = zero.var(axis=0) + 1e-12
        error = np.sqrt(variance / len(zero) + np.maximum(there.var(axis=0), variance) / len(there))
        direction = np.where(np.abs(difference) > _MARKED * error, difference / variance, 0.0)
        left, unedited = edited[halves[0] != side] @ direction, controls[halves[1] != side] @ direction
        if unedited.std() == 0:
            return None
        score[halves[0] != side] = (left - unedited.mean()) / unedited.std()
        zeros.append((unedited - unedited.mean()) / unedited.std())
    share, centre, spread = 0.2, float(np.quantile(score, 0.75)), 1.0
    for _ in range(200):
        density = share * norm.pdf(score)
        other = (1 - share) * norm.pdf(score, centre, spread)
        weight = density / np.maximum(density + other, 1e-300)
        if weight.sum() > len(score) - 2:
            return None
        old, share = share, float(weight.mean())
        centre = float(np.average(score, weights=1 - weight))
        spread = max(float(np.sqrt(np.average((score - centre) ** 2, weights=1 - weight))), 0.5)
        if abs(share - old) < 1e-5:
            break
    # Unedited cells have tails too: what stands beyond half of the way must be more than their share of it.
    beyond = float(np.mean(score > centre / 2)) - float(np.mean(np.concatenate(zeros) > centre / 2))
    if centre < MIN_DISTANCE or beyond < MIN_MOVED:
        return None
    zero, moved = norm.logpdf(score), norm.logpdf(score, centre, spread)
    error = share_error(moved - zero, _information(score, share, centre, spread))
    return Escapers(
        share=share,
        standard_error=error,
        ambiguity=ambiguity(share, error, len(score)),
        distance=centre,
        weight=len(score),
        probability=weight,
    )


def _information(
    score: Float[np.ndarray, " cell"], share: float, centre: float, spread: float
) -> Float[np.ndarray, "3 3"]:
    """Observed information of share, centre and spread: from the cells' own slopes."""
    zero, moved = norm.pdf(score), norm.pdf(score, centre, spread)
    both = np.maximum(share * zero + (1 - share) * moved, 1e-300)
    unit = (score - centre) / spread
    slopes = np.stack([zero - moved, (1 - share) * moved * unit / spread, (1 - share) * moved * (unit**2 - 1) / spread])
    return (slopes / both) @ (slopes / both).T


def escapers_by_condition(screen: Screen) -> dict[int, Escapers]:
    """Escapers of each perturbation at its last harvest, by index of the condition, where they can be told.

    They are told from the counts of the target where these do (`semimech.data.curation.target_counts`), else from whole cells.
    """
    last = last_harvests(screen)
    parts = {i: each for i, each in escape_by_condition(screen).items() if i in last}
    return dict(sorted((told_apart(screen, last)[0] | _by_target(parts)).items()))


def escapers_by_perturbation(screen: Screen) -> dict[str, Escapers]:
    """Escapers of each perturbation: from the target's counts at all harvests where these tell them, else from whole cells at the last harvest.

    None without unedited cells.
    """
    if not screen.is_control.any():
        return {}
    conditions = screen.annotation.conditions
    parts: dict[str, list[Escape]] = {}
    for i, each in escape_by_condition(screen).items():
        parts.setdefault(conditions[i].perturbation, []).append(each)
    whole = {conditions[i].perturbation: each for i, each in told_apart(screen, last_harvests(screen))[0].items()}
    return whole | _by_target({name: pooled(several) for name, several in parts.items()})


def _by_target(parts: dict[Key, Escape]) -> dict[Key, Escapers]:
    """What targets tell, where they do."""
    return {
        key: Escapers(
            share=each.share,
            standard_error=each.share_error,
            ambiguity=ambiguity(each.share, each.share_error, each.n_cells),
            distance=np.nan,
        )
        for key, each in parts.items()
        if each.is_visible
    }


def last_harvests(screen: Screen) -> list[int]:
    """The latest condition of each perturbation that is not of drugs only."""
    conditions = screen.annotation.conditions
    last: dict[str, int] = {}
    for i, condition in enumerate(conditions):
        if condition.edits and {e.kind for e in condition.edits} != {"drug"}:
            best = last.get(condition.perturbation)
            if best is None or condition.hours > conditions[best].hours:
                last[condition.perturbation] = i
    return list(last.values())


def told_apart(screen: Screen, last: list[int]) -> tuple[dict[int, Escapers], dict[int, np.ndarray]]:
    """Escapers among the cells of these conditions that stand apart from their controls as a whole, and which cells these are."""
    stratum, rng, related = strata(screen), np.random.default_rng(0), related_cells(screen)
    n_strata, observed = int(stratum.max()) + 1, screen.measurement.observed
    pool = np.flatnonzero(is_compared(screen))
    members = [pool[rows] for rows in cells_by(stratum[pool], n_strata)]
    totals, n_pool = _sums(observed, pool, stratum, n_strata), np.bincount(stratum[pool], minlength=n_strata)
    if (
        not screen.is_control.any()
    ):  # as many of each stratum as will be looked at, not nearly all cells for each condition
        members = [np.sort(rng.permutation(rows)[:_MOST_CONTROLS]) for rows in members]
    own = cells_by(screen.annotation.condition, len(screen.annotation.conditions))
    found, cells = {}, {}
    for i in last:
        left_out = related(i) if len(pool) else pool
        n_others = n_pool - np.bincount(stratum[left_out], minlength=n_strata)
        rows = own[i][n_others[stratum[own[i]]] >= MIN_CONTROLS]
        if len(rows) < MIN_CELLS:
            continue
        here = np.unique(stratum[rows])
        beside = np.sort(np.concatenate([members[s] for s in here]))
        beside = beside[~np.isin(beside, left_out)]
        beside = np.sort(rng.permutation(beside)[:_MOST_CONTROLS])
        centres = totals[here] - _sums(observed, left_out[np.isin(stratum[left_out], here)], stratum, n_strata)[here]
        centres /= n_others[here, None]
        edited, controls = (
            observed[each].toarray().astype(float) - centres[np.searchsorted(here, stratum[each])]
            for each in (rows, beside)
        )
        escapers = escaper_share(edited, controls, rng=rng)
        if escapers is not None:
            found[i], cells[i] = escapers, rows
    return found, cells


def _sums(
    observed: sp.csr_matrix, rows: Int[np.ndarray, " row"], stratum: Int[np.ndarray, " cell"], n_strata: int
) -> Float[np.ndarray, "stratum gene"]:
    """Sums of values of these cells by stratum."""
    member = sp.csr_matrix((np.ones(len(rows)), (stratum[rows], np.arange(len(rows)))), (n_strata, len(rows)))
    return (member @ observed[rows]).toarray()


def check_escapers(screen: Screen) -> Iterable[CheckFinding]:
    """Whether many cells of an edit look unedited."""
    name, conditions = "escapers", screen.annotation.conditions
    found = escapers_by_perturbation(screen) or {
        conditions[i].perturbation: each for i, each in escapers_by_condition(screen).items()
    }
    if not found:
        yield passed(name, f"cannot tell: no edit of {MIN_CELLS} cells moves them far enough from unedited ones")
        return
    many = [
        f"{perturbation} ({e.share:.0%} ± {e.standard_error:.0%})"
        for perturbation, e in sorted(found.items(), key=lambda item: -item[1].share)
        if e.share - 2 * e.standard_error > ESCAPED
    ]
    shares = [e.share for e in found.values()]
    n_known = sum(e.is_known_to_5_points for e in found.values())
    others = [conditions[i].perturbation for i in last_harvests(screen) if conditions[i].perturbation not in found]
    apart = f"{n_known} to 5 points" + (f"; not {listed(others)}" if others else "")
    said = f"of {len(found)} edits that can be told ({apart}), {np.median(shares):.0%} of cells look unedited (median)"
    if not many:
        yield passed(name, f"{said}, {max(shares):.0%} at most")
        return
    yield warned(
        name,
        f"{said}; more than {ESCAPED:.0%} in {len(many)}: {listed(many)}",
        threatens="sizes of these effects, diluted by cells that are not edited",
        mend="declare the efficacy in experiments.tsv, or leave out cells that look unedited (Mixscape)",
    )
