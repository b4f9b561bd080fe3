"""RENGE's lagged linear model: a knock-out spreads along a network, one edge per lag.

Ishikawa et al., RENGE infers gene regulatory networks using time-series single-cell RNA-seq data with CRISPR perturbations, Communications
Biology 6, 1290 (2023), https://doi.org/10.1038/s42003-023-05594-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import minimize

from semimech._errors import DataError
from semimech.assumptions.catalogue import ADDITIVE, COMMUTING
from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.predictor import AbstractPredictor, Prediction

PENALTIES, ORDERS = (1e-3, 1e-2, 1e-1, 1.0), (1, 2, 3)
L1_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Means of knock-outs.

    Parameters
    ----------
    expression
        Mean expression; not used of conditions that are only asked.
    knocked
        Fall of the knocked-out gene: minus its expression in unedited cells at its column, zero elsewhere.
    time
        Index of the time of each condition among those trained on.
    day
        Time of each condition.
    weight
        Cells of the condition over all cells of its time.
    """

    expression: Float[np.ndarray, "condition gene"]
    knocked: Float[np.ndarray, "condition gene"]
    time: Int[np.ndarray, " condition"]
    day: Float[np.ndarray, " condition"]
    weight: Float[np.ndarray, " condition"]

    def take(self, rows: np.ndarray) -> Screen:
        """Some conditions, the cells of each time counted anew."""
        weight, time = self.weight[rows], self.time[rows]
        total = np.bincount(time, weight, minlength=time.max() + 1)[time]
        return Screen(
            expression=self.expression[rows],
            knocked=self.knocked[rows],
            time=time,
            day=self.day[rows],
            weight=weight / total,
        )


@dataclass(frozen=True, kw_only=True)
class Lagged:
    r"""Fitted parameters of

    .. math:: E_{g,t} = b_t + \sum_{k=1}^{K} w_g(t, k) A (M_g A)^{k-1} X_g, \quad
        w_g(t, k) = \sigma(\alpha_g + \beta t - \gamma (k - 1))

    with :math:`X_g` the fall of gene :math:`g` and :math:`M_g` the identity without its entry: nothing regulates what is knocked out.
    """

    network: Float[np.ndarray, "gene gene"]
    base: Float[np.ndarray, "time gene"]
    delay: Float[np.ndarray, " gene"]
    pace: Float[np.ndarray, " 2"]
    order: int

    def predict(self, screen: Screen) -> Float[np.ndarray, "condition gene"]:
        """Expression in the conditions of a screen."""
        parts = (self.network, self.base, self.delay, self.pace)
        return np.asarray(_predict(*(jnp.asarray(p) for p in parts), *_inputs(screen), self.order), float)


def fit(screen: Screen, *, penalty: float, order: int, key: jax.Array, n_steps: int = 200) -> Lagged:
    """Fit by quasi-Newton steps: squared error per cell of a time, the knocked-out gene left out, plus penalties.

    The penalties are L1 on the network and squares of all its powers up to the order. The published bounds (no edge of a gene onto
    itself, delays within 10, positive paces) are kept by transformations instead.

    Parameters
    ----------
    screen
        Training conditions.
    penalty
        Strength of both penalties, half each.
    order
        Longest path from a knock-out, in edges.
    key
        Draws the start of the network.
    n_steps
        Most steps.
    """
    n_genes, n_times = screen.expression.shape[1], int(screen.time.max()) + 1
    times = [screen.time == time for time in range(n_times)]
    base = np.stack([np.average(screen.expression[t], axis=0, weights=screen.weight[t]) for t in times])
    network = 1e-3 * np.asarray(jax.random.normal(key, (n_genes, n_genes)), float)
    start = np.concatenate([network.ravel(), base.ravel(), np.zeros(n_genes + 2)])
    inputs, truth, weight = _inputs(screen), jnp.asarray(screen.expression), jnp.asarray(screen.weight)

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _objective(jnp.asarray(parameters), inputs, truth, weight, penalty, n_times, order)
        return float(value), np.asarray(gradient, float)

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": n_steps})
    parts = _parts(jnp.asarray(found.x), n_genes, n_times)
    network, base, delay, pace = (np.asarray(part, float) for part in parts)
    return Lagged(network=network, base=base, delay=delay, pace=pace, order=order)


def choose(screen: Screen, *, key: jax.Array) -> tuple[float, int]:
    """Penalty and order that predict left-out knock-outs best, in three groups."""
    gene = screen.knocked.argmin(axis=1)
    groups = np.array_split(np.unique(gene), 3)
    errors = {}
    for penalty, order in product(PENALTIES, ORDERS):
        total = 0.0
        for held in (np.isin(gene, group) for group in groups):
            model = fit(screen.take(np.flatnonzero(~held)), penalty=penalty, order=order, key=key, n_steps=100)
            asked = screen.take(np.flatnonzero(held))
            total += (((model.predict(asked) - asked.expression) ** 2) * (asked.knocked == 0)).sum()
        errors[penalty, order] = total
    return min(errors, key=errors.__getitem__)


