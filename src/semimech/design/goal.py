r"""Goal: experiments that move cells towards a wanted state, by predictions with their uncertainty.

How near a state :math:`y` is to the goal :math:`w` is told from its prediction :math:`m = y + \epsilon`. Draws of :math:`y` around :math:`m` are never at the goal, however near :math:`m` is: squares of errors add up, and the way
looks shorter than it is. So the interval is that of the noncentrality of :math:`\lVert m - w \rVert^2`, whose law is a noncentral chi-squared: it holds :math:`\lVert y - w \rVert^2 = 0` wherever :math:`m` is as near as errors alone would bring it
(Saxena and Alam, Ann. Stat. 10:1012, 1982). Errors of different sizes and of genes that err together count as fewer alike (Satterthwaite, Biometrics 2:110, 1946).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import chndtrinc
from scipy.stats import norm

from semimech._errors import ConfigError, raise_faults
from semimech.design.pool import Pool
from semimech.design.prices import Limits, Purse

_DRAWS = 64
_NORMAL = 1e5
"""Squared errors beyond which their law is taken for normal."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Goal:
    """A wanted state of some genes.

    Parameters
    ----------
    columns
        Columns of the wanted genes.
    wanted
        Their wanted means, observed scale.
    start
        Their means in unedited cells.
    """

    columns: tuple[int, ...]
    wanted: Float[np.ndarray, " wanted"]
    start: Float[np.ndarray, " wanted"]

    def closeness(self, mean: Float[np.ndarray, "condition gene"]) -> Float[np.ndarray, " condition"]:
        """Share of the squared distance to the goal that is covered: 1 at the goal, 0 as far as unedited cells."""
        distance = ((mean[:, list(self.columns)] - self.wanted) ** 2).sum(axis=1)
        return 1.0 - distance / ((self.start - self.wanted) ** 2).sum()


