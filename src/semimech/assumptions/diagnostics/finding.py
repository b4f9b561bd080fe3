"""Finding: what a data set says of one assumption, holds, fails or cannot tell, with the evidence and what would tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from semimech.assumptions.catalogue import Assumption

Verdict: TypeAlias = Literal["holds", "fails", "cannot tell"]

FINDING_COLUMNS = (
    *("assumption", "verdict", "size", "upper", "margin", "unit", "p_value", "power", "comparisons", "evidence"),
    "would_tell",
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
        the margin as estimated. ``"cannot tell"``: neither.
    evidence
        What was seen, in words.
    would_tell
        The arm or the number of cells that would tell; empty after a verdict.
    size
        Estimated departure, root mean square over comparisons, what finite cells explain taken off; NaN without a test.
    upper
        Upper end of its one-sided 95 % interval.
    margin
        Departure that would not matter.
    unit
        Of the three.
    p_value
        Of no departure at all, over all comparisons and genes together.
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
    power: float = float("nan")
    comparisons: int = 0

    def row(self) -> dict[str, object]:
        """The finding as a row of a table, with the assumption's name."""
        return {**{name: getattr(self, name) for name in asdict(self)}, "assumption": self.assumption.id}


def untested(assumption: Assumption, why: str, arm: str | None = None) -> Finding:
    """This design cannot tell, and the arm that would."""
    return Finding(
        assumption=assumption, verdict="cannot tell", evidence=why, would_tell=assumption.arm if arm is None else arm
    )
