r"""Times to harvest: how much of a change is there at each time, with what power it is found, and which times tell a half-life.

From the moment at which an edit acts, production of a gene goes to :math:`f` times what it was, at once or with a time constant
:math:`1/\kappa` (turnover of protein already made, or of a regulator in between), and its transcripts follow with their half-life,
:math:`\gamma = \ln 2/t_{1/2}`. Relative expression is then

.. math:: x(t) = 1 - (1 - f)\,g(t), \qquad g(t) = 1 - \frac{\kappa e^{-\gamma t} - \gamma e^{-\kappa t}}{\kappa - \gamma},

which is :math:`1 - e^{-\gamma t}` for an edit that acts at once. What an effect on logarithms needs of cells is :math:`1/\log^2 x(t)`; where
edited cells die out, their number halves every :math:`h` hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

from semimech._errors import ConfigError, raise_faults
from semimech.design.power import faults_of_test

_MOST_HALF_LIVES = 60.0
_NEAR = 1e-6


@dataclass(frozen=True, kw_only=True)
class Response:
    """How one gene answers to an edit.

    Parameters
    ----------
    fold_change
        Expression of edited cells that have settled, as a multiple of that of unedited ones.
    half_life_hours
        Half-life of the gene's transcripts.
    turnover_hours
        Time constant with which production changes; 0 if at once.
    onset_hours
        When the edit begins to act.
    loss_hours
        Time in which the number of edited cells halves, relative to unedited ones; infinite if it does not.

    Raises
    ------
    ConfigError
        Listing every argument that is out of range.
    """

    fold_change: float
    half_life_hours: float
    turnover_hours: float = 0.0
    onset_hours: float = 0.0
    loss_hours: float = np.inf

    def __post_init__(self) -> None:
        faults = []
        if not (np.isfinite(self.fold_change) and self.fold_change > 0 and self.fold_change != 1):
            faults.append(
                f"the fold change must be above 0 and not 1, got {self.fold_change:g}: a fall to a half is 0.5"
            )
        if not (np.isfinite(self.half_life_hours) and self.half_life_hours > 0):
            faults.append(f"the half-life must be above 0 hours, got {self.half_life_hours:g}")
        for name in ("turnover_hours", "onset_hours"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                faults.append(f"{name} must be 0 or more, got {getattr(self, name):g}")
        if not self.loss_hours > 0:
            faults.append(f"loss_hours must be above 0, got {self.loss_hours:g}: leave it out if cells are not lost")
        raise_faults(ConfigError, "Response", faults)

    @property
    def rate(self) -> float:
        """Rate at which the transcripts decay, per hour."""
        return float(np.log(2.0) / self.half_life_hours)

    def share(self, hours: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """Share of the change that is there, on the linear scale."""
        time = np.maximum(np.asarray(hours, float) - self.onset_hours, 0.0)
        decay = self.rate
        if not self.turnover_hours:
            return -np.expm1(-decay * time)
        other = 1.0 / self.turnover_hours
        if abs(other - decay) < _NEAR * decay:
            return 1.0 - (1.0 + decay * time) * np.exp(-decay * time)
        return 1.0 - (other * np.exp(-decay * time) - decay * np.exp(-other * time)) / (other - decay)

    def log_change(self, hours: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """Natural logarithm of the fold change."""
        return np.log1p((self.fold_change - 1.0) * self.share(hours))

    def cells_kept(self, hours: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """Share of the edited cells that are left."""
        return 0.5 ** (np.maximum(np.asarray(hours, float) - self.onset_hours, 0.0) / self.loss_hours)

    def signal(self, hours: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """Size of the change in units of its standard error, up to a factor."""
        return np.abs(self.log_change(hours)) * np.sqrt(self.cells_kept(hours))


def harvest_table(
    response: Response, hours: Sequence[float], *, standard_error: float, alpha: float = 0.05
) -> pd.DataFrame:
    """What each harvest tells.

    Parameters
    ----------
    response
        How the gene answers to the edit.
    hours
        Times of the harvests.
    standard_error
        Standard error of the log fold change, if no cells were lost.
    alpha
        Level of the two-sided normal test.

    Returns
    -------
    pandas.DataFrame
        ``hours``, ``share`` of the change, ``log_fold_change``, ``cells_kept``, ``standard_error``, ``power``, and ``cells_factor``: how many times as many cells as
        of settled edits none of which are lost would tell as much.

    Raises
    ------
    ConfigError
        If a harvest is not at a finite time, or ``standard_error`` or ``alpha`` is out of range.
    """
    time = np.asarray(hours, float)
    faults = [f"harvests must be at finite hours, got {t:g}" for t in time if not np.isfinite(t)]
    raise_faults(ConfigError, "Harvests", faults + _faults(standard_error, alpha))
    change, critical = response.log_change(time), norm.isf(alpha / 2)
    with np.errstate(divide="ignore"):
        error = standard_error / np.sqrt(response.cells_kept(time))
        factor = (np.log(response.fold_change) / response.signal(time)) ** 2
    return pd.DataFrame(
        {
            "hours": time,
            "share": response.share(time),
            "log_fold_change": change,
            "cells_kept": response.cells_kept(time),
            "standard_error": error,
            "power": norm.sf(critical - np.abs(change) / error) + norm.cdf(-critical - np.abs(change) / error),
            "cells_factor": factor,
        }
    )


def _faults(standard_error: float, alpha: float, power: float | None = None) -> list[str]:
    faults = faults_of_test(alpha, power)
    if not (np.isfinite(standard_error) and standard_error > 0):
        faults.append(f"the standard error must be above 0, got {standard_error:g}")
    return faults


def _settled(response: Response) -> float:
    """Hours after which nothing is left to change."""
    return response.onset_hours + _MOST_HALF_LIVES * (response.half_life_hours + response.turnover_hours)


def best_harvest(response: Response) -> float:
    """Hours at which a change is told best; infinite where no cells are lost, since a change only grows."""
    if np.isinf(response.loss_hours):
        return np.inf

    def lost(hours: float) -> float:
        """Minus twice the logarithm of the signal, which itself is 0 in floating point where nearly all cells are lost."""
        change = float(np.abs(response.log_change(np.array([hours])))[0])
        with np.errstate(divide="ignore"):
            return float(np.log(2.0) * (hours - response.onset_hours) / response.loss_hours - 2 * np.log(change))

    found = minimize_scalar(lost, bounds=(response.onset_hours, _settled(response)), method="bounded")
    return float(found.x)


def harvest_window(
    response: Response, *, standard_error: float, power: float = 0.8, alpha: float = 0.05
) -> tuple[float, float]:
    """First and last hour at which the change is found with a power.

    The last is infinite where no cells are lost, both are NaN if there is no such harvest.

    Raises
    ------
    ConfigError
        If ``standard_error``, ``power`` or ``alpha`` is out of range.
    """
    raise_faults(ConfigError, "Harvests", _faults(standard_error, alpha, power))

    def beyond(hours: float) -> float:
        table = harvest_table(response, [hours], standard_error=standard_error, alpha=alpha)
        return float(table["power"].iloc[0]) - power

    best = best_harvest(response)
    top = min(best, _settled(response))
    if beyond(top) < 0:
        return np.nan, np.nan
    first = float(brentq(beyond, response.onset_hours, top))
    if np.isinf(best):
        return first, np.inf
    step = response.loss_hours
    while beyond(best + step) >= 0:
        step *= 2
    return first, float(brentq(beyond, best, best + step))


def half_life_harvests(response: Response, last_hours: float) -> tuple[float, float]:
    r"""The two harvests that tell size and half-life of a change best together, the later one being the last that can be made.

    Of :math:`A(1 - e^{-\gamma t})`, expression on the linear scale, with equal errors at all times, the determinant of the information is
    largest at the last time :math:`T` and :math:`1/\gamma - T e^{-\gamma T}/(1 - e^{-\gamma T})` (Box & Lucas 1959, Biometrika 46:77,
    doi:10.1093/biomet/46.1-2.77).

    Raises
    ------
    ConfigError
        If the edit sets in slowly or cells are lost, for which this is no optimum, or the last harvest is not at a finite time after the onset.
    """
    faults = []
    if response.turnover_hours:
        faults.append("the two times are those of an edit that acts at once: leave turnover_hours out")
    if np.isfinite(response.loss_hours):
        faults.append(
            "the two times are those of equal errors, and lost cells make later ones larger: leave loss_hours out"
        )
    if not response.onset_hours < last_hours < np.inf:
        faults.append(f"the last harvest, {last_hours:g} h, must be after the onset, {response.onset_hours:g} h")
    raise_faults(ConfigError, "Harvests for a half-life", faults)
    span, rate = last_hours - response.onset_hours, response.rate
    left = float(np.exp(-rate * span) / -np.expm1(-rate * span))
    return response.onset_hours + 1.0 / rate - span * left, last_hours
