"""How times, metrics and verdicts are put into words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from semimech.evaluate import ERRORS


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a metric is called and read.

    Parameters
    ----------
    name
        Its name in a sentence.
    is_error
        Whether lower is better.
    """

    name: str
    is_error: bool


_MEASURES: dict[str, str] = {
    "mse": "mean squared error",
    "wmse": "squared error in units of noise",
    "pearson_control": "correlation of change against control",
    "pearson_perturbed": "correlation of change against the mean edit",
    "direction": "direction of changed genes",
    "rank": "rank of the true condition",
    "energy": "energy distance of cells",
}

_SPLITS: dict[str, str] = {
    "unseen_edit": "unseen edits",
    "unseen_time": "unseen times",
    "unseen_edit_time": "unseen edits at unseen times",
    "unseen_combination": "unseen combinations",
    "unseen_medium": "unseen media",
}


SCOPES: dict[str, str] = {"excl": "without the edited genes", "all": "on all genes, the edited ones included"}
"""What a score is taken over; the scope to read first stands first."""


def measure(metric: str) -> Measure:
    """The reading of a metric; one that is not known keeps its own name."""
    return Measure(name=_MEASURES.get(metric, metric.replace("_", " ")), is_error=metric in ERRORS)


def split_name(split: str) -> str:
    """A split in words, for instance ``"unseen edits"``."""
    return _SPLITS.get(split, split.replace("_", " "))


def time_name(hours: float) -> str:
    """A time of harvest in words: days where they are whole, otherwise hours.

    Examples
    --------
    >>> time_name(72.0), time_name(6.0), time_name(float("inf"))
    ('day 3', '6 h', 'settled')
    """
    if math.isinf(hours):
        return "settled"
    if hours == 0:
        return "start"
    return f"day {hours / 24:g}" if hours % 24 == 0 else f"{hours:g} h"


def number(value: float) -> str:
    """A number with three significant figures, without an exponent where one can do without.

    Examples
    --------
    >>> number(0.01234), number(1234.5), number(float("nan"))
    ('0.0123', '1,234', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}"
    elif size < 1e-4:
        text = f"{value:.1e}"
    else:
        text = f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share as a percentage, whole from one per cent on.

    Examples
    --------
    >>> percent(0.234), percent(-0.004)
    ('23%', '−0.4%')
    """
    digits = 1 if 0 < abs(share) < 0.01 else 0
    return f"{100 * share:.{digits}f}%".replace("-", "−")


def counted(count: int, noun: str) -> str:
    """A number of things.

    Examples
    --------
    >>> counted(1, "edit"), counted(1200, "cell")
    ('1 edit', '1,200 cells')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def listed(names: list[str]) -> str:
    """Names as a phrase: commas, and ``and`` before the last.

    Examples
    --------
    >>> listed(["A", "B", "C"])
    'A, B and C'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
