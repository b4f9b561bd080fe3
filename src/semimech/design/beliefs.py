r"""Beliefs on levers: two answers that err, drawn towards what a lever typically brings.

What is foretold, :math:`x`, is the mean of the answers that there are. What a lever brings differs between screens around a typical :math:`g\,m`, with standard deviation
:math:`g\,\tau`, as shares of the error without noise; :math:`g = 1 - 1/r` for growth by a factor :math:`r`, 1 for what is not bought by number. And :math:`x` errs by the spread of
its edits and simulated screens, :math:`v`, and by what these do not know, the fitted law and misfit, :math:`g\,s`. So (two normal laws; Efron & Morris, J. Am. Stat. Assoc. 70, 311, 1975)

.. math:: \text{fall} = g m + w\,(x - g m), \qquad w = \frac{(g\tau)^2}{(g\tau)^2 + v + (g s)^2}, \qquad \text{variance} = w\,\bigl(v + (g s)^2\bigr).

Intervals are as much wider as worlds left out of the constants ask for. These are from simulated worlds in which every lever was bought (``benchmarks/levers_typical.py``), none of them among those that the ranking is scored on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped
from scipy.stats import norm


@dataclass(frozen=True, kw_only=True)
class Typical:
    """What a lever brings in screens at large, as shares of the held-out error without noise, were what it buys to grow without end.

    Parameters
    ----------
    fall
        On average.
    spread
        Standard deviation between screens.
    doubt
        By how much what is foretold is off, beyond the spread of its edits and screens: root mean square.
    """

    fall: float
    spread: float
    doubt: float


TYPICAL: dict[str, Typical] = {
    "cells": Typical(fall=0.011, spread=0.020, doubt=0.015),
    "controls": Typical(fall=0.046, spread=0.043, doubt=0.019),
    "edits": Typical(fall=0.074, spread=0.077, doubt=0.034),
    "learned residual": Typical(fall=0.001, spread=0.012, doubt=0.009),
    "prior": Typical(fall=0.151, spread=0.092, doubt=0.029),
    "times": Typical(fall=0.096, spread=0.087, doubt=0.039),
}
"""By lever; of others nothing typical is known."""
STRETCH = 1.5
"""Factor on standard deviations: by so much more worlds erred that were left out of the constants, which are from few, and in which errors are not normal."""
UNKNOWN = Typical(fall=0.0, spread=np.inf, doubt=0.04)
"""Of a lever that no study has bought: it is believed as foretold, with the doubt of those that were."""


def variance_of_mean(values: Float[np.ndarray, "screen condition"], edits: Shaped[np.ndarray, " condition"]) -> float:
    """Variance of a mean over conditions and simulated screens, whose edits and screens are samples of others.

    Parameters
    ----------
    values
        Of independent screens; one where there are no others.
    edits
        Edit of each condition; those of one edit err together.
    """
    names, code = np.unique(edits.astype(str), return_inverse=True)
    each = values.mean(axis=0)
    off = np.bincount(code, each - each.mean())
    by_edit = (off**2).sum() / len(edits) ** 2 * len(names) / (len(names) - 1) if len(names) > 1 else 0.0
    by_screen = values.mean(axis=1).var(ddof=1) / len(values) if len(values) > 1 else 0.0
    return float(by_edit + by_screen)


def believed(
    table: pd.DataFrame, *, error: float, level: float, typical: Mapping[str, Typical] = TYPICAL
) -> pd.DataFrame:
    """Add to a table of what is foretold what is believed.

    Parameters
    ----------
    table
        ``lever``, ``gain`` (1 - 1/r for growth by a factor r, else 1), ``fall_data`` and ``fall_world`` (one may be NaN), and ``spread``, the standard deviation of their mean.
    error
        Held-out error without noise.
    level
        Level of the intervals.
    typical
        What levers bring in screens at large.

    Returns
    -------
    pandas.DataFrame
        With ``typical``, ``fall``, ``lower`` and ``upper``.
    """
    known = [typical.get(lever, UNKNOWN) for lever in table["lever"]]
    fall, spread, doubt = (np.array([getattr(each, name) for each in known]) for name in ("fall", "spread", "doubt"))
    scale = error * table["gain"].to_numpy(dtype=float)
    answer = table[["fall_data", "fall_world"]].mean(axis=1).to_numpy()
    errs = table["spread"].to_numpy() ** 2 + (scale * doubt) ** 2
    is_known = np.isfinite(spread)
    between = (scale * np.where(is_known, spread, 0.0)) ** 2
    weight = np.where(is_known, between / np.maximum(between + errs, np.finfo(float).tiny), 1.0)
    mean = scale * fall + weight * (answer - scale * fall)
    half = STRETCH * norm.ppf((1 + level) / 2) * np.sqrt(weight * errs)
    return table.assign(
        typical=np.where(is_known, scale * fall, np.nan), fall=mean, lower=mean - half, upper=mean + half
    )
