"""Allocation: cells per edit, controls per batch, and edits per batch, for a standard error, a budget or the room there is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from semimech._errors import ConfigError
from semimech.design.blocks import assign_blocks
from semimech.design.effects import ByEstimator, effect_variance
from semimech.design.layout import Layout
from semimech.design.request import Request
from semimech.design.totals import Yields
from semimech.design.whole_cells import whole_layout

FORMULA = (
    "Var(effect) = v_guide/guides + 1 / sum over batches of 1 / (v_edited/n_edited + v_control/n_control + 2 v_interaction); "
    "controls in a batch of k edits: sqrt(k v_control / v_edited) times the cells of one edit"
)
"""The variance that allocations make small."""
_ROUNDS = 12


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """A design: the first row of the layout are the controls.

    Parameters
    ----------
    request
        What was asked for.
    layout
        Usable cells by condition and batch, whole numbers.
    """

    request: Request
    layout: Layout

    @cached_property
    def of_cells(self) -> ByEstimator:
        """Variance of each edit's effect that is from drawing cells in batches: what the allocation makes small."""
        return effect_variance(self.layout, self.request.of_rows())

    @property
    def variance(self) -> ByEstimator:
        """Variance of each edit's effect: that of cells, and of guides, which no number of cells lowers."""
        of_guides = self.request.guide_variance
        return ByEstimator(**{name: value + of_guides for name, value in vars(self.of_cells).items()})

    @property
    def standard_error(self) -> float:
        """Standard error within batches of the edit that is told worst."""
        return float(np.sqrt(self.variance.within.max()))

    @property
    def rounding_loss(self) -> float:
        """By what share whole cells and edits raise the worst variance of cells above that of as many shared out perfectly."""
        edits = (self.layout.cells[1:] > 0).sum(axis=0)
        yields = _yields(self.request, edits, self.layout.cells.sum(axis=0).astype(float))
        return self._worst * yields.information(yields.capacity) - 1

    @property
    def cost(self) -> float:
        """Cost of cells and batches."""
        cells = self.layout.cells.sum() / self.request.usable_share
        return float(cells * self.request.cost_per_cell + len(self.layout.batches) * self.request.cost_per_batch)

    @property
    def versus_equal(self) -> float:
        """Worst variance of as many cells shared equally among edits and controls of each batch, in units of that of these."""
        stands = self.layout.cells[1:] > 0
        totals = self.layout.cells.sum(axis=0)
        equal = np.vstack([np.ones_like(totals), stands]) * (totals / (stands.sum(axis=0) + 1))
        known = self.request
        with np.errstate(divide="ignore"):
            pair = (known.edited_variance + float(known.components.cell)) / equal[1:] + 2 * known.components.interaction
        return float((1 / (1 / pair).sum(axis=1)).max()) / self._worst

    @cached_property
    def _worst(self) -> float:
        """Worst variance of cells without the curvature of few counts, which the programme does not know."""
        known = replace(self.request.of_rows(), curvature=0.0)
        return float(effect_variance(self.layout, known).within.max())

    @property
    def table(self) -> pd.DataFrame:
        """One row per condition and batch that has cells, with the cells to load and the standard error of the effect."""
        row, column = np.nonzero(self.layout.cells)
        usable = self.layout.cells[row, column]
        error = np.concatenate([[np.nan], np.sqrt(self.variance.within)])
        least = np.concatenate([[np.nan], np.sqrt(self.variance.gls)])
        return pd.DataFrame(
            {
                "batch": np.array(self.layout.batches)[column],
                "condition": np.array(self.layout.conditions)[row],
                "cells": usable,
                "cells_to_load": np.ceil(usable / self.request.usable_share).astype(int),
                "standard_error": error[row],
                "standard_error_gls": least[row],
            }
        ).sort_values("batch", kind="stable", key=lambda names: names.map(self.layout.batches.index), ignore_index=True)

    @property
    def batches(self) -> pd.DataFrame:
        """One row per batch: its edits, cells of each (fewest and most), controls, and cells in all and to load."""
        cells = self.layout.cells
        standing = np.where(cells[1:] > 0, cells[1:], cells[1:].max())
        return pd.DataFrame(
            {
                "batch": self.layout.batches,
                "edits": (cells[1:] > 0).sum(axis=0),
                "cells_per_edit": standing.min(axis=0),
                "most_cells_per_edit": cells[1:].max(axis=0),
                "controls": cells[0],
                "cells": cells.sum(axis=0),
                "cells_to_load": np.ceil(cells.sum(axis=0) / self.request.usable_share).astype(int),
            }
        )


