"""Campaigns with a law in closed form: ridge on the known edges, propagated through the network, so that a campaign takes a second.

It stands in for the fit where hundreds of campaigns are needed: for the coverage of predicted savings. Regression and propagation are those of `semimech.fit.linear_law` and `semimech.design.law_lessons`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.campaign_worlds import SE, Bench
from semimech.design import Limits
from semimech.design.law_lessons import responses
from semimech.design.lessons import Lessons, choose_lessons
from semimech.design.strategies import farthest
from semimech.fit.linear_law import MISFIT, RANGE, posterior, regulators_of, signals

EDGE_VARIANCE = 0.25
"""Of the weight of a possible edge; the same in all worlds, where `law_lessons` estimates it."""


@dataclass(frozen=True, eq=False)
class LinearLab:
    """One world's screen for the law in closed form; a quarter of the edits is held out by ``seed``."""

    bench: Bench
    seed: int
    held_out: float = 0.25

    @cached_property
    def genes(self) -> tuple[str, ...]:
        return self.bench.dataset.genes

    @cached_property
    def edited(self) -> np.ndarray:
        """Column of the gene that each edit knocks out."""
        at = {g: i for i, g in enumerate(self.genes)}
        return np.array([at[c.edits[0].gene] for c in self.bench.dataset.conditions[1:]])

    @cached_property
    def level(self) -> np.ndarray:
        return np.expm1(np.maximum(self.bench.dataset.mean[0], 1e-3))

    @cached_property
    def slope(self) -> np.ndarray:
        return np.maximum(self.level / (1.0 + self.level), 0.05)

    @cached_property
    def change(self) -> np.ndarray:
        """Measured change of the logarithm of each gene."""
        data = self.bench.dataset
        return np.clip((data.mean[1:] - data.mean[0]) / self.slope, *RANGE)

    @cached_property
    def source(self) -> np.ndarray:
        """What each knockout takes from the signal of its gene."""
        return -1.0 * (self.edited[:, None] == np.arange(len(self.genes)))

    def read(self, change: np.ndarray) -> np.ndarray:
        """What each gene reads of its regulators after each edit; nothing where it is edited itself."""
        column, there = self.able
        return signals(change, self.source)[:, column] * there * (self.source == 0.0)[..., None]

    @cached_property
    def able(self) -> tuple[np.ndarray, np.ndarray]:
        """Regulators that the table names for each gene, padded, and whether there is one."""
        n = len(self.genes)
        table = np.zeros((n, n), bool)
        at = {g: i for i, g in enumerate(self.genes)}
        assert self.bench.prior is not None
        edges = self.bench.prior.edges
        table[edges["target"].map(at), edges["source"].map(at)] = True
        np.fill_diagonal(table, False)
        return regulators_of(table)

    @cached_property
    def noise(self) -> np.ndarray:
        return (SE / self.slope) ** 2 + MISFIT

    @cached_property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Held-out edits, and the others in the order of a random campaign."""
        order = np.random.default_rng([self.seed, 7]).permutation(len(self.edited))
        n = round(self.held_out * len(order))
        return order[:n], order[n:]

    def posterior(self, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the weights, gene by gene, and the covariance of those of each gene's regulators."""
        mean, covariance = posterior(self.read(self.change)[made], self.change[made], self.noise, EDGE_VARIANCE)
        return self.matrix(mean), covariance

    def matrix(self, of_regulators: np.ndarray) -> np.ndarray:
        """Weights of each gene's regulators in their columns."""
        column, there = self.able
        weight = np.zeros((len(self.genes),) * 2)
        np.put_along_axis(weight, column, of_regulators * there, axis=1)
        return weight

    def predict(self, weight: np.ndarray) -> np.ndarray:
        """Predicted change of the logarithm of each gene by every edit."""
        return responses(weight, self.source)

    def errors(self, made: np.ndarray) -> np.ndarray:
        """Squared error on each held-out edit against the truth without noise, its own gene apart, relative to the mean of no change."""
        held, _ = self.split
        weight, _ = self.posterior(made)
        guess = np.log1p(self.level * np.exp(self.predict(weight)[held])) - np.log1p(self.level)
        assert self.bench.truth is not None
        truth = self.bench.truth[1:][held] - self.bench.truth[0]
        other = np.arange(len(self.genes)) != self.edited[held][:, None]
        squared = ((guess - truth) ** 2 * other).sum(axis=1)
        return squared / (truth**2 * other).sum(axis=1).mean()

    def features(self, made: np.ndarray) -> tuple[Lessons, np.ndarray]:
        """What the law does not know of each edit, and the changes that it predicts."""
        weight, covariance = self.posterior(made)
        change = self.predict(weight)
        feature = np.swapaxes(self.read(change), 0, 1) @ np.linalg.cholesky(covariance)
        lessons = Lessons(feature=feature, noise=self.noise, weight=self.slope**2 / len(self.genes))
        return lessons, change

    def drawn(self, made: np.ndarray, rng: np.random.Generator, n: int = 4) -> Lessons:
        """The same for draws of the weights, each propagated, as `semimech.design.lessons.law_lessons` has it."""
        weight, covariance = self.posterior(made)
        root, features = np.linalg.cholesky(covariance), []
        for _ in range(n):
            away = np.einsum("gfk,gk->gf", root, rng.standard_normal(root.shape[:2]))
            change = self.predict(weight + self.matrix(away))
            features.append(np.swapaxes(self.read(change), 0, 1) @ root)
        worth = np.tile(self.slope**2 / len(self.genes) / n, n)
        return Lessons(feature=np.concatenate(features), noise=np.tile(self.noise, n), weight=worth)


