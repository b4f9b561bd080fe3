"""Layout: how many cells of which condition stand in which batch, and which controls each condition is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from semimech._errors import DataError, raise_faults


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Cells by condition and batch.

    Parameters
    ----------
    conditions
        Names of the rows: edits at a time, in a medium, and the controls that they are compared with.
    batches
        Names of the columns.
    cells
        Number of cells.
    control
        Row of the matched controls of each row; its own row for controls, -1 where there are none.

    Raises
    ------
    DataError
        Listing every inconsistency.
    """

    conditions: tuple[str, ...]
    batches: tuple[str, ...]
    cells: Int[np.ndarray, "condition batch"]
    control: Int[np.ndarray, " condition"]

    def __post_init__(self) -> None:
        faults = []
        if self.cells.shape != (len(self.conditions), len(self.batches)):
            wanted = f"{len(self.conditions)} conditions and {len(self.batches)} batches"
            faults.append(f"cells have shape {self.cells.shape} for {wanted}: give one row and column for each")
        if len(set(self.conditions)) < len(self.conditions):
            faults.append("a condition stands twice: give each a name of its own")
        if (self.cells < 0).any():
            faults.append("a number of cells is negative: give 0 where there are none")
        if len(self.control) != len(self.conditions):
            faults.append(
                f"control has {len(self.control)} rows: give one for each of {len(self.conditions)} conditions"
            )
        elif ((self.control < -1) | (self.control >= len(self.conditions))).any():
            faults.append("control names a row that is not there: give -1 where there are no controls")
        elif (self.control[self.control[self.control >= 0]] != self.control[self.control >= 0]).any():
            faults.append("a control has controls of its own: give it its own row")
        raise_faults(DataError, "Layout", faults)

    @property
    def edited(self) -> Int[np.ndarray, " effect"]:
        """Rows that are compared with controls: one effect each."""
        return np.flatnonzero(self.control != np.arange(len(self.control)))


@dataclass(frozen=True, kw_only=True)
class Components:
    r"""Variances of one gene, in the square of the scale in which effects are told.

    A cell of condition :math:`k` in batch :math:`b` is :math:`Y = \mu_k + \beta_b + \gamma_{kb} + \varepsilon`.

    Parameters
    ----------
    cell
        :math:`\sigma^2` of :math:`\varepsilon`, between cells of one condition and batch; one for all conditions or one each.
    batch
        :math:`\tau^2` of :math:`\beta`, which all cells of a batch share. Infinite: nothing is known of batch effects.
    interaction
        :math:`\omega^2` of :math:`\gamma`, which the cells of one condition in one batch share.
    curvature
        :math:`c`, where a mean is not one of values but, for instance, the logarithm of pooled counts (`semimech.design.log_count_curvature`): that of :math:`n` cells
        has the variance :math:`\sigma^2/n + c/n^2`. One for all conditions or one each.

    Raises
    ------
    DataError
        Listing every variance that is none.
    """

    cell: float | Float[np.ndarray, " condition"]
    batch: float = 0.0
    interaction: float = 0.0
    curvature: float | Float[np.ndarray, " condition"] = 0.0

    def __post_init__(self) -> None:
        faults = []
        cell = np.asarray(self.cell)
        if not (np.isfinite(cell).all() and (cell > 0).all()):
            faults.append(f"the variance of cells must be finite and above 0, got {self.cell}")
        if not self.batch >= 0:
            faults.append(f"the variance of batches must be 0 or more, got {self.batch}")
        if not 0 <= self.interaction < np.inf:
            faults.append(f"the variance of interactions must be finite and 0 or more, got {self.interaction}")
        if not (np.isfinite(self.curvature).all() and (np.asarray(self.curvature) >= 0).all()):
            faults.append(f"the curvature must be finite and 0 or more, got {self.curvature}")
        raise_faults(DataError, "Variance components", faults)

    def of_groups(self, layout: Layout) -> Float[np.ndarray, "condition batch"]:
        r"""Variance of the mean of each condition in each batch beside the batch effect: :math:`\omega^2 + \sigma^2/n + c/n^2`."""
        cell, curvature = (
            np.broadcast_to(np.asarray(v, float), len(layout.conditions)) for v in (self.cell, self.curvature)
        )
        with np.errstate(divide="ignore"):
            return (
                self.interaction + cell[:, None] / layout.cells + curvature[:, None] / np.maximum(layout.cells, 1) ** 2
            )
