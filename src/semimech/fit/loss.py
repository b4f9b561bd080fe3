"""The terms of the loss, each a pure function of a model and a problem, in units that mean the same in every data set."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from semimech.fit.counts import count_term
from semimech.fit.populations import energy_term
from semimech.fit.problem import AppliedStrength, Controls, Problem
from semimech.model import (
    AbstractDynamics,
    AbstractSolver,
    CellModel,
    MechanisticDynamics,
    NeuralDynamics,
    NeuralMap,
    ResidualRegulation,
    implied_covariance,
    jacobian,
    table_factor,
    wiring,
)

_DIAGONAL_WEIGHT = 0.09
_LEAST_COVARIANCE = 1e-6


class ControlNoise(eqx.Module):
    """What the ``moment`` strength learns beside the law.

    Parameters
    ----------
    log_intrinsic
        Logarithm of the intrinsic variance per gene that production noise alone would give.
    loading
        How slow latent factors drive each gene's relative production.
    log_factor_rate
        Logarithm of the factors' rate, per hour.
    """

    log_intrinsic: Float[Array, " gene"]
    loading: Float[Array, "gene factor"]
    log_factor_rate: Float[Array, " factor"]


class Weights(eqx.Module):
    """Weights of the loss terms, and of the conditions; one record per run, stacked over runs.

    Parameters
    ----------
    row
        Weight of each row of the problem; zero holds it out.
    steady_state, sparsity, decay, residual
        Weights of the terms.
    tables
        How often each soft table of known wiring counts.
    factors
        Slow latent factors of the ``moment`` strength that may load on genes, of those that the program has.
    """

    row: Float[Array | np.ndarray, " row"]
    steady_state: Float[Array | np.ndarray, ""]
    sparsity: Float[Array | np.ndarray, ""]
    decay: Float[Array | np.ndarray, ""]
    residual: Float[Array | np.ndarray, ""]
    tables: Float[Array | np.ndarray, " table"]
    factors: Int[Array | np.ndarray, ""]


def data_term(predicted: Float[Array, "row gene"], problem: Problem, row: Float[Array, " row"]) -> Array:
    """Weighted squared error of the means; 1 is the error of predicting no change."""
    squared = (problem.weight * (predicted - problem.target) ** 2).mean(axis=1)
    return jnp.sum(row * squared) / (jnp.maximum(jnp.sum(row), 1e-6) * problem.no_change)


def data_loss(
    states: Float[Array, "row gene"], predicted: Float[Array, "row gene"], problem: Problem, row: Float[Array, " row"]
) -> Array:
    """The data term on means, or on counts; with populations, the energy distance of edited cells, and means of unedited ones."""
    if problem.counts is not None:
        return count_term(states, problem.counts, row)
    if problem.populations is None:
        return data_term(predicted, problem, row)
    is_population = jnp.zeros(row.shape).at[problem.populations.row].set(1.0)
    unedited = data_term(predicted, problem, row * (1.0 - is_population))
    return energy_term(predicted, problem.populations, row) + unedited


def point_term(dynamics: AbstractDynamics, controls: Controls) -> Array:
    """Every control cell is a fixed point: mean squared drift in units of the natural rate."""
    return jnp.mean(_relative_drift(dynamics, controls) ** 2)


def mean_term(dynamics: AbstractDynamics, controls: Controls) -> Array:
    """The mean of the control cells does not drift: squared mean drift in units of the natural rate."""
    return jnp.mean(jnp.mean(_relative_drift(dynamics, controls), axis=0) ** 2)


def moment_term(dynamics: AbstractDynamics, noise: ControlNoise, controls: Controls, *, step: float) -> Array:
    """The covariance that the law implies is that of the controls; 1 is the misfit of a law without edges.

    Each squared difference counts by the precision of the observed covariance. Intrinsic noise enters as ``D = 2 δ c``
    with ``c`` free per gene; the diagonal counts less, since ``c`` can fit it alone. The logarithm tames a law that is
    close to unstable.
    """
    unedited = jnp.ones(controls.covariance.shape[0], controls.points.dtype)
    rate = dynamics.natural_rate()
    implied = implied_covariance(
        jacobian(dynamics, unedited, controls.context),
        2.0 * rate * jnp.exp(noise.log_intrinsic),
        rate[:, None] * noise.loading,
        jnp.exp(noise.log_factor_rate),
        step=step,
    )
    observed = jnp.asarray(controls.covariance)
    is_own = jnp.eye(len(observed), dtype=bool)
    weight = jnp.where(is_own, _DIAGONAL_WEIGHT, 1.0) * jnp.asarray(controls.precision)
    unexplained = jnp.sum(jnp.where(is_own, 0.0, weight * observed**2))
    return jnp.log1p(jnp.sum(weight * (implied - observed) ** 2) / jnp.maximum(unexplained, _LEAST_COVARIANCE))


def steady_state_term(
    strength: AppliedStrength, dynamics: AbstractDynamics, noise: ControlNoise, problem: Problem, *, step: float
) -> Array:
    """The steady-state loss on unedited cells in the maintenance medium, in one of its strengths."""
    if strength == "none" or problem.controls is None:
        return jnp.array(0.0)
    if strength == "point":
        return point_term(dynamics, problem.controls)
    if strength == "mean":
        return mean_term(dynamics, problem.controls)
    return moment_term(dynamics, noise, problem.controls, step=step)


def sparsity_term(dynamics: AbstractDynamics, problem: Problem, tables: Float[Array | np.ndarray, " table"]) -> Array:
    r"""Priced sum of absolute edge weights per gene, and of the singular values of programmes; zero for a law without edges.

    The least of :math:`(\lVert R\rVert^2 + \lVert W\rVert^2)/2` over all ways to write a matrix as :math:`WR^\top` is the sum of its
    singular values (Srebro et al. 2005, NIPS 17). The absolute entries of an even programme of n regulators sum to about n times that: programmes
    cost what edges outside all tables cost, times the root of n, half way; with less, laws of 5,000 genes did not come to rest.
    """
    mechanism = wiring(dynamics)
    if mechanism is None:
        return jnp.array(0.0)
    price = jnp.where(jnp.isinf(problem.price), 0.0, problem.price)
    total = jnp.sum(price * jnp.abs(mechanism.weight))
    if mechanism.programmes is not None:
        written = mechanism.programmes.writing / jnp.asarray(problem.reach)[:, None]
        outside = problem.strength ** jnp.max(jnp.asarray(tables), initial=0.0)
        outside *= len(mechanism.programmes.reading) ** 0.5
        total += 0.5 * outside * (jnp.sum(mechanism.programmes.reading**2) + jnp.sum(written**2))
    return total / len(mechanism.bias)


def in_form_of(problem: Problem, model: CellModel) -> Problem:
    """The problem with prices and tables of the edges that a model's network has, where it is no full matrix."""
    mechanism = wiring(model.dynamics)
    if mechanism is None or mechanism.edges is None:
        return problem
    gene, regulator = mechanism.edges.gene, mechanism.edges.regulator
    parts = (problem.price[gene, regulator], problem.known[:, gene, regulator])
    return eqx.tree_at(lambda p: (p.price, p.known), problem, parts)


