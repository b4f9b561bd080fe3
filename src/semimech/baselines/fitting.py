"""The tuple of all baselines, each with how it is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from semimech._errors import ConfigError, DataError
from semimech.baselines.effects import Effects
from semimech.baselines.gaussian import fit_gaussian_conditioning
from semimech.baselines.linear import fit_low_rank, fit_ridge
from semimech.baselines.simple import Additive, MeanAndTarget, MeanOfEdits, NearestEdit, NoChange
from semimech.baselines.time import Persistence, TimeInterpolation, TimeTrend
from semimech.baselines.transport import TransportInterpolation
from semimech.data import Dataset
from semimech.predictor import AbstractDynamicPredictor


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline and how it is fitted.

    Parameters
    ----------
    name
        Name in tables.
    fit
        Fits it to the training effects; raises `DataError` where the data cannot carry it.
    """

    name: str
    fit: Callable[[Effects], AbstractDynamicPredictor]


BASELINES: tuple[Baseline, ...] = (
    Baseline(name="no change", fit=NoChange),
    Baseline(name="mean of edits", fit=MeanOfEdits),
    Baseline(name="mean of edits + target", fit=MeanAndTarget),
    Baseline(name="additive", fit=Additive),
    Baseline(name="nearest edit", fit=NearestEdit),
    Baseline(name="ridge", fit=fit_ridge),
    Baseline(name="low-rank linear", fit=fit_low_rank),
    Baseline(name="gaussian conditioning", fit=fit_gaussian_conditioning),
    Baseline(name="persistence", fit=Persistence),
    Baseline(name="time interpolation", fit=TimeInterpolation),
    Baseline(name="time trend", fit=TimeTrend),
    Baseline(name="OT interpolation", fit=TransportInterpolation),
)


def fit_baseline(name: str, dataset: Dataset) -> AbstractDynamicPredictor:
    """Fit one baseline.

    Parameters
    ----------
    name
        One of the names in `BASELINES`.
    dataset
        Training data.

    Raises
    ------
    ConfigError
        If there is no baseline of this name.
    DataError
        If the data cannot carry it.
    """
    for baseline in BASELINES:
        if baseline.name == name:
            return baseline.fit(Effects(dataset))
    raise ConfigError(f"no baseline is called {name!r}; known: {', '.join(b.name for b in BASELINES)}")


def fit_baselines(dataset: Dataset) -> tuple[AbstractDynamicPredictor, ...]:
    """Fit every baseline that the data can carry; the others are left out.

    Parameters
    ----------
    dataset
        Training data.
    """
    effects = Effects(dataset)
    fitted = []
    for baseline in BASELINES:
        try:
            fitted.append(baseline.fit(effects))
        except DataError:
            continue
    return tuple(fitted)
