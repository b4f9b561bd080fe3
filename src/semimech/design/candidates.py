"""The experiments that could be done next: edits, combinations, doses, media and times, as conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from semimech._errors import ConfigError, raise_faults
from semimech.experiment import Condition, Context, Edit, Experiment, Harvest, Period, SetMedia, Wait, as_experiment

_PAIR = 2


@dataclass(frozen=True, kw_only=True)
class CandidateSpace:
    """What a laboratory could do to unedited cells at time 0, and when it could harvest.

    Parameters
    ----------
    genes
        Genes that could be edited.
    hours
        Times after the edit at which cells could be harvested, hours.
    kind
        Kind of the edits, see `Edit`.
    efficacies
        Doses: fractions removed or added.
    media
        Media from time 0 on; ``None`` is the maintenance medium.
    n_genes
        Most genes edited together, 1 or 2.

    Raises
    ------
    ConfigError
        Listing everything that leaves no candidate.
    """

    genes: tuple[str, ...]
    hours: tuple[float, ...]
    kind: str = "knockout"
    efficacies: tuple[float, ...] = (1.0,)
    media: tuple[str | None, ...] = (None,)
    n_genes: int = 1

    def __post_init__(self) -> None:
        faults = [
            f"{what} is empty: give at least one"
            for what in ("genes", "hours", "efficacies", "media")
            if not vars(self)[what]
        ]
        faults += [f"hours must be above 0, got {value:g}" for value in self.hours if not value > 0]
        if self.n_genes not in (1, _PAIR):
            faults.append(f"n_genes must be 1 or 2, got {self.n_genes}: larger combinations are given as experiments")
        raise_faults(ConfigError, "Candidates", faults)

    def conditions(self, *, most: int, seed: int, but: Sequence[Condition] = ()) -> tuple[Condition, ...]:
        """All conditions, single edits first; pairs are drawn at random where there are more than fit.

        Parameters
        ----------
        most
            Number of conditions not to exceed.
        seed
            Decides the draw.
        but
            Conditions to leave out, for instance those that were measured.
        """
        known = set(but)
        found: list[Condition] = []
        for size in range(1, self.n_genes + 1):
            made = [c for c in self._of_size(size) if c not in known]
            room = most - len(found)
            if len(made) > room:
                rows = np.sort(np.random.default_rng(seed).permutation(len(made))[:room])
                made = [made[row] for row in rows]
            found += made
        return tuple(found)

    def _of_size(self, size: int) -> list[Condition]:
        return [
            Condition(
                history=(
                    Period(
                        context=Context(
                            edits=tuple(
                                Edit(gene=g, kind=self.kind, efficacy=e)  # type: ignore[arg-type]
                                for g, e in zip(genes, doses, strict=True)
                            ),
                            medium=medium,
                        ),
                        hours=float(hours),
                    ),
                )
            )
            for genes in combinations(dict.fromkeys(self.genes), size)
            for doses in product(self.efficacies, repeat=size)
            for medium, hours in product(self.media, self.hours)
        ]


def edited_genes(condition: Condition) -> frozenset[str]:
    """Genes edited at any time."""
    return frozenset(edit.gene for period in condition.history for edit in period.context.edits)


def as_experiments(conditions: Sequence[Condition], *, maintenance_medium: str) -> tuple[Experiment, ...]:
    """Protocols that give the conditions; what differs only in its time of harvest is one culture.

    Parameters
    ----------
    conditions
        Conditions, each once.
    maintenance_medium
        What the maintenance medium is called.
    """
    cultures: dict[Context, list[float]] = {}
    others: list[Condition] = []
    for condition in conditions:
        if len(condition.history) == 1 and np.isfinite(condition.hours) and not condition.context.doses:
            cultures.setdefault(condition.context, []).append(condition.hours)
        else:
            others.append(condition)
    made = [
        _culture(context, sorted(set(hours)), number) for number, (context, hours) in enumerate(cultures.items(), 1)
    ]
    made += [
        as_experiment(c, id=f"next-{number}", maintenance_medium=maintenance_medium)
        for number, c in enumerate(others, len(made) + 1)
    ]
    return tuple(made)


def _culture(context: Context, hours: Sequence[float], number: int) -> Experiment:
    steps: list[Edit | SetMedia | Wait | Harvest] = list(context.edits)
    if context.medium is not None:
        steps.insert(0, SetMedia(name=context.medium))
    before = 0.0
    for now in hours:
        steps += [Wait(hours=now - before), Harvest(label=f"h{now:g}")]
        before = now
    return Experiment(id=f"next-{number}", steps=tuple(steps))
