"""The learned policy in whole campaigns: fits of the full model in the worlds of `campaigns`, against what other strategies did there.

``python -m benchmarks.learned_policy_campaigns --first 500 --worlds 4 --cache FOLDER`` writes ``results/learned_policy_campaigns.tsv``; ``python -m benchmarks.learned_policy`` then writes the page.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from benchmarks.campaigns import RESULTS, one_world
from benchmarks.learned_policy import Params, read, scorer
from benchmarks.learned_policy_traits import N_TRAITS, NAMES, Standing, after, traits
from semimech.design import STRATEGIES
from semimech.design.law_lessons import law_lessons
from semimech.design.strategies import Stand, _changes

FAMILY = "wired"


def by_policy(params: Params) -> Callable[[Stand], Sequence[int]]:
    """A strategy of a campaign: the edits with the highest score, one by one."""
    score_of = scorer(params)

    def strategy(stand: Stand) -> Sequence[int]:
        made = [c for c, is_control in zip(stand.made.conditions, stand.made.is_control, strict=True) if not is_control]
        conditions, n = [*stand.last, *made], len(stand.pool)
        found = law_lessons(stand.model, conditions, prior=stand.prior, noise=stand.noise, rng=stand.rng)
        targets = {} if stand.prior is None else stand.prior.edges["source"].value_counts().to_dict()
        guess, known = _changes(stand)
        points = np.concatenate([guess, known])
        is_made = np.arange(len(conditions)) >= n
        first = Standing(
            feature=jnp.asarray(found.feature),
            noise=jnp.asarray(found.noise),
            weight=jnp.asarray(found.weight),
            asked=jnp.asarray(~is_made / n),
            degree=jnp.array([float(sum(targets.get(e.gene, 0) for e in c.edits)) for c in conditions]),
            size=jnp.asarray((points**2).sum(axis=1)),
            apart=jnp.asarray(((points[:, None] - points[None]) ** 2).sum(axis=-1)),
            made=jnp.asarray(is_made),
        )
        state, rows = first, []
        share = jnp.asarray(is_made.mean())
        for _ in range(min(stand.batch, n)):
            score = score_of(traits(state, first, ~state.made), share)
            rows.append(int(jnp.argmax(jnp.where(state.made, -jnp.inf, score))))
            state = after(state, jnp.asarray(rows[-1]))
        return rows

    return strategy


def main(arguments: list[str] | None = None) -> None:
    """Play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    file, tables = given.out / "learned_policy_campaigns.tsv", []
    policies = read(given.out / "learned_policy.json")
    policies = {f"policy from {trait}": params for trait, params in policies.items()}
    alone = {"weight": jnp.eye(N_TRAITS)[NAMES.index("information")], "later": jnp.zeros(N_TRAITS)}
    learned = {name: by_policy(params) for name, params in (policies | {"edges": alone}).items()}
    for seed in range(given.first, given.first + given.worlds):
        began = time.monotonic()
        with patch.dict(STRATEGIES, learned):
            table = one_world(FAMILY, seed, tuple(learned), given.cache)
        tables.append(table)
        pd.concat(tables).to_csv(file, sep="\t", index=False, float_format="%.5g")
        print(f"{FAMILY} {seed}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        jax.clear_caches()


if __name__ == "__main__":
    main()
