"""A pool of cells in every condition, harvested at the same moment, to draw any number of measured cells from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from semimech.experiment import Condition, Context
from semimech.simulate.kinetics import advance
from semimech.simulate.measurement import Measurement, expected_log1p
from semimech.simulate.population import LANES, deterministic_cells, stationary_cells
from semimech.simulate.truth import Truth
from semimech.simulate.world import World

_TOGETHER = 16
"""States that are integrated together in all conditions, so that memory does not grow with their number."""


@dataclass(frozen=True, kw_only=True)
class StatePool:
    """States of cells in each condition.

    Parameters
    ----------
    conditions
        What was done.
    path
        Row of ``abundance`` of each condition; conditions that cells cannot tell apart share one.
    abundance
        Counts per 10⁴ of the unedited reference; the same state of two paths is the same cell with the same noise.
    """

    conditions: tuple[Condition, ...]
    path: Int[np.ndarray, " condition"]
    abundance: Float[np.ndarray, "path state gene"]

    def truth(self, world: World, measurement: Measurement, n_conditions: int) -> Truth:
        """What infinitely many cells, drawn from the pool, would show of its first conditions."""
        cp10k, observed = np.empty((2, len(self.abundance), len(world.genes)))
        for number, states in enumerate(self.abundance):
            values = measurement.cp10k(states)
            cp10k[number] = values.mean(axis=0)
            observed[number] = expected_log1p(values, measurement).mean(axis=0)
        conditions, path = self.conditions[:n_conditions], self.path[:n_conditions]
        return Truth(
            conditions=conditions,
            mean=cp10k[path],
            observed=observed[path],
            deterministic=measurement.cp10k(deterministic_cells(world, conditions)),
        )


def make_pool(world: World, conditions: Sequence[Condition], n_states: int, *, key: PRNGKeyArray) -> StatePool:
    """Grow the same cells, with the same noise, in every condition.

    All are harvested at one moment: who lives shorter in a condition is edited later. Unedited cells are then the same at
    every time of harvest, stationary without any noise of the pool, and genes that an edit does not reach are too.

    Parameters
    ----------
    world
        Where they live.
    conditions
        What is done.
    n_states
        Cells per condition.
    key
        Decides the noise.
    """
    start_key, life_key = jax.random.split(key)
    bounds, lives = _lives([world.periods(c) for c in conditions])
    row = {life: number for number, life in enumerate(dict.fromkeys(lives))}
    n_lanes = -(-len(row) // LANES) * LANES
    spare = [(Context(),) * (len(bounds) - 1)] * (n_lanes - len(row))
    effects = [
        jax.tree.map(lambda values: values[..., None], world.effects(contexts))
        for contexts in zip(*row, *spare, strict=True)
    ]
    start = stationary_cells(world, n_states, key=start_key)
    abundance = np.empty((len(row), n_states, len(world.genes)), np.float32)
    for first in range(0, n_states, _TOGETHER):
        some = slice(first, first + _TOGETHER)
        cells = jax.tree.map(lambda part, s=some: np.repeat(part[:, None, s], n_lanes, axis=1), start)
        shape = (1, cells.mrna.shape[-1])
        for segment, (effect, hours) in enumerate(zip(effects, np.diff(bounds), strict=True)):
            noise_key = jax.random.fold_in(jax.random.fold_in(life_key, first), segment)
            cells = advance(world.kinetics, effect, cells, float(hours), noise_shape=shape, key=noise_key)
        abundance[:, some] = np.asarray(cells.mrna)[:, : len(row)].transpose(1, 2, 0)
    abundance *= world.kinetics.expression
    return StatePool(conditions=tuple(conditions), path=np.array([row[life] for life in lives]), abundance=abundance)


def _lives(
    histories: Sequence[Sequence[tuple[Context, float]]],
) -> tuple[Float[np.ndarray, " bound"], list[tuple[Context, ...]]]:
    """Moments at which anything changes for anybody, and the context of each history between them; all end together."""
    starts = []
    for history in histories:
        left = np.cumsum([hours for _, hours in reversed(history)])[::-1]
        starts.append(-np.round(left, 6))
    bounds = np.unique(np.concatenate([[0.0], *starts]))
    lives = []
    for history, begins in zip(histories, starts, strict=True):
        place = np.searchsorted(begins, bounds[:-1], side="right") - 1
        lives.append(tuple(history[p][0] if p >= 0 else Context() for p in place))
    return bounds, lives
