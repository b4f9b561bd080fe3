"""Worlds in closed form for the learned policy: a network without cells, and whole campaigns in it as one compiled program.

Truth saturates, the law that is fitted is linear (Bayesian regression on the known edges, as in `semimech.design.law_lessons`), so that it misses something. Each world has ``N_REGULATORS``
knockouts; a quarter of them is held out, and ``START`` are made at random before the first round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from benchmarks.learned_policy_traits import Standing, after, traits
from semimech.design.law_lessons import ELASTICITY, MISFIT, RANGE

N_GENES, N_REGULATORS, N_COLUMNS = 60, 40, 8
N_HELD, START, BATCH, ROUNDS, N_DRAWS = 10, 4, 4, 4, 2
EDGE_VARIANCE, NOISE_SD, SATURATION = 0.25, 0.05, 1.5


class Family(NamedTuple):
    """What worlds of a kind have in common: how much hubs stand out, regulators of a gene, share of false edges in the table, size of a weight."""

    hubs: float = 0.7
    sites: float = 2.5
    false: float = 0.2
    weight: float = 0.5


FAMILIES = {
    "sparse": Family(),
    "hubs": Family(hubs=1.5),
    "equal": Family(hubs=0.0),
    "dense": Family(sites=5.0, weight=0.35),
    "half wrong": Family(false=0.5),
}
"""The first is trained on."""


class Plant(NamedTuple):
    """A world: what is known of its wiring, how edits change genes, and how noisily that is measured."""

    column: Int[Array, "gene edge"]
    there: Bool[Array, "gene edge"]
    truth: Float[Array, "edit gene"]
    slope: Float[Array, " gene"]
    measured: Float[Array, "edit gene"]


class Played(NamedTuple):
    """A campaign: held-out error after each round, and what was chosen from what."""

    error: Float[Array, " round"]
    trait: Float[Array, "turn edit trait"]
    free: Bool[Array, "turn edit"]
    row: Int[Array, " turn"]
    share: Float[Array, " turn"]


Scorer: TypeAlias = Callable[[Float[Array, "edit trait"], Float[Array, ""]], Float[Array, " edit"]]

SOURCE = -jnp.eye(N_REGULATORS)
OWN = jnp.eye(N_REGULATORS, N_GENES, dtype=bool)


def signals(change: Float[Array, "edit gene"]) -> Float[Array, "edit regulator"]:
    """As `semimech.design.law_lessons.signals`, for knockouts of the first genes."""
    return jnp.where(SOURCE != 0.0, SOURCE, jnp.log2(1.0 + jnp.exp(change[:, :N_REGULATORS])) - 1.0)


def grow(family: Family, key: PRNGKeyArray) -> Plant:
    """Draw a world."""
    keys = jax.random.split(key, 8)
    weight = -family.hubs * jnp.log(1.0 + jax.random.permutation(keys[0], N_REGULATORS))
    is_self = jnp.eye(N_GENES, N_REGULATORS, dtype=bool)
    chance = jnp.where(is_self, -jnp.inf, weight + jax.random.gumbel(keys[1], is_self.shape))
    n_true = jnp.clip(1 + jax.random.poisson(keys[2], family.sites - 1.0, (N_GENES,)), 1, N_COLUMNS - 2)
    is_true = jnp.argsort(jnp.argsort(-chance, axis=1), axis=1) < n_true[:, None]
    false = jnp.where(is_self, -jnp.inf, jax.random.gumbel(keys[3], is_self.shape))
    column = jnp.argsort(-jnp.where(is_true, jnp.inf, false), axis=1)[:, :N_COLUMNS]
    n_false = jax.random.poisson(keys[4], n_true * family.false / (1.0 - family.false))
    there = jnp.arange(N_COLUMNS) < (n_true + n_false)[:, None]
    edge = is_true * family.weight * jax.random.normal(keys[5], is_self.shape)
    step = lambda _, change: 0.5 * change + 0.5 * SATURATION * jnp.tanh(signals(change) @ edge.T / SATURATION)
    change = jax.lax.fori_loop(0, 30, step, jnp.zeros((N_REGULATORS, N_GENES)))
    slope = jnp.maximum(jax.nn.sigmoid(1.2 * jax.random.normal(keys[6], (N_GENES,)) + 1.0), 0.05)
    error = NOISE_SD / slope * jax.random.normal(keys[7], change.shape)
    return Plant(column=column, there=there, truth=change, slope=slope, measured=jnp.clip(change + error, *RANGE))


def learn(
    plant: Plant, made: Bool[Array, " edit"]
) -> tuple[Float[Array, "gene edge"], Float[Array, "gene edge edge"], Float[Array, " gene"]]:
    """Mean and covariance of the weights of each gene's known edges, and the noise that was taken."""
    noise = (NOISE_SD / plant.slope) ** 2 + MISFIT
    read = reads(plant, plant.measured) * made[:, None, None]
    precision = jnp.einsum("egf,egk->gfk", read, read) / noise[:, None, None] + jnp.eye(N_COLUMNS) / EDGE_VARIANCE
    covariance = jnp.linalg.inv(precision)
    moment = jnp.einsum("egf,eg->gf", read, plant.measured)
    return jnp.einsum("gfk,gk->gf", covariance, moment / noise[:, None]), covariance, noise