def allocate(request: Request) -> Allocation:
    """Find the allocation of least cost for a standard error, or of least standard error for a budget or the room there is.

    Edits are compared with controls within batches, so that no batch effect enters. All edits are equally wanted. Batches
    are as many as given, or fewer where fewer do better: each one costs, or edits would get less than the least cells.

    Parameters
    ----------
    request
        What is wanted, and what there is.

    Returns
    -------
    Allocation
        Whole cells. With a wanted standard error every effect reaches it.

    Raises
    ------
    ConfigError
        If it cannot be done, with what would be needed.
    """
    plans, fault = [], None
    for number in range(request.n_batches, 0, -1):
        try:
            plans.append(_plan(request, number))
        except ConfigError as error:
            fault = fault or error
    plans.sort(key=lambda plan: plan.badness)
    for plan in plans:
        # Where the best number of batches fits only just, whole cells may not: the next best does.
        try:
            return _whole(request, plan)
        except ConfigError as error:
            fault = error
    raise fault or ConfigError("Allocation: no number of batches was tried")


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Cells of each batch as real numbers; `badness` sorts plans, and leaves the one of more batches first where equal."""

    yields: Yields
    batches: Int[np.ndarray, " batch"]
    totals: Float[np.ndarray, " batch"]
    badness: tuple[bool, float]


def _plan(request: Request, n_batches: int) -> _Plan:
    """The continuous optimum with a number of batches; fewer edits per batch where they would get too few cells."""
    batches = np.argsort(-request.capacities, kind="stable")[:n_batches]
    capacity = request.capacities[batches] * request.usable_share
    most = min(request.edits_per_batch or len(request.edits), len(request.edits))
    edits = np.minimum(most, _fitting(request, capacity))
    price = request.cost_per_cell / request.usable_share
    for _ in range(_ROUNDS):
        if edits.sum() < len(request.edits):
            room = f"{int(edits.sum())} places for {len(request.edits)} edits in {n_batches} batches"
            raise ConfigError(
                f"Allocation: {room}, each of {request.min_cells} cells or more; take more or larger batches, "
                "a larger budget, fewer edits, more edits per batch, or fewer least cells"
            )
        yields = _yields(request, edits, capacity)
        if request.standard_error is not None:
            wanted = 1 / (request.standard_error**2 - request.guide_variance)
            if wanted > yields.information(capacity) * (1 + 1e-9):
                least = (1 / yields.information(capacity) + request.guide_variance) ** 0.5
                raise ConfigError(
                    f"Allocation: a standard error of {request.standard_error:.4g} cannot be reached with {n_batches} "
                    f"batches: all their cells give {least:.4g}; take more or larger batches, or fewer edits"
                )
            totals = yields.for_information(wanted)
        elif request.budget is None:
            totals = yields.capacity
        else:
            left = request.budget - n_batches * request.cost_per_batch
            if left <= 0:
                raise ConfigError(f"Allocation: the budget of {request.budget:g} does not pay for {n_batches} batches")
            totals = yields.for_cells(left / price if price > 0 else float(capacity.sum()))
        fitting = np.minimum(edits, _fitting(request, totals))
        if request.standard_error is not None or (fitting == edits).all():
            break
        edits = fitting
    is_thin = bool((fitting < edits).any())
    cost = float(totals.sum() * price + n_batches * request.cost_per_batch)
    least = cost if request.standard_error is not None else -yields.information(totals)
    return _Plan(yields=yields, batches=batches, totals=totals, badness=(is_thin, float(f"{least:.9g}")))


def _yields(request: Request, edits: Int[np.ndarray, " batch"], capacity: Float[np.ndarray, " batch"]) -> Yields:
    return Yields(
        edits=edits,
        n_edits=len(request.edits),
        capacity=capacity,
        edited_cell=request.edited_variance,
        control_cell=float(request.components.cell),
        interaction=request.components.interaction,
    )


def _fitting(request: Request, totals: Float[np.ndarray, " batch"]) -> Int[np.ndarray, " batch"]:
    """Edits that each batch can hold with the least cells of each and its controls: k + √k r ≤ T / least."""
    ratio = np.sqrt(float(request.components.cell) / request.edited_variance)
    root = (np.sqrt(ratio**2 + 4 * totals / request.min_cells) - ratio) / 2
    return np.floor(root**2 + 1e-9).astype(int)


def _whole(request: Request, plan: _Plan) -> Allocation:
    """Whole cells and whole edits; with a wanted standard error, aim lower until the worst effect reaches it."""
    kept = plan.totals > 0
    stands = assign_blocks(len(request.edits), plan.yields.edits[kept])
    yields = replace(plan.yields, edits=stands.sum(axis=0), capacity=plan.yields.capacity[kept])
    totals, wanted = plan.totals[kept], request.standard_error
    for _ in range(_ROUNDS):
        found = Allocation(request=request, layout=whole_layout(request, yields, totals, stands, plan.batches[kept]))
        if wanted is None or found.standard_error <= wanted * (1 + 1e-9):
            return found
        excess = float(found.of_cells.within.max()) / (wanted**2 - request.guide_variance)
        totals = yields.for_information(yields.information(totals) * excess * (1 + 1e-6))
    raise ConfigError(
        f"Allocation: a standard error of {wanted:.4g} is reached on average, but not by the edits in fewest batches "
        f"({found.standard_error:.4g}); take more or larger batches, or edits per batch that share out evenly"
    )
