"""The only loop: many runs of one problem side by side, in chunks that end at checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from semimech.fit.archive import read_leaves, write_leaves
from semimech.fit.candidates import most_factors
from semimech.fit.config import FitConfig
from semimech.fit.devices import shared_out
from semimech.fit.first_guess import FirstGuess
from semimech.fit.loss import ControlNoise, Weights, fitting_loss, in_form_of, steady_state_term, with_tables
from semimech.fit.problem import AppliedStrength, Problem, lyapunov_step
from semimech.fit.start import initial_noise, redraw, with_weights
from semimech.fit.steps import SafePoint, first_point, free, paces
from semimech.model import AbstractSolver, CellModel, Roster, split_trained

_RHYTHM = 2
_MANY_GENES = 64
_AT_ONCE = 3  # one program size for every set of runs; folds and sparsities come in threes
Progress: TypeAlias = Callable[[str, int, int], None]
_Record = TypeVar("_Record")
TERMS = ("data", "steady state", "sparsity", "weight decay", "residual share")


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is compiled once for all runs: the choices that change the computation.

    Parameters
    ----------
    strength
        Steady-state loss.
    config
        Settings.
    """

    strength: AppliedStrength
    config: FitConfig


class TrainState(eqx.Module):
    """Where a run stands, or runs side by side with a leading axis in every leaf: parameters, optimiser and step."""

    model: CellModel
    noise: ControlNoise
    optimiser: optax.OptState
    safe: SafePoint
    step: Int[Array | np.ndarray, " *run"]
    history: Float[Array | np.ndarray, "*run step term"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """A compiled problem and how its runs are carried out.

    Parameters
    ----------
    problem
        The data, compiled.
    roster
        Names of genes, targets and media.
    start
        Gives the structure of the model; its neural weights are drawn anew for each run.
    solver
        How to integrate.
    pull
        Steady-state loss that some of the runs will have: those without share its compiled program.
    checkpoint
        Folder for checkpoints; a set of runs that finds its own goes on from there.
    progress
        Called with label, steps done and steps in all.
    guess
        Where the edges of a full matrix begin; from nothing if not given.
    """

    problem: Problem
    roster: Roster
    start: CellModel
    solver: AbstractSolver
    pull: AppliedStrength = "none"
    checkpoint: Path | None = None
    progress: Progress | None = None
    guess: FirstGuess | None = None

    def run(
        self,
        program: Program,
        runs: Sequence[Weights],
        keys: Sequence[PRNGKeyArray],
        *,
        n_steps: int,
        label: str,
        begin: Sequence[CellModel] = (),
    ) -> TrainState:
        """Fit every run; runs are independent and share one compiled program.

        Parameters
        ----------
        program
            Choices that change the computation.
        runs
            Weights of the terms and conditions, one record per run.
        keys
            Randomness of each run.
        n_steps
            Steps of the optimiser.
        label
            Name of this set of runs, for progress and for its checkpoint files.
        begin
            Trained arrays that each run begins from, if not from those of ``start`` and the guess.
        """
        groups = [list(range(i, min(i + _AT_ONCE, len(runs)))) for i in range(0, len(runs), _AT_ONCE)]
        _, fixed = split_trained(self.start)
        is_pulled = program.strength != "none"
        compiled = _compiled(program if is_pulled else replace(program, strength=self.pull))
        problem, finished = shared_out(in_form_of(self.problem, self.start), program.config.devices), []
        for number, group in enumerate(groups):
            padded = [*group, *[group[-1]] * (_AT_ONCE - len(group))]
            weights = _stacked([runs[i] for i in padded])
            longest = max(n_steps, *_planned_steps(program.config))
            factors = [int(runs[i].factors) for i in padded]
            drawn = [keys[i] for i in padded]
            file = None if self.checkpoint is None else self.checkpoint / f"{label.replace(' ', '_')}-{number}.npz"
            goes_on = file is not None and file.exists()
            at = [begin[i] if begin else self._first(runs[i], keys[i], is_guessed=not goes_on) for i in padded]
            state = _begin(problem, compiled, drawn, longest, factors=factors, begin=at)
            if file is not None and goes_on:
                state = read_leaves(file, state)
            done = int(state.step[0])
            while done < n_steps:
                n = min(program.config.checkpoint_every, n_steps - done)
                turn = (n, jnp.array(n_steps), jnp.array(is_pulled))
                state = _advance(state, fixed, weights, problem, compiled, self.solver, *turn)
                done += n
                if file is not None:
                    write_leaves(file, state)
                if self.progress is not None:
                    self.progress(label, number * n_steps + done, len(groups) * n_steps)
            finished.append(jax.tree.map(lambda leaf, n=len(group): np.asarray(leaf)[:n], state))
        state = jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves)), *finished)
        return eqx.tree_at(lambda s: s.history, state, np.asarray(state.history)[:, :n_steps])

    def _first(self, run: Weights, key: PRNGKeyArray, *, is_guessed: bool) -> CellModel:
        """Where a run begins that goes on from none: neural parts at random, edges as the conditions that it is shown tell them."""
        model = redraw(self.start, key=jax.random.split(key)[0])
        if self.guess is not None and is_guessed:
            shown = np.asarray(run.row)[: len(self.guess.dataset.conditions)] > 0
            model = with_weights(model, self.guess.weights(shown))
        return split_trained(model)[0]

    def models(self, state: TrainState) -> CellModel:
        """The models of finished runs, arrays stacked over runs."""
        return eqx.combine(state.model, split_trained(self.start)[1])


