"""What experiments cost, and how many fit into one round."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from semimech._errors import ConfigError, raise_faults
from semimech.design.candidates import edited_genes
from semimech.experiment import Condition


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What experiments cost, in any currency.

    Parameters
    ----------
    edit
        A gene edited for the first time in a round: guides, cloning, infection.
    harvest
        One condition harvested, beside its cells.
    cell
        One cell made ready and sequenced.
    cells
        Cells per condition.
    week
        One week of the laboratory.

    Raises
    ------
    ConfigError
        Listing every price below 0 and a number of cells below 1.
    """

    edit: float = 0.0
    harvest: float = 1.0
    cell: float = 0.0
    cells: int = 100
    week: float = 0.0

    def __post_init__(self) -> None:
        faults = [
            f"price of {name} must be a finite number, 0 or more, got {vars(self)[name]:g}"
            for name in ("edit", "harvest", "cell", "week")
            if not 0 <= vars(self)[name] < np.inf
        ]
        if self.cells < 1:
            faults.append(f"cells per condition must be 1 or more, got {self.cells}")
        raise_faults(ConfigError, "Prices", faults)

    def of(self, condition: Condition, made: Collection[str] = ()) -> float:
        """Price of one more condition, where some edits are made already in this round."""
        new = edited_genes(condition) - set(made)
        return self.edit * len(new) + self.harvest + self.cell * self.cells


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What fits into one round.

    Parameters
    ----------
    batch
        Most conditions.
    budget
        Most that may be spent; ``None`` for no limit.
    edits, times
        Most genes edited, and most different times of harvest; ``None`` for no limit.
    prices
        What is spent.

    Raises
    ------
    ConfigError
        Listing every limit that leaves no room.
    """

    batch: int = 10
    budget: float | None = None
    edits: int | None = None
    times: int | None = None
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        given = {"batch": self.batch, "edits": self.edits, "times": self.times}
        faults = [
            f"{name} must be 1 or more, got {value}" for name, value in given.items() if value is not None and value < 1
        ]
        if self.budget is not None and not self.budget > 0:
            faults.append(f"budget must be above 0, got {self.budget:g}")
        raise_faults(ConfigError, "Limits of a round", faults)


@dataclass(kw_only=True)
class Purse:
    """What a round has taken so far, and what it still has room for.

    Parameters
    ----------
    conditions
        Candidates.
    limits
        What fits into the round.
    """

    conditions: Sequence[Condition]
    limits: Limits
    spent: float = 0.0

    def __post_init__(self) -> None:
        self._genes = [edited_genes(condition) for condition in self.conditions]
        self._made: set[str] = set()
        self._times: set[float] = set()
        self._taken: set[int] = set()

    def costs(self) -> Float[np.ndarray, " candidate"]:
        """What each candidate would cost now."""
        p = self.limits.prices
        return np.array([p.edit * len(genes - self._made) + p.harvest + p.cell * p.cells for genes in self._genes])

    def allowed(self) -> Bool[np.ndarray, " candidate"]:
        """Which candidates still fit."""
        limits, costs = self.limits, self.costs()
        if len(self._taken) >= limits.batch:
            return np.zeros(len(self.conditions), dtype=bool)
        fits = np.ones(len(self.conditions), dtype=bool)
        fits[list(self._taken)] = False
        if limits.budget is not None:
            fits &= self.spent + costs <= limits.budget * (1 + 1e-9)
        if limits.edits is not None:
            fits &= np.array([len(self._made | genes) <= limits.edits for genes in self._genes])
        if limits.times is not None:
            fits &= np.array([len(self._times | {c.hours}) <= limits.times for c in self.conditions])
        return fits

    def take(self, row: int) -> float:
        """Take a candidate, and say what it costs."""
        cost = float(self.costs()[row])
        self.spent += cost
        self._made |= self._genes[row]
        self._times.add(self.conditions[row].hours)
        self._taken.add(row)
        return cost
