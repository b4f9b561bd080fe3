"""The share of one part of a mixture, and how well cells tell it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

GRID = np.linspace(0.0, 1.0, 401)
"""Shares at which a posterior is computed."""


def share_posterior(log_ratio: Float[np.ndarray, " cell"]) -> Float[np.ndarray, " grid"]:
    r"""Posterior of the share of the first part on `GRID`, under a flat prior.

    With :math:`r_i` the ratio of densities of a cell in the second and the first part, the likelihood is
    :math:`\prod_i (\pi + (1 - \pi) r_i)`.
    """
    with np.errstate(divide="ignore"):
        first, second = np.log(GRID), np.log1p(-GRID)
    # Cells are added in blocks, so that a thousand of them take no gigabyte.
    logarithm = np.zeros(len(GRID))
    for start in range(0, len(log_ratio), 512):
        block = log_ratio[start : start + 512]
        logarithm += np.logaddexp(first[:, None], second[:, None] + block).sum(axis=1)
    weight = np.exp(logarithm - logarithm.max())
    return weight / weight.sum()


def share_error(log_ratio: Float[np.ndarray, " cell"], information: Float[np.ndarray, "parameter parameter"]) -> float:
    """Standard error of the share, the other parameters unknown.

    The spread of its posterior, which holds where no cell is of the first part, too, times what not knowing the others adds.

    Parameters
    ----------
    log_ratio
        Logarithms of the ratio of densities of each cell in the second and the first part.
    information
        Observed information of all parameters, the share first.
    """
    posterior = share_posterior(log_ratio)
    spread = np.sqrt(posterior @ GRID**2 - (posterior @ GRID) ** 2 + 1.0 / len(log_ratio) ** 2)
    added = information[0, 0] * np.linalg.pinv(information, hermitian=True)[0, 0]
    return float(spread * np.sqrt(max(added, 1.0)))


def ambiguity(share: float, error: float, n_cells: int) -> float:
    """Standard error of the share of these very cells: what is left without the chance by which they were drawn."""
    share = min(max(share, 0.0), 1.0)
    return float(np.sqrt(max(error**2 - share * (1.0 - share) / n_cells, 0.0)))
