"""Times of harvest: numbers, and texts such as ``day3``, ``D3``, ``72h`` or ``24 hours``, as hours."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech.data.findings import CheckFinding, counted, failed, listed

UNIT_HOURS = {"minutes": 1 / 60, "hours": 1.0, "days": 24.0, "weeks": 168.0}
DEFAULT_UNIT = "days"
LONGEST_HOURS = 100 * 24.0
"""Longest time taken without question when the unit does not stand beside each value."""

_UNIT_WORDS = {
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "minutes"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "hpi", "hpt", "hps"), "hours"),
    **dict.fromkeys(("d", "day", "days", "dpi", "dpt", "dps"), "days"),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), "weeks"),
}
_NO_UNIT_WORDS = ("", "t", "tp", "time", "timepoint")
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_PREFIXED = re.compile(rf"([a-z]*)[ _]*(-?(?:{_NUMBER}))")
_SUFFIXED = re.compile(rf"([-+]?(?:{_NUMBER})(?:e[-+]?\d+)?)[ _]*([a-z]*)")


@dataclass(frozen=True, kw_only=True)
class Times:
    """Times of all cells.

    Parameters
    ----------
    hours
        Time of each cell, in hours; infinite for settled cells.
    unit
        Unit of the bare numbers.
    source
        Where the unit came from: ``"values"``, ``"column name"``, ``"time_unit"`` or ``"default"``.
    """

    hours: Float[np.ndarray, " cell"]
    unit: str
    source: str


def unit_of_column(name: str) -> str | None:
    """The unit that a column name states (``day``, ``hours``, ``time_h``, ``hpi``), if any."""
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    units = {_UNIT_WORDS[word] for word in words if word in _UNIT_WORDS}
    return units.pop() if len(units) == 1 else None


def parse_time(text: str) -> tuple[float, str | None]:
    """Read one time.

    Parameters
    ----------
    text
        A number, alone or with its unit before or after it; ``"settled"`` and ``"inf"`` are an infinite time.

    Returns
    -------
    tuple
        The number and its unit, ``None`` if it has none.

    Raises
    ------
    ValueError
        If the text is no time.

    Examples
    --------
    >>> parse_time("day3"), parse_time("72h"), parse_time("24 hours")
    ((3.0, 'days'), (72.0, 'hours'), (24.0, 'hours'))
    """
    text = text.strip().lower()
    if text in ("settled", "inf"):
        return math.inf, None
    if match := _SUFFIXED.fullmatch(text):
        number, word = match.groups()
    elif match := _PREFIXED.fullmatch(text):
        word, number = match.groups()
    else:
        raise ValueError(f"{text!r} is no time")
    if word in _UNIT_WORDS:
        return float(number), _UNIT_WORDS[word]
    if word in _NO_UNIT_WORDS:
        return float(number), None
    raise ValueError(f"{text!r} is no time: unknown unit {word!r}")


def read_times(column: pd.Series, *, time_unit: str | None) -> tuple[Times | None, tuple[CheckFinding, ...]]:
    """Read a column of times.

    Parameters
    ----------
    column
        Numbers or texts, without missing values.
    time_unit
        Unit of bare numbers where the column name does not state one; days if ``None``.

    Returns
    -------
    tuple
        The times, ``None`` if they cannot be read, and the faults found.
    """
    name = str(column.name)
    codes, values = pd.factorize(column.astype(object))
    parsed, unreadable = [], []
    for value in values:
        try:
            parsed.append(parse_time(str(value)))
        except ValueError:
            unreadable.append(str(value))
    findings = _declared_unit_faults(name, time_unit)
    if unreadable:
        mend = "write a number, or a number with its unit: 3, day3, 72h"
        findings.append(
            failed("time values", f"obs[{name!r}] has values that are no times: {listed(unreadable)}", mend=mend)
        )
    if findings:
        return None, tuple(findings)
    has_unit = [unit is not None or math.isinf(number) for number, unit in parsed]
    unit = unit_of_column(name) or time_unit or DEFAULT_UNIT
    source = "column name" if unit_of_column(name) else "time_unit" if time_unit else "default"
    if all(has_unit):
        source = "values"
    hours = np.array([number * UNIT_HOURS[given or unit] for number, given in parsed])
    findings = _implausible(name, hours, np.array(has_unit), unit, source)
    is_mixed = any(unit is not None for _, unit in parsed) and not all(has_unit)
    if is_mixed and source == "default":
        bare = [v for v, known in zip(values, has_unit, strict=True) if not known]
        evidence = f"obs[{name!r}] mixes times with and without a unit ({listed(bare)} have none)"
        findings.append(failed("time values", evidence, mend="write the unit beside each value, or give time_unit"))
    if findings:
        return None, tuple(findings)
    return Times(hours=hours[codes], unit=unit, source=source), ()


def _declared_unit_faults(name: str, time_unit: str | None) -> list[CheckFinding]:
    if time_unit is None:
        return []
    if time_unit not in UNIT_HOURS:
        evidence = f"time_unit={time_unit!r} is not a unit of time"
        return [failed("time unit", evidence, mend=f"write one of {', '.join(UNIT_HOURS)}")]
    stated = unit_of_column(name)
    if stated is not None and stated != time_unit:
        evidence = f"column {name!r} states {stated}, but time_unit is {time_unit!r}"
        return [
            failed("time unit", evidence, mend=f"leave time_unit out, or rename the column if it holds {time_unit}")
        ]
    return []


def _implausible(name: str, hours: np.ndarray, has_unit: np.ndarray, unit: str, source: str) -> list[CheckFinding]:
    findings = []
    if (hours < 0).any():
        mend = "time runs from the edit on: subtract the time of the edit, or write day3 instead of day-3"
        findings.append(
            failed("time values", f"obs[{name!r}] has {counted(int((hours < 0).sum()), 'negative time')}", mend=mend)
        )
    bare = hours[~has_unit]
    numbers = bare / UNIT_HOURS[unit]
    if not len(bare):
        return findings
    how = {"default": "no unit is stated, so they are read as days", "time_unit": f"time_unit={unit!r}"}
    said = how.get(source, f"the column name says {unit}")
    if bare.max() > LONGEST_HOURS:
        evidence = f"obs[{name!r}] reaches {numbers.max():g} {unit} ({said}), longer than {LONGEST_HOURS / 24:g} days"
        mend = "say time_unit='hours' if they are hours; if the times are right write the unit into the values, as in '120d'"
        findings.append(failed("time unit", evidence, mend=mend))
    elif source == "default" and numbers.max() >= 24 and (numbers % 6 == 0).all():
        evidence = f"obs[{name!r}] has times {listed(f'{x:g}' for x in sorted(numbers))}, which look like hours; {said}"
        findings.append(failed("time unit", evidence, mend="say time_unit='hours' or time_unit='days'"))
    return findings
