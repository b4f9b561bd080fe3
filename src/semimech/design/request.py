"""Request: what a design shall reach, and what there is to reach it with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from semimech._errors import ConfigError, raise_faults
from semimech.design.layout import Components

CONTROL = "control"
"""What the controls of an allocation are called."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a design shall reach, and what there is to reach it with.

    Parameters
    ----------
    edits
        Names of the edits, or of edits at a time: whatever is compared with the controls of its batch.
    n_batches
        Batches that there are.
    capacity
        Cells that each batch takes; one number for all, or one each.
    components
        Variances of one gene; `cell` is that of controls.
    edited_cell
        Variance of edited cells; that of controls if not given.
    edited_curvature
        Curvature of edited cells, see `Components`; that of controls if not given.
    standard_error
        Standard error that every effect shall reach, at the least cost.
    budget
        Cost that shall not be exceeded, for the least standard error. With neither, all batches are filled.
    cost_per_cell
        Cost of one cell, usable or not.
    cost_per_batch
        Cost of one batch beside its cells.
    edits_per_batch
        Most edits in one batch; all if not given.
    min_cells
        Fewest cells of an edit in a batch where it stands.
    usable_share
        Share of cells that can be used, with one known guide each.
    guide
        Variance between guides of one edit, for instance from `semimech.design.guide_components`; 0 if guides are alike.
    guides_per_edit
        Guides of each edit, of as many cells each.

    Raises
    ------
    ConfigError
        Listing everything that cannot be.
    """

    edits: tuple[str, ...]
    n_batches: int
    capacity: float | tuple[float, ...]
    components: Components
    edited_cell: float | None = None
    edited_curvature: float | None = None
    standard_error: float | None = None
    budget: float | None = None
    cost_per_cell: float = 1.0
    cost_per_batch: float = 0.0
    edits_per_batch: int | None = None
    min_cells: int = 1
    usable_share: float = 1.0
    guide: float = 0.0
    guides_per_edit: int = 1

    def __post_init__(self) -> None:
        faults = []
        if not self.edits:
            faults.append("there is no edit: name at least one")
        twice = sorted(edit for edit, times in Counter(self.edits).items() if times > 1)
        if twice:
            faults.append(f"edits stand twice: {', '.join(twice)}; name each once")
        if CONTROL in self.edits:
            faults.append(
                f"an edit is called {CONTROL!r}: controls are added by themselves, so leave it out or rename it"
            )
        if self.n_batches < 1:
            faults.append(f"there must be 1 batch or more, got {self.n_batches}")
        if isinstance(self.capacity, tuple) and len(self.capacity) != self.n_batches:
            faults.append(
                f"{len(self.capacity)} capacities for {self.n_batches} batches: give one, or one for each batch"
            )
        if not (np.isfinite(self.capacities).all() and (self.capacities >= 2).all()):
            faults.append("a batch must take a finite number of at least 2 cells: one edited, one control")
        if self.standard_error is not None and self.budget is not None:
            faults.append("a standard error and a budget are both given: leave one of them out")
        for name in ("standard_error", "budget", "edited_cell", "edits_per_batch", "min_cells", "guides_per_edit"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                faults.append(f"{name} must be above 0, got {value:g}")
        for name in ("cost_per_cell", "cost_per_batch", "guide", "edited_curvature"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                faults.append(f"{name} must be 0 or more, got {value:g}")
        if not 0 < self.usable_share <= 1:
            faults.append(f"usable_share must be above 0 and at most 1, got {self.usable_share:g}")
        if self.guides_per_edit != int(self.guides_per_edit):
            faults.append(f"guides_per_edit must be a whole number, got {self.guides_per_edit:g}")
        if (
            self.standard_error
            and self.guides_per_edit > 0
            and self.standard_error**2 <= self.guide_variance * (1 + 1e-9)
        ):
            faults.append(
                f"no number of cells gives a standard error of {self.standard_error:g}: {self.guides_per_edit} guides of each edit alone give "
                f"{self.guide_variance**0.5:.4g}; take {int(self.guide / self.standard_error**2 * (1 + 1e-9)) + 1} or more guides of each edit"
            )
        if np.ndim(self.components.cell) or np.ndim(self.components.curvature):
            faults.append(
                "give one variance and curvature of control cells in components, and those of edited cells as edited_cell and edited_curvature"
            )
        raise_faults(ConfigError, "Request for a design", faults)

    @property
    def capacities(self) -> Float[np.ndarray, " batch"]:
        """Capacity of each batch."""
        given = self.capacity if isinstance(self.capacity, tuple) else (self.capacity,) * max(self.n_batches, 0)
        return np.array(given, dtype=float)

    @property
    def edited_variance(self) -> float:
        """Variance of edited cells."""
        return float(self.components.cell) if self.edited_cell is None else self.edited_cell

    @property
    def guide_variance(self) -> float:
        """What guides put into the variance of every effect, whatever its cells."""
        return self.guide / self.guides_per_edit

    def of_rows(self) -> Components:
        """Variances for a layout of controls and then the edits."""
        known = self.components
        bend = known.curvature if self.edited_curvature is None else self.edited_curvature
        rest = np.ones(len(self.edits))
        return replace(
            known,
            cell=np.append(known.cell, self.edited_variance * rest),
            curvature=np.append(known.curvature, bend * rest),
        )
