"""A policy that learned in simulated campaigns which edit to make next, against greedy criteria, heuristics and chance.

``python -m benchmarks.learned_policy --train`` learns it by policy gradient and writes ``results/learned_policy.json``; ``--score 128`` plays it in fresh worlds of the family that it was trained
on and of others, and writes ``results/learned_policy.tsv.gz``; every call writes ``learned_policy.md`` anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, PRNGKeyArray

from benchmarks.learned_policy_page import page
from benchmarks.learned_policy_traits import N_TRAITS, NAMES
from benchmarks.learned_policy_worlds import BATCH, FAMILIES, Family, Played, Scorer, grow, play

RESULTS = Path(__file__).parent / "results"
STEPS, WORLDS, REPEATS = 150, 16, 8
VALIDATION, TEST = 10_001, 20_002
"""Seeds of worlds; training has 0."""
Params = dict[str, Array]


def scorer(params: Params) -> Scorer:
    """Weights of traits that may move with the share of edits that were made."""
    return lambda trait, share: trait @ (params["weight"] + share * params["later"])


STARTS = {"lessons": (3.0, 0.1)}
"""The trait that a policy begins with, its weight there, and the first step size."""


def start(trait: str) -> Params:
    """A policy that draws in proportion to a power of one trait."""
    return {"weight": STARTS[trait][0] * jnp.eye(N_TRAITS)[NAMES.index(trait)], "later": jnp.zeros(N_TRAITS)}


def campaigns(params: Params, family: Family, key: PRNGKeyArray, noise: Float[Array, ""], n: int) -> Played:
    """Campaigns in one world that differ by chance alone."""
    of_world, of_play = jax.random.split(key)
    plant = grow(family, of_world)
    chances = jax.random.split(jax.random.fold_in(of_play, 1), n)
    return jax.vmap(lambda chance: play(plant, scorer(params), of_play, chance, noise))(chances)


@jax.jit
def gradient(params: Params, key: PRNGKeyArray) -> tuple[Params, Array]:
    """REINFORCE (Williams 1992, Mach. Learn. 8:229): what a choice led to from its round on, against the mean of other campaigns in the same world."""
    keys = jax.random.split(key, WORLDS)
    played = jax.vmap(lambda k: campaigns(params, Family(), k, jnp.ones(()), REPEATS))(keys)
    reward = -jnp.log(played.error[..., 1:])
    to_go = jnp.cumsum(reward[..., ::-1], axis=-1)[..., ::-1]
    advantage = (to_go - to_go.mean(axis=1, keepdims=True)) * REPEATS / (REPEATS - 1)
    advantage = jnp.repeat(advantage / (advantage.std() + 1e-9), BATCH, axis=-1)

    def loss(params: Params) -> Array:
        flat = [part.reshape(-1, *part.shape[3:]) for part in (played.trait, played.free, played.row, played.share)]

        def chosen(trait, free, row, share):
            return jax.nn.log_softmax(jnp.where(free, scorer(params)(trait, share), -jnp.inf))[row]

        return -(jax.vmap(chosen)(*flat) * advantage.reshape(-1)).mean()

    return jax.grad(loss)(params), reward.mean()


@jax.jit
def errors(params: Params, family: Family, keys: PRNGKeyArray, noise: Float[Array, ""]) -> Float[Array, "world round"]:
    """Held-out errors of campaigns in many worlds."""
    return jax.vmap(lambda k: campaigns(params, family, k, noise, 1).error[0])(keys)


def train(trait: str, seed: int = 0) -> Params:
    """A policy that began with one trait; that of the last step, so that nothing is picked."""
    params = start(trait)
    steps = optax.cosine_decay_schedule(STARTS[trait][1], STEPS)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(steps))
    state = optimiser.init(params)
    check = jax.random.split(jax.random.key(VALIDATION), 128)
    for step in range(STEPS):
        found, reward = gradient(params, jax.random.fold_in(jax.random.key(seed), step))
        updates, state = optimiser.update(found, state)
        params = optax.apply_updates(params, updates)
        if step % 25 == 24:
            log = float(jnp.log(errors(params, Family(), check, jnp.zeros(()))[:, 1:]).mean())
            print(f"{trait} step {step + 1}\treward {float(reward):.3f}\tvalidation {log:.4f}", file=sys.stderr)
    return params


def score(policies: dict[str, Params], n: int, known: pd.DataFrame | None) -> pd.DataFrame:
    """Errors of every chooser in fresh worlds of every family; the same worlds, splits and starts for all; what is known is not played again."""
    choosers = {"random": (start("lessons"), 1e9)}
    choosers |= {n: ({"weight": jnp.eye(N_TRAITS)[i], "later": jnp.zeros(N_TRAITS)}, 0.0) for i, n in enumerate(NAMES)}
    choosers |= {f"policy from {trait}": (params, 0.0) for trait, params in policies.items()}
    if known is not None and known["world"].nunique() != n:
        known = None  # played in other worlds
    rows, there = [], set() if known is None else set(known["chooser"])
    for number, (family, recipe) in enumerate(FAMILIES.items()):
        keys = jax.random.split(jax.random.key(TEST + number), n)
        for name, (params, noise) in choosers.items():
            if name in there:
                continue
            parts = np.array_split(keys, max(n // 32, 1))
            found = np.concatenate([errors(params, recipe, part, jnp.asarray(noise)) for part in parts])
            for world, curve in enumerate(found):
                rows += [
                    {"family": family, "world": world, "chooser": name, "round": r, "error": float(e)}
                    for r, e in enumerate(curve)
                ]
        print(f"{family}\t{n} worlds", file=sys.stderr, flush=True)
    return pd.concat([*([] if known is None else [known]), pd.DataFrame(rows)], ignore_index=True)


def read(file: Path) -> dict[str, Params]:
    """Policies that were learned."""
    return {kind: {k: jnp.array(v) for k, v in params.items()} for kind, params in json.loads(file.read_text()).items()}


def main(arguments: list[str] | None = None) -> None:
    """Train, score, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", nargs="*", choices=tuple(STARTS))
    parser.add_argument("--score", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    file, table = given.out / "learned_policy.json", given.out / "learned_policy.tsv.gz"
    policies = read(file) if file.exists() else {}
    if given.train is not None:
        for kind in given.train or STARTS:
            began = time.monotonic()
            policies[kind] = train(kind)
            print(f"{kind}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        told = {
            kind: {k: np.round(np.asarray(v, float), 4).tolist() for k, v in p.items()} for kind, p in policies.items()
        }
        file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        policies = read(file)
    if given.score:
        known = pd.read_csv(table, sep="\t") if table.exists() and given.train is None else None
        score(policies, given.score, known).to_csv(table, sep="\t", index=False, float_format="%.5g")
    real = given.out / "learned_policy_campaigns.tsv"
    if table.exists():
        played = pd.read_csv(real, sep="\t") if real.exists() else None
        others = pd.read_csv(RESULTS / "campaigns.tsv.gz", sep="\t")
        text = page(pd.read_csv(table, sep="\t"), policies, played, others)
        (given.out / "learned_policy.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
