"""Matched minibatches: cells of chosen conditions, with unedited cells of the same batches beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from semimech._errors import DataError, raise_faults
from semimech.data.dataset import Cells, Dataset


@dataclass(frozen=True, kw_only=True)
class Minibatch:
    """Cells to take one step with.

    Parameters
    ----------
    conditions
        Rows of the data set.
    cells
        Cells of each condition.
    controls
        Unedited cells of the same batches, in the batch shares of ``cells``: the batch effect cancels between the
        two means, up to rounding of the shares.
    """

    conditions: Int[np.ndarray, " condition"]
    cells: Int[np.ndarray, "condition cell"]
    controls: Int[np.ndarray, "condition control"]


def matched_minibatches(
    dataset: Dataset,
    *,
    n_conditions: int,
    n_cells: int,
    n_controls: int | None = None,
    n_steps: int,
    rng: np.random.Generator,
) -> Iterator[Minibatch]:
    """Draw minibatches of edited conditions with matched controls.

    A control matches a cell if it is unedited, of the same batch and the same media, and, where controls move
    (differentiating cells, or cells that left the maintenance medium), of the same time. Conditions are drawn in
    rounds, each once before any comes again. Cells are drawn without replacement where there are enough.

    Parameters
    ----------
    dataset
        Data set with cells and controls.
    n_conditions
        Edited conditions per minibatch; all of them if there are fewer.
    n_cells
        Cells per condition.
    n_controls
        Controls per condition; as many as cells if not given. Each condition has controls of its own here, which makes it the case of one edit
        in the rule that a design follows (controls are the square root of the number of edits that share them times the cells of one).
    n_steps
        Number of minibatches.
    rng
        Draws conditions and cells.

    Yields
    ------
    Minibatch
        Indices into ``dataset.cells``.

    Raises
    ------
    DataError
        If the data set has no cells, or edited cells stand in a batch without matching controls.
    ValueError
        If a number is less than 1.
    """
    n_controls = n_cells if n_controls is None else n_controls
    for name, number in (("n_conditions", n_conditions), ("n_cells", n_cells), ("n_controls", n_controls)):
        if number < 1:
            raise ValueError(f"{name} must be 1 or more, got {number}")
    if dataset.cells is None:
        raise DataError(f"Dataset {dataset.name!r} has no cells, only means: minibatches need cells")
    edited = np.flatnonzero(~dataset.is_control)
    order = np.argsort(dataset.cells.condition, kind="stable")
    ends = np.cumsum(np.bincount(dataset.cells.condition, minlength=len(dataset.conditions)))
    by_condition = {int(c): each for c, each in enumerate(np.split(order, ends[:-1]))}
    edited = np.array([c for c in edited if len(by_condition[int(c)])], dtype=int)
    pools = control_pools(dataset, dataset.cells)
    return _draw(dataset, dataset.cells, edited, by_condition, pools, (n_conditions, n_cells, n_controls, n_steps), rng)


def control_pools(dataset: Dataset, cells: Cells) -> dict[tuple[int, object], Int[np.ndarray, " control"]]:
    """Control cells by batch and by what they must share with an edited cell.

    Raises
    ------
    DataError
        If edited cells stand in a batch without matching controls; lists every such batch.
    """
    keys = [dataset.system.comparison(condition) for condition in dataset.conditions]
    index = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    kind = np.array([index[key] for key in keys])[cells.condition]
    is_control = dataset.is_control[cells.condition]
    names = list(index)
    groups = {
        (int(b), int(k)): np.flatnonzero(is_control & (cells.batch == b) & (kind == k))
        for b, k in np.unique(np.stack([cells.batch, kind]), axis=1).T
    }
    wanted = np.unique(np.stack([cells.batch, kind])[:, ~is_control], axis=1).T
    faults = []
    for b, k in wanted:
        if len(groups[int(b), int(k)]):
            continue
        media, hours = names[int(k)]
        n = int((~is_control & (cells.batch == b) & (kind == k)).sum())
        where = f"medium {media[-1] or 'maintenance'}" + ("" if hours is None else f", {sum(hours):g} h")
        faults.append(f"batch {int(b)} has {n} edited cells but no control cell to match ({where})")
    if faults:
        faults = [f"{fault}. Leave these cells out, or use means instead of minibatches" for fault in faults]
    raise_faults(DataError, f"Matched minibatches of {dataset.name!r}", faults)
    return {(b, names[k]): pool for (b, k), pool in groups.items()}


def _draw(
    dataset: Dataset,
    cells: Cells,
    edited: np.ndarray,
    by_condition: dict[int, np.ndarray],
    pools: dict[tuple[int, object], np.ndarray],
    sizes: tuple[int, int, int, int],
    rng: np.random.Generator,
) -> Iterator[Minibatch]:
    n_conditions, n_cells, n_controls, n_steps = sizes
    size = min(n_conditions, len(edited))
    waiting = np.empty(0, dtype=int)
    for _ in range(n_steps):
        if len(waiting) < size:
            # A new round; what still waits from the last one goes to its end, so that no minibatch has it twice.
            following = rng.permutation(edited)
            again = np.isin(following, waiting)
            waiting = np.concatenate([waiting, following[~again], following[again]])
        chosen, waiting = waiting[:size], waiting[size:]
        drawn = [_sample(by_condition[int(c)], n_cells, rng) for c in chosen]
        controls = [
            _sample_controls(cells, rows, dataset.system.comparison(dataset.conditions[int(c)]), n_controls, pools, rng)
            for c, rows in zip(chosen, drawn, strict=True)
        ]
        yield Minibatch(conditions=chosen, cells=np.stack(drawn), controls=np.stack(controls))


def _sample(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(rows, size=n, replace=len(rows) < n)


def _sample_controls(
    cells: Cells,
    rows: np.ndarray,
    comparison: object,
    n: int,
    pools: dict[tuple[int, object], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Controls in the batch shares of ``rows``: one for each in turn, the rest of the last turn in random order."""
    batch = np.resize(rng.permutation(cells.batch[rows]), n)
    found = np.empty(n, dtype=int)
    for b in np.unique(batch):
        of_batch = batch == b
        found[of_batch] = _sample(pools[int(b), comparison], int(of_batch.sum()), rng)
    return found
