"""CheckFinding: what one check of a data set found, and the table of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Literal

import pandas as pd

FINDING_COLUMNS = ("check", "severity", "evidence", "threatens", "mend")


@dataclass(frozen=True, kw_only=True)
class CheckFinding:
    """What one check found.

    Parameters
    ----------
    check
        Name of the check.
    severity
        ``"ok"``, ``"warning"`` (readable, but a conclusion is at risk), ``"fail"`` (cannot be read), or ``"fixed"`` for a
        fault that a curated copy is free of.
    evidence
        What was seen, with numbers.
    threatens
        What goes wrong if nothing is done.
    mend
        What to do.
    """

    check: str
    severity: Literal["ok", "warning", "fail", "fixed"]
    evidence: str
    threatens: str = ""
    mend: str = ""

    @property
    def fault(self) -> str:
        """The finding as one line of an error message."""
        return f"{self.evidence}. {self.mend[:1].upper()}{self.mend[1:]}" if self.mend else self.evidence


def passed(check: str, evidence: str) -> CheckFinding:
    """A check that found nothing wrong."""
    return CheckFinding(check=check, severity="ok", evidence=evidence)


def warned(check: str, evidence: str, *, threatens: str, mend: str) -> CheckFinding:
    """A check that found a risk."""
    return CheckFinding(check=check, severity="warning", evidence=evidence, threatens=threatens, mend=mend)


def failed(check: str, evidence: str, *, mend: str, threatens: str = "reading the file") -> CheckFinding:
    """A check that found a fault which makes reading impossible."""
    return CheckFinding(check=check, severity="fail", evidence=evidence, threatens=threatens, mend=mend)


def findings_table(findings: Iterable[CheckFinding]) -> pd.DataFrame:
    """Findings as a table, faults first, then what was mended, then warnings, otherwise in order."""
    order = {"fail": 0, "fixed": 1, "warning": 2, "ok": 3}
    rows = sorted(map(asdict, findings), key=lambda row: order[row["severity"]])
    return pd.DataFrame(rows, columns=list(FINDING_COLUMNS))


def listed(names: Iterable[object], *, limit: int = 8) -> str:
    """Names as text, the first few of them and how many more there are."""
    texts = [str(name) for name in names]
    more = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not one."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def suggestion(name: str, known: Sequence[str]) -> str:
    """``"Did you mean …? "`` for a name that resembles a known one, else nothing."""
    by_case = {k.casefold(): k for k in known}
    close = get_close_matches(name.casefold(), list(by_case), n=1, cutoff=0.6)
    return f"Did you mean {by_case[close[0]]!r}? " if close else ""
