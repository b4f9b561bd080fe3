"""What drift alone does to the logarithm of an abundance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri
from scipy.stats import binom, gamma, nbinom, poisson, qmc

from semimech.abundance.law import CountLaw

_SHARES, _POINTS = 16, 512
_NORMAL = 1e4
"""Mean from which a Poisson number is taken as normal."""


def log_change_moments(law: CountLaw) -> tuple[Float[np.ndarray, " barcode"], Float[np.ndarray, " barcode"]]:
    """Mean and variance of the natural logarithm of counts over their expectation, each with half a read added, where nothing acts.

    Both depend on the share of a barcode alone, so that they are integrated at some shares, rare and common, and interpolated between them. The integral over founders, clones and reads is
    taken at the points of a Halton sequence, which is no draw: the same law always gives the same moments.

    Parameters
    ----------
    law
        Of counts.
    """
    order = np.argsort(law.shares.share)
    log_share = np.log(law.shares.share[order])
    even = np.searchsorted(log_share, np.linspace(log_share[0], log_share[-1], _SHARES)).clip(0, len(order) - 1)
    common = np.linspace(0, len(order) - 1, _SHARES).astype(int)
    rows = order[np.union1d(even, common)]
    u = qmc.Halton(3, scramble=False).random(_POINTS + 1)[1:]
    moments = np.array([_moments(law, int(row), u) for row in rows])
    at = np.log(law.shares.share)
    return tuple(np.interp(at, at[rows], column) for column in moments.T)  # type: ignore[return-value]


def _moments(law: CountLaw, row: int, u: np.ndarray) -> tuple[float, float]:
    expected = law.cells * law.shares.share[row]
    beyond = 1.0 / law.shares.size[row] - 1.0 / law.cells
    if beyond > 0:
        founders = nbinom.ppf(u[:, 0], 1.0 / beyond, 1.0 / (1.0 + expected * beyond))
    elif law.cells < 1e6:
        founders = binom.ppf(u[:, 0], max(round(law.cells), 1), law.shares.share[row])
    else:
        founders = _poisson(u[:, 0], np.full(len(u), expected))
    varies = law.clone_variance * (1.0 / np.maximum(founders, 1.0) - 1.0 / law.cells) + law.dispersion
    varies = np.maximum(varies, 1e-9)
    grown = gamma.ppf(u[:, 1], 1.0 / varies, scale=varies) * founders * (law.reads / law.cells)
    value = np.log((_poisson(u[:, 2], grown) + 0.5) / (law.mean[row] + 0.5))
    return float(value.mean()), float(max(value.var(), 1e-6))


def _poisson(u: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Quantiles of Poisson numbers; those of large means are normal, and cost nothing."""
    value = np.maximum(mean + np.sqrt(mean) * ndtri(u), 0.0)
    small = mean < _NORMAL
    value[small] = poisson.ppf(u[small], mean[small])
    return value
