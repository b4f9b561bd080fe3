r"""Strategies: which edits of a pool to make next, as the field chooses them and as `semimech.design.choose` does.

``random`` draws. ``uncertain`` takes the edits whose predictions are least certain, one by one as if each were alone (top uncertain of GeneDisco, Mehrjou et al.,
ICLR 2022). ``diverse`` takes the edit farthest from all that were made or taken, in the space of changes, measured or predicted (greedy k-centre, the core-set of Sener and
Savarese, ICLR 2018). ``k-means`` takes the edits nearest to the centres of as many clusters of predicted changes, ``badge`` draws edits that members of the ensemble disagree on, far from
each other (k-means++ on their deviations; Ash et al., ICLR 2020), both as in GeneDisco. ``fused`` takes the farthest edit in a kernel fused of predictions and of what is known
(in the manner of IterPert, Huang et al., RECOMB 2024). ``error`` and ``information`` take each edit in the light of those before it; ``lessons`` the one that teaches most of edits
like those that could be made, through the weights of the law and through likeness (`semimech.design.law_lessons`, `kin_lessons`), and ``targeted`` the one that teaches most of the very edits whose
predictions are asked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.cluster.vq import kmeans2

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.design.choose import Criterion, choose
from semimech.design.kin_lessons import kin_lessons
from semimech.design.law_lessons import law_lessons
from semimech.design.lessons import choose_lessons
from semimech.design.pool import make_pool
from semimech.design.prices import Limits
from semimech.experiment import Condition
from semimech.fit import FittedModel
from semimech.model import Kinship, PriorNetwork, likeness, neighbour_profile


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
    asked
        Conditions whose predictions shall become better, and that are not made; for ``targeted`` alone.
    prior, kinship
        What is known beforehand.
    """

    model: FittedModel
    made: Dataset
    pool: Mapping[str, Sequence[Condition]]
    batch: int
    noise: float | None
    rng: np.random.Generator
    asked: Sequence[Condition] = ()
    prior: PriorNetwork | None = None
    kinship: Kinship | None = None

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


def _changes(stand: Stand) -> tuple[Float[np.ndarray, "pool gene"], Float[np.ndarray, "made gene"]]:
    """Changes that are predicted of the pool, and those that were measured."""
    made = stand.made
    edited = np.flatnonzero(~made.is_control)
    known = np.stack([made.mean[row] - made.matched_control(made.conditions[row]) for row in edited])
    predicted = stand.model.predict_conditions(stand.last).mean
    return predicted - np.stack([made.matched_control(c) for c in stand.last]), known


def _diverse(stand: Stand) -> Sequence[int]:
    return farthest(*_changes(stand), stand.batch)


def _k_means(stand: Stand) -> Sequence[int]:
    points, _ = _changes(stand)
    n = min(stand.batch, len(points))
    centres, _ = kmeans2(points, n, minit="++", rng=stand.rng)
    taken: list[int] = []
    for centre in centres:
        distance = ((points - centre) ** 2).sum(axis=1)
        distance[taken] = np.inf
        taken.append(int(np.argmin(distance)))
    return taken


def _badge(stand: Stand) -> Sequence[int]:
    deviation = stand.model.by_member(stand.last)
    deviation = deviation - deviation.mean(axis=0)
    return spread_draw(np.concatenate(list(deviation), axis=1), stand.batch, stand.rng)


def spread_draw(points: Float[np.ndarray, "point axis"], number: int, rng: np.random.Generator) -> list[int]:
    """Points drawn one by one, each with a chance in proportion to its squared distance from zero and from those taken before it."""
    nearest = (points**2).sum(axis=1)
    taken: list[int] = []
    for _ in range(min(number, len(points))):
        nearest[taken] = 0.0
        free = np.ones(len(points))
        free[taken] = 0.0
        chance = nearest if nearest.sum() > 0 else free
        taken.append(int(rng.choice(len(points), p=chance / chance.sum())))
        nearest = np.minimum(nearest, ((points - points[taken[-1]]) ** 2).sum(axis=1))
    return taken


def _fused(stand: Stand) -> Sequence[int]:
    """Kernels of changes and of each table, each of mean diagonal 1, averaged; then greedy distance in the root of their mean."""
    points, known = _changes(stand)
    changes = np.concatenate([points, known])
    made = [row for row, is_control in enumerate(stand.made.is_control) if not is_control]
    sets = [{e.gene for e in c.edits} for c in (*stand.last, *(stand.made.conditions[row] for row in made))]
    every, place = sorted(set().union(*sets)), np.arange(len(sets))
    carries = np.array([[gene in each for gene in every] for each in sets], float)
    genes = np.arange(len(every))
    profiles = [] if stand.kinship is None else list(stand.kinship.profiles(every).values())
    profiles += [] if stand.prior is None else [neighbour_profile(stand.prior.edges, every)]
    kernels = [changes @ changes.T, *(carries @ likeness(profile, genes, genes) @ carries.T for profile in profiles)]
    fused = np.mean([k / max(float(np.diagonal(k).mean()), 1e-12) for k in kernels], axis=0)
    value, vector = np.linalg.eigh(fused)
    embedded = vector * np.sqrt(np.maximum(value, 0.0))
    return farthest(embedded[place < len(points)], embedded[place >= len(points)], stand.batch)


def _lessons(stand: Stand, asked: Sequence[Condition]) -> Sequence[int]:
    conditions, n = [*stand.last, *asked], len(stand.pool)
    lessons = [law_lessons(stand.model, conditions, prior=stand.prior, noise=stand.noise, rng=stand.rng)]
    if stand.kinship is not None:
        kin = kin_lessons(stand.model, conditions, kinship=stand.kinship)
        lessons += [] if kin is None else [kin]
    can = np.arange(len(conditions)) < n
    weight = ~can if asked else can
    told = {"asked": weight / weight.sum(), "is_candidate": can, "own": not asked}
    return [pick.row for pick in choose_lessons(lessons, conditions, Limits(batch=stand.batch), **told)]


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
    "k-means": _k_means,
    "badge": _badge,
    "fused": _fused,
    "lessons": lambda stand: _lessons(stand, ()),
    "targeted": lambda stand: _lessons(stand, stand.asked),
    "random": _random,
}
"""All strategies by name."""
