"""The steps of a protocol: what is done to cells, one record each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, TypeAlias, get_args

from semimech._errors import ExperimentError, raise_faults

EditKind: TypeAlias = Literal["knockout", "crispri", "crispra", "drug"]
EDIT_KINDS: tuple[str, ...] = get_args(EditKind)

CONTROL = "control"


CONCENTRATION_UNITS = {"uM": 1.0, "\N{MICRO SIGN}M": 1.0, "\N{GREEK SMALL LETTER MU}M": 1.0, "nM": 1e-3, "mM": 1e3}
"""Micromoles per litre in one of each unit that a dose may be written in."""


def _name_faults(what: str, name: str) -> list[str]:
    """Names stand in tables and in the text form, so they hold none of the characters that part fields there."""
    if not name or name != name.strip() or not name.isprintable() or any(c in name for c in '>"'):
        return [f"{what} must be a name without '>', '\"', tabs, line breaks or outer blanks, got {name!r}"]
    return []


def compound_name_faults(what: str, name: str) -> list[str]:
    """What is wrong with the name of a compound, which stands beside genes in the names of perturbations."""
    faults = _name_faults(what, name)
    if "+" in name or name == CONTROL:
        faults.append(f"{what} must have no '+' and not be {CONTROL!r}, got {name!r}")
    return faults


def _count_faults(what: str, count: int) -> list[str]:
    if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
        return [f"{what} must be a whole number of cells, 1 or more, got {count!r}"]
    return []


@dataclass(frozen=True, kw_only=True)
class Edit:
    r"""Change one gene, or the activity of its product, from this moment on.

    Parameters
    ----------
    gene
        Gene symbol, as written in ``adata.var_names``; an unmeasured target is allowed. It holds no ``+``, which
        joins the genes of a combination, and is not ``"control"``, the name of unedited cells.
    kind
        ``"knockout"`` and ``"drug"`` remove the activity of the product, ``"crispri"`` removes
        production, ``"crispra"`` adds production.
    efficacy
        Fraction removed or added in the end. A complete knockout has efficacy 1.
    onset_hours
        Delay between this step and the start of the effect, as with an inducible nuclease.
    turnover_hours
        Time constant :math:`\tau` with which the effect sets in, as the protein already made is lost:
        :math:`e\,(1 - e^{-(t - t_{\rm onset})/\tau})`. At 0 it sets in at once.
    compound
        The compound through which a drug acts, written by `resolve_doses`; empty for an edit of its own. In an
        experiment a compound is given by `Dose`.

    Raises
    ------
    ExperimentError
        If the gene is no such name, the kind is unknown, ``efficacy`` is negative, not finite, or above 1 for an
        edit that removes, a time is negative or not finite, or an edit that is no drug names a compound.
    """

    gene: str
    kind: EditKind = "knockout"
    efficacy: float = 1.0
    onset_hours: float = 0.0
    turnover_hours: float = 0.0
    compound: str = ""

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
        for what in ("onset_hours", "turnover_hours"):
            if not 0.0 <= getattr(self, what) < math.inf:
                faults.append(f"{what} must be a finite number of hours, 0 or more, got {getattr(self, what):g}")
        if self.compound and self.kind != "drug":
            faults.append(f"an edit of kind {self.kind!r} acts through no compound, got {self.compound!r}")
        raise_faults(ExperimentError, f"Edit of {self.gene!r}", faults)


@dataclass(frozen=True, kw_only=True)
class Dose:
    """Set the concentration of one compound, from this moment until another dose of it or a new medium.

    Parameters
    ----------
    compound
        Name of one of the system's compounds. It holds no ``+`` and is not ``"control"``, as a gene.
    concentration
        Micromoles per litre (µM); 0 takes the compound away.

    Raises
    ------
    ExperimentError
        If the compound is no such name, or the concentration is negative or not finite.
    """

    compound: str
    concentration: float

    def __post_init__(self) -> None:
        faults = compound_name_faults("compound", self.compound)
        if not 0.0 <= self.concentration < math.inf:
            faults.append(f"concentration must be a finite number of µM, 0 or more, got {self.concentration:g}")
        raise_faults(ExperimentError, f"Dose of {self.compound!r}", faults)


@dataclass(frozen=True, kw_only=True)
class SetMedia:
    """Replace the culture medium, and wash out the compounds that were in it.

    A medium replaces the last one with all that was in it: to keep a compound, dose it again after this step. The
    medium that cells are in already may be named, which only washes.

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
class Passage:
    """Split the culture and keep a share of it.

    The share is taken at random, so the expression of the cells that are kept is that of all: a passage is part of the
    protocol, but not of the condition of the cells.

    Parameters
    ----------
    fraction
        Share of the cells that is kept, above 0 and at most 1.

    Raises
    ------
    ExperimentError
        If the fraction is not in (0, 1].
    """

    fraction: float

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise ExperimentError(
                f"Passage: fraction must lie in (0, 1], got {self.fraction:g}. It is the share of the cells that is "
                "kept, so a split of 1 to 4 is fraction=0.25"
            )


@dataclass(frozen=True, kw_only=True)
class Transplant:
    """Move a number of cells into a new niche, which replaces the medium and washes out the compounds in it.

    The condition of the cells is that of a change of medium: the expression of those that found the graft and survive is
    taken as unselected, whatever their number.

    Parameters
    ----------
    founders
        Number of cells that found the graft, 1 or more.
    niche
        Name of the niche, one of the system's media.

    Raises
    ------
    ExperimentError
        If the number is no whole number of at least 1, or the niche is empty or holds a reserved character.
    """

    founders: int
    niche: str

    def __post_init__(self) -> None:
        faults = _count_faults("founders", self.founders) + _name_faults("niche", self.niche)
        raise_faults(ExperimentError, "Transplant", faults)


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """Take cells out and measure them.

    Parameters
    ----------
    label
        Name of the harvest, unique within its experiment.
    cells
        Number of cells to take; ``None`` leaves it open. It is part of the protocol, not of the condition of the cells.

    Raises
    ------
    ExperimentError
        If the label is empty or holds a reserved character, or the number is no whole number of at least 1.
    """

    label: str = "harvest"
    cells: int | None = None

    def __post_init__(self) -> None:
        faults = _name_faults("label", self.label)
        faults += [] if self.cells is None else _count_faults("cells", self.cells)
        raise_faults(ExperimentError, "Harvest", faults)


Step: TypeAlias = Edit | Dose | SetMedia | Wait | Passage | Transplant | Harvest
