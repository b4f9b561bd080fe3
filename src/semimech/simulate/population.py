"""Cells of a world, grown through the history of a condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from semimech.experiment import Condition, Context
from semimech.simulate._random import generator
from semimech.simulate.kinetics import CellState, Effects, Kinetics, advance, reference_state, without_noise
from semimech.simulate.world import World

CHUNK = 512
"""Cells that are integrated together: few enough for the processor's cache, always the same for the compiler."""
LANES = 8
"""Coupled conditions come in multiples of this, so that the compiler sees few shapes."""


def stationary_cells(world: World, n_cells: int, *, key: PRNGKeyArray) -> CellState:
    """Unedited cells in the maintenance medium, independent draws of the stationary law.

    Each starts at the deterministic steady state, with its slow factors stationary, and lives for the settling time.

    Parameters
    ----------
    world
        Where they live.
    n_cells
        How many.
    key
        Decides the noise.
    """
    effects = _columns(world.effects([Context()]), np.zeros(CHUNK, int))
    chunks = []
    for number in range(-(-n_cells // CHUNK)):
        start = reference_state(world.kinetics, (CHUNK,))
        factors = generator(jax.random.fold_in(key, number)).standard_normal(start.factors.shape, np.float32)
        start = eqx.tree_at(lambda s: s.factors, start, factors)
        life_key = jax.random.fold_in(jax.random.fold_in(key, number), 1)
        chunks.append(advance(world.kinetics, effects, start, world.settling_hours, noise_shape=(CHUNK,), key=life_key))
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=-1)[..., :n_cells], *chunks)


def independent_cells(
    world: World,
    conditions: Sequence[Condition],
    condition: Int[np.ndarray, " cell"],
    *,
    start: CellState,
    key: PRNGKeyArray,
) -> Float[np.ndarray, "cell gene"]:
    """Cells that share nothing but their law: unpaired snapshots.

    Parameters
    ----------
    world
        Where they live.
    conditions
        What can be done to a cell.
    condition
        Position in ``conditions`` of each cell.
    start
        The cells before anything is done, one for each.
    key
        Decides the noise.

    Returns
    -------
    Abundances, counts per 10⁴ of the unedited reference.
    """
    values = np.empty((len(condition), len(world.genes)), np.float32)
    histories = [world.periods(c) for c in conditions]
    hours = [tuple(h for _, h in history) for history in histories]
    for number, durations in enumerate(dict.fromkeys(hours)):
        rows = np.flatnonzero([hours[c] == durations for c in condition])
        group_key = jax.random.fold_in(key, number)
        for piece, chunk in enumerate(_chunks(rows)):
            chunk_key = jax.random.fold_in(group_key, piece)
            cells = jax.tree.map(lambda part, chunk=chunk: part[..., chunk], start)
            for period, duration in enumerate(durations):
                contexts = [history[period][0] if len(history) > period else Context() for history in histories]
                effects = _columns(world.effects(contexts), condition[chunk])
                period_key = jax.random.fold_in(chunk_key, period)
                cells = advance(world.kinetics, effects, cells, duration, noise_shape=(CHUNK,), key=period_key)
            values[chunk] = np.asarray(cells.mrna).T
    return values * world.kinetics.expression


def coupled_cells(
    world: World, conditions: Sequence[Condition], *, start: CellState, key: PRNGKeyArray
) -> Float[np.ndarray, "condition cell gene"]:
    """The same cells, with the same noise, in every condition: contrasts between conditions are nearly free of noise.

    Parameters
    ----------
    world
        Where they live.
    conditions
        What is done.
    start
        The cells before anything is done.
    key
        Decides the noise.

    Returns
    -------
    Abundances, counts per 10⁴ of the unedited reference.
    """
    return _coupled(world, world.kinetics, conditions, start, key)


def deterministic_cells(world: World, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
    """The limit without noise: counts per 10⁴ of the unedited reference, from the unedited steady state."""
    kinetics = without_noise(world.kinetics)
    values = _coupled(world, kinetics, conditions, reference_state(kinetics, (1,)), jax.random.key(0))
    return values[:, 0]


def _coupled(
    world: World, kinetics: Kinetics, conditions: Sequence[Condition], start: CellState, key: PRNGKeyArray
) -> np.ndarray:
    n_cells = start.mrna.shape[-1]
    values = np.empty((len(conditions), n_cells, len(world.genes)), np.float32)
    histories = [world.periods(c) for c in conditions]
    prefixes = [tuple(h for _, h in history[:-1]) for history in histories]
    for durations in dict.fromkeys(prefixes):
        members = [i for i, prefix in enumerate(prefixes) if prefix == durations]
        paths = {i: tuple(context for context, _ in histories[i]) for i in members}
        lanes = {path: lane for lane, path in enumerate(dict.fromkeys(paths.values()))}
        n_lanes = -(-len(lanes) // LANES) * LANES
        cells = jax.tree.map(lambda part, n=n_lanes: np.repeat(part[:, None], n, axis=1), start)
        for period, duration in enumerate(durations):
            cells = _live(world, kinetics, [path[period] for path in lanes], cells, duration, period, 0, key)
        elapsed = 0.0
        last = sorted({histories[i][-1][1] for i in members})
        for stop, hours in enumerate(last):
            contexts = [path[-1] for path in lanes]
            cells = _live(world, kinetics, contexts, cells, hours - elapsed, len(durations), stop, key)
            elapsed = hours
            mrna = np.asarray(cells.mrna)
            for i in members:
                if histories[i][-1][1] == hours:
                    values[i] = mrna[:, lanes[paths[i]]].T
    return values * world.kinetics.expression


def _live(
    world: World,
    kinetics: Kinetics,
    contexts: Sequence[Context],
    cells: CellState,
    hours: float,
    period: int,
    stop: int,
    key: PRNGKeyArray,
) -> CellState:
    """Let all lanes live with the noise that belongs to a period and a stop within it."""
    n_spare = cells.mrna.shape[1] - len(contexts)
    effects = jax.tree.map(lambda values: values[..., None], world.effects([*contexts, *[Context()] * n_spare]))
    key = jax.random.fold_in(jax.random.fold_in(key, period), stop)
    return advance(kinetics, effects, cells, hours, noise_shape=(1, cells.mrna.shape[-1]), key=key)


def _chunks(rows: Int[np.ndarray, " row"]) -> Iterator[Int[np.ndarray, " chunk"]]:
    """Rows in pieces of one length; the last one is filled up with repeats of its first row."""
    for begin in range(0, len(rows), CHUNK):
        piece = rows[begin : begin + CHUNK]
        yield np.concatenate([np.full(CHUNK - len(piece), piece[0]), piece])


def _columns(effects: Effects, column: Int[np.ndarray, " cell"]) -> Effects:
    """The effects on each cell, from the effects of its context."""
    return jax.tree.map(lambda values: values[..., column], effects)
