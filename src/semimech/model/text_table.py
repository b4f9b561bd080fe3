"""Tables of text as others publish them: read as they are, columns known by several names, rows named as in the file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from semimech._errors import ConfigError

SHOWN = 5
"""How many rows or words a fault names."""


def read_text_table(path: str | Path, what: str) -> pd.DataFrame:
    """Read a table whose separator Python's `csv` can tell; all values are text, and rows are numbered as in the file.

    Raises
    ------
    ConfigError
        If the file cannot be read as a table of ``what``.
    """
    try:
        raw = pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as a table of {what} ({error})") from None
    raw.index = pd.RangeIndex(2, len(raw) + 2)
    return raw


def columns_by_name(
    columns: Iterable[object], names: Mapping[str, tuple[str, ...]], *, required: Iterable[str], wanted: str
) -> tuple[dict[str, list[int]], list[str]]:
    """Which columns hold each field, by the names that it is known by; and a fault for each that is missing or stands there twice.

    Our own name of a field wins over others' names of it.
    """
    shown = list(map(str, columns))
    named = [name.strip().casefold().replace(" ", "_") for name in shown]
    found = {field: [i for i, name in enumerate(named) if name in known] for field, known in names.items()}
    for field, places in found.items():
        found[field] = [i for i in places if named[i] == field] or places
    faults = [
        f"column {field!r} is missing; {wanted}; here are {', '.join(shown)}" for field in required if not found[field]
    ]
    faults += [
        f"columns {' and '.join(shown[i] for i in places)} could each be the {field}: keep one, or name it {field!r}"
        for field, places in found.items()
        if len(places) > 1
    ]
    return found, faults


def rows_in_words(is_bad: pd.Series) -> str:
    """Numbers of the first few bad rows, counted as in the file from 1."""
    numbers = [str(row) for row in is_bad.index[is_bad]]
    more = len(numbers) - SHOWN
    return ", ".join(numbers[:SHOWN]) + (f" and {more} more" if more > 0 else "")
