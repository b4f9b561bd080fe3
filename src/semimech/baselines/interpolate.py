"""Interpolation in the time since an edit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from semimech.experiment import Condition


def hours_edited(condition: Condition) -> float:
    """Hours since the first edit of a condition; 0 for controls."""
    first = next((i for i, period in enumerate(condition.history) if period.context.edits), len(condition.history))
    return float(sum(period.hours for period in condition.history[first:]))


def time_weights(
    harvests: Float[np.ndarray, " harvest"], hours: float, *, from_zero: bool
) -> Float[np.ndarray, " harvest"]:
    """Weights of harvests in the linear interpolation at a time, persisting beyond the last.

    Parameters
    ----------
    harvests
        Times of the harvests, in hours, in any order; harvests at one time share its weight. Infinity is the
        settled state, which is used only for settled cells or where nothing else was harvested.
    hours
        Time asked.
    from_zero
        Whether values are zero at time zero; otherwise the first harvest also stands for earlier times.
    """
    times, place, count = np.unique(harvests, return_inverse=True, return_counts=True)
    finite = times[np.isfinite(times)]
    weights = np.zeros(len(times))
    if hours in times:
        weights[np.searchsorted(times, hours)] = 1.0
    elif not len(finite):
        weights[-1] = 1.0
    elif hours >= finite[-1]:
        weights[len(finite) - 1] = 1.0
    elif hours < finite[0]:
        weights[0] = hours / finite[0] if from_zero else 1.0
    else:
        right = np.searchsorted(finite, hours)
        share = (hours - finite[right - 1]) / (finite[right] - finite[right - 1])
        weights[right - 1], weights[right] = 1.0 - share, share
    return (weights / count)[place]
