"""Audit: what a design that exists can tell, by how much it is inflated, and what more controls would buy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from semimech._errors import ConfigError, DataError
from semimech.data import Dataset, describe
from semimech.design.components import VarianceComponents, estimate_components
from semimech.design.effects import effect_variance, is_connected
from semimech.design.groups import Groups, pool_groups
from semimech.design.layout import Components, Layout

INFLATED = 1.5
"""Variance within batches, over that without any batch effect, from which an effect is called inflated."""
_GAIN_COLUMNS = ("batch", "controls", "cells_there", "cells_added", "effects_gained", "saved_within", "saved_gls")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What a design can tell.

    Parameters
    ----------
    layout
        Its cells by condition and batch.
    components
        Variances that effects are judged by.
    effects
        One row per edited condition: cells, matched controls, batches, batches that it shares with controls; the standard
        error by each estimator; ``inflation_…``, its variance over that of the same cells if there were no batch effect;
        and a ``verdict``.
    """

    layout: Layout
    components: Components
    effects: pd.DataFrame

    @property
    def is_sound(self) -> bool:
        """Whether every effect can be told whatever the batch effects are."""
        return bool((self.effects["verdict"] != "not estimable").all())


def layout_of(dataset: Dataset) -> tuple[Layout, Int[np.ndarray, " cell"]]:
    """The layout of a data set with cells, and the row of each cell.

    Unedited cells that may be compared with the same conditions share a row: those of all times in the maintenance
    medium where unedited cells are stationary, those of one medium and time elsewhere.

    Parameters
    ----------
    dataset
        Data set with cells.

    Raises
    ------
    DataError
        If there are only means.
    """
    if dataset.cells is None:
        raise DataError(f"Design of {dataset.name!r}: there are no cells, only means; give the cells")
    comparison = [dataset.system.comparison(condition) for condition in dataset.conditions]
    row_of: dict[object, int] = {}
    names: list[str] = []
    rows = np.zeros(len(dataset.conditions), dtype=int)
    for number in np.argsort(~dataset.is_control, kind="stable"):
        condition = dataset.conditions[number]
        key = ("control", comparison[number]) if condition.is_control else number
        if key not in row_of:
            row_of[key] = len(names)
            is_pooled = condition.is_control and comparison[number][1] is None
            names.append(condition.perturbation if is_pooled else describe(condition))
        rows[number] = row_of[key]
    control = np.full(len(names), -1)
    for number, key in enumerate(comparison):
        control[rows[number]] = row_of.get(("control", key), -1)
    n_batches = max(int(dataset.cells.batch.max()) + 1, len(dataset.cells.batches))
    batches = dataset.cells.batches or tuple(map(str, range(n_batches)))
    row = rows[dataset.cells.condition]
    cells = np.zeros((len(names), n_batches), dtype=int)
    np.add.at(cells, (row, dataset.cells.batch), 1)
    return Layout(conditions=tuple(names), batches=batches, cells=cells, control=control), row


def groups_of(dataset: Dataset) -> tuple[Layout, Groups]:
    """The layout of a data set, and its cells pooled by condition and batch, batch effects left in.

    Raises
    ------
    DataError
        If there are only means.
    """
    layout, row = layout_of(dataset)
    if dataset.cells is None:
        raise DataError(f"Design of {dataset.name!r}: there are no cells, only means; give the cells")
    groups = pool_groups(
        dataset.cells.values,
        condition=row,
        batch=dataset.cells.batch,
        n_conditions=len(layout.conditions),
        n_batches=len(layout.batches),
    )
    return layout, groups


def variance_components(dataset: Dataset, *, level: float = 0.9) -> VarianceComponents:
    """Variance components of every gene of a data set.

    Parameters
    ----------
    dataset
        Data set with cells.
    level
        Level of the intervals.

    Raises
    ------
    DataError
        If there are only means.
    ConfigError
        If the cells tell no variance.
    """
    return estimate_components(groups_of(dataset)[1], dataset.genes, level=level)


