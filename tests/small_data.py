"""Small data sets built straight from arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semimech.data import CellSystem, Dataset
from semimech.data.scale import Scale, identity_scale
from semimech.experiment import Condition, parse_experiment


def condition(perturbation: str, hours: float, *, kind: str = "knockout", medium: str | None = None) -> Condition:
    """The condition of cells with edits (``A+B``, or ``control``) kept for some hours in one medium."""
    edits = [] if perturbation == "control" else [f"edit {gene} {kind}" for gene in perturbation.split("+")]
    media = [] if medium is None else [f"medium {medium}"]
    wait = "wait settled" if np.isinf(hours) else f"wait {hours}h"
    return parse_experiment(" > ".join([*media, *edits, wait, "harvest"])).conditions["harvest"]


def genes(n: int) -> tuple[str, ...]:
    return tuple(f"G{i}" for i in range(n))


def dataset(
    conditions: Sequence[Condition],
    mean: np.ndarray,
    *,
    standard_error: np.ndarray | float = 0.01,
    scale: Scale | None = None,
    media: tuple[str, ...] = (),
    differentiating: bool = False,
    **fields,
) -> Dataset:
    mean = np.asarray(mean, dtype=float)
    return Dataset(
        genes=genes(mean.shape[1]),
        conditions=tuple(conditions),
        mean=mean,
        standard_error=np.broadcast_to(np.asarray(standard_error, dtype=float), mean.shape).copy(),
        n_cells=np.full(len(mean), 100),
        scale=scale or identity_scale(),
        system=CellSystem(media=media, is_differentiating=differentiating),
        **fields,
    )