def make_goal(wanted: Mapping[str, float], genes: Sequence[str], start: Float[np.ndarray, " gene"]) -> Goal:
    """A goal from wanted means by gene.

    Parameters
    ----------
    wanted
        Wanted mean of each gene, observed scale.
    genes
        Genes of the model, in order.
    start
        Means of unedited cells.

    Raises
    ------
    ConfigError
        Listing genes that are not measured and values that are none; or if unedited cells are there already.
    """
    column = {gene: i for i, gene in enumerate(genes)}
    faults = [f"gene {gene!r} is not measured: leave it out" for gene in wanted if gene not in column]
    faults += [
        f"{gene!r}: wanted mean must be a finite number, got {v}" for gene, v in wanted.items() if not np.isfinite(v)
    ]
    faults += [] if wanted else ["there is no gene: give a table with columns gene and value"]
    raise_faults(ConfigError, "Goal", faults)
    columns = tuple(column[gene] for gene in wanted)
    goal = Goal(columns=columns, wanted=np.array(list(wanted.values()), float), start=np.asarray(start)[list(columns)])
    if not ((goal.start - goal.wanted) ** 2).sum() > 0:
        raise ConfigError("Goal: unedited cells are in the wanted state already")
    return goal


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One experiment chosen for a goal.

    Parameters
    ----------
    row
        Its row in the pool.
    closeness, lower, upper
        Share of the way to the goal, the median-unbiased estimate, and its 90 % interval.
    gain
        What it adds to the expected best of those chosen before it.
    best
        Probability that it is the best of the round.
    cost
        What it costs.
    """

    row: int
    closeness: float
    lower: float
    upper: float
    gain: float
    best: float
    cost: float


def choose_for_goal(
    pool: Pool,
    goal: Goal,
    limits: Limits,
    *,
    seed: int,
    is_candidate: Bool[np.ndarray, " condition"] | None = None,
    independent_share: float = 1.0,
) -> tuple[Attempt, ...]:
    """Choose the experiments whose best is expected nearest to the goal.

    A batch maximises the expected best of its members (Ginsbourger, Le Riche and Carraro 2010, in Computational
    Intelligence in Expensive Optimization Problems, 131–162), over draws of the predictions in which conditions err together as the pool says:
    the second may be a safe choice, or one that wins where the first fails.

    Parameters
    ----------
    pool
        Candidates.
    goal
        The wanted state.
    limits
        What fits into the round.
    seed
        Decides the draws.
    is_candidate
        Which rows of the pool can be done; all if not given.
    independent_share
        Share of genes that err by themselves, see `semimech.design.independent_genes`.

    Raises
    ------
    ConfigError
        If nothing fits into the round.
    """
    draws = draw_closeness(pool, goal, seed=seed)
    can = np.ones(len(draws), dtype=bool) if is_candidate is None else is_candidate
    purse = Purse(conditions=pool.conditions, limits=limits)
    best = np.full(draws.shape[1], -np.inf)
    rows: list[int] = []
    gains: list[float] = []
    costs: list[float] = []
    while (fits := purse.allowed() & can).any():
        level = np.maximum(draws, best).mean(axis=1)
        worth = level
        if limits.budget is not None and rows:
            worth = (level - best.mean()) / np.maximum(purse.costs(), 1e-12)
        row = int(np.argmax(np.where(fits, worth, -np.inf)))
        gains.append(float(level[row] - (best.mean() if rows else 0.0)))
        best = np.maximum(best, draws[row])
        costs.append(purse.take(row))
        rows.append(row)
    if not rows:
        raise ConfigError("no candidate fits into the round: raise the budget or a limit, or name cheaper candidates")
    winner = np.argmax(draws[rows], axis=0)
    low, middle, high = closeness_interval(pool, goal, rows, independent_share=independent_share)
    return tuple(
        Attempt(
            row=row,
            closeness=float(middle[number]),
            lower=float(low[number]),
            upper=float(high[number]),
            gain=gains[number],
            best=float((winner == number).mean()),
            cost=costs[number],
        )
        for number, row in enumerate(rows)
    )


def closeness_interval(
    pool: Pool, goal: Goal, rows: Sequence[int], *, independent_share: float = 1.0, level: float = 0.9
) -> Float[np.ndarray, "3 condition"]:
    """Lower end, median-unbiased estimate and upper end of the share of the way that conditions go.

    A prediction that is nearer to the goal than its own error lets expect is so by luck, or was chosen for it; the lower end takes it for as near as that error.

    Parameters
    ----------
    pool
        Conditions.
    goal
        The wanted state.
    rows
        Which conditions.
    independent_share
        Share of genes that err by themselves.
    level
        Level of the interval.
    """
    columns = list(goal.columns)
    variance = np.maximum(pool.spread[np.ix_(rows, columns)] ** 2, 1e-12)
    squared = ((pool.mean[np.ix_(rows, columns)] - goal.wanted) ** 2).sum(axis=1)
    freedom = np.maximum(variance.sum(axis=1) ** 2 / (variance**2).sum(axis=1) * independent_share, 1.0)
    unit = variance.sum(axis=1) / freedom
    chances = ((1.0 - level) / 2.0, 0.5, (1.0 + level) / 2.0)
    lucky = np.maximum(squared, variance.sum(axis=1))
    away = [unit * noncentrality((lucky if chance < 0.5 else squared) / unit, freedom, chance) for chance in chances]
    return 1.0 - np.array(away) / ((goal.start - goal.wanted) ** 2).sum()


def noncentrality(
    seen: Float[np.ndarray, " condition"], freedom: Float[np.ndarray, " condition"], chance: float
) -> Float[np.ndarray, " condition"]:
    """The noncentrality under which a noncentral chi-squared is at most what was seen with some chance; 0 where it is less than that without any, as where nothing was seen."""
    exact = np.where(seen > 0, chndtrinc(np.clip(seen, 1e-300, _NORMAL), freedom, chance), 0.0)
    return np.where(seen < _NORMAL, exact, seen - freedom - norm.ppf(chance) * 2.0 * np.sqrt(seen))


def draw_closeness(pool: Pool, goal: Goal, *, seed: int) -> Float[np.ndarray, "condition draw"]:
    """Draws of the share of the way to the goal that each condition goes, jointly over conditions."""
    columns = list(goal.columns)
    mean, spread = pool.mean[:, columns], pool.spread[:, columns]
    root = np.linalg.cholesky(pool.correlation + 1e-8 * np.eye(len(mean)))
    rng = np.random.default_rng(seed)
    distance = ((goal.start - goal.wanted) ** 2).sum()
    found = np.empty((len(mean), _DRAWS))
    for draw in range(_DRAWS):
        state = mean + spread * (root @ rng.standard_normal((len(mean), len(columns))))
        found[:, draw] = 1.0 - ((state - goal.wanted) ** 2).sum(axis=1) / distance
    return found