def _compiled(program: Program) -> Program:
    """The program without the settings that do not enter it, so that fits that differ only in those share it."""
    config = program.config
    settings = FitConfig(
        learning_rate=config.learning_rate,
        half_life_hours=config.half_life_hours,
        latent_factors=(most_factors(config) if program.strength == "moment" else 0,),
    )
    return replace(program, config=settings)


def _planned_steps(config: FitConfig) -> tuple[int, int]:
    """Steps of the two kinds of runs: histories have room for the longer, so that both share one program."""
    return config.n_steps, config.validation_steps


def _begin(
    problem: Problem,
    program: Program,
    keys: Sequence[PRNGKeyArray],
    n_steps: int,
    *,
    factors: Sequence[int],
    begin: Sequence[CellModel],
) -> TrainState:
    """Stacked starts of runs with some of the program's factors each; others load on no gene, and stay so, as covariances are squares of loadings."""
    states = []
    for trained, key, n_loaded in zip(begin, keys, factors, strict=True):
        noise = initial_noise(problem, most_factors(program.config), n_loaded, key=jax.random.split(key)[1])
        flat = ravel_pytree((trained, noise))[0]
        optimiser = optax.scale_by_adam().init(flat)
        history = np.full((n_steps, len(TERMS)), np.nan, np.float32)
        at = {"optimiser": optimiser, "safe": first_point(flat), "step": jnp.array(0), "history": history}
        states.append(TrainState(model=trained, noise=noise, **at))
    return _stacked(states)


def _stacked(records: Sequence[_Record]) -> _Record:
    """Records with their arrays stacked, through NumPy: nothing to compile, and no weak types."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *records)


@eqx.filter_jit
def _advance(
    state: TrainState,
    fixed: CellModel,
    weights: Weights,
    problem: Problem,
    program: Program,
    solver: AbstractSolver,
    n_steps: int,
    total_steps: Array,
    is_pulled: Array,
) -> TrainState:
    """Take some steps of Adam with a cosine schedule (Loshchilov & Hutter 2017, arXiv:1608.03983), in every run.

    With many genes the gradient of the steady-state loss, by far the dearest part, enters every second step only, twice
    as strong. Holding it over both steps was seen to unsettle the fit. A run that gets lost goes back (`SafePoint`).
    """
    config = program.config
    transform = optax.chain(optax.clip_by_global_norm(5.0), optax.scale_by_adam())
    is_free, _ = ravel_pytree(free((state.model, state.noise), jnp.isfinite(jnp.asarray(problem.price))))
    pace, _ = ravel_pytree(paces((state.model, state.noise), fixed, jnp.asarray(problem.reach)))

    def steady_state(trained: tuple[CellModel, ControlNoise], weights: Weights) -> Array:
        dynamics = eqx.combine(trained[0], fixed).dynamics
        return weights.steady_state * steady_state_term(
            program.strength, dynamics, trained[1], problem, step=lyapunov_step(config.half_life_hours)
        )

    def rest(
        trained: tuple[CellModel, ControlNoise], weights: Weights, priced: Problem
    ) -> tuple[Array, dict[str, Array]]:
        model = eqx.combine(trained[0], fixed)
        return fitting_loss(model, trained[1], priced, weights, solver=solver, half_life_hours=config.half_life_hours)

    def one_step(state: TrainState, weights: Weights, value: Array, pull: Array, priced: Problem) -> TrainState:
        trained = (state.model, state.noise)
        (_, terms), gradient = jax.value_and_grad(rest, has_aux=True)(trained, weights, priced)
        flat, unravel = ravel_pytree(trained)
        downhill = (pull + ravel_pytree(gradient)[0]) * is_free
        downhill = jnp.where(jnp.isfinite(downhill).all(), downhill, 0.0)  # a gradient that overflows is left out
        update, (_, optimiser) = transform.update(downhill, (optax.EmptyState(), state.optimiser))
        warm = jnp.minimum((state.step + 1) / 10.0, 1.0)
        rate = config.learning_rate * warm * 0.5 * (1.0 + jnp.cos(jnp.pi * state.step / total_steps))
        safe, is_lost = state.safe.after(flat, value + sum(terms.values()))
        optimiser = jax.tree.map(lambda leaf: jnp.where(is_lost, jnp.zeros_like(leaf), leaf), optimiser)
        model, noise = unravel(jnp.where(is_lost, safe.point, flat - safe.share * rate * pace * update))
        history = (
            jnp.asarray(state.history)
            .at[state.step]
            .set(jnp.stack([{**terms, "steady state": value}[name] for name in TERMS]))
        )
        step = state.step + 1
        return TrainState(model=model, noise=noise, optimiser=optimiser, safe=safe, step=step, history=history)

    rhythm = _RHYTHM if len(problem.unit) >= _MANY_GENES else 1

    def run(state: TrainState, weights: Weights) -> TrainState:
        priced = with_tables(problem, weights)

        def due(state: TrainState, value: Array) -> tuple[Array, Array]:
            del value
            now, gradient = jax.value_and_grad(steady_state)((state.model, state.noise), weights)
            return now, rhythm * ravel_pytree(gradient)[0]

        def left_out(state: TrainState, value: Array) -> tuple[Array, Array]:
            return value, jnp.zeros_like(ravel_pytree((state.model, state.noise))[0])

        def advance(carry: tuple[TrainState, Array], number: Array) -> tuple[tuple[TrainState, Array], None]:
            state, value = carry
            is_due = is_pulled & (number % rhythm == 0)
            value, pull = jax.lax.cond(is_due, due, left_out, state, value)
            return (one_step(state, weights, value, pull, priced), value), None

        (state, _), _ = jax.lax.scan(advance, (state, jnp.array(0.0)), jnp.arange(n_steps))
        return state

    return jax.vmap(run)(state, weights)
