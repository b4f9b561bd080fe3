"""How near predicted populations come to the cells measured at a held-out time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist, pdist

from semimech.baselines.transport import TransportInterpolation
from semimech.data import Dataset, Split
from semimech.experiment import Condition
from semimech.fit.branching import BranchingModel
from semimech.predictor import AbstractPredictor

N_CELLS = 200
MIXTURE, UNMOVED = "cells of both neighbours, unmoved", "unedited cells"


def population_errors(
    predictors: Mapping[str, AbstractPredictor], data: Dataset, split: Split, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Energy distance between the cells predicted and those measured, for each held-out condition.

    Predictors of means move unedited cells of the same time and medium by the predicted change.

    Parameters
    ----------
    predictors
        Fitted to the training rows, OT interpolation among them.
    data
        All conditions, with cells.
    split
        What is held out.
    rng
        Draws cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``perturbation, medium, hours, predictor, distance``.
    """
    transport = next(p for p in predictors.values() if isinstance(p, TransportInterpolation))
    rows = []
    for row in split.test:
        condition = data.conditions[row]
        measured, unedited = cells_at(data, [row]), cells_at(data, data.control_rows(condition))
        drawn = unedited[rng.choice(len(unedited), min(N_CELLS, len(unedited)), replace=False)]
        control = data.matched_control(condition)
        clouds = {UNMOVED: drawn, MIXTURE: neighbours(transport, condition, rng)}
        for name, predictor in predictors.items():
            if isinstance(predictor, TransportInterpolation):
                clouds[name] = predictor.population(condition, n_cells=N_CELLS, rng=rng)
            elif isinstance(predictor, BranchingModel):
                clouds[name] = predictor.population(condition, drawn, rng=rng)
            else:
                clouds[name] = drawn + predictor.predict_conditions([condition]).mean[0] - control
        where = {
            "perturbation": condition.perturbation,
            "medium": condition.medium or data.system.maintenance_medium,
            "hours": condition.hours,
        }
        rows += [where | {"predictor": name, "distance": energy(cells, measured)} for name, cells in clouds.items()]
    return pd.DataFrame(rows)


def cells_at(data: Dataset, rows: np.ndarray | list[int]) -> np.ndarray:
    """Cells of some conditions, observed scale, batch effects removed."""
    return data.cells.take(np.flatnonzero(np.isin(data.cells.condition, rows)))


def neighbours(transport: TransportInterpolation, condition: Condition, rng: np.random.Generator) -> np.ndarray:
    """Cells of the neighbouring harvests in shares of their nearness in time, as they are."""
    parts = []
    for end in transport.ends(transport.dataset.system.resolve(condition)):
        cells = cells_at(transport.dataset, end.rows)
        parts.append(cells[rng.choice(len(cells), max(round(end.share * N_CELLS), 1))])
    return np.concatenate(parts)


def energy(first: np.ndarray, second: np.ndarray) -> float:
    """Energy distance between two clouds of cells, unbiased: 0 on average between draws of one law."""
    return float(2 * cdist(first, second).mean() - pdist(first).mean() - pdist(second).mean())
