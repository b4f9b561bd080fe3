"""The world of a fitted model: what a screen of any size would measure, were the model's law the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from semimech._errors import DataError
from semimech._types import GeneVector
from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit import FittedModel


@dataclass(frozen=True, kw_only=True)
class Screening:
    """A screen that could be made: conditions, cells of each, and how many times the controls of each batch there are.

    Parameters
    ----------
    conditions
        What is harvested.
    cells
        Cells of each condition.
    controls
        Controls of each batch, in units of those that there are.
    """

    conditions: tuple[Condition, ...]
    cells: Int[np.ndarray, " condition"]
    controls: float = 1.0


@dataclass(frozen=True, kw_only=True)
class OwnWorld:
    """A world whose truth is a fitted model's law, measured with the noise of the data that the model was fitted to.

    A mean of ``n`` cells has the variance of cells of the data over ``n``, and its share of the error of the offsets that controls tell of each batch. Conditions
    that were not measured are spread over batches as the whole data set is.

    Parameters
    ----------
    model
        The law.
    dataset
        What was measured.
    """

    model: FittedModel
    dataset: Dataset

    @property
    def measured(self) -> Screening:
        """The screen that was made."""
        return Screening(conditions=self.dataset.conditions, cells=self.dataset.n_cells)

    @cached_property
    def cell_variance(self) -> GeneVector:
        """Variance of cells of a typical condition.

        Raises
        ------
        DataError
            If no standard error is known.
        """
        variance = self.dataset.standard_error**2 * self.dataset.n_cells[:, None]
        known = np.isfinite(variance).all(axis=1)
        if not known.any():
            raise DataError(
                f"{self.dataset.name}: no standard errors, so that no screen like it can be simulated; give replicates"
            )
        return np.median(variance[known], axis=0)

    @property
    def noise(self) -> Float[np.ndarray, "condition gene"]:
        """Variance of the measured means, that of as many cells of a typical condition where no standard error is known."""
        own = self.dataset.standard_error**2
        return np.where(np.isfinite(own), own, self.cell_variance / self.dataset.n_cells[:, None])

    @cached_property
    def _batches(self) -> tuple[Float[np.ndarray, "condition batch"], Float[np.ndarray, " batch"]]:
        """Share of each condition's cells in each batch, and controls of each batch."""
        cells = self.dataset.cells
        if cells is None:
            return np.ones((len(self.dataset.conditions), 1)), np.full(1, np.inf)
        table = np.zeros((len(self.dataset.conditions), int(cells.batch.max()) + 1))
        np.add.at(table, (cells.condition, cells.batch), 1.0)
        return table / table.sum(axis=1, keepdims=True), table[self.dataset.is_control].sum(axis=0)

    def truth(self, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
        """Means of conditions in this world, observed scale."""
        return self.model.by_law(conditions)

    def simulate(self, screening: Screening, *, sign: float = 1.0, rng: np.random.Generator) -> Dataset:
        """Measure a screen.

        Parameters
        ----------
        screening
            What is harvested.
        sign
            Factor on all errors: with -1 a screen is the mirror image of another. What errors and misfit do together cancels between the two (antithetic
            variates: Hammersley & Morton, Proc. Camb. Phil. Soc. 52, 449, 1956).
        rng
            Draws errors; with the same seed, conditions that two screens have in common and that stand first err alike.
        """
        known, controls = self._batches
        typical = np.average(known, axis=0, weights=self.dataset.n_cells)
        share = np.array(
            [known[self.dataset.index[c]] if c in self.dataset.index else typical for c in screening.conditions]
        )
        offset = np.zeros(len(controls)) if len(controls) == 1 else 1 / (np.maximum(controls, 1) * screening.controls)
        shift = rng.standard_normal((len(controls), len(self.dataset.genes))) * np.sqrt(
            offset[:, None] * self.cell_variance
        )
        shift -= shift.mean(axis=0)
        own = self.cell_variance / screening.cells[:, None]
        noise = rng.standard_normal(own.shape) * np.sqrt(own)
        return replace(
            self.dataset,
            conditions=screening.conditions,
            mean=self.truth(screening.conditions) + sign * (noise + share @ shift),
            standard_error=np.sqrt(own + share**2 @ (offset[:, None] * self.cell_variance)),
            n_cells=screening.cells,
            halves=None,
            cells=None,
            name=f"own world of {self.dataset.name}",
        )
