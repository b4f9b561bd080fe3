"""Cells that part into two fates, drawn from a law that is known in closed form."""

from __future__ import annotations

import numpy as np
from small_data import condition, dataset

from semimech.data import Cells, Dataset

MEDIUM = "driving"
CENTRES = np.array([[6.0, 0.5, 4.0, 2.0, 1.0, 1.0], [0.5, 6.0, 1.0, 4.0, 1.0, 1.0]])
"""Gene 0 is made in the first fate alone, gene 1 in the second; genes 2 and 3 follow them, 4 and 5 follow none."""
SHIFT = np.array([0.0, 0.0, 0.0, 0.0, 1.5, 0.0])
"""What an edit of gene 5 does in both fates."""


def cells_with(share: float, n: int, rng: np.random.Generator, *, spread: float = 0.4) -> np.ndarray:
    """Cells, a share of them in the first fate."""
    fate = (np.arange(n) >= round(share * n)).astype(int)
    return np.maximum(CENTRES[fate] + spread * rng.normal(size=(n, CENTRES.shape[1])), 0.0)


def screen(shares: dict[str, float], *, n: int = 200, hours: tuple[float, ...] = (48.0,), seed: int = 0) -> Dataset:
    """A screen in a driving medium: resting cells in between, and the share of each perturbation in the first fate."""
    rng = np.random.default_rng(seed)
    conditions, clouds = [condition("control", hours[-1])], [CENTRES.mean(axis=0) + 0.4 * rng.normal(size=(n, 6))]
    for name, share in shares.items():
        for time in hours:
            conditions.append(condition(name, time, medium=MEDIUM))
            clouds.append(cells_with(share, n, rng) + SHIFT * ("G5" in name))
    cells = Cells(
        values=np.concatenate(clouds),
        condition=np.repeat(np.arange(len(clouds)), n),
        batch=np.zeros(n * len(clouds), int),
    )
    return dataset(conditions, np.array([cloud.mean(axis=0) for cloud in clouds]), cells=cells, media=(MEDIUM,))