def with_tables(problem: Problem, weights: Weights) -> Problem:
    """The problem with tables of known wiring in the prices of edges."""
    price = jnp.asarray(problem.price) * table_factor(problem.known, weights.tables, problem.strength)
    return eqx.tree_at(lambda p: p.price, problem, price)


def decay_term(
    dynamics: AbstractDynamics,
    noise: ControlNoise,
    headroom: Float[Array | np.ndarray, " gene"],
    half_life_hours: float,
) -> Array:
    """Squared size of all weights per gene, and departure of half-lives, headroom and transcripts from expectation."""
    n_genes = noise.log_intrinsic.shape[0]
    total = jnp.sum(dynamics.log_transcript_gene**2) + 0.1 * dynamics.log_transcript**2
    if isinstance(dynamics, MechanisticDynamics):
        total += jnp.sum((dynamics.log_degradation - jnp.log(jnp.log(2.0) / half_life_hours)) ** 2)
    mechanism = wiring(dynamics)
    if mechanism is not None:
        free = (mechanism.weight, mechanism.bias, mechanism.medium_effect, mechanism.edit_effect)
        total += sum(jnp.sum(leaf**2) for leaf in free) + jnp.sum(
            (mechanism.log_headroom - jnp.log(jnp.asarray(headroom))) ** 2
        )
    network = correction(dynamics)
    if network is not None:
        total += jnp.sum(network.enter**2) / network.enter.shape[1] + jnp.sum(network.leave**2)
    return total / n_genes + jnp.sum(noise.loading**2) / n_genes


def residual_term(dynamics: AbstractDynamics, states: Float[Array, "row gene"], problem: Problem) -> Array:
    """Mean squared share of the learned residual in production, at the unedited state and at the visited states."""
    if not (isinstance(dynamics, MechanisticDynamics) and isinstance(dynamics.regulation, ResidualRegulation)):
        return jnp.array(0.0)
    last = problem.plan.stages[-1]
    context = jax.tree.map(lambda leaf: jnp.asarray(leaf)[last.time, last.course], last.contexts)
    visited = states[last.condition]
    return jnp.mean(dynamics.regulation.correction(visited, context) ** 2)


def correction(dynamics: AbstractDynamics) -> NeuralMap | None:
    """The neural part of a law, if it has one."""
    if isinstance(dynamics, NeuralDynamics):
        return dynamics.network
    if isinstance(dynamics, MechanisticDynamics) and isinstance(dynamics.regulation, ResidualRegulation):
        return dynamics.regulation.correction
    return None


def fitting_loss(
    model: CellModel,
    noise: ControlNoise,
    problem: Problem,
    weights: Weights,
    *,
    solver: AbstractSolver,
    half_life_hours: float,
) -> tuple[Array, dict[str, Array]]:
    """Every term but the steady-state loss: their sum, and each already times its weight."""
    states = model.states(problem.plan, solver)
    terms = {
        "data": data_loss(states, model.observe(states), problem, weights.row),
        "sparsity": weights.sparsity * sparsity_term(model.dynamics, problem, weights.tables),
        "weight decay": weights.decay * decay_term(model.dynamics, noise, problem.headroom, half_life_hours),
        "residual share": weights.residual * residual_term(model.dynamics, states, problem),
    }
    return sum(terms.values(), jnp.array(0.0)), terms


def _relative_drift(dynamics: AbstractDynamics, controls: Controls) -> Float[Array, "point gene"]:
    points = jnp.asarray(controls.points)
    context = jax.tree.map(
        lambda leaf: jnp.broadcast_to(jnp.asarray(leaf), (points.shape[0], leaf.shape[-1])), controls.context
    )
    return dynamics.drift(points, context) / dynamics.natural_rate()