class RengePredictor(AbstractPredictor):
    """RENGE's model as a predictor of knock-outs made alone.

    The published model has one free level per day and hence none for a day that it was not trained on: the level of the
    nearest trained day stands in, while the lags go on with time.

    Parameters
    ----------
    data
        Training conditions.
    key
        Draws starts.
    """

    def __init__(self, data: Dataset, *, key: jax.Array) -> None:
        super().__init__(name="RENGE equations", genes=data.genes, assumptions=(ADDITIVE, COMMUTING))
        self._trained = data
        screen = screen_of(data)
        penalty, order = choose(screen, key=key)
        self.model = fit(screen, penalty=penalty, order=order, key=key)

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions, the knocked-out gene itself by its base level.

        Raises
        ------
        DataError
            If a condition has another number of edits than one, or its gene is not measured.
        """
        faults = [c.perturbation for c in conditions if len(c.edits) != 1 or c.edits[0].gene not in self.genes]
        if faults:
            raise DataError(f"RENGE's model predicts knock-outs of one measured gene, not {', '.join(faults)}")
        return Prediction.without_interval(self.model.predict(screen_of(self._trained, conditions)))


def screen_of(trained: Dataset, asked: Sequence[Condition] | None = None) -> Screen:
    """Training conditions, or others, as knock-outs at the nearest trained day.

    The expression of a gene in unedited cells is its mean over training conditions that do not edit it.
    """
    conditions = trained.conditions if asked is None else asked
    column = {gene: number for number, gene in enumerate(trained.genes)}
    edited = np.array([[gene == name for gene in trained.genes] for name in trained.perturbations])
    level = np.maximum(np.nanmean(np.where(edited, np.nan, trained.mean), axis=0), 1e-3)
    knocked = np.zeros((len(conditions), len(trained.genes)))
    for row, condition in enumerate(conditions):
        for edit in condition.edits:
            knocked[row, column[edit.gene]] = -level[column[edit.gene]]
    days = np.unique(trained.hours)
    hours = np.array([condition.hours for condition in conditions])
    time = np.abs(hours[:, None] - days).argmin(axis=1)
    n_cells = trained.n_cells if asked is None else np.ones(len(conditions))
    total = np.bincount(time, n_cells, minlength=len(days))[time]
    expression = trained.mean if asked is None else np.zeros(knocked.shape)
    return Screen(expression=expression, knocked=knocked, time=time, day=hours / 24.0, weight=n_cells / total)


def _inputs(screen: Screen) -> tuple[Array, Array, Array]:
    return jnp.asarray(screen.knocked), jnp.asarray(screen.time), jnp.asarray(screen.day)


@partial(jax.jit, static_argnames="order")
def _predict(
    network: Array, base: Array, delay: Array, pace: Array, knocked: Array, time: Array, day: Array, order: int
) -> Array:
    spread, free = knocked @ network.T, knocked >= 0
    own = jnp.where(free.all(axis=1), delay[0], jnp.where(free, 0.0, delay).sum(axis=1))
    predicted = base[time]
    for lag in range(order):
        spread = spread if lag == 0 else (spread * free) @ network.T
        predicted += jax.nn.sigmoid(own + pace[0] * day - pace[1] * lag)[:, None] * spread
    return predicted


@partial(jax.jit, static_argnames=("n_times", "order"))
@partial(jax.value_and_grad, argnums=0)
def _objective(
    parameters: Array,
    inputs: tuple[Array, Array, Array],
    truth: Array,
    weight: Array,
    penalty: float,
    n_times: int,
    order: int,
) -> Array:
    network, base, delay, pace = _parts(parameters, truth.shape[1], n_times)
    predicted = _predict(network, base, delay, pace, *inputs, order)
    square = (((predicted - truth) * (inputs[0] >= 0)) ** 2).sum(axis=1) @ weight
    powers, power = 0.0, network
    for lag in range(order):
        powers += (power**2).sum()
        power = power @ network if lag + 1 < order else power
    return square + penalty * (L1_SHARE * order * jnp.abs(network).sum() + (1 - L1_SHARE) * powers)


def _parts(parameters: Array, n_genes: int, n_times: int) -> tuple[Array, Array, Array, Array]:
    """Network, base, delay and pace, within their bounds."""
    ends = np.cumsum([n_genes * n_genes, n_times * n_genes, n_genes])
    network, base, delay, pace = jnp.split(parameters, ends)
    network = network.reshape(n_genes, n_genes) * (1.0 - jnp.eye(n_genes))
    return network, base.reshape(n_times, n_genes), 10.0 * jnp.tanh(delay / 10.0), jax.nn.softplus(pace)
