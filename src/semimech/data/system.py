"""CellSystem: what is declared about the cells before any data are seen, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from semimech._errors import DataError, ExperimentError, raise_faults
from semimech.data.findings import listed
from semimech.experiment import Compound, Condition, Period, resolve_doses

ENVIRONMENTS = ("in-vitro", "in-vivo")
STARTS = ("settled", "observed", "learned")

_DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class CellSystem:
    """What is declared about the cells before any data are seen.

    Parameters
    ----------
    name
        Name of the system, for instance a cell line.
    genes
        Measured genes, in the order of the columns; none declared leaves them to the data.
    maintenance_medium
        The medium in which unedited cells are kept; it is ``None`` in the contexts of experiments.
    media
        The other media, sorted.
    is_differentiating
        Whether unedited cells move in the maintenance medium.
    environment
        ``"in-vivo"`` if the cells were put into a host at time 0: transplantation breaks stationarity. Cells that a step of
        the protocol transplants later were in vitro until then; their niche is one of the media.
    start
        Law of unedited cells at time 0. ``"settled"``: that of unedited cells at all times in the maintenance medium, which
        must be stationary. ``"observed"``: that of the unedited cells harvested at time 0. ``"learned"``: unknown, a
        parameter of the fit, as it is without cells that would show it. By default settled where unedited cells are
        stationary, learned elsewhere.
    compounds
        What the compounds that experiments dose do.

    Raises
    ------
    DataError
        Listing every declaration that is unknown or contradicts another.
    """

    name: str = "cells"
    genes: tuple[str, ...] = ()
    maintenance_medium: str = "maintenance"
    media: tuple[str, ...] = ()
    is_differentiating: bool = False
    environment: str = "in-vitro"
    start: str | None = None
    compounds: tuple[Compound, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        if self.environment not in ENVIRONMENTS:
            faults.append(f"environment must be {' or '.join(ENVIRONMENTS)}, got {self.environment!r}")
        if self.start not in (None, *STARTS):
            faults.append(f"start must be one of {', '.join(STARTS)}, got {self.start!r}")
        if self.start == "settled" and not self.is_stationary:
            faults.append(f"start='settled' cannot be: {self.movement}. Say 'observed' or 'learned'")
        if len(set(self.genes)) < len(self.genes):
            faults.append("a gene stands twice: declare each once")
        if len(set(self.media)) < len(self.media):
            faults.append(f"a medium stands twice: {listed(self.media)}")
        if self.maintenance_medium in self.media:
            mend = "say which one cells are kept in with maintenance_medium, and leave it out of the others"
            faults.append(f"{self.maintenance_medium!r} is the maintenance medium and one of the other media: {mend}")
        names = [compound.name for compound in self.compounds]
        if len(set(names)) < len(names):
            faults.append(f"two compounds have one name: {listed(sorted({n for n in names if names.count(n) > 1}))}")
        raise_faults(DataError, f"Cell system {self.name!r}", faults)

    @property
    def is_stationary(self) -> bool:
        """Whether unedited cells keep their law in the maintenance medium: one pool of controls serves all times."""
        return not self.movement

    @property
    def movement(self) -> str:
        """Why unedited cells move in the maintenance medium, in words; empty if they are declared not to."""
        if self.is_differentiating:
            return "the system is declared differentiating, so unedited cells are not stationary"
        if self.environment == "in-vivo":
            return "the system is declared in-vivo, and transplantation breaks the stationarity of unedited cells"
        return ""

    @property
    def start_law(self) -> str:
        """Law of unedited cells at time 0, as declared or as it follows from the rest."""
        return self.start or ("settled" if self.is_stationary else "learned")

    def start_fault(self, conditions: Sequence[Condition]) -> str:
        """What measured conditions lack of the start that is declared, in words; empty if nothing."""
        if self.start_law != "observed" or any(map(self.is_start, conditions)):
            return ""
        return "start='observed' needs unedited cells harvested at time 0; there are none"

    def is_start(self, condition: Condition) -> bool:
        """Whether cells are those that experiments start from: unedited, at time 0, whatever they were just put into."""
        return condition.is_control and condition.hours == 0

    def resolve(self, condition: Condition) -> Condition:
        """The condition as in data sets: the maintenance medium written as ``None``, doses with the edits they act by.

        A query may name the maintenance medium; asked and measured histories are then equal.

        Raises
        ------
        ExperimentError
            If a compound was dosed that the system does not know.
        """
        history: list[Period] = []
        for period in condition.history:
            context, hours = period.context, period.hours
            if context.medium == self.maintenance_medium:
                context = replace(context, medium=None)
            if history and history[-1].context == context:
                hours += history.pop().hours
            history.append(Period(context=context, hours=hours))
        return resolve_doses(Condition(history=tuple(history)), self.compounds)

    def comparison(self, condition: Condition) -> tuple[tuple[str | None, ...], tuple[float, ...] | None]:
        """What a control must share with a condition to be its match: media, and the hours in each where controls move.

        Unedited cells that never left the maintenance medium are stationary unless the system is declared
        otherwise: controls of all times match, and the hours are ``None``. Neither do the hours count that they spent there
        before the first change of medium.
        """
        if condition.media == (None,) and self.is_stationary:
            return condition.media, None
        hours: list[float] = []
        for number, period in enumerate(condition.history):
            if number and period.context.medium == condition.history[number - 1].context.medium:
                hours[-1] += period.hours
            else:
                hours.append(period.hours)
        idle = int(self.is_stationary and condition.media[0] is None)
        return condition.media[idle:], tuple(round(each, _DECIMALS) for each in hours[idle:])

    def with_compounds(self, compounds: Sequence[Compound]) -> CellSystem:
        """The system that knows these compounds too.

        Raises
        ------
        ExperimentError
            Listing every compound that the system knows otherwise.
        """
        known = {compound.name: compound for compound in self.compounds}
        faults = [
            f"compound {c.name!r} is known to act otherwise ({known[c.name]}): give the new one another name"
            for c in compounds
            if known.get(c.name, c) != c
        ]
        raise_faults(ExperimentError, f"Cell system {self.name!r}", faults)
        return replace(self, compounds=(*self.compounds, *(c for c in compounds if c.name not in known)))
