"""Whole cells: an allocation in real numbers rounded so that batches keep their totals, and what is left over goes to the edits told worst."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from semimech.design.effects import effect_variance
from semimech.design.layout import Layout
from semimech.design.request import CONTROL, Request
from semimech.design.totals import Yields


def whole_layout(
    request: Request,
    yields: Yields,
    totals: Float[np.ndarray, " batch"],
    stands: Bool[np.ndarray, "edit batch"],
    batches: Int[np.ndarray, " batch"],
) -> Layout:
    """Whole numbers of cells near the totals: the best of three ways to round."""
    known = request.of_rows()
    options = [_named(request, _rounded(request, yields, totals, stands, way), batches) for way in (-1, 0, 1)]
    return min(options, key=lambda layout: float(effect_variance(layout, known).within.max()))


def _rounded(
    request: Request,
    yields: Yields,
    totals: Float[np.ndarray, " batch"],
    stands: Bool[np.ndarray, "edit batch"],
    way: int,
) -> Int[np.ndarray, "condition batch"]:
    """Round the cells of an edit down (-1), up (1), or (0) give some edits of a batch one more, those told worst so far."""
    cells = np.zeros((len(request.edits) + 1, len(totals)), dtype=int)
    left_over = []
    for batch, total in enumerate(totals):
        k, capacity = int(yields.edits[batch]), int(yields.capacity[batch])
        n = min(int(np.ceil(total - 1e-6)) if request.standard_error is not None else int(total + 1e-6), capacity)
        ratio = float(yields.controls_per_edited[batch])
        most = max((n - 1) // k, request.min_cells)
        if way == 0:
            controls = max(min(round(n * ratio / (k + ratio)), n - k * request.min_cells), 1)
            each, extra = divmod(max(n - controls, k * request.min_cells), k)
        else:
            each, extra = min(max(int(n / (k + ratio)) + (way > 0), request.min_cells), most), 0
        cells[0, batch] = max(n - k * each - extra, 1)
        cells[1:, batch] = each * stands[:, batch]
        left_over.append(extra)
    information = 1 / effect_variance(_named(request, cells, np.arange(len(totals))), request.of_rows()).within
    gain = _gains(yields, cells)
    for batch, extra in enumerate(left_over):
        standing = np.flatnonzero(stands[:, batch])
        worst = standing[np.argsort(information[standing], kind="stable")[:extra]]
        cells[1 + worst, batch] += 1
        information[worst] += gain[batch]
    return cells


def _named(request: Request, cells: Int[np.ndarray, "condition batch"], batches: Int[np.ndarray, " batch"]) -> Layout:
    order = np.argsort(batches)
    return Layout(
        conditions=(CONTROL, *request.edits),
        batches=tuple(f"batch {number + 1}" for number in batches[order]),
        cells=cells[:, order],
        control=np.zeros(len(cells), dtype=int),
    )


def _gains(yields: Yields, cells: Int[np.ndarray, "condition batch"]) -> Float[np.ndarray, " batch"]:
    """Information that one cell more of an edit gives in each batch."""
    each = cells[1:].max(axis=0)
    shared = yields.control_cell / cells[0] + 2 * yields.interaction
    with np.errstate(divide="ignore"):
        return 1 / (yields.edited_cell / (each + 1) + shared) - 1 / (yields.edited_cell / each + shared)
