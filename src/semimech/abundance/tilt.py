"""What selection by a linear growth rate does to a normal law of states."""

from __future__ import annotations

import math
from dataclasses import dataclass

from semimech._errors import DataError, raise_faults

_SLOW = 1e-4
"""Relaxations over the period below which a state is kept: the closed forms lose their digits there."""


@dataclass(frozen=True, kw_only=True)
class Tilt:
    r"""Selection for some hours, of cells whose states vary around the mean of their edit.

    A cell divides (less deaths) at the rate :math:`r = r_0 + w \cdot x`; its daughters have its state. States of one edit are normal with mean :math:`m` and covariance :math:`\Sigma`, stationary, and
    forget themselves at the rate :math:`\gamma` (Ornstein–Uhlenbeck). The expected number of cells and the law of those harvested follow from the integral of the rate along a line of
    descent, :math:`G = \int_0^t w \cdot (x - m)`, which is normal (the many-to-one formula of branching processes):

    .. math::
        \ln \frac{N(t)}{N(0)} = (r_0 + w \cdot m)\,t + \tfrac12 V\, w^\top \Sigma w, \qquad
        \mathrm E\,x_{\text{survivors}} = m + T\, \Sigma w

    with :math:`T = (1 - e^{-\gamma t})/\gamma` and :math:`V = 2(\gamma t - 1 + e^{-\gamma t})/\gamma^2`; where cells keep their states, :math:`T = t` and :math:`V = t^2`. The covariance of survivors is
    :math:`\Sigma`.

    Parameters
    ----------
    hours
        :math:`t`, for which selection acted on cells that showed the effect of their edit.
    relaxation_hours
        :math:`1/\gamma`; infinite where a cell keeps its state.

    Raises
    ------
    DataError
        If a time is not above 0, or the hours are infinite.
    """

    hours: float
    relaxation_hours: float = math.inf

    def __post_init__(self) -> None:
        faults = []
        if not 0.0 < self.hours < math.inf:
            faults.append(f"hours must be a finite number above 0, got {self.hours:g}")
        if not self.relaxation_hours > 0.0:
            faults.append(
                f"relaxation_hours must be above 0, infinite where cells keep their state, got {self.relaxation_hours:g}"
            )
        raise_faults(DataError, "selection", faults)

    @property
    def shift(self) -> float:
        """:math:`T`, hours."""
        passed = self.hours / self.relaxation_hours
        return self.hours if passed < _SLOW else -math.expm1(-passed) * self.relaxation_hours

    @property
    def variance(self) -> float:
        """:math:`V`, hours squared."""
        passed = self.hours / self.relaxation_hours
        if passed < _SLOW:
            return self.hours**2
        return 2.0 * (passed + math.expm1(-passed)) * self.relaxation_hours**2
