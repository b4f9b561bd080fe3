"""The efficacy of each guide: the share of its cells that carry a working edit, with an interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import logit

from semimech.data.curation.escapers import Escapers, last_harvests, told_apart
from semimech.data.curation.guides import MIN_CELLS
from semimech.data.curation.mixtures import GRID, share_posterior
from semimech.data.screen import Screen, describe

COLUMNS = ("guide", "condition", "perturbation", "n_cells", "efficacy", "lower", "upper", "differs")
DIFFERS = 0.01
"""Probability, over all guides of a table, that one is told to differ which does not: a column to look at, none of the checks that share a level."""


def guide_efficacy(screen: Screen) -> pd.DataFrame:
    """Efficacy of each guide of the edits whose cells stand apart from unedited ones, at the last harvest.

    The two laws of cells, with and without a working edit, are those of the whole edit (`semimech.data.curation.escapers`), so
    that a guide of few cells needs only its own share. Guides of controls, and of edits that cannot be told, have no row.

    Returns
    -------
    pandas.DataFrame
        One row per guide of at least ``MIN_CELLS`` cells: ``guide``, ``condition``, ``perturbation``, ``n_cells``, ``efficacy``
        with ``lower`` and ``upper`` (central 90 %), and ``differs`` where that of all guides of the edit together lies outside the guide's interval
        of level 1 − `DIFFERS`, over all guides.
    """
    rows: list[dict[str, object]] = []
    if screen.guides is not None and screen.is_control.any():
        found, cells = told_apart(screen, last_harvests(screen))
        for i, escapers in found.items():
            code = screen.guides.code[cells[i]]
            for guide in np.unique(code[code >= 0]).tolist():
                mine = code == guide
                if mine.sum() < MIN_CELLS:
                    continue
                posterior = guide_posterior(escapers, mine)
                below = np.cumsum(posterior)
                lower, upper = (1.0 - _quantile(below, q) for q in (0.95, 0.05))
                outside = min(_below(below, escapers.share), 1.0 - _below(below, escapers.share))
                condition = screen.annotation.conditions[i]
                rows.append(
                    {
                        "guide": screen.guides.names[guide],
                        "condition": describe(condition),
                        "perturbation": condition.perturbation,
                        "n_cells": int(mine.sum()),
                        "efficacy": 1.0 - float(posterior @ GRID),
                        "lower": lower,
                        "upper": upper,
                        "differs": outside,
                    }
                )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["differs"] = table["differs"].astype(float) * 2 * max(len(table), 1) < DIFFERS
    return table


def guide_posterior(escapers: Escapers, mine: np.ndarray) -> Float[np.ndarray, " grid"]:
    """Posterior of the share of escapers among some cells, on `GRID`: ratios of densities follow from the probabilities of the whole edit by Bayes."""
    share = min(max(escapers.share, 1e-6), 1 - 1e-6)
    return share_posterior(logit(share) - logit(np.clip(escapers.probability[mine], 1e-12, 1 - 1e-12)))


def _quantile(below: Float[np.ndarray, " grid"], q: float) -> float:
    return float(GRID[min(int(np.searchsorted(below, q)), len(GRID) - 1)])


def _below(below: Float[np.ndarray, " grid"], share: float) -> float:
    return float(np.interp(share, GRID, below))
