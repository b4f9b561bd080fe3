"""An experiment: ordered steps, and the history of the cells at each harvest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from semimech._errors import ExperimentError, raise_faults
from semimech.experiment.steps import CONTROL, Edit, Harvest, SetMedia, Step, Wait

_DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class Context:
    """What acts on cells between two changes.

    Parameters
    ----------
    edits
        Edits in force, kept sorted by gene: the order in which they were made does not matter any more.
    medium
        Name of the medium; ``None`` is the system's maintenance medium.
    """

    edits: tuple[Edit, ...] = ()
    medium: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "edits", tuple(sorted(self.edits, key=lambda edit: edit.gene)))


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
    def is_control(self) -> bool:
        """Whether the harvested cells carry no edit."""
        return not self.edits

    @property
    def perturbation(self) -> str:
        """Edited genes joined by ``+``, or ``"control"``."""
        return "+".join(edit.gene for edit in self.edits) or CONTROL

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
        share a label, or a gene is edited twice.

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
                faults.append(f"step {number} must be an Edit, SetMedia, Wait or Harvest, got {step!r}")
        labels = [step.label for step in self.steps if isinstance(step, Harvest)]
        genes = [step.gene for step in self.steps if isinstance(step, Edit)]
        if not labels:
            faults.append("no harvest: end the steps with a Harvest")
        for label in sorted({x for x in labels if labels.count(x) > 1}):
            faults.append(f"harvest label {label!r} stands twice: give each harvest its own label")
        for gene in sorted({x for x in genes if genes.count(x) > 1}):
            faults.append(f"gene {gene!r} is edited twice: combine both into one Edit")
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
                    context = Context(edits=(*context.edits, step), medium=context.medium)
                case SetMedia():
                    context = Context(edits=context.edits, medium=step.name)
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
    """The shortest protocol that leads to a condition.

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
    """
    context = Context()
    steps: list[Step] = []
    for period in condition.history:
        if period.context.medium != context.medium:
            steps.append(SetMedia(name=period.context.medium or maintenance_medium))
        steps += [edit for edit in period.context.edits if edit not in context.edits]
        if period.hours > 0:
            steps.append(Wait(hours=period.hours))
        context = period.context
    return Experiment(id=id, steps=(*steps, Harvest(label=label)))
