"""How much of each measured response would be measured again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.data import Dataset


def reliability(dataset: Dataset) -> pd.DataFrame:
    """How much of each measured response is no noise: the ceiling of the squared correlation that a prediction can reach.

    From two random halves of the cells, raised to all cells (Spearman and Brown); from standard errors where there are
    none. Each half is compared with its own half of the controls, so that their noise is no response. Columns
    ``perturbation, hours, reliability``.
    """
    rows = np.flatnonzero(~dataset.is_control)
    found = []
    for row in map(int, rows):
        condition = dataset.conditions[row]
        control = dataset.matched_control(condition)
        halves = None if dataset.halves is None else dataset.halves[:, row] - _control_halves(dataset, row)
        if halves is not None and np.isfinite(halves).all() and (halves.std(axis=1) > 0).all():
            r = max(float(np.corrcoef(halves)[0, 1]), 0.0)
            value = 2 * r / (1 + r)
        else:
            change = dataset.mean[row] - control
            noise = float(np.mean(dataset.standard_error[row] ** 2))
            value = max(1.0 - noise / max(float(change.var()), 1e-300), 0.0) if np.isfinite(noise) else np.nan
        found.append((condition.perturbation, condition.hours, value))
    return pd.DataFrame(found, columns=["perturbation", "hours", "reliability"])


def _control_halves(dataset: Dataset, row: int) -> np.ndarray:
    """Means of two halves of the matched controls; NaN where there is no second half."""
    rows = dataset.control_rows(dataset.conditions[row])
    if dataset.halves is None or not len(rows):
        return np.full((2, len(dataset.genes)), np.nan)
    return np.average(dataset.halves[:, rows], axis=1, weights=dataset.n_cells[rows])
