r"""Cells for each batch: a convex programme whose solution is one root.

In a batch of :math:`T` cells with :math:`k` edits, :math:`x` cells each, and :math:`y` controls, an effect gets the information
:math:`h = 1/(\sigma_p^2/x + \sigma_0^2/y + 2\omega^2)`. For any :math:`T = kx + y` it is largest at
:math:`y/x = \sqrt k\,\sigma_0/\sigma_p`, where :math:`h(T) = 1/(a/T + 2\omega^2)` with :math:`a = (\sigma_p\sqrt k + \sigma_0)^2`:
with equal variances the rule of Dunnett (JASA 50, 1096, 1955), :math:`\sqrt k` times as many controls. What is left is to share
cells among batches, :math:`\max \sum_b (k_b/K)\,h_b(T_b)` for a cost, or the least cost for an information, both with
:math:`0 \le T_b \le` capacity. All :math:`h_b` are concave, so at the optimum one price :math:`\lambda` holds,
:math:`(k_b/K)\,h_b'(T_b) = \lambda` in every batch that is neither empty nor full: :math:`T_b = (\sqrt{k_b a_b/(K\lambda)} - a_b)/(2\omega^2)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq


@dataclass(frozen=True, kw_only=True)
class Yields:
    """What cells in each batch give.

    Parameters
    ----------
    edits
        Edits in each batch.
    n_edits
        Edits in all.
    capacity
        Most cells of each batch.
    edited_cell, control_cell
        Variance of edited cells and of controls.
    interaction
        Variance that the cells of one condition in one batch share.
    """

    edits: Int[np.ndarray, " batch"]
    n_edits: int
    capacity: Float[np.ndarray, " batch"]
    edited_cell: float
    control_cell: float
    interaction: float

    @property
    def controls_per_edited(self) -> Float[np.ndarray, " batch"]:
        """Controls for each cell of one edit, at the optimum."""
        return np.sqrt(self.edits * self.control_cell / self.edited_cell)

    @property
    def _slope(self) -> Float[np.ndarray, " batch"]:
        return (np.sqrt(self.edited_cell * self.edits) + np.sqrt(self.control_cell)) ** 2

    def information(self, totals: Float[np.ndarray, " batch"]) -> float:
        """Mean over edits of the inverse variance of an effect; of each, where all edits stand in all batches."""
        with np.errstate(divide="ignore"):
            each = 1 / (self._slope / totals + 2 * self.interaction)
        return float((self.edits / self.n_edits * each).sum())

    def at_price(self, price: float) -> Float[np.ndarray, " batch"]:
        """Cells at which the next one would give as much information as the price."""
        gain = np.sqrt(self.edits * self._slope / (self.n_edits * price)) - self._slope
        return np.clip(gain / (2 * self.interaction), 0.0, self.capacity)

    def for_cells(self, n_cells: float) -> Float[np.ndarray, " batch"]:
        """Most information for a number of cells."""
        if n_cells >= self.capacity.sum():
            return self.capacity
        if self.interaction == 0:
            return self._best_first(n_cells)
        return self._root(lambda totals: float(totals.sum()), n_cells)

    def for_information(self, wanted: float) -> Float[np.ndarray, " batch"]:
        """Fewest cells for an information; all that fit if they do not suffice."""
        if wanted >= self.information(self.capacity):
            return self.capacity
        if self.interaction == 0:
            solved = brentq(lambda n: self.information(self._best_first(n)) - wanted, 0.0, self.capacity.sum())
            return self._best_first(float(solved))
        return self._root(self.information, wanted)

    def _best_first(self, n_cells: float) -> Float[np.ndarray, " batch"]:
        """Without interaction each cell of a batch gives the same: fill the best batches, equally good ones alike."""
        rates = self.edits / self._slope
        rates = np.round(rates / rates.max(), 12)
        totals = np.zeros_like(self.capacity)
        for rate in np.unique(rates)[::-1]:
            same = np.flatnonzero(rates == rate)
            level = _fill(self.capacity[same], n_cells)
            totals[same] = level
            n_cells -= level.sum()
        return totals

    def _root(self, measure: Callable[[np.ndarray], float], wanted: float) -> Float[np.ndarray, " batch"]:
        highest = float((self.edits / (self.n_edits * self._slope)).max())
        ends = self.edits * self._slope / (self.n_edits * (self._slope + 2 * self.interaction * self.capacity) ** 2)
        low, high = np.log(0.5 * float(ends.min())), np.log(highest)
        solved = brentq(lambda p: measure(self.at_price(np.exp(p))) - wanted, low, high, xtol=1e-13)
        return self.at_price(float(np.exp(solved)))


def _fill(capacity: Float[np.ndarray, " batch"], n_cells: float) -> Float[np.ndarray, " batch"]:
    """Share cells equally, but no more than a batch takes: the level of water over steps."""
    if n_cells >= capacity.sum():
        return capacity.copy()
    order = np.sort(capacity)
    for number, step in enumerate(order):
        below = order[:number].sum()
        level = (n_cells - below) / (len(order) - number)
        if level <= step:
            return np.minimum(capacity, max(level, 0.0))
    return capacity.copy()
