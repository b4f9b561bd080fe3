"""Finding: what a data set says of one assumption, holds, fails or cannot tell, with the evidence and what would tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.stats import false_discovery_control

from semimech.assumptions.catalogue import Assumption

Verdict: TypeAlias = Literal["holds", "fails", "cannot tell"]

FINDING_COLUMNS = (
    *("assumption", "verdict", "size", "upper", "margin", "unit", "p_value", "p_adjusted", "power", "comparisons"),
    *("evidence", "would_tell"),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a data set says of one assumption.

    Parameters
    ----------
    assumption
        The statement.
    verdict
        ``"holds"``: the departure is below the margin with 95 % confidence. ``"fails"``: it is there at the 5 % level, and not below
        the margin as estimated. ``"cannot tell"``: neither. Of assumptions that were looked at together see `told_together`.
    evidence
        What was seen, in words.
    would_tell
        The arm or the number of cells that would tell; empty after a verdict.
    size
        Estimated departure, root mean square over comparisons, what finite cells explain taken off; NaN without a test.
    upper
        Upper bound of 95 % confidence.
    margin
        Departure that would not matter.
    unit
        Of the three.
    p_value
        Of no departure at all, over all comparisons and genes together.
    p_adjusted
        The same among all assumptions that were tested together: the share of false ones to expect among the verdicts ``"fails"`` up to it.
    power
        Chance that a departure of the size of the margin gives ``p_value`` ≤ 0.05 here.
    comparisons
        Number of comparisons behind it.
    """

    assumption: Assumption
    verdict: Verdict
    evidence: str
    would_tell: str = ""
    size: float = float("nan")
    upper: float = float("nan")
    margin: float = float("nan")
    unit: str = ""
    p_value: float = float("nan")
    p_adjusted: float = float("nan")
    power: float = float("nan")
    comparisons: int = 0

    def row(self) -> dict[str, object]:
        """The finding as a row of a table, with the assumption's name."""
        return {**{name: getattr(self, name) for name in asdict(self)}, "assumption": self.assumption.id}


def untested(assumption: Assumption, why: str, arm: str | None = None) -> Finding:
    """A finding that the design cannot tell, and the arm that would."""
    return Finding(
        assumption=assumption, verdict="cannot tell", evidence=why, would_tell=assumption.arm if arm is None else arm
    )


def told_together(findings: Iterable[Finding], level: float) -> tuple[Finding, ...]:
    """Findings of one data set, with p-values adjusted for all; what fails by itself alone cannot be told.

    The rate of false discoveries is controlled (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57:289): of ten assumptions that are true one in
    two or three data sets would have one with p ≤ 0.05.
    """
    found = list(findings)
    tested = [i for i, finding in enumerate(found) if np.isfinite(finding.p_value)]
    if tested:
        adjusted = false_discovery_control([found[i].p_value for i in tested])
        for i, p in zip(tested, adjusted.tolist(), strict=True):
            found[i] = replace(found[i], p_adjusted=p)
            if found[i].verdict == "fails" and p > level:
                why = f"more cells: of {len(tested)} assumptions tested together one may well have p = {found[i].p_value:.3f} by chance"
                found[i] = replace(found[i], verdict="cannot tell", would_tell=why)
    return tuple(found)
