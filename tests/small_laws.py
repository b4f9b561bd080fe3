"""Small random laws of known size, and their states after protocols written as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from semimech.data import CellSystem
from semimech.data.scale import Scale, identity_scale
from semimech.experiment import Condition, Context, Edit, parse_experiment
from semimech.model import (
    AbstractDynamics,
    AbstractSolver,
    CellModel,
    ContextArrays,
    ExponentialSolver,
    LinearDynamics,
    MechanisticDynamics,
    NeuralDynamics,
    Operator,
    Protocol,
    ResidualRegulation,
    Roster,
    SaturatingRegulation,
    ScaleGrid,
    context_arrays,
    make_plan,
    neural_map,
    protocol_steps,
    run_plan,
)
from semimech.predictor import Prediction

ROSTER = Roster(genes=("A", "B", "C", "D"), targets=("T",), media=("M", "N"))
"""Four measured genes, one edited gene that is not measured, and two media beside the maintenance medium."""
N_GENES, N_REGULATORS, N_MEDIA = len(ROSTER.genes), len(ROSTER.regulators), len(ROSTER.media)
START = np.array([0.7, 1.6, 1.0, 0.3])
UNIT = np.array([3.0, 40.0, 0.5, 8.0])
FINE = ExponentialSolver(0.05)

_run = eqx.filter_jit(run_plan)


def regulation(seed: int = 0, *, strength: float = 0.5, **fields) -> SaturatingRegulation:
    """Regulation with every parameter drawn at random, and no gene acting on itself."""
    rng = np.random.default_rng(seed)
    weight = strength * rng.normal(size=(N_GENES, N_REGULATORS))
    np.fill_diagonal(weight, 0.0)
    drawn = {
        "weight": weight,
        "bias": 0.1 * rng.normal(size=N_GENES),
        "medium_effect": strength * rng.normal(size=(N_GENES, N_MEDIA)),
        "edit_effect": 0.1 * rng.normal(size=N_GENES),
        "log_headroom": np.log(5.0) + 0.2 * rng.normal(size=N_GENES),
    }
    return SaturatingRegulation(**{name: jnp.asarray(value) for name, value in (drawn | fields).items()})


def mechanistic(seed: int = 0, *, residual: bool = False, **fields) -> MechanisticDynamics:
    """Production along a random network, half-lives between 3 and 14 hours."""
    rng = np.random.default_rng(seed + 1000)
    mechanism = regulation(seed, **fields)
    return MechanisticDynamics(
        regulation=ResidualRegulation(mechanism=mechanism, correction=network(seed)) if residual else mechanism,
        log_degradation=jnp.asarray(np.log(rng.uniform(0.05, 0.25, N_GENES))),
        log_transcript=jnp.asarray(-0.4),
        log_transcript_gene=jnp.asarray(0.3 * rng.normal(size=N_GENES)),
    )


def network(seed: int = 0, *, scale: float = 0.3):
    """A neural map that is not zero."""
    rng = np.random.default_rng(seed + 2000)
    made = neural_map(N_GENES, N_REGULATORS, N_MEDIA, n_hidden=6, key=jax.random.key(seed), dtype=jnp.dtype("float64"))
    leave = jnp.asarray(scale * rng.normal(size=made.leave.shape))
    return eqx.tree_at(lambda m: m.leave, made, leave)


def neural(seed: int = 0, *, scale: float = 0.3) -> NeuralDynamics:
    """A Neural ODE whose network is not zero."""
    return NeuralDynamics(
        network=network(seed, scale=scale),
        rate=0.1,
        log_transcript=jnp.asarray(-0.4),
        log_transcript_gene=jnp.zeros(N_GENES),
    )


def linear(seed: int = 0, *, strength: float = 0.3) -> LinearDynamics:
    """A stable random linear law."""
    rng = np.random.default_rng(seed + 3000)
    return LinearDynamics(
        weight=jnp.asarray(strength * rng.normal(size=(N_GENES, N_REGULATORS))),
        bias=jnp.asarray(0.1 * rng.normal(size=N_GENES)),
        log_degradation=jnp.asarray(np.log(rng.uniform(0.05, 0.25, N_GENES))),
    )


def harvested(protocol: str) -> Condition:
    """The condition at the last harvest of a protocol."""
    return list(parse_experiment(protocol).conditions.values())[-1]


def states(
    law: AbstractDynamics,
    protocols: Sequence[str | Condition],
    solver: AbstractSolver,
    *,
    start: np.ndarray = START,
    roster: Roster = ROSTER,
) -> np.ndarray:
    """Relative states at the last harvest of each protocol."""
    conditions = [harvested(p) if isinstance(p, str) else p for p in protocols]
    return np.asarray(_run(law, jnp.asarray(start), make_plan(conditions, roster), solver))[: len(conditions)]


def context(*edits: Edit, medium: str | None = None, roster: Roster = ROSTER) -> ContextArrays:
    """One context as numbers, without a leading axis."""
    encoded = context_arrays([Context(edits=edits, medium=medium)], roster)
    return ContextArrays(**{name: value[0] for name, value in vars(encoded).items()})


def ensemble(*laws: AbstractDynamics, scale: Scale | None = None) -> CellModel:
    """Laws as the members of an ensemble, for cells whose unedited state is ``UNIT``."""
    scale = identity_scale() if scale is None else scale
    return CellModel(
        dynamics=jax.tree.map(lambda *leaves: jnp.stack(leaves), *laws),
        log_initial=np.zeros(N_GENES),
        unit=UNIT,
        scale=ScaleGrid(state=scale.state_grid, observed=scale.observed_grid),
    )


def operators(laws: CellModel, *, solver: AbstractSolver = FINE) -> Callable[[Protocol], Operator]:
    """Makes the operators of an ensemble."""

    def make(protocol: Protocol) -> Operator:
        steps = protocol_steps(protocol)
        return Operator(laws=laws, roster=ROSTER, solver=solver, system=CellSystem(), steps=steps)

    return make


def certain(fit_law):
    """Fit a law that takes itself for certain: its intervals have no width."""

    def fit(data):
        law = fit_law(data)
        predict = law.predict_conditions

        def without_width(conditions):
            mean = predict(conditions).mean
            return Prediction(mean=mean, lower=mean, upper=mean)

        law.predict_conditions = without_width
        return law

    return fit
