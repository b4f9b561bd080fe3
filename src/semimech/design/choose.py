r"""A batch of experiments chosen one by one, each in the light of those before it.

With errors :math:`\epsilon \sim N(0, K)` of the predictions in a pool and noise :math:`\sigma^2` of a measurement, measuring :math:`c` leaves
:math:`K - K_{\cdot c} K_{c \cdot} / (K_{cc} + \sigma^2)`. ``"error"`` takes the candidate that lowers the mean squared error of what is asked most,
:math:`\sum_t w_t K_{tc}^2 / (K_{cc} + \sigma^2)` (Cohn, Ghahramani and Jordan, J. Artif. Intell. Res. 4:129, 1996); ``"information"`` the one whose outcome says most,
:math:`\frac12 \log(1 + K_{cc} / \sigma^2)`: together a greedy D-optimal design, within :math:`1 - 1/e` of the best batch (Krause, Singh and Guestrin, J. Mach. Learn. Res. 9:235, 2008). With prices,
gains count per unit of cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Bool, Float

from semimech._errors import ConfigError
from semimech.design.pool import Pool
from semimech.design.prices import Limits, Purse

Criterion: TypeAlias = Literal["error", "information"]


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One experiment chosen.

    Parameters
    ----------
    row
        Its row in the pool.
    gain
        What it adds to those chosen before it: share of the expected squared error of what is asked, or nats.
    alone
        What it would have given had it been the first.
    own
        Share of the removed error that is its own, the rest is that of other conditions.
    sharpened
        Row of the other condition that it sharpens most; its own where it tells of no other.
    cost
        What it costs, with the edits of this round made before it.
    """

    row: int
    gain: float
    alone: float
    own: float
    sharpened: int
    cost: float


def choose(
    pool: Pool,
    limits: Limits,
    *,
    criterion: Criterion = "error",
    is_candidate: Bool[np.ndarray, " condition"] | None = None,
    weight: Float[np.ndarray, " condition"] | None = None,
) -> tuple[Pick, ...]:
    """Choose the experiments of a round.

    Parameters
    ----------
    pool
        Candidates, and what else is asked.
    limits
        What fits into the round.
    criterion
        ``"error"`` or ``"information"``.
    is_candidate
        Which rows of the pool can be done; all if not given.
    weight
        How much each row's error counts, 0 or more; all alike if not given.

    Raises
    ------
    ConfigError
        If nothing counts, or nothing fits into the round.
    """
    n = len(pool.conditions)
    weight = np.full(n, 1.0 / n) if weight is None else np.asarray(weight, float) / max(float(np.sum(weight)), 1e-300)
    if not weight.sum() > 0 or (weight < 0).any():
        raise ConfigError("weight of what is asked must be 0 or more, and above 0 for one condition")
    can = np.ones(n, dtype=bool) if is_candidate is None else is_candidate
    left = pool.covariance.copy()
    before = max(float(weight @ np.diagonal(left)), 1e-300)

    def take(row: int) -> Float[np.ndarray, " condition"]:
        removed = weight * left[:, row] ** 2
        left[:] -= np.outer(left[:, row], left[:, row]) / (left[row, row] + pool.noise)
        return removed

    return in_turn(
        Purse(conditions=pool.conditions, limits=limits),
        can,
        gains=lambda: _gains(left, pool.noise, weight, criterion, before),
        take=take,
    )


def in_turn(
    purse: Purse,
    can: Bool[np.ndarray, " condition"],
    *,
    gains: Callable[[], Float[np.ndarray, " condition"]],
    take: Callable[[int], Float[np.ndarray, " condition"]],
) -> tuple[Pick, ...]:
    """Take candidates one by one, each the one that adds most, or most for its price, to those before it.

    Parameters
    ----------
    purse
        What still fits into the round.
    can
        Which conditions can be done.
    gains
        What each would add now.
    take
        Counts one as done; returns what that removes of the error of each condition, up to a factor.

    Raises
    ------
    ConfigError
        If nothing fits into the round.
    """
    picks: list[Pick] = []
    first = gains()
    while (fits := purse.allowed() & can).any():
        now = gains() if picks else first
        worth = now / np.maximum(purse.costs(), 1e-12) if purse.limits.budget is not None else now
        row = int(np.argmax(np.where(fits, worth, -np.inf)))
        removed = take(row)
        others = np.where(np.arange(len(removed)) == row, -1.0, removed)
        best = int(np.argmax(others))
        picks.append(
            Pick(
                row=row,
                gain=float(now[row]),
                alone=float(first[row]),
                own=float(removed[row] / max(removed.sum(), 1e-300)),
                sharpened=best if others[best] > 0 else row,
                cost=purse.take(row),
            )
        )
    if not picks:
        raise ConfigError("no candidate fits into the round: raise the budget or a limit, or name cheaper candidates")
    return tuple(picks)


def criterion_of(name: str) -> Criterion | Literal["lessons", "assumptions"]:
    """A criterion of a round by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    for criterion in (*get_args(Criterion), "lessons", "assumptions"):
        if name == criterion:
            return criterion
    raise ConfigError(f"criterion must be one of {', '.join(get_args(Criterion))}, lessons, assumptions, got {name!r}")


def remaining(pool: Pool, rows: tuple[int, ...]) -> Float[np.ndarray, "condition condition"]:
    """Covariance of errors once some conditions are measured."""
    chosen = pool.covariance[np.ix_(rows, rows)] + pool.noise * np.eye(len(rows))
    return pool.covariance - pool.covariance[:, rows] @ np.linalg.solve(chosen, pool.covariance[rows, :])


def _gains(
    left: Float[np.ndarray, "condition condition"],
    noise: float,
    weight: Float[np.ndarray, " condition"],
    criterion: Criterion,
    before: float,
) -> Float[np.ndarray, " condition"]:
    own = np.maximum(np.diagonal(left), 0.0)
    if criterion == "information":
        return 0.5 * np.log1p(own / noise)
    return (weight @ left**2) / (own + noise) / before
