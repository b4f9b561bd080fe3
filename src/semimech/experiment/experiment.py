"""An experiment: ordered steps, and the history of the cells at each harvest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

from semimech._errors import ExperimentError, raise_faults
from semimech.experiment.steps import CONTROL, Dose, Edit, Harvest, Passage, SetMedia, Step, Transplant, Wait

_DECIMALS = 9
_STEPS = ", ".join(step.__name__ for step in get_args(Step))


@dataclass(frozen=True, kw_only=True)
class Context:
    """What acts on cells between two changes.

    Parameters
    ----------
    edits
        Edits in force, kept sorted by gene: the order in which they were made does not matter any more.
    medium
        Name of the medium; ``None`` is the system's maintenance medium.
    doses
        Compounds in the medium, kept sorted by name; those of concentration 0 are left out.

    Raises
    ------
    ExperimentError
        If a compound stands twice among the doses.
    """

    edits: tuple[Edit, ...] = ()
    medium: str | None = None
    doses: tuple[Dose, ...] = ()

    def __post_init__(self) -> None:
        edits = sorted(self.edits, key=lambda edit: (edit.gene, edit.kind, edit.compound, edit.efficacy))
        doses = sorted((dose for dose in self.doses if dose.concentration > 0), key=lambda dose: dose.compound)
        compounds = [dose.compound for dose in doses]
        twice = sorted({name for name in compounds if compounds.count(name) > 1})
        raise_faults(ExperimentError, "Context", [f"compound {name!r} has two concentrations" for name in twice])
        object.__setattr__(self, "edits", tuple(edits))
        object.__setattr__(self, "doses", tuple(doses))

    @property
    def own_edits(self) -> tuple[Edit, ...]:
        """The edits that were made as such, without those through which a compound acts."""
        return tuple(edit for edit in self.edits if not edit.compound)

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Compounds of which no edit says yet what they do: `resolve_doses` has not been asked."""
        acting = {edit.compound for edit in self.edits}
        return tuple(dose.compound for dose in self.doses if dose.compound not in acting)


