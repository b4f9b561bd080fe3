"""DREAM4 time series as experiments: each unknown perturbation is a medium, put on wild-type cells and taken off again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.sets_common import read_table
from benchmarks.sets_dream4 import HALF_WAY, N_TIMES, Dream4, noise
from semimech.data import Dataset
from semimech.experiment import Condition, Experiment, Harvest, SetMedia, Step, Wait

_EVERY = 2
_SHARE = 0.3
_MAINTENANCE = "unperturbed"


def with_series(case: Dream4, root: Path, *, hours_per_unit: float = 0.1) -> Dataset:
    """The settled conditions and, after them, every other point of the series.

    A perturbation changes the basal rate of about a third of the genes until half-way, which is what the medium of a
    law does; its removal is the relaxation to the wild type. Points of a series share one perturbation and each tells
    little of its own, so each counts for 0.3 of a settled condition; their standard errors are raised until it does.

    Parameters
    ----------
    case
        The network.
    root
        Folder of the real data.
    hours_per_unit
        Hours that one unit of the challenge's time stands for, as in `read_dream4`.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    dataset = case.dataset
    size, network = len(dataset.genes), dataset.name.rsplit("-", 1)[1]
    folder = root / "dream4" / f"DREAM4_InSilico_Size{size}" / f"insilico_size{size}_{network}"
    table = read_table(folder / f"insilico_size{size}_{network}_timeseries.tsv")
    values = table[list(dataset.genes)].to_numpy(float).reshape(-1, N_TIMES, size)
    hours = hours_per_unit * table["Time"].to_numpy(float)[:N_TIMES]
    chosen = np.arange(_EVERY, N_TIMES, _EVERY)
    media = tuple(f"perturbation {number:02d}" for number in range(1, len(values) + 1))
    system = replace(dataset.system, media=media)
    conditions = [system.resolve(_condition(medium, hours, point)) for medium in media for point in chosen]
    mean = np.concatenate([series[chosen] for series in values])
    wild_type = case.unedited.mean(axis=0)
    typical = np.mean((dataset.mean - dataset.mean.mean(axis=0)) ** 2)
    error = np.sqrt(noise(mean, wild_type, case.noise_slope) ** 2 + (1 / _SHARE - 1) * typical)
    return replace(
        dataset,
        conditions=(*dataset.conditions, *conditions),
        mean=np.concatenate([dataset.mean, mean]),
        standard_error=np.concatenate([dataset.standard_error, error]),
        n_cells=np.concatenate([dataset.n_cells, np.ones(len(mean), dtype=int)]),
        system=system,
    )


def _condition(medium: str, hours: Float[np.ndarray, " time"], point: int) -> Condition:
    steps: list[Step] = [SetMedia(name=medium), Wait(hours=float(hours[min(point, HALF_WAY)]))]
    if point > HALF_WAY:
        steps += [SetMedia(name=_MAINTENANCE), Wait(hours=float(hours[point] - hours[HALF_WAY]))]
    return Experiment(id="series", steps=(*steps, Harvest())).conditions["harvest"]
