r"""Escapers: cells that carry a guide but no edit, from the unevenness of the target's counts.

If all edited cells keep a share :math:`a` of the target's abundance :math:`\lambda`, second moments keep :math:`a^2`. If a share :math:`\pi` escapes and the rest
keep :math:`f`, then :math:`a = \pi + (1-\pi) f` and second moments keep :math:`b = \pi + (1-\pi) f^2`, so that

.. math:: b - a^2 = \pi (1 - \pi) (1 - f)^2, \qquad \pi = \frac{b - a^2}{(1-a)^2 + b - a^2}

Factorial moments of counts, :math:`E[y/\ell] = E[\lambda]` and :math:`E[y(y-1)/\ell^2] = E[\lambda^2]`, free both of Poisson noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from semimech.assumptions.catalogue import FULL_EFFICACY
from semimech.assumptions.diagnostics.evidence import LEVEL
from semimech.assumptions.diagnostics.finding import Finding, Verdict, untested
from semimech.assumptions.diagnostics.groups import Groups

LEAST_LOSS = 0.2
"""Loss of the target's transcript from which its unevenness says something."""
MARGIN = 0.1
"""Share of escapers that would not matter."""
LEAST_CELLS = 30


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
    """

    kept: float
    kept_error: float
    excess: float
    excess_error: float

    @property
    def is_visible(self) -> bool:
        """Whether the edit lowers the target's transcript enough to say something."""
        return 1.0 - self.kept >= max(LEAST_LOSS, 3.0 * self.kept_error)

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
    return Escape(kept=a, kept_error=float(np.sqrt(kept)), excess=b - a**2, excess_error=float(np.sqrt(excess)))


def full_efficacy(groups: Groups) -> Finding:
    """Whether every cell of an edit carries it, from the targets that it lowers."""
    if groups.screen.measurement.counts is None or groups.screen.measurement.unit is None:
        return untested(FULL_EFFICACY, "there are no counts", "counts (layers['counts']) of the target's transcript")
    found = {name: each for name, each in escapes(groups).items() if each.is_visible and each.excess_error > 0}
    if not found:
        why = f"no edit of {LEAST_CELLS} cells visibly lowers its target's transcript by {LEAST_LOSS:.0%}"
        return untested(FULL_EFFICACY, why)
    return _finding(found)


def escapes(groups: Groups) -> dict[str, Escape]:
    """What each single edit's target says, by edited gene, pooled over conditions and batches by numbers of cells."""
    counts, unit = groups.screen.measurement.counts, groups.screen.measurement.unit
    if counts is None or unit is None:
        return {}
    annotation = groups.screen.annotation
    column = {gene: i for i, gene in enumerate(annotation.genes)}
    n_batches = len(annotation.batches)
    code = np.where(np.isfinite(unit), annotation.condition * n_batches + annotation.batch, -1)
    by_gene = counts.tocsc()
    parts: dict[str, list[tuple[int, Escape]]] = {}
    for i, condition in enumerate(groups.conditions):
        targets = [e.gene for e in condition.edits if e.kind != "crispra" and not e.compound and e.gene in column]
        if len(condition.edits) != 1 or not targets:
            continue
        values = by_gene[:, column[targets[0]]].toarray().ravel().astype(np.float64)
        for batch in groups.of[i]:
            controls = [c * n_batches + b for c, b in (groups.place[g] for g in groups.controls(i, batch))]
            mine, theirs = np.flatnonzero(code == i * n_batches + batch), np.flatnonzero(np.isin(code, controls))
            if min(len(mine), len(theirs)) >= LEAST_CELLS:
                part = escape(values[mine], values[theirs], 1.0 / unit[mine], 1.0 / unit[theirs])
                parts.setdefault(targets[0], []).extend([] if part is None else [(len(mine), part)])
    return {gene: _pooled(each) for gene, each in parts.items() if each}


def _pooled(parts: list[tuple[int, Escape]]) -> Escape:
    weight = np.array([size for size, _ in parts], dtype=float)
    weight /= weight.sum()
    each = [part for _, part in parts]
    return Escape(
        kept=float(weight @ [e.kept for e in each]),
        kept_error=float(np.linalg.norm(weight * [e.kept_error for e in each])),
        excess=float(weight @ [e.excess for e in each]),
        excess_error=float(np.linalg.norm(weight * [e.excess_error for e in each])),
    )


def _finding(found: dict[str, Escape]) -> Finding:
    """One-sided tests of the excess of each edit and of all together, Bonferroni-adjusted."""
    share = np.array([each.share for each in found.values()])
    error = np.array([each.share_error for each in found.values()])
    weight = 1.0 / error**2
    pooled, pooled_error = float(weight @ share / weight.sum()), float(weight.sum() ** -0.5)
    n_tests = len(found) + 1 if len(found) > 1 else 1
    z = np.append([each.excess / each.excess_error for each in found.values()], pooled / pooled_error)
    adjusted = np.minimum(n_tests * norm.sf(z), 1.0)
    sizes = np.append(share, pooled)
    fails = bool(((adjusted <= LEVEL) & (sizes >= MARGIN)).any())
    upper = float(max(pooled, 0.0) + norm.isf(LEVEL) * pooled_error)
    worst = list(found)[int(np.argmax(share))]
    said = f"{max(pooled, 0.0):.0%} of cells as their controls in {len(found)} edits that lower their target; most in {worst}, {max(share.max(), 0.0):.0%}"
    verdict: Verdict = "fails" if fails else "holds" if upper <= MARGIN else "cannot tell"
    detectable = (norm.isf(LEVEL / n_tests) + norm.isf(0.2)) * pooled_error
    return Finding(
        assumption=FULL_EFFICACY,
        verdict=verdict,
        evidence=said,
        would_tell=""
        if verdict != "cannot tell"
        else f"about {max((detectable / MARGIN) ** 2, 1.5):.1f} times the cells",
        size=max(pooled, 0.0),
        upper=upper,
        margin=MARGIN,
        unit="share of cells",
        p_value=float(adjusted.min()),
        power=float(norm.sf(norm.isf(LEVEL / n_tests) - MARGIN / pooled_error)),
        comparisons=len(found),
    )
