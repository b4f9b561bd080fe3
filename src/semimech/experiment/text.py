"""The one-line text form of an experiment: ``edit GATA1 knockout > wait 72h > harvest day3``."""

from __future__ import annotations

import math
import re
from typing import cast

from semimech._errors import ExperimentError, raise_faults
from semimech.experiment.experiment import Experiment
from semimech.experiment.steps import EDIT_KINDS, Edit, EditKind, Harvest, SetMedia, Step, Wait

_QUOTED = re.compile(r'"[^"]*"')
_WORD = re.compile(rf"{_QUOTED.pattern}|\S+")
_HOURS = {"h": 1.0, "d": 24.0}
_USAGE = {
    "edit": f"edit GENE [{'|'.join(EDIT_KINDS)}] [EFFICACY]",
    "medium": "medium NAME",
    "wait": "wait 72h, wait 3d or wait settled",
    "harvest": "harvest [LABEL]",
}


def parse_experiment(text: str, *, id: str | None = None) -> Experiment:
    """Read an experiment from its one-line form.

    Parameters
    ----------
    text
        Steps joined by ``>``: ``edit GENE KIND [EFFICACY]``, ``medium NAME``, ``wait 72h``, ``wait settled``,
        ``harvest [LABEL]``. A name with blanks may stand in double quotes, and a gene with blanks must.
    id
        Name of the experiment; the text itself if not given.

    Raises
    ------
    ExperimentError
        If a step cannot be read or the steps make no experiment; the message lists every fault, shows the text and
        points at the steps.

    Examples
    --------
    >>> parse_experiment("edit GATA1 crispri 0.8 > wait 3d > harvest day3").hours
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
        case ["edit", gene]:
            return Edit(gene=_name(gene))
        case ["edit", gene, kind]:
            return Edit(gene=_name(gene), kind=_kind(kind))
        case ["edit", gene, kind, efficacy]:
            return Edit(gene=_name(gene), kind=_kind(kind), efficacy=_number(efficacy, "efficacy"))
        case ["medium", *name] if name:
            return SetMedia(name=_name(*name))
        case ["wait", "settled"]:
            return Wait(hours=math.inf)
        case ["wait", duration]:
            return Wait(hours=_hours(duration))
        case ["harvest"]:
            return Harvest()
        case ["harvest", *label]:
            return Harvest(label=_name(*label))
        case [verb, *_] if verb in _USAGE:
            raise ExperimentError(f"cannot read {' '.join(words)!r}; write {_USAGE[verb]}")
        case _:
            raise ExperimentError(f"unknown step {words[0]!r}; known: {', '.join(_USAGE)}")


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


def _format_step(step: Step) -> str:
    match step:
        case Edit(gene=gene, kind=kind, efficacy=efficacy):
            return f"edit {_quote(gene)} {kind}" + ("" if efficacy == 1 else f" {float(efficacy)!r}")
        case SetMedia(name=name):
            return f"medium {_quote(name)}"
        case Wait(hours=hours):
            return "wait settled" if math.isinf(hours) else f"wait {float(hours)!r}h".replace(".0h", "h")
        case Harvest(label=label):
            return f"harvest {_quote(label)}"


def _quote(name: str) -> str:
    return f'"{name}"' if " " in name else name