@dataclass(frozen=True, kw_only=True)
class Period:
    """An interval in one context.

    Parameters
    ----------
    context
        What acts on the cells.
    hours
        Duration; ``math.inf`` means until settled.
    """

    context: Context
    hours: float


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The history of cells at a harvest: the periods they went through, in order.

    Two harvests with equal histories are the same condition, whatever they are called.

    Parameters
    ----------
    history
        Periods of positive duration, neighbours in different contexts; a last period of zero hours
        stands where a change was made just before the harvest.

    Raises
    ------
    ExperimentError
        If there is no period.
    """

    history: tuple[Period, ...]

    def __post_init__(self) -> None:
        if not self.history:
            raise ExperimentError("Condition: a history has at least one period; cells just taken have one of 0 hours")

    @property
    def hours(self) -> float:
        """Time since the start of the experiment, in hours."""
        return sum(period.hours for period in self.history)

    @property
    def context(self) -> Context:
        """The context at the harvest."""
        return self.history[-1].context

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits that the harvested cells carry."""
        return self.context.edits

    @property
    def medium(self) -> str | None:
        """The medium at the harvest; ``None`` is the maintenance medium."""
        return self.context.medium

    @property
    def washed_out(self) -> tuple[Edit, ...]:
        """Edits by which compounds acted before and do not any more, once resolved; only compounds can be taken away.

        Cells that were treated and then washed carry no edit, as cells that were never treated; this tells them apart.
        """
        acting = {(edit.gene, edit.compound) for edit in self.edits}
        before = {edit for period in self.history for edit in period.context.edits if edit.compound}
        ended = (edit for edit in before if (edit.gene, edit.compound) not in acting)
        return tuple(sorted(ended, key=lambda edit: (edit.gene, edit.compound, edit.efficacy)))

    @property
    def is_control(self) -> bool:
        """Whether the harvested cells carry no edit and never saw a compound."""
        return not any(period.context.edits or period.context.doses for period in self.history)

    @property
    def perturbation(self) -> str:
        """What was done, joined by ``+``; or ``"control"``."""
        return "+".join(self.agents) or CONTROL

    @property
    def agents(self) -> tuple[str, ...]:
        """Edited genes, then compounds, in force at the harvest or before it."""
        genes = {edit.gene for period in self.history for edit in period.context.own_edits}
        compounds = {dose.compound for period in self.history for dose in period.context.doses}
        return (*sorted(genes), *sorted(compounds))

    @property
    def media(self) -> tuple[str | None, ...]:
        """The media passed through, in order, without repeats of neighbours."""
        media = [period.context.medium for period in self.history]
        return tuple(m for i, m in enumerate(media) if i == 0 or m != media[i - 1])


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Ordered steps applied to unedited cells in the maintenance medium.

    Parameters
    ----------
    id
        Name of the experiment.
    steps
        What is done, first step first.

    Raises
    ------
    ExperimentError
        If the name is empty, something else than a step stands among the steps, there is no harvest, two harvests
        share a label, a gene is edited twice, or an edit acts through a compound.

    Examples
    --------
    >>> Experiment(id="gata1", steps=(Edit(gene="GATA1"), Wait(hours=72), Harvest(label="day3"))).hours
    72.0
    """

    id: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        faults = []
        if not self.id.strip() or not self.id.isprintable():
            faults.append("the id must be a name without tabs or line breaks")
        for number, step in enumerate(self.steps, 1):
            if not isinstance(step, Step):
                faults.append(f"step {number} must be one of {_STEPS}, got {step!r}")
        labels = [step.label for step in self.steps if isinstance(step, Harvest)]
        genes = [step.gene for step in self.steps if isinstance(step, Edit)]
        if not labels:
            faults.append("no harvest: end the steps with a Harvest")
        for label in sorted({x for x in labels if labels.count(x) > 1}):
            faults.append(f"harvest label {label!r} stands twice: give each harvest its own label")
        for gene in sorted({x for x in genes if genes.count(x) > 1}):
            faults.append(f"gene {gene!r} is edited twice: combine both into one Edit")
        for step in self.steps:
            if isinstance(step, Edit) and step.compound:
                faults.append(f"the edit of {step.gene!r} acts through {step.compound!r}: write a Dose of it instead")
        raise_faults(ExperimentError, f"Experiment {self.id!r}", faults)

    @property
    def hours(self) -> float:
        """Duration of the whole protocol, in hours."""
        return float(sum(step.hours for step in self.steps if isinstance(step, Wait)))

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The condition of the cells at each harvest, by label, in order.

        Hours are rounded to 1e-9, so that a wait written in parts gives the same condition as one written whole.
        """
        context = Context()
        history: list[Period] = []
        found: dict[str, Condition] = {}
        for step in self.steps:
            match step:
                case Edit():
                    context = replace(context, edits=(*context.edits, step))
                case Dose():
                    others = tuple(dose for dose in context.doses if dose.compound != step.compound)
                    context = replace(context, doses=(*others, step))
                case SetMedia(name=medium) | Transplant(niche=medium):
                    context = Context(edits=context.edits, medium=medium)
                case Passage():
                    pass
                case Wait():
                    _extend(history, context, float(step.hours))
                case Harvest():
                    now: list[Period] = []
                    for period in history:
                        _extend(now, period.context, round(period.hours, _DECIMALS))
                    if not now or now[-1].context != context:
                        now.append(Period(context=context, hours=0.0))
                    found[step.label] = Condition(history=tuple(now))
        return found


def _extend(history: list[Period], context: Context, hours: float) -> None:
    """Append a period, or lengthen the last one if nothing changed since."""
    if hours == 0:
        return
    if history and history[-1].context == context:
        hours += history.pop().hours
    history.append(Period(context=context, hours=hours))


def as_experiment(
    condition: Condition, *, id: str, label: str = "harvest", maintenance_medium: str = "maintenance"
) -> Experiment:
    """The shortest protocol that leads to a condition, with doses in place of the edits that they act by.

    Parameters
    ----------
    condition
        History of the cells.
    id
        Name of the experiment.
    label
        Name of its only harvest.
    maintenance_medium
        What the maintenance medium is called where cells return to it.

    Raises
    ------
    ExperimentError
        If an edit that was made as such ends.
    """
    context = Context()
    steps: list[Step] = []
    for period in condition.history:
        now = period.context
        ended = [edit.gene for edit in context.own_edits if edit not in now.own_edits]
        if ended:
            raise ExperimentError(f"the edit of {ended[0]!r} ends, got {condition}: only a compound can be washed out")
        if now.medium != context.medium:
            steps.append(SetMedia(name=now.medium or maintenance_medium))
            context = replace(context, doses=())
        kept = {dose.compound for dose in now.doses}
        steps += [Dose(compound=d.compound, concentration=0.0) for d in context.doses if d.compound not in kept]
        steps += [dose for dose in now.doses if dose not in context.doses]
        steps += [edit for edit in now.own_edits if edit not in context.edits]
        if period.hours > 0:
            steps.append(Wait(hours=period.hours))
        context = now
    return Experiment(id=id, steps=(*steps, Harvest(label=label)))
