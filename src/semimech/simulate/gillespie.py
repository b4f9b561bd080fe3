"""Molecules counted one by one: the birth–death law whose limit of large numbers a world integrates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from semimech.experiment import Context
from semimech.simulate._random import generator
from semimech.simulate.kinetics import STEP_HOURS, Kinetics, production
from semimech.simulate.world import World


class _Law(eqx.Module):
    """Rates of birth and death of a world in one context; molecules are mRNAs first, then proteins of regulators."""

    kinetics: Kinetics
    functional: Float[np.ndarray, " regulator"]
    activity: Float[np.ndarray, " regulator"]
    fold: Float[np.ndarray, " gene"]
    added: Float[np.ndarray, " gene"]
    decay: Float[np.ndarray, " molecule"]
    is_instant: np.ndarray

    def births(self, count: Int[Array, "molecule cell"], size: Float[Array, ""]) -> Float[Array, "molecule cell"]:
        """Molecules made per hour."""
        n_genes = len(self.fold)
        made = self.functional[:, None] * count[self.kinetics.regulators]
        protein = jnp.where(self.is_instant[:, None], made, count[n_genes:]) / size
        relative = production(self.kinetics, self.activity[:, None] * protein)
        mrna = self.kinetics.decay[:, None] * size * (relative * self.fold[:, None] + self.added[:, None])
        return jnp.concatenate([mrna, self.decay[n_genes:, None] * made])


def exact_counts(
    world: World,
    context: Context,
    hours: Sequence[float],
    *,
    system_size: int,
    n_cells: int,
    key: PRNGKeyArray,
) -> Int[np.ndarray, "time cell gene"]:
    r"""Simulate every birth and death of every mRNA: the direct method of Gillespie (1977, J. Phys. Chem. 81, 2340–2361).

    .. math::
        \varnothing \to \text{mRNA}_i \text{ at } \Omega\,\delta_i \bigl(\rho_i(p)\,u_i + v_i\bigr), \qquad
        \text{mRNA}_i \to \varnothing \text{ at } \delta_i\, d_i\, n_i

    with production :math:`\rho`, decay :math:`\delta` and effects :math:`u, v, d` of the context as in `Kinetics` and
    `Effects`, and relative abundances :math:`n / \Omega`. Proteins that do not follow their mRNA at once are counted
    too, with the same :math:`\Omega`. Slow factors are left out. All cells start with :math:`\Omega` of each molecule,
    the unedited steady state.

    Meant for about 10 genes: the work grows as ``system_size`` × genes × hours. The mean over cells differs from
    `deterministic_cells` by order :math:`1/\Omega`, and not at all without regulation.

    Parameters
    ----------
    world
        Where the cells live; ``kinetics.noise`` and ``kinetics.loadings`` are not used.
    context
        What acts on the cells from time 0 on.
    hours
        When to look, increasing.
    system_size
        :math:`\Omega`, molecules per unit of relative abundance; the squared coefficient of variation of an
        unregulated mRNA is ``1 / system_size``.
    n_cells
        Cells, independent of each other, each seen at all times.
    key
        Decides all draws.

    Raises
    ------
    ValueError
        If ``system_size`` or ``n_cells`` is below 1, or times are negative or not increasing.
    """
    waits = _waits(hours, system_size, n_cells)
    law, count = _start(world, context, system_size, n_cells)
    seen = []
    for number, wait in enumerate(waits):
        count = _live_exactly(law, count, jnp.float32(system_size), jnp.float32(wait), jax.random.fold_in(key, number))
        seen.append(np.asarray(count[: len(world.genes)]).T)
    return np.stack(seen)


def leaping_counts(
    world: World,
    context: Context,
    hours: Sequence[float],
    *,
    system_size: int,
    n_cells: int,
    key: PRNGKeyArray,
    step_hours: float = STEP_HOURS / 4,
) -> Int[np.ndarray, "time cell gene"]:
    r"""Simulate the process of `exact_counts` in steps in which production is held: tau-leaping.

    After Gillespie (2001, J. Chem. Phys. 115, 1716–1733), but with exact decay: of :math:`n` molecules a binomial number
    survives the step, and the survivors of those made in it are Poisson. Counts never fall below 0, and a gene without
    regulation follows its law exactly at any step. The limit :math:`\Omega \to \infty` is `advance` without noise at
    the same step.

    Parameters
    ----------
    world, context, hours, system_size, n_cells, key
        As for `exact_counts`.
    step_hours
        Longest time step, hours.

    Raises
    ------
    ValueError
        As `exact_counts`, or if ``step_hours`` is not positive.
    """
    if not step_hours > 0:
        raise ValueError(f"step_hours must be positive, got {step_hours:g}")
    waits = _waits(hours, system_size, n_cells)
    law, start = _start(world, context, system_size, n_cells)
    count, rng, seen = np.asarray(start), generator(key), []
    for wait in waits:
        n_steps = math.ceil(wait / step_hours - 1e-9)
        keep = np.exp(-np.asarray(law.decay, float) * wait / max(n_steps, 1))[:, None]
        made = -np.expm1(np.log(keep)) / np.maximum(law.decay[:, None], np.finfo(np.float32).tiny)
        for _ in range(n_steps):
            births = np.asarray(_births(law, count, np.float32(system_size)))
            count = (rng.binomial(count, keep) + rng.poisson(births * made)).astype(np.int32)
        seen.append(count[: len(world.genes)].T)
    return np.stack(seen)


def _waits(hours: Sequence[float], system_size: int, n_cells: int) -> np.ndarray:
    waits = np.diff([0.0, *hours])
    faults = [
        f"{name} must be at least 1, got {value}"
        for name, value in (("system_size", system_size), ("n_cells", n_cells))
        if value < 1
    ]
    if not len(waits) or (waits < 0).any():
        faults.append(f"hours must be 0 or more and increase, got {list(hours)}")
    if faults:
        raise ValueError("; ".join(faults))
    return waits


def _start(world: World, context: Context, system_size: int, n_cells: int) -> tuple[_Law, Array]:
    kinetics = world.kinetics
    effects = jax.tree.map(lambda values: values[:, 0], world.effects([context]))
    is_instant = ~np.isfinite(kinetics.protein_decay)
    law = _Law(
        kinetics=kinetics,
        functional=effects.functional[kinetics.regulators],
        activity=effects.activity[kinetics.regulators],
        fold=effects.production_fold,
        added=effects.production_added,
        decay=np.concatenate([kinetics.decay * effects.decay_fold, np.where(is_instant, 0, kinetics.protein_decay)]),
        is_instant=is_instant,
    )
    return law, jnp.full((len(law.decay), n_cells), system_size, jnp.int32)


_births = jax.jit(_Law.births)


@jax.jit
def _live_exactly(
    law: _Law, count: Int[Array, "molecule cell"], size: Float[Array, ""], hours: Float[Array, ""], key: PRNGKeyArray
) -> Int[Array, "molecule cell"]:
    """One event per cell and turn, until no cell has time left; a wait that is cut short is drawn anew, as it may be."""
    n_molecules, n_cells = count.shape

    def has_time_left(state: tuple[Array, Array, Array]) -> Array:
        return jnp.any(state[1] > 0)

    def turn(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, left, number = state
        rates = jnp.concatenate([law.births(count, size), law.decay[:, None] * count])
        cumulated = jnp.cumsum(rates, axis=0)
        wait_key, which_key = jax.random.split(jax.random.fold_in(key, number))
        wait = jax.random.exponential(wait_key, (n_cells,)) / jnp.maximum(cumulated[-1], jnp.finfo(jnp.float32).tiny)
        drawn = jax.random.uniform(which_key, (n_cells,)) * cumulated[-1]
        which = jnp.argmax(cumulated > drawn, axis=0)
        change = jnp.where(which < n_molecules, 1, -1) * (wait < left)
        count = count.at[which % n_molecules, jnp.arange(n_cells)].add(change)
        return count, jnp.maximum(left - wait, 0), number + 1

    left = jnp.full(n_cells, hours)
    return jax.lax.while_loop(has_time_left, turn, (count, left, jnp.int32(0)))[0]
