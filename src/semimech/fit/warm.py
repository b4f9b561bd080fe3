"""Warm refits: a fit to more data that begins where an earlier one ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from semimech._errors import ConfigError
from semimech.fit.candidates import Candidate
from semimech.fit.config import FitConfig
from semimech.fit.fitted import FittedModel
from semimech.fit.loss import Weights
from semimech.fit.train import Program, Training, TrainState
from semimech.model import CellModel, Roster, split_trained

_SHARE = 0.5
"""Share of the steps of a fit from nothing that members take from where earlier ones ended."""


def narrowed(config: FitConfig, chosen: Candidate) -> FitConfig:
    """Settings with the steady-state loss that was chosen before; penalties are chosen again, as more data bear weaker ones."""
    return replace(
        config,
        steady_state=chosen.strength,
        steady_state_weights=(chosen.weight,),
        latent_factors=(chosen.n_factors,),
    )


def warm_steps(config: FitConfig) -> int:
    """Steps of members that begin warm."""
    return max(round(_SHARE * config.n_steps), 1)


def warm_starts(earlier: FittedModel, roster: Roster, start: CellModel, n_members: int) -> list[CellModel]:
    """Where each member begins: where one of the earlier ones ended.

    Models that are held out of part of the data begin from nothing, in a warm fit too: the earlier members may have seen that part.

    Raises
    ------
    ConfigError
        If the earlier model has other genes, targets or media, or a law of another form.
    """
    if earlier.roster != roster:
        raise ConfigError(
            "warm: the earlier model has other genes, targets or media; fit from nothing, or name all targets in both fits"
        )
    trained, wanted = split_trained(earlier.fit.members)[0], split_trained(start)[0]
    runs = [jax.tree.map(lambda leaf, i=i: leaf[i % len(leaf)], trained) for i in range(n_members)]
    if jax.tree.map(jnp.shape, runs[0]) != jax.tree.map(jnp.shape, wanted):
        raise ConfigError("warm: the earlier model has a law of another form; fit from nothing, or with its settings")
    return runs


def final_fit(
    training: Training,
    program: Program,
    runs: Sequence[Weights],
    keys: Sequence[PRNGKeyArray],
    begin: Sequence[CellModel],
) -> TrainState:
    """All runs from nothing; or the members from where they begin, and what conditions are held out of from nothing."""
    n, config, label = len(begin), program.config, "final fit"
    if not begin:
        return training.run(program, runs, keys, n_steps=config.n_steps, label=label)
    state = training.run(program, runs[:n], keys[:n], n_steps=warm_steps(config), label=label, begin=begin)
    if len(runs) == n:
        return state
    tests = training.run(program, runs[n:], keys[n:], n_steps=config.n_steps, label="held out")
    return eqx.tree_at(
        lambda s: s.model, state, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), state.model, tests.model)
    )
