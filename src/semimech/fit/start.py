"""Where a fit starts: a model that predicts no change, and noise that matches the controls' variances."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from semimech.fit.config import FitConfig
from semimech.fit.loss import ControlNoise, correction
from semimech.fit.problem import Problem
from semimech.model import (
    AbstractRegulation,
    CellModel,
    MechanisticDynamics,
    NeuralDynamics,
    ResidualRegulation,
    Roster,
    ScaleGrid,
    neural_map,
    rewired,
    unwired_regulation,
    wiring,
)


def initial_model(
    roster: Roster,
    unit: Float[np.ndarray, " gene"],
    scale: ScaleGrid,
    config: FitConfig,
    *,
    is_start_known: bool,
    relative_start: Float[np.ndarray, " gene"] | float = 1.0,
    headroom: Float[np.ndarray, " gene"] | float = 5.0,
    key: PRNGKeyArray,
) -> CellModel:
    """A model that predicts no change.

    Parameters
    ----------
    roster
        Names of genes, targets and media.
    unit
        State of unedited cells.
    scale
        Scale of the data.
    config
        Law and size of its neural parts.
    is_start_known
        Whether experiments start from ``relative_start``; else that is where learning begins.
    relative_start
        State of unedited cells at time 0, relative to ``unit``.
    headroom
        How far above one relative production may rise at first.
    key
        Randomness of the neural parts.
    """
    sizes = (len(roster.genes), len(roster.regulators), len(roster.media))
    n_genes = sizes[0]
    transcripts = {"log_transcript": jnp.array(0.0), "log_transcript_gene": jnp.zeros(n_genes)}
    if config.law == "neural":
        network = neural_map(*sizes, n_hidden=64, key=key)
        dynamics = NeuralDynamics(network=network, rate=float(np.log(2) / config.half_life_hours), **transcripts)
    else:
        regulation: AbstractRegulation = unwired_regulation(*sizes, headroom=headroom)
        if config.residual_hidden:
            residual = neural_map(*sizes, n_hidden=config.residual_hidden, key=key)
            regulation = ResidualRegulation(mechanism=regulation, correction=residual)
        log_degradation = jnp.full(n_genes, jnp.log(jnp.log(2.0) / config.half_life_hours))
        dynamics = MechanisticDynamics(regulation=regulation, log_degradation=log_degradation, **transcripts)
    start = np.broadcast_to(np.log(np.asarray(relative_start, np.float32)), n_genes).copy()
    return CellModel(
        dynamics=dynamics, log_initial=start if is_start_known else jnp.asarray(start), unit=unit, scale=scale
    )


def redraw(model: CellModel, *, key: PRNGKeyArray) -> CellModel:
    """The model with the entry weights of its neural part, and what programmes read, drawn anew, so that members of an ensemble differ."""
    mechanism = wiring(model.dynamics)
    if mechanism is not None and mechanism.programmes is not None:
        shape = mechanism.programmes.reading.shape
        reading = jax.random.normal(key, shape) / jnp.sqrt(shape[0])
        model = rewired(model, eqx.tree_at(lambda m: m.programmes.reading, mechanism, reading))
    network = correction(model.dynamics)
    if network is None:
        return model
    enter = jax.random.normal(key, network.enter.shape) / jnp.sqrt(network.enter.shape[0])
    return eqx.tree_at(lambda m: correction(m.dynamics).enter, model, enter)  # type: ignore[union-attr]


def with_weights(model: CellModel, weight: Float[np.ndarray, "gene regulator"]) -> CellModel:
    """The model with other weights in its network, a full matrix."""
    begun = eqx.tree_at(lambda m: m.weight, wiring(model.dynamics), jnp.asarray(weight.astype(np.float32)))
    return rewired(model, begun)


def initial_noise(problem: Problem, n_factors: int, n_loaded: int, *, key: PRNGKeyArray) -> ControlNoise:
    """Noise parameters of the ``moment`` strength: the controls' variances, and small loadings of the first of the slow factors."""
    n_genes = len(problem.unit)
    variance = np.full(n_genes, 0.1)
    if problem.controls is not None and problem.controls.covariance.size:
        variance = np.maximum(np.diagonal(problem.controls.covariance), 1e-4)
    return ControlNoise(
        log_intrinsic=jnp.asarray(np.log(variance), jnp.float32),
        loading=0.1 * jax.random.normal(key, (n_genes, n_factors)) * (jnp.arange(n_factors) < n_loaded),
        log_factor_rate=jnp.log(jnp.log(2.0) / jnp.linspace(24.0, 96.0, n_factors)),
    )
