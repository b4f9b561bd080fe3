"""Cells of edited conditions beside matched unedited cells, for a loss on whole populations."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.spatial.distance import cdist, pdist

from semimech._errors import DataError
from semimech.data import Dataset, matched_minibatches
from semimech.model import Plan


class Populations(eqx.Module):
    """Single cells of the edited conditions beside matched unedited cells, in the observed scale.

    Parameters
    ----------
    row
        Row of the problem of each condition; the last row in the padding.
    cells, controls
        Cells of the condition, and unedited cells of the same batches.
    control
        Mean that the condition's change is counted from.
    within
        Mean distance within the cells plus that within the controls.
    no_change
        Mean energy distance between cells and controls: the unit of the loss.
    """

    row: Int[np.ndarray, " population"]
    cells: Float[np.ndarray, "population cell gene"]
    controls: Float[np.ndarray, "population cell gene"]
    control: Float[np.ndarray, "population gene"]
    within: Float[np.ndarray, " population"]
    no_change: Float[np.ndarray, ""]


def make_populations(dataset: Dataset, plan: Plan, *, n_cells: int = 64, seed: int) -> Populations:
    """Draw cells of every edited condition, and unedited cells of the same batches beside them.

    Parameters
    ----------
    dataset
        Data set with cells and controls.
    plan
        The conditions, compiled: its padding is taken over.
    n_cells
        Cells, and controls, per condition.
    seed
        Draws them.

    Raises
    ------
    DataError
        If there are no cells, or edited cells stand in a batch without matching controls.
    """
    if dataset.cells is None:
        raise DataError(f'{dataset.name}: an energy distance needs single cells; use likelihood = "pseudobulk"')
    rng = np.random.default_rng(seed)
    n_edited = max(int((~dataset.is_control).sum()), 1)
    draw = next(matched_minibatches(dataset, n_conditions=n_edited, n_cells=n_cells, n_steps=1, rng=rng))
    shape = (len(draw.conditions), n_cells, len(dataset.genes))
    cells = dataset.cells.take(draw.cells.ravel()).reshape(shape)
    controls = dataset.cells.take(draw.controls.ravel()).reshape(shape)
    control = np.stack([dataset.matched_control(dataset.conditions[r]) for r in draw.conditions])
    within = np.array([_mean_distance(x) + _mean_distance(y) for x, y in zip(cells, controls, strict=True)])
    between = np.array([cdist(x, y).mean() for x, y in zip(cells, controls, strict=True)])
    n_padding = plan.n_rows - len(draw.conditions)
    grown = ((0, n_padding), (0, 0), (0, 0))
    return Populations(
        row=np.concatenate([draw.conditions, np.full(n_padding, plan.n_rows - 1)]),
        cells=np.pad(cells, grown).astype(np.float32),
        controls=np.pad(controls, grown).astype(np.float32),
        control=np.pad(control, grown[:2]).astype(np.float32),
        within=np.pad(within, (0, n_padding)).astype(np.float32),
        no_change=np.array(max((2 * between - within).mean(), 1e-6), np.float32),
    )


def _mean_distance(cells: Float[np.ndarray, "cell gene"]) -> float:
    return float(pdist(cells).mean()) if len(cells) > 1 else 0.0


def energy_term(
    predicted: Float[Array, "row gene"], populations: Populations, row: Float[Array, " row"]
) -> Float[Array, ""]:
    """Energy distance between each condition's cells and its controls moved by the predicted change.

    The controls carry the batch effect of the cells, so that it cancels. 1 is the distance of unmoved controls
    (Székely & Rizzo 2013, J. Stat. Plan. Inference 143:1249).
    """
    change = predicted[populations.row] - populations.control
    moved = populations.controls + change[:, None, :]
    products = jnp.einsum("pcg,pdg->pcd", moved, populations.cells)
    squared = (moved**2).sum(-1)[:, :, None] + (populations.cells**2).sum(-1)[:, None, :] - 2.0 * products
    between = jnp.sqrt(jnp.maximum(squared, 0.0) + 1e-6).mean(axis=(1, 2))
    weight = row[populations.row]
    distance = 2.0 * between - populations.within
    return jnp.sum(weight * distance) / (jnp.maximum(jnp.sum(weight), 1e-6) * populations.no_change)
