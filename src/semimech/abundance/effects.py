"""From effects of guides to effects of genes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t as student

COLUMNS = ("gene", "guides", "effect", "standard_error", "lower", "upper")


def gene_effects(guides: pd.DataFrame, *, level: float = 0.9) -> pd.DataFrame:
    r"""Mean effect of the guides of each gene, with an interval.

    The guide is the unit of replication: guides of one gene differ in what they do. With variances :math:`v_g` from drift and :math:`\tau^2` between guides by moments
    (DerSimonian and Laird, Controlled Clinical Trials 7, 177, 1986), weights are :math:`1/(v_g + \tau^2)`, and the interval is Student's with the guides' own weighted spread (Hartung and Knapp,
    Statistics in Medicine 20, 3875, 2001), never narrower than drift makes it.

    Parameters
    ----------
    guides
        Columns ``gene``, ``effect`` and ``standard_error``.
    level
        Coverage of intervals.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, sorted by gene.
    """
    codes, names = pd.factorize(guides["gene"], sort=True)
    effect, variance = guides["effect"].to_numpy(float), guides["standard_error"].to_numpy(float) ** 2
    size = len(names)

    def total(value: np.ndarray) -> np.ndarray:
        return np.bincount(codes, value, minlength=size)

    n = np.bincount(codes, minlength=size)
    weight = 1.0 / variance
    mean = total(weight * effect) / total(weight)
    scatter = total(weight * (effect - mean[codes]) ** 2)
    room = total(weight) - total(weight**2) / total(weight)
    between = np.where(n > 1, np.maximum(0.0, (scatter - (n - 1)) / np.where(room > 0, room, 1.0)), 0.0)
    weight = 1.0 / (variance + between[codes])
    mean = total(weight * effect) / total(weight)
    spread = total(weight * (effect - mean[codes]) ** 2) / np.maximum(n - 1, 1)
    error = np.sqrt(np.maximum(spread, 1.0) / total(weight))
    half = student.ppf(0.5 + level / 2.0, np.maximum(n - 1, 1)) * error
    columns = (names, n, mean, error, mean - half, mean + half)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
