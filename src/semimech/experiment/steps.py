"""The steps of a protocol: what is done to cells, one record each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from semimech._errors import ExperimentError, raise_faults

EditKind: TypeAlias = Literal["knockout", "crispri", "crispra", "drug"]
EDIT_KINDS: tuple[str, ...] = get_args(EditKind)

CONTROL = "control"


def _name_faults(what: str, name: str) -> list[str]:
    """Names stand in tables and in the text form, so they hold none of the characters that part fields there."""
    if not name or name != name.strip() or not name.isprintable() or any(c in name for c in '>"'):
        return [f"{what} must be a name without '>', '\"', tabs, line breaks or outer blanks, got {name!r}"]
    return []


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Change one gene, or the activity of its product, from this moment on.

    Parameters
    ----------
    gene
        Gene symbol, as written in ``adata.var_names``; an unmeasured target is allowed. It holds no ``+``, which
        joins the genes of a combination, and is not ``"control"``, the name of unedited cells.
    kind
        ``"knockout"`` and ``"drug"`` remove the activity of the product, ``"crispri"`` removes
        production, ``"crispra"`` adds production.
    efficacy
        Fraction removed or added. A complete knockout has efficacy 1.

    Raises
    ------
    ExperimentError
        If the gene is no such name, the kind is unknown, or ``efficacy`` is negative, not finite, or above 1 for an
        edit that removes.
    """

    gene: str
    kind: EditKind = "knockout"
    efficacy: float = 1.0

    def __post_init__(self) -> None:
        faults = _name_faults("gene", self.gene)
        if "+" in self.gene:
            faults.append(f"gene {self.gene!r} has a '+': write a combination as one Edit per gene")
        if self.gene == CONTROL:
            faults.append(f"{CONTROL!r} is the name of unedited cells: leave the edit out")
        if self.kind not in EDIT_KINDS:
            faults.append(f"kind must be one of {', '.join(EDIT_KINDS)}, got {self.kind!r}")
        limit = math.inf if self.kind == "crispra" else 1.0
        if not (0.0 <= self.efficacy <= limit and math.isfinite(self.efficacy)):
            interval = "[0, ∞)" if self.kind == "crispra" else "[0, 1]"
            faults.append(
                f"efficacy must lie in {interval} for {self.kind!r}, got {self.efficacy:g}. Efficacy is the "
                "fraction changed, so a 70% knockdown is efficacy=0.7"
            )
        raise_faults(ExperimentError, f"Edit of {self.gene!r}", faults)


@dataclass(frozen=True, kw_only=True)
class SetMedia:
    """Replace the culture medium.

    Parameters
    ----------
    name
        One of the system's media.

    Raises
    ------
    ExperimentError
        If the name is empty or holds a reserved character.
    """

    name: str

    def __post_init__(self) -> None:
        raise_faults(ExperimentError, "SetMedia", _name_faults("name", self.name))


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Let time pass. Time passes nowhere else.

    Parameters
    ----------
    hours
        Duration; ``math.inf`` means until the cells have settled.

    Raises
    ------
    ExperimentError
        If the duration is negative or not a number.
    """

    hours: float

    def __post_init__(self) -> None:
        if not self.hours >= 0:
            raise ExperimentError(f"Wait: hours must be 0 or more, got {self.hours:g}")


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """Take cells out and measure them.

    Parameters
    ----------
    label
        Name of the harvest, unique within its experiment.

    Raises
    ------
    ExperimentError
        If the label is empty or holds a reserved character.
    """

    label: str = "harvest"

    def __post_init__(self) -> None:
        raise_faults(ExperimentError, "Harvest", _name_faults("label", self.label))


Step: TypeAlias = Edit | SetMedia | Wait | Harvest