def reads(plant: Plant, change: Float[Array, "edit gene"]) -> Float[Array, "edit gene edge"]:
    return signals(change)[:, plant.column] * (plant.there & ~OWN[..., None])


def predict(plant: Plant, of_edges: Float[Array, "gene edge"]) -> Float[Array, "edit gene"]:
    """Changes to first order, along paths of up to six edges; the edited gene is cut off."""
    rows = jnp.arange(N_GENES)[:, None]
    weight = jnp.zeros((N_GENES, N_REGULATORS)).at[rows, plant.column].add(of_edges * plant.there)
    direct = SOURCE @ weight.T
    change = direct
    for _ in range(5):
        change = jnp.clip(
            direct + ELASTICITY * jnp.where(OWN, 0.0, change)[:, :N_REGULATORS] @ weight.T, RANGE[0], RANGE[1]
        )
    return change


def held_out(plant: Plant, mean: Float[Array, "gene edge"], held: Bool[Array, " edit"]) -> Float[Array, ""]:
    """Squared error over that of no change, own genes apart."""
    counts = held[:, None] * ~OWN * plant.slope**2
    return ((predict(plant, mean) - plant.truth) ** 2 * counts).sum() / (plant.truth**2 * counts).sum()


def play(plant: Plant, scorer: Scorer, key: PRNGKeyArray, chance: PRNGKeyArray, noise: Float[Array, ""]) -> Played:
    """A campaign.

    Parameters
    ----------
    plant
        The world.
    scorer
        Score of each candidate from its traits and the share of edits that were made.
    key
        Of what is held out, the start, and draws of weights.
    chance
        Of what is drawn of the scores.
    noise
        1 where edits are drawn in proportion to the exponential of their score, 0 where the highest is taken.
    """
    of_split, of_draws = jax.random.split(key)
    place = jnp.argsort(jax.random.permutation(of_split, N_REGULATORS))
    held, can = place < N_HELD, place >= N_HELD
    made = can & (place < N_HELD + START)
    degree = jnp.zeros(N_REGULATORS).at[plant.column].add(plant.there)
    errors, turns = [], []
    for number in range(ROUNDS + 1):
        mean, covariance, gap = learn(plant, made)
        errors.append(held_out(plant, mean, held))
        if number == ROUNDS:
            break
        root, features = jnp.linalg.cholesky(covariance), []
        for draw in jax.random.split(jax.random.fold_in(of_draws, number), N_DRAWS):
            away = jnp.einsum("gfk,gk->gf", root, jax.random.normal(draw, mean.shape))
            features.append(jnp.swapaxes(reads(plant, predict(plant, mean + away)), 0, 1) @ root)
        guess = predict(plant, mean) * plant.slope
        points = jnp.where(made[:, None], plant.measured * plant.slope, guess)
        stand = Standing(
            feature=jnp.concatenate(features),
            noise=jnp.tile(gap, N_DRAWS),
            weight=jnp.tile(plant.slope**2, N_DRAWS),
            asked=(can & ~made) / jnp.maximum((can & ~made).sum(), 1),
            degree=degree,
            size=(guess**2).sum(axis=1),
            apart=((points[:, None] - points[None]) ** 2).sum(axis=-1),
            made=made,
        )
        share = made.sum() / can.sum()

        def turn(state: Standing, key: PRNGKeyArray, stand: Standing = stand, share: Array = share):
            free = can & ~state.made
            now = traits(state, stand, free)
            drawn = scorer(now, share) + noise * jax.random.gumbel(key, (N_REGULATORS,))
            row = jnp.argmax(jnp.where(free, drawn, -jnp.inf))
            return after(state, row), (now, free, row, share)

        state, turned = jax.lax.scan(turn, stand, jax.random.split(jax.random.fold_in(chance, number), BATCH))
        turns.append(turned)
        made = state.made
    trait, free, row, share = (jnp.concatenate(part) for part in zip(*turns, strict=True))
    return Played(error=jnp.stack(errors), trait=trait, free=free, row=row, share=share)
