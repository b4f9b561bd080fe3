"""Energy distance between predicted and measured populations of cells."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.distance import cdist, pdist

from semimech.data import Dataset

_FEWEST, _MOST = 10, 200


def energy_scores(
    dataset: Dataset,
    row: int,
    predicted: Float[np.ndarray, "predictor gene"],
    keep: Bool[np.ndarray, "scope gene"],
    *,
    rng: np.random.Generator,
) -> Float[np.ndarray, "scope predictor"] | None:
    """Energy distance between a predicted population and the measured cells of one condition.

    The predicted population is the matched control cells, all shifted by the predicted change. Up to 200 cells of
    each are drawn, the same for all predictors. ``None`` with fewer than ten cells on either side.

    Parameters
    ----------
    dataset
        Data set with cells.
    row
        The condition.
    predicted
        Predicted mean of each predictor, observed scale.
    keep
        Genes of each scope.
    rng
        Draws the cells.
    """
    condition = dataset.conditions[row]
    measured = _draw(dataset, np.array([row]), rng)
    controls = _draw(dataset, dataset.control_rows(condition), rng)
    if measured is None or controls is None:
        return None
    shift = predicted - dataset.matched_control(condition)
    return np.array([shifted_energy_distance(controls[:, k], measured[:, k], shift[:, k]) for k in keep])


def shifted_energy_distance(
    left: Float[np.ndarray, "cell gene"],
    right: Float[np.ndarray, "other gene"],
    shift: Float[np.ndarray, "predictor gene"],
) -> Float[np.ndarray, " predictor"]:
    """`energy_distance` after each of several shifts of all cells on the left, which leave distances within alone."""
    between = cdist(left, right, "sqeuclidean")
    along, across = left @ shift.T, right @ shift.T
    # ‖x + s − y‖² = ‖x − y‖² + 2 s·(x − y) + ‖s‖²
    squared = between[:, :, None] + 2.0 * (along[:, None, :] - across[None, :, :]) + (shift**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squared, 0.0)).mean(axis=(0, 1))
    return 2.0 * distance - pdist(left).mean() - pdist(right).mean()


def _draw(dataset: Dataset, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    if dataset.cells is None:
        return None
    found = np.flatnonzero(np.isin(dataset.cells.condition, rows))
    if len(found) < _FEWEST:
        return None
    if len(found) > _MOST:
        found = np.sort(rng.choice(found, _MOST, replace=False))
    return dataset.cells.take(found).astype(float)
