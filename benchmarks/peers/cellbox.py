"""CellBox's equations: a recurrent network of ratios to untreated cells, driven by drugs.

Yuan et al., CellBox: interpretable machine learning for perturbation biology, Cell Systems 12, 128 (2021),
https://doi.org/10.1016/j.cels.2020.11.013.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from semimech._errors import DataError
from semimech.assumptions.catalogue import COMMUTING
from semimech.data import Dataset
from semimech.data.findings import listed
from semimech.experiment import Condition
from semimech.predictor import AbstractPredictor, Prediction

N_STEPS, STEP = 25, 0.5


class Weights(NamedTuple):
    r"""Parameters of

    .. math:: \dot x_i = \epsilon_i \tanh\Bigl(\sum_j W_{ij} x_j + u_i\Bigr) - \alpha_i x_i

    with :math:`\epsilon` and :math:`\alpha` the softplus of what is kept here.
    """

    network: Float[Array, "node node"]
    gain: Float[Array, " node"]
    decay: Float[Array, " node"]


def allowed_edges(n_proteins: int, n_measured: int, n_nodes: int) -> Bool[np.ndarray, "node node"]:
    """Which edges CellBox fits, row target: none onto itself or an input, none from a phenotype, none from input to phenotype.

    Parameters
    ----------
    n_proteins, n_measured, n_nodes
        Nodes come in the order proteins, phenotypes, inputs; these are the ends of each.
    """
    allowed = ~np.eye(n_nodes, dtype=bool)
    allowed[n_measured:] = False
    allowed[:, n_proteins:n_measured] = False
    allowed[n_proteins:n_measured, n_measured:] = False
    return allowed


def steady_state(
    weights: Weights, strength: Float[Array, "condition node"], allowed: Bool[np.ndarray, "node node"]
) -> Float[Array, "condition node"]:
    """The state reached from untreated cells, by Euler steps that have the steady state of the equations as fixed point."""
    network = jnp.where(allowed, weights.network, 0.0).T
    gain, decay = jax.nn.softplus(weights.gain), jax.nn.softplus(weights.decay)

    def step(x: Array, _: None) -> tuple[Array, None]:
        return x + STEP * (gain * jnp.tanh(x @ network + strength) - decay * x), None

    return jax.lax.scan(step, jnp.zeros_like(strength), length=N_STEPS)[0]


def train(
    strength: Float[np.ndarray, "condition node"],
    values: Float[np.ndarray, "condition measured"],
    allowed: Bool[np.ndarray, "node node"],
    *,
    sparsity: float = 1e-4,
    n_members: int = 3,
    n_steps: int = 400,
    learning_rate: float = 0.01,
    key: jax.Array,
) -> Weights:
    """Fit members, each stopped where its own fifth of the conditions is predicted best, as in the published protocol.

    The squared error of the measured nodes plus ``sparsity`` times the sum of absolute weights, by Adam. Unlike there the
    network starts near zero, where it settles; the published start, of unit variance, needs hundreds of times as many steps.

    Parameters
    ----------
    strength
        Strength of each input; zero elsewhere.
    values
        Measured log ratios of the first nodes.
    allowed
        Which edges to fit.
    sparsity
        Weight of the L1 penalty; the published value.
    n_members, n_steps, learning_rate
        Members averaged, steps of each, and their size.
    key
        Draws starts and validation conditions.

    Returns
    -------
    Weights
        With a leading axis of members.
    """
    keys = jax.random.split(key, n_members)
    return _train(
        jnp.asarray(strength), jnp.asarray(values), jnp.asarray(allowed), sparsity, learning_rate, keys, n_steps
    )


@partial(jax.jit, static_argnames="n_steps")
def _train(
    strength: Array, values: Array, allowed: Array, sparsity: float, learning_rate: float, keys: Array, n_steps: int
) -> Weights:
    n_conditions, n_nodes = strength.shape
    n_measured = values.shape[1]
    optimiser = optax.adam(learning_rate)

    def member(key: Array) -> Weights:
        start_key, held_key = jax.random.split(key)
        held = (jnp.arange(n_conditions) < -(-n_conditions // 5))[jax.random.permutation(held_key, n_conditions)]
        network = 0.01 * jax.random.normal(start_key, (n_nodes, n_nodes))
        start = Weights(network=network, gain=jnp.ones(n_nodes), decay=jnp.ones(n_nodes))

        def loss(weights: Weights) -> tuple[Array, Array]:
            square = ((steady_state(weights, strength, allowed)[:, :n_measured] - values) ** 2).mean(axis=1)
            penalty = sparsity * jnp.abs(jnp.where(allowed, weights.network, 0.0)).sum()
            return jnp.where(held, 0.0, square).sum() / (~held).sum() + penalty, jnp.where(held, square, 0.0).sum()

        def step(state: tuple, _: None) -> tuple[tuple, None]:
            weights, moments, best, least = state
            (_, error), gradient = jax.value_and_grad(loss, has_aux=True)(weights)
            is_better = error < least
            best = jax.tree.map(lambda new, old: jnp.where(is_better, new, old), weights, best)
            change, moments = optimiser.update(gradient, moments)
            return (optax.apply_updates(weights, change), moments, best, jnp.minimum(error, least)), None

        state = (start, optimiser.init(start), start, jnp.inf)
        return jax.lax.scan(step, state, length=n_steps)[0][2]

    return jax.vmap(member)(keys)


class CellBoxPredictor(AbstractPredictor):
    """CellBox's equations as a predictor.

    Parameters
    ----------
    data
        Training conditions; the measured nodes are its genes.
    strength
        Strength of the inputs in every condition that is trained on or asked.
    n_proteins
        Measured nodes that may regulate; the others are phenotypes.
    key
        Draws starts and validation conditions.
    """

    def __init__(
        self,
        data: Dataset,
        strength: Mapping[Condition, Float[np.ndarray, " node"]],
        *,
        n_proteins: int,
        key: jax.Array,
    ) -> None:
        super().__init__(name="CellBox equations", genes=data.genes, assumptions=(COMMUTING,))
        self._strength = strength
        inputs = self._inputs(data.conditions)
        self._allowed = allowed_edges(n_proteins, len(data.genes), inputs.shape[1])
        self.weights = train(inputs, data.mean, self._allowed, key=key)

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions: the mean of the members.

        Raises
        ------
        DataError
            If the strength of a condition is not known.
        """
        inputs = self._inputs(conditions)
        members = jax.vmap(lambda weights: steady_state(weights, inputs, self._allowed))(self.weights)
        return Prediction.without_interval(np.asarray(members.mean(axis=0), float)[:, : len(self.genes)])

    def _inputs(self, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition node"]:
        unknown = [c.perturbation for c in conditions if c not in self._strength]
        if unknown:
            raise DataError(f"no strength is known of {listed(unknown)}; give it for every condition")
        return np.array([self._strength[c] for c in conditions], np.float32)