Chooser = Callable[[LinearLab, np.ndarray, np.ndarray, int, np.random.Generator], Sequence[int]]


def by_random(lab: LinearLab, made: np.ndarray, free: np.ndarray, n: int, rng: np.random.Generator) -> Sequence[int]:
    return rng.permutation(free)[:n].tolist()


def taken(lab: LinearLab, made: np.ndarray, n: int, rng: np.random.Generator, **told) -> list[int]:
    conditions = lab.bench.dataset.conditions[1:]
    return [pick.row for pick in choose_lessons([lab.drawn(made, rng)], conditions, Limits(batch=n), **told)]


def by_lessons(lab: LinearLab, made: np.ndarray, free: np.ndarray, n: int, rng: np.random.Generator) -> Sequence[int]:
    can = np.isin(np.arange(len(lab.edited)), free)
    return taken(lab, made, n, rng, asked=can / can.sum(), is_candidate=can, own=True)


def by_targets(lab: LinearLab, made: np.ndarray, free: np.ndarray, n: int, rng: np.random.Generator) -> Sequence[int]:
    can = np.isin(np.arange(len(lab.edited)), free)
    asked = np.isin(np.arange(len(lab.edited)), lab.split[0])
    return taken(lab, made, n, rng, asked=asked / asked.sum(), is_candidate=can, own=False)


def by_uncertainty(
    lab: LinearLab, made: np.ndarray, free: np.ndarray, n: int, rng: np.random.Generator
) -> Sequence[int]:
    lessons, _ = lab.features(made)
    size = lessons.weight @ (lessons.feature**2).sum(axis=-1)
    return free[np.argsort(-size[free], kind="stable")[:n]].tolist()


def by_distance(lab: LinearLab, made: np.ndarray, free: np.ndarray, n: int, rng: np.random.Generator) -> Sequence[int]:
    _, change = lab.features(made)
    return free[farthest(change[free] * lab.slope, lab.change[made] * lab.slope, n)].tolist()


def by_degree(lab: LinearLab, made: np.ndarray, free: np.ndarray, n: int, rng: np.random.Generator) -> Sequence[int]:
    """The regulators of most genes in the table: a reader without a computer would take them."""
    column, there = lab.able
    degree = np.bincount(column[there], minlength=len(lab.genes))[lab.edited]
    return free[np.argsort(-degree[free], kind="stable")[:n]].tolist()


CHOOSERS: dict[str, Chooser] = {
    "random": by_random,
    "lessons": by_lessons,
    "targeted": by_targets,
    "uncertain": by_uncertainty,
    "diverse": by_distance,
    "degree": by_degree,
}


def play(
    lab: LinearLab, chooser: Chooser, *, rounds: int, start: int = 10, batch: int = 10, stream: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of edits, and errors of held-out edits after each round; the start is that of the lab's seed."""
    held, rest = lab.split
    made, sizes, found = rest[:start], [], []
    rng = np.random.default_rng([lab.seed, stream])
    for number in range(rounds + 1):
        if number:
            free = rest[~np.isin(rest, made)]
            if not len(free):
                break
            made = np.concatenate([made, np.asarray(chooser(lab, made, free, batch, rng), int)])
        sizes.append(len(made))
        found.append(lab.errors(made))
    return np.array(sizes), np.array(found)
