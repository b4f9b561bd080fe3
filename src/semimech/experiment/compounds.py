"""Compounds: what a dose does to the activity of its targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from semimech._errors import ExperimentError, raise_faults
from semimech.experiment.experiment import Condition, Context
from semimech.experiment.steps import Edit, compound_name_faults


@dataclass(frozen=True, kw_only=True)
class Compound:
    r"""A compound that inhibits its targets.

    .. math:: a = \frac{1}{1 + (c/\mathrm{IC}_{50})^h}

    is the activity that a target keeps at concentration :math:`c`.

    Parameters
    ----------
    name
        Name that doses refer to.
    targets
        Genes whose products it inhibits, at least one.
    ic50
        Concentration at which half of the activity is left, micromoles per litre (µM).
    hill
        Steepness :math:`h` of the dose-response.

    Raises
    ------
    ExperimentError
        If the name is none, there is no target or one stands twice, or ``ic50`` or ``hill`` is not positive and finite.
    """

    name: str
    targets: tuple[str, ...]
    ic50: float
    hill: float = 1.0

    def __post_init__(self) -> None:
        faults = compound_name_faults("name", self.name)
        if not self.targets:
            faults.append("no target: name at least one gene")
        if len(set(self.targets)) < len(self.targets):
            faults.append(f"a target stands twice: {', '.join(self.targets)}")
        for what in ("ic50", "hill"):
            if not 0.0 < getattr(self, what) < math.inf:
                faults.append(f"{what} must be positive and finite, got {getattr(self, what):g}")
        if not faults:
            for target in self.targets:
                try:
                    Edit(gene=target, kind="drug")
                except ExperimentError as error:
                    faults.append(str(error))
        raise_faults(ExperimentError, f"Compound {self.name!r}", faults)

    def efficacy(self, concentration: float) -> float:
        """Fraction of the activity of its targets that a concentration (µM) removes."""
        if concentration <= 0:
            return 0.0
        steepness = self.hill * (math.log(concentration) - math.log(self.ic50))
        if steepness >= 0:
            return 1.0 / (1.0 + math.exp(-steepness))
        return math.exp(steepness) / (1.0 + math.exp(steepness))


def resolve_doses(condition: Condition, compounds: Sequence[Compound]) -> Condition:
    """Write what the compounds of each context do, as drug edits of their targets.

    Every compound has an edit of its own on each of its targets, so that two compounds on one target, or a compound and an
    edit, leave the product of the activities that each leaves alone. The doses stay in the contexts; to
    resolve a condition again changes nothing.

    Parameters
    ----------
    condition
        History of the cells.
    compounds
        What is known of the compounds.

    Raises
    ------
    ExperimentError
        If a compound was dosed that is not among them, or two have one name.
    """
    known = {compound.name: compound for compound in compounds}
    faults = [] if len(known) == len(compounds) else ["two compounds have one name: keep one of them"]
    dosed = {dose.compound for period in condition.history for dose in period.context.doses}
    listed = ", ".join(sorted(known)) or "none"
    faults += [
        f"compound {name!r} is not known; known: {listed}. Declare it as a Compound of the system"
        for name in sorted(dosed - set(known))
    ]
    raise_faults(ExperimentError, "doses", faults)
    if not dosed:
        return condition
    return Condition(
        history=tuple(replace(period, context=_resolved(period.context, known)) for period in condition.history)
    )


def _resolved(context: Context, known: dict[str, Compound]) -> Context:
    acting = tuple(
        Edit(gene=target, kind="drug", efficacy=known[d.compound].efficacy(d.concentration), compound=d.compound)
        for d in context.doses
        for target in known[d.compound].targets
    )
    return replace(context, edits=(*context.own_edits, *acting))
