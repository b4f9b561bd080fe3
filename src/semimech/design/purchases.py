"""What the levers of an experiment buy for a budget: more cells, controls, times or edits, as screens that could be made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from semimech._errors import ConfigError, raise_faults
from semimech.data import Dataset, Split
from semimech.design.own_world import Screening
from semimech.experiment import Condition, Period


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What things cost, all in one unit.

    Parameters
    ----------
    cell
        A cell.
    time
        A harvest at one more time, beside its cells.
    edit
        An edit more, beside its cells.
    prior
        A prior network.
    term
        A term more in the law.

    Raises
    ------
    ConfigError
        Listing every cost that is none.
    """

    cell: float = 1.0
    time: float = 0.0
    edit: float = 0.0
    prior: float = 0.0
    term: float = 0.0

    def __post_init__(self) -> None:
        faults = [
            f"{name} must be 0 or more, got {value:g}" for name, value in vars(self).items() if not 0 <= value < np.inf
        ]
        if self.cell == 0:
            faults.append("cell must be above 0: cells are what a budget is shared out in")
        raise_faults(ConfigError, "costs of levers", faults)


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """What a budget buys.

    Parameters
    ----------
    lever
        ``"cells"``, ``"controls"``, ``"times"`` or ``"edits"``.
    buys
        The same in words.
    cost
        What it costs.
    screening
        The training screen with it.
    growth
        By how many times what is bought has grown.
    """

    lever: str
    buys: str
    cost: float
    screening: Screening
    growth: float


def purchases(dataset: Dataset, split: Split, costs: Costs, budget: float) -> tuple[Purchase, ...]:
    """What the budget buys by each lever that there is for a data set, added to the training side of a split.

    New times lie in the middle of the longest interval between harvests, from the start on; new edits are knockouts, or whatever single edits of the data are, of measured genes
    that are not edited, in the order of their expression.

    Parameters
    ----------
    dataset
        The whole data set.
    split
        What is held out.
    costs
        What things cost.
    budget
        What may be spent on each lever.

    Raises
    ------
    ConfigError
        If the budget buys nothing.
    """
    train = dataset.subset(split.train)
    edited, controls = np.flatnonzero(~train.is_control), np.flatnonzero(train.is_control)
    n_cells = int(budget / costs.cell)
    now = Screening(conditions=train.conditions, cells=train.n_cells)
    found = []
    for lever, rows in (("cells", edited), ("controls", controls)):
        each = n_cells // max(len(rows), 1)
        if not len(rows) or each < 1:
            continue
        cells = train.n_cells.copy()
        cells[rows] += each
        growth = float(cells[rows].sum() / train.n_cells[rows].sum())
        what = "edited condition" if lever == "cells" else "condition of unedited cells"
        screening = replace(now, cells=cells, controls=growth if lever == "controls" else 1.0)
        cost = each * len(rows) * costs.cell
        found.append(
            Purchase(
                lever=lever, buys=f"{each} cells more of each {what}", cost=cost, screening=screening, growth=growth
            )
        )
    found += [p for p in (_more_times(train, now, costs, budget), _more_edits(dataset, train, now, costs, budget)) if p]
    if not found:
        raise ConfigError(f"levers: a budget of {budget:g} buys nothing, at {costs.cell:g} for a cell; give more")
    return tuple(found)


def _more_times(train: Dataset, now: Screening, costs: Costs, budget: float) -> Purchase | None:
    """Each course of edited and unedited cells of one period harvested once more, between two harvests that there are."""
    courses = [c for c in train.conditions if len(c.history) == 1 and np.isfinite(c.hours)]
    times = sorted({c.hours for c in courses if not c.is_control})
    if not times:
        return None
    grid = np.array([0.0, *times])
    gap = int(np.argmax(np.diff(grid)))
    hours = float(grid[gap : gap + 2].mean())
    contexts = dict.fromkeys(c.history[0].context for c in courses)
    new = [Condition(history=(Period(context=context, hours=hours),)) for context in contexts]
    new = [c for c in new if c not in train.index]
    each = int((budget - costs.time) / (costs.cell * max(len(new), 1)))
    if not new or each < 2:
        return None
    return Purchase(
        lever="times",
        buys=f"a harvest at {hours:g} h, {each} cells of each of {len(new)} conditions",
        cost=costs.time + each * len(new) * costs.cell,
        screening=Screening(conditions=(*now.conditions, *new), cells=np.append(now.cells, np.full(len(new), each))),
        growth=1 + 1 / len(times),
    )


def _more_edits(dataset: Dataset, train: Dataset, now: Screening, costs: Costs, budget: float) -> Purchase | None:
    """Further genes edited as the first single edit of the data is, with as many cells as edits have there."""
    single = [c for c in train.conditions if len(c.edits) == 1 and len(c.history) == 1 and not c.edits[0].compound]
    if not single:
        return None
    genes = dict.fromkeys(c.edits[0].gene for c in single)
    touched = {e.gene for c in dataset.conditions for period in c.history for e in period.context.edits}
    order = np.argsort(-dataset.control_mean(), kind="stable")
    free = [dataset.genes[i] for i in order if dataset.genes[i] not in touched]
    pattern = [c for c in single if c.edits[0].gene == next(iter(genes))]
    cells = [int(np.median(train.n_cells[[train.index[c] for c in single if c.hours == p.hours]])) for p in pattern]
    number = min(int(budget / (costs.edit + costs.cell * sum(cells))), len(free))
    if number < 1:
        return None
    new = [_edited_instead(condition, gene) for gene in free[:number] for condition in pattern]
    return Purchase(
        lever="edits",
        buys=f"{number} edits more, {sum(cells)} cells each",
        cost=number * (costs.edit + costs.cell * sum(cells)),
        screening=Screening(conditions=(*now.conditions, *new), cells=np.append(now.cells, np.tile(cells, number))),
        growth=1 + number / len(genes),
    )


def _edited_instead(condition: Condition, gene: str) -> Condition:
    """The same done to another gene."""
    (period,) = condition.history
    (edit,) = period.context.edits
    context = replace(period.context, edits=(replace(edit, gene=gene),))
    return Condition(history=(replace(period, context=context),))
