"""What infinitely many cells would show: the truth that predictions are scored against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from semimech.experiment import Condition, Context, Period, effective_history
from semimech.simulate.measurement import Measurement, expected_log1p
from semimech.simulate.population import coupled_cells, deterministic_cells, stationary_cells
from semimech.simulate.world import World

_REFERENCE_CELLS = 2048


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Expectations over cells, without noise of measurement.

    Parameters
    ----------
    conditions
        What was done.
    mean
        Mean over cells, CP10k.
    observed
        Mean over cells of log1p of normalised counts, over all outcomes of the measurement, without batch effects.
    deterministic
        The limit without intrinsic noise and slow factors, CP10k.
    """

    conditions: tuple[Condition, ...]
    mean: Float[np.ndarray, "condition gene"]
    observed: Float[np.ndarray, "condition gene"]
    deterministic: Float[np.ndarray, "condition gene"]


def true_values(
    world: World,
    conditions: Sequence[Condition],
    *,
    measurement: Measurement,
    n_cells: int = 128,
    key: PRNGKeyArray,
) -> Truth:
    """Compute the truth for any conditions, harvested or not.

    The same cells with the same noise pass every condition and, for the same time, no edit at all. Unedited cells are
    stationary, so that their mean is known better from many more cells; the difference is taken off every condition.

    Parameters
    ----------
    world
        Where the cells live.
    conditions
        What is done.
    measurement
        Defines CP10k and the observed scale; its batch effects are left out.
    n_cells
        Cells per condition; the standard error of a change is near that of ``n_cells`` paired differences.
    key
        Decides the noise.
    """
    start_key, life_key = jax.random.split(key)
    reference = stationary_cells(world, _REFERENCE_CELLS, key=start_key)
    start = jax.tree.map(lambda part: part[..., :n_cells], reference)
    wanted = [*conditions, *map(untouched, conditions)]
    unique = list(dict.fromkeys(wanted))
    row = {condition: number for number, condition in enumerate(unique)}
    cells = measurement.cp10k(coupled_cells(world, unique, start=start, key=life_key))
    control = measurement.cp10k(np.asarray(reference.mrna).T * world.kinetics.expression)
    treated = [row[c] for c in conditions]
    same_cells = [row[untouched(c)] for c in conditions]

    def expectation(cells: np.ndarray, control: np.ndarray) -> np.ndarray:
        mean = cells.mean(axis=1)
        return np.maximum(mean[treated] - mean[same_cells] + control.mean(axis=0), 0.0)

    return Truth(
        conditions=tuple(conditions),
        mean=expectation(cells, control),
        observed=expectation(expected_log1p(cells, measurement), expected_log1p(control, measurement)),
        deterministic=measurement.cp10k(deterministic_cells(world, conditions)),
    )


def untouched(condition: Condition) -> Condition:
    """The condition of cells of the same age that were never edited and never left the maintenance medium.

    Its periods are cut as those of the condition are, so that both see the same noise.
    """
    return Condition(history=tuple(Period(context=Context(), hours=p.hours) for p in effective_history(condition)))
