"""A world: the law of its cells, and what edits and media do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import ExperimentError, raise_faults
from semimech.experiment import Condition, Context, effective_history
from semimech.simulate.kinetics import Effects, Kinetics, elasticity, slowest_rate


@dataclass(frozen=True, kw_only=True)
class World:
    """Cells of which everything is known.

    Parameters
    ----------
    genes
        Gene names.
    kinetics
        The law of unedited cells in the maintenance medium.
    knockout_mrna
        Factor of a complete knockout on the target's own mRNA at unchanged production; below 1 where the transcript
        decays by the nonsense-mediated pathway.
    media
        Names of media other than the maintenance medium.
    medium_fold
        Factor of each medium on production.

    Raises
    ------
    ValueError
        Listing the arrays whose shapes do not fit.
    """

    genes: tuple[str, ...]
    kinetics: Kinetics
    knockout_mrna: Float[np.ndarray, " gene"]
    media: tuple[str, ...]
    medium_fold: Float[np.ndarray, "medium gene"]

    def __post_init__(self) -> None:
        wanted = {
            "knockout_mrna": (self.knockout_mrna.shape, (len(self.genes),)),
            "medium_fold": (self.medium_fold.shape, (len(self.media), len(self.genes))),
            "kinetics.expression": (self.kinetics.expression.shape, (len(self.genes),)),
        }
        faults = [f"{name} has shape {got}, wanted {want}" for name, (got, want) in wanted.items() if got != want]
        if faults:
            raise ValueError("World: " + "; ".join(faults))

    @property
    def half_life_hours(self) -> Float[np.ndarray, " gene"]:
        """Half-life of each mRNA, hours."""
        return np.log(2) / self.kinetics.decay

    @cached_property
    def weight(self) -> Float[np.ndarray, "gene gene"]:
        """Strength of regulation in unedited cells: elasticity of production of a row by the mRNA of a column."""
        weight = np.zeros((len(self.genes),) * 2)
        weight[:, self.kinetics.regulators] = elasticity(self.kinetics)
        return weight

    @cached_property
    def network(self) -> pd.DataFrame:
        """True edges: ``source``, ``target``, ``sign``, ``weight``, strongest first."""
        by_regulator = elasticity(self.kinetics)
        target, regulator = np.nonzero(by_regulator)
        weight = by_regulator[target, regulator]
        source = self.kinetics.regulators[regulator]
        names = np.array(self.genes, dtype=object)
        table = pd.DataFrame(
            {"source": names[source], "target": names[target], "sign": np.sign(weight).astype(int), "weight": weight}
        )
        return table.sort_values("weight", key=np.abs, ascending=False, ignore_index=True)

    @cached_property
    def settling_hours(self) -> float:
        """Time after which the slowest mode of unedited cells has fallen to 5 %, hours."""
        return float(-np.log(0.05) / slowest_rate(self.kinetics))

    def effects(self, contexts: Sequence[Context]) -> Effects:
        """What each context does, along the last axis.

        An edit of efficacy ``e`` acts on its target only. A knockout lowers the share of new protein that works to
        ``1 - e`` and changes the decay of the mRNA; a drug lowers the active share of all protein to ``1 - e``; CRISPRi
        scales production by ``1 - e``; CRISPRa adds ``e`` times the unedited production.

        Raises
        ------
        ExperimentError
            Listing every gene and medium that this world does not have, and every compound of which no edit says what
            it does.
        """
        position = {gene: row for row, gene in enumerate(self.genes)}
        self._raise_unknown(contexts)
        shape = (len(self.genes), len(contexts))
        one = np.ones(shape, np.float32)
        functional, activity, fold, decay = one.copy(), one.copy(), one.copy(), one.copy()
        added = np.zeros(shape, np.float32)
        for column, context in enumerate(contexts):
            if context.medium is not None:
                fold[:, column] *= self.medium_fold[self.media.index(context.medium)]
            for edit in context.edits:
                row, rest = position[edit.gene], 1 - edit.efficacy
                match edit.kind:
                    case "knockout":
                        functional[row, column] *= rest
                        decay[row, column] /= rest + edit.efficacy * self.knockout_mrna[row]
                    case "drug":
                        activity[row, column] *= rest
                    case "crispri":
                        fold[row, column] *= rest
                    case "crispra":
                        added[row, column] += edit.efficacy
        return Effects(
            functional=functional, activity=activity, production_fold=fold, production_added=added, decay_fold=decay
        )

    def periods(self, condition: Condition) -> tuple[tuple[Context, float], ...]:
        """The contexts that cells of a condition pass, each with its hours; until settled is a finite time here.

        A delayed edit comes as the staircase of `effective_history`.
        """
        return tuple((p.context, min(p.hours, 3 * self.settling_hours)) for p in effective_history(condition))

    def _raise_unknown(self, contexts: Sequence[Context]) -> None:
        edited = {edit.gene for context in contexts for edit in context.edits}
        media = {context.medium for context in contexts} - {None}
        faults = [f"gene {g!r} is not one of its {len(self.genes)} genes" for g in sorted(edited - set(self.genes))]
        known = ", ".join(self.media) or "none but the maintenance medium"
        faults += [
            f"medium {m!r} is not one of its media; known: {known}" for m in sorted(map(str, media - set(self.media)))
        ]
        unresolved = sorted({name for context in contexts for name in context.unresolved})
        faults += [f"compound {name!r} is not resolved: call resolve_doses first" for name in unresolved]
        raise_faults(ExperimentError, "World", faults)
