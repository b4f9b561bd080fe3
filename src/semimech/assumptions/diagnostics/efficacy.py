"""Escapers: cells that carry a guide but no edit, whether there are any (`semimech.data.curation.target_moments`)."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from semimech.assumptions.catalogue import FULL_EFFICACY
from semimech.assumptions.diagnostics.evidence import LEVEL
from semimech.assumptions.diagnostics.finding import Finding, Verdict, untested
from semimech.assumptions.diagnostics.groups import Groups
from semimech.data.curation.escapers import Escapers
from semimech.data.curation.target_counts import LEAST_CELLS, LEAST_LOSS
from semimech.data.curation.target_moments import escapers_to_test

MARGIN = 0.1
"""Share of escapers that would not matter."""


def full_efficacy(groups: Groups) -> Finding:
    """Whether every cell of an edit carries it, from the edits that move cells or lower their target far enough to tell."""
    found = escapers_to_test(groups.screen)
    if not found and groups.screen.measurement.counts is None:
        return untested(FULL_EFFICACY, "there are no counts", "counts (layers['counts']) of the target's transcript")
    if not found:
        why = f"no edit of {LEAST_CELLS} cells visibly moves its cells, or lowers its target's transcript by {LEAST_LOSS:.0%}"
        return untested(FULL_EFFICACY, why)
    return _finding(found)


def _finding(found: dict[str, Escapers]) -> Finding:
    """One-sided tests of the share of each edit and of all together, Bonferroni-adjusted.

    Each is a share over its standard error, corrected for the skewness of its error (Johnson 1978, JASA 73:536).
    """
    share, error, skewness, weight = np.array(
        [(each.share, each.standard_error, each.skewness, each.weight) for each in found.values()]
    ).T
    weight = weight / weight.sum()
    pooled, pooled_error = float(weight @ share), float(np.linalg.norm(weight * error))
    n_tests = len(found) + 1 if len(found) > 1 else 1
    t = np.append(share / error, pooled / pooled_error)
    skewness = np.append(skewness, (weight * error) ** 3 @ skewness / pooled_error**3)
    adjusted = np.minimum(n_tests * norm.sf(t + skewness * (1.0 + 2.0 * t**2) / 6.0), 1.0)
    sizes = np.append(share, pooled)
    fails = bool(((adjusted <= LEVEL) & (sizes >= MARGIN)).any())
    upper = float(max(pooled, 0.0) + norm.isf(LEVEL) * pooled_error)
    worst = list(found)[int(np.argmax(share))]
    said = f"{max(pooled, 0.0):.0%} of cells as their controls in {len(found)} edits that can be told; most in {worst}, {max(share.max(), 0.0):.0%}"
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
