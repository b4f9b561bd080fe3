"""The errors semimech raises on purpose, each with a message that names the fault, the rule and the mend."""

from __future__ import annotations

from collections.abc import Sequence


class SemimechError(Exception):
    """Something the user can mend; the command line prints it without a traceback."""


class ExperimentError(SemimechError):
    """An experiment that cannot be carried out, or a query that cannot be read."""


class DataError(SemimechError):
    """Measurements that are missing, malformed or do not fit their experiments."""


class ConfigError(SemimechError):
    """A setting or a file of ours that cannot be used."""


def raise_faults(kind: type[SemimechError], heading: str, faults: Sequence[str]) -> None:
    """Raise one error that lists every fault, or return if there is none.

    Parameters
    ----------
    kind
        Class of the error to raise.
    heading
        What was being checked, for instance a file name.
    faults
        One line per fault, each with its mend.

    Raises
    ------
    SemimechError
        Of class ``kind``, if ``faults`` is not empty.
    """
    if not faults:
        return
    if len(faults) == 1:
        raise kind(f"{heading}: {faults[0]}")
    lines = "\n".join(f"  {i}. {fault}" for i, fault in enumerate(faults, 1))
    raise kind(f"{heading}: {len(faults)} faults\n{lines}")
