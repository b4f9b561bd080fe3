r"""Strategies: which edits of a pool to make next, as the field chooses them and as `semimech.design.choose` does.

``random`` draws. ``uncertain`` takes the edits whose predictions are least certain, one by one as if each were alone (top uncertain of GeneDisco, Mehrjou et al.,
ICLR 2022). ``diverse`` takes the edit farthest from all that were made or taken, in the space of changes, measured or predicted (greedy k-centre, the core-set of Sener and
Savarese, ICLR 2018). ``error`` and ``information`` take each edit in the light of those before it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.design.choose import Criterion, choose
from semimech.design.pool import make_pool
from semimech.design.prices import Limits
from semimech.experiment import Condition
from semimech.fit import FittedModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Stand:
    """What is known when a round is chosen.

    Parameters
    ----------
    model
        Fitted to what was made.
    made
        What was measured.
    pool
        Conditions of each edit that could be made, by its name.
    batch
        Edits to choose.
    noise
        Variance of one measured condition, mean over genes; see `make_pool`.
    rng
        Randomness of the strategy.
    """

    model: FittedModel
    made: Dataset
    pool: Mapping[str, Sequence[Condition]]
    batch: int
    noise: float | None
    rng: np.random.Generator

    @property
    def last(self) -> tuple[Condition, ...]:
        """The latest condition of each edit, which stands for it."""
        return tuple(max(conditions, key=lambda c: c.hours) for conditions in self.pool.values())


Strategy = Callable[[Stand], Sequence[int]]


def pick(name: str, stand: Stand) -> tuple[str, ...]:
    """The edits that a strategy makes next.

    Parameters
    ----------
    name
        One of ``STRATEGIES``.
    stand
        What is known.

    Raises
    ------
    ConfigError
        If there is no such strategy.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"strategy must be one of {', '.join(STRATEGIES)}, got {name!r}")
    names = tuple(stand.pool)
    return tuple(names[row] for row in STRATEGIES[name](stand))


def stream(seed: int, name: str, number: int) -> np.random.Generator:
    """Randomness of a strategy in one round of a campaign, apart from that of all others."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), number])


def _random(stand: Stand) -> Sequence[int]:
    return stand.rng.permutation(len(stand.pool))[: stand.batch].tolist()


def _uncertain(stand: Stand) -> Sequence[int]:
    spread = make_pool(stand.model, stand.last, noise=stand.noise).spread
    return np.argsort(-(spread**2).mean(axis=1), kind="stable")[: stand.batch].tolist()


def _diverse(stand: Stand) -> Sequence[int]:
    made = stand.made
    edited = np.flatnonzero(~made.is_control)
    known = np.stack([made.mean[row] - made.matched_control(made.conditions[row]) for row in edited])
    predicted = stand.model.predict_conditions(stand.last).mean
    change = predicted - np.stack([made.matched_control(c) for c in stand.last])
    return farthest(change, known, stand.batch)


def farthest(
    points: Float[np.ndarray, "point axis"], centres: Float[np.ndarray, "centre axis"], number: int
) -> list[int]:
    """Points taken one by one, each the farthest from all centres and those taken before it."""
    nearest = ((points[:, None] - centres[None]) ** 2).sum(axis=-1).min(axis=1)
    taken: list[int] = []
    for _ in range(min(number, len(points))):
        nearest[taken] = -1.0
        taken.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((points - points[taken[-1]]) ** 2).sum(axis=-1))
    return taken


def _in_turn(criterion: Criterion) -> Strategy:
    def strategy(stand: Stand) -> Sequence[int]:
        found = choose(
            make_pool(stand.model, stand.last, noise=stand.noise), Limits(batch=stand.batch), criterion=criterion
        )
        return [each.row for each in found]

    return strategy


STRATEGIES: Mapping[str, Strategy] = {
    "error": _in_turn("error"),
    "information": _in_turn("information"),
    "uncertain": _uncertain,
    "diverse": _diverse,
    "random": _random,
}
"""All strategies by name."""