def audit(layout: Layout, components: Components) -> Audit:
    """Judge a design by the variances of its effects.

    Parameters
    ----------
    layout
        Cells by condition and batch.
    components
        Variances, for instance those of a typical gene.
    """
    rows, control = layout.edited, layout.control[layout.edited]
    total = layout.cells.sum(axis=1)
    variance = effect_variance(layout, components)
    bare = effect_variance(layout, replace(components, batch=0.0, interaction=0.0)).naive
    is_told = is_connected(layout)
    has_control = control >= 0
    shared = ((layout.cells[rows] > 0) & (layout.cells[control] > 0)).sum(axis=1) * has_control
    with np.errstate(invalid="ignore"):
        inflation = {name: getattr(variance, name) / bare for name in ("naive", "within", "gls")}
    effects = pd.DataFrame(
        {
            "effect": [layout.conditions[row] for row in rows],
            "cells": total[rows],
            "controls": np.where(has_control, total[control], 0),
            "batches": (layout.cells[rows] > 0).sum(axis=1),
            "batches_with_controls": shared,
            **{f"se_{name}": np.sqrt(getattr(variance, name)) for name in inflation},
            **{f"inflation_{name}": values for name, values in inflation.items()},
            "verdict": [
                _verdict(bool(told), int(common), float(by))
                for told, common, by in zip(is_told, shared, inflation["within"], strict=True)
            ],
        }
    )
    return Audit(layout=layout, components=components, effects=effects)


def _verdict(is_told: bool, n_shared: int, inflation: float) -> str:
    if not is_told:
        return "not estimable"
    if n_shared == 0:
        return "only through other edits"
    return "inflated" if inflation > INFLATED else "good"


def gain_of_controls(found: Audit, n_cells: int) -> pd.DataFrame:
    """What a number of controls more would buy, in each batch and of each kind of controls.

    Parameters
    ----------
    found
        The audit of the design as it is.
    n_cells
        Controls added to one batch.

    Returns
    -------
    pandas.DataFrame
        One row per batch and kind of controls whose edited cells stand there: the controls that are there, effects that
        are told within batches only then, and the mean over effects of the variance within batches and by least squares
        that is saved, as a share, for effects told before. Best first.

    Raises
    ------
    ConfigError
        If ``n_cells`` is below 1.
    """
    if n_cells < 1:
        raise ConfigError(f"Controls to add must be 1 or more, got {n_cells}")
    layout, components = found.layout, found.components
    before = effect_variance(layout, components)
    table = []
    for control in np.unique(layout.control[layout.control >= 0]):
        own = layout.control[layout.edited] == control
        for batch in np.flatnonzero(layout.cells[layout.edited[own]].sum(axis=0) > 0):
            cells = layout.cells.copy()
            cells[control, batch] += n_cells
            after = effect_variance(replace(layout, cells=cells), components)
            table.append(
                {
                    "batch": layout.batches[batch],
                    "controls": layout.conditions[control],
                    "cells_there": int(layout.cells[control, batch]),
                    "cells_added": n_cells,
                    "effects_gained": int((np.isinf(before.within) & np.isfinite(after.within)).sum()),
                    "saved_within": _saved(before.within, after.within, own),
                    "saved_gls": _saved(before.gls, after.gls, own),
                }
            )
    gains = pd.DataFrame(table, columns=list(_GAIN_COLUMNS))
    best_first = ["effects_gained", "saved_within"]
    return gains.sort_values(best_first, ascending=False, kind="stable", ignore_index=True)


def _saved(before: Float[np.ndarray, " effect"], after: Float[np.ndarray, " effect"], own: np.ndarray) -> float:
    told = own & np.isfinite(before)
    return float(np.mean(1 - after[told] / before[told])) if told.any() else 0.0
