"""The one-line text form of an experiment: ``edit GATA1 knockout > wait 72h > harvest day3``."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import cast

from semimech._errors import ExperimentError, raise_faults
from semimech.experiment.experiment import Experiment
from semimech.experiment.steps import (
    CONCENTRATION_UNITS,
    EDIT_KINDS,
    Dose,
    Edit,
    EditKind,
    Harvest,
    Passage,
    SetMedia,
    Step,
    Transplant,
    Wait,
)

_QUOTED = re.compile(r'"[^"]*"')
_WORD = re.compile(rf"{_QUOTED.pattern}|\S+")
_CELLS = re.compile(r"(\d.*)cells")
_AMOUNT = re.compile(r"(.*?)([^\W\d]+)?")
_HOURS = {"h": 1.0, "d": 24.0}
_DELAYS = {"onset": "onset_hours", "turnover": "turnover_hours"}
_USAGE = {
    "edit": f"edit GENE [{'|'.join(EDIT_KINDS)}] [EFFICACY] [onset 12h] [turnover 8h]",
    "dose": "dose COMPOUND 0.5uM (uM, nM or mM; 0uM takes it away)",
    "medium": "medium NAME",
    "wait": "wait 72h, wait 3d or wait settled",
    "passage": "passage FRACTION",
    "transplant": "transplant FOUNDERS NICHE",
    "harvest": "harvest [LABEL] [2000cells]",
}


def parse_experiment(text: str, *, id: str | None = None) -> Experiment:
    """Read an experiment from its one-line form.

    Parameters
    ----------
    text
        Steps joined by ``>``: ``edit GENE KIND [EFFICACY] [onset 12h] [turnover 8h]``, ``dose COMPOUND 0.5uM``,
        ``medium NAME``, ``wait 72h``, ``wait settled``, ``passage FRACTION``, ``transplant FOUNDERS NICHE``,
        ``harvest [LABEL] [2000cells]``. A name with blanks may stand in double quotes; that of a gene or a compound must.
    id
        Name of the experiment; the text itself if not given.

    Raises
    ------
    ExperimentError
        If a step cannot be read or the steps make no experiment; the message lists every fault, shows the text and
        points at the steps.

    Examples
    --------
    >>> parse_experiment("edit GATA1 crispri 0.8 onset 12h > wait 3d > dose EPO 5nM > harvest day3 2000cells").hours
    72.0
    """
    steps: list[Step] = []
    faults: list[str] = []
    marks = ""
    for piece in text.split(">"):
        mark = " "
        try:
            steps.append(_parse_step(_WORD.findall(piece)))
        except ExperimentError as error:
            faults.append(str(error))
            mark = "^"
        indent = len(piece) - len(piece.lstrip())
        marks += (" " * indent + mark * max(len(piece.strip()), 1)).ljust(len(piece) + 1)
    if faults:
        faults[-1] += f"\n  {text}\n  {marks.rstrip()}"
    raise_faults(ExperimentError, "Query", faults)
    return Experiment(id=" ".join(text.split()) if id is None else id, steps=tuple(steps))


def format_experiment(experiment: Experiment) -> str:
    """Print an experiment in the form that `parse_experiment` reads."""
    return " > ".join(map(_format_step, experiment.steps))


def _parse_step(words: list[str]) -> Step:
    match words:
        case []:
            raise ExperimentError(f"an empty step; write one of: {', '.join(_USAGE)}")
        case ["edit", gene, *how]:
            return _parse_edit(gene, how)
        case ["dose", compound, amount]:
            return Dose(compound=_name(compound), concentration=_concentration(amount))
        case ["medium", *name] if name:
            return SetMedia(name=_name(*name))
        case ["wait", "settled"]:
            return Wait(hours=math.inf)
        case ["wait", duration]:
            return Wait(hours=_hours(duration))
        case ["passage", fraction]:
            return Passage(fraction=_number(fraction, "fraction"))
        case ["transplant", founders, *niche] if niche:
            return Transplant(founders=_count(founders, "founders"), niche=_name(*niche))
        case ["harvest", *label]:
            return _parse_harvest(label)
        case [verb, *_] if verb in _USAGE:
            raise _unreadable(words)
        case _:
            raise ExperimentError(f"unknown step {words[0]!r}; known: {', '.join(_USAGE)}")


def _parse_edit(gene: str, how: list[str]) -> Edit:
    """An edit from its gene and the words after it: kind and efficacy, then delays in any order."""
    first = next((i for i, word in enumerate(how) if word in _DELAYS), len(how))
    plain, delays = how[:first], how[first:]
    names = delays[::2]
    if len(plain) > 2 or len(delays) % 2 or len(set(names)) < len(names) or not set(names) <= set(_DELAYS):
        raise _unreadable(["edit", gene, *how])
    kind = _kind(plain[0]) if plain else "knockout"
    efficacy = _number(plain[1], "efficacy") if len(plain) > 1 else 1.0
    edit = Edit(gene=_name(gene), kind=kind, efficacy=efficacy)
    hours = {_DELAYS[name]: _hours(value) for name, value in zip(names, delays[1::2], strict=True)}
    return replace(edit, **hours)  # type: ignore[arg-type]


def _parse_harvest(words: list[str]) -> Harvest:
    """A harvest from its label, if any, and the number of cells, if the last word is one."""
    counted = _CELLS.fullmatch(words[-1]) if words else None
    label = words[:-1] if counted else words
    cells = _count(counted[1], "cells") if counted else None
    return Harvest(label=_name(*label) if label else "harvest", cells=cells)


def _unreadable(words: list[str]) -> ExperimentError:
    return ExperimentError(f"cannot read {' '.join(words)!r}; write {_USAGE[words[0]]}")


def _name(*words: str) -> str:
    """A name in double quotes as it stands there, or words joined by single blanks."""
    return words[0][1:-1] if len(words) == 1 and _QUOTED.fullmatch(words[0]) else " ".join(words)


def _kind(word: str) -> EditKind:
    if word not in EDIT_KINDS:
        raise ExperimentError(f"kind must be one of {', '.join(EDIT_KINDS)}, got {word!r}")
    return cast(EditKind, word)


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ExperimentError(f"{what} must be a number, got {text!r}") from None


def _hours(text: str) -> float:
    unit = text[-1:]
    if unit not in _HOURS:
        raise ExperimentError(f"a duration needs its unit, got {text!r}; write 72h or 3d")
    return _number(text[:-1], "duration") * _HOURS[unit]


def _count(text: str, what: str) -> int:
    if not text.isdecimal():
        raise ExperimentError(f"{what} must be a whole number, got {text!r}")
    return int(text)


def _concentration(text: str) -> float:
    found = _AMOUNT.fullmatch(text)
    number, unit = (found[1], found[2]) if found else (text, None)
    if unit not in CONCENTRATION_UNITS:
        raise ExperimentError(f"a concentration needs its unit, got {text!r}; write {_USAGE['dose']}")
    return _number(number, "concentration") * CONCENTRATION_UNITS[unit]


def _format_step(step: Step) -> str:
    match step:
        case Edit(gene=gene, kind=kind, efficacy=efficacy):
            parts = [f"edit {_quote(gene)} {kind}"] + ([] if efficacy == 1 else [repr(float(efficacy))])
            delays = {word: getattr(step, field) for word, field in _DELAYS.items()}
            return " ".join([*parts, *(f"{word} {_format_hours(hours)}" for word, hours in delays.items() if hours)])
        case Dose(compound=compound, concentration=concentration):
            return f"dose {_quote(compound)} {float(concentration)!r}uM"
        case SetMedia(name=name):
            return f"medium {_quote(name)}"
        case Wait(hours=hours):
            return "wait settled" if math.isinf(hours) else f"wait {_format_hours(hours)}"
        case Passage(fraction=fraction):
            return f"passage {float(fraction)!r}"
        case Transplant(founders=founders, niche=niche):
            return f"transplant {founders} {_quote(niche)}"
        case Harvest(label=label, cells=cells):
            label = f'"{label}"' if _CELLS.fullmatch(label) else _quote(label)
            return f"harvest {label}" + ("" if cells is None else f" {cells}cells")


def _format_hours(hours: float) -> str:
    return f"{float(hours)!r}h".replace(".0h", "h")


def _quote(name: str) -> str:
    return f'"{name}"' if " " in name else name
