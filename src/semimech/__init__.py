"""Semi-mechanistic models of how cells respond to edits, media and time: the public names, imported when first used."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from semimech._errors import ConfigError, DataError, ExperimentError, SemimechError
from semimech._version import __version__

if TYPE_CHECKING:
    from semimech.data import CellSystem, Dataset, check, read
    from semimech.experiment import (
        Compound,
        Dose,
        Edit,
        Experiment,
        Harvest,
        Passage,
        SetMedia,
        Transplant,
        Wait,
        parse_experiment,
        read_compounds,
        read_experiments,
    )
    from semimech.fit import FitConfig, FittedModel, OrderEffect, fit, load, order_effect, read_config
    from semimech.interpret import Explanation, decompose, explain, half_lives, signed_edges
    from semimech.model import Kinship, Moments, Operator, PriorNetwork

_HOMES = {
    "CellSystem": "semimech.data",
    "Compound": "semimech.experiment",
    "Dataset": "semimech.data",
    "Dose": "semimech.experiment",
    "Edit": "semimech.experiment",
    "Experiment": "semimech.experiment",
    "Explanation": "semimech.interpret",
    "FitConfig": "semimech.fit",
    "FittedModel": "semimech.fit",
    "Harvest": "semimech.experiment",
    "Kinship": "semimech.model",
    "Moments": "semimech.model",
    "Operator": "semimech.model",
    "OrderEffect": "semimech.fit",
    "Passage": "semimech.experiment",
    "PriorNetwork": "semimech.model",
    "SetMedia": "semimech.experiment",
    "Transplant": "semimech.experiment",
    "Wait": "semimech.experiment",
    "check": "semimech.data",
    "decompose": "semimech.interpret",
    "explain": "semimech.interpret",
    "half_lives": "semimech.interpret",
    "load": "semimech.fit",
    "order_effect": "semimech.fit",
    "parse_experiment": "semimech.experiment",
    "read": "semimech.data",
    "read_compounds": "semimech.experiment",
    "read_config": "semimech.fit",
    "read_experiments": "semimech.experiment",
    "signed_edges": "semimech.interpret",
}

__all__ = [
    "CellSystem",
    "Compound",
    "ConfigError",
    "DataError",
    "Dataset",
    "Dose",
    "Edit",
    "Experiment",
    "ExperimentError",
    "Explanation",
    "FitConfig",
    "FittedModel",
    "Harvest",
    "Kinship",
    "Moments",
    "Operator",
    "OrderEffect",
    "Passage",
    "PriorNetwork",
    "SemimechError",
    "SetMedia",
    "Transplant",
    "Wait",
    "__version__",
    "check",
    "decompose",
    "explain",
    "fit",
    "half_lives",
    "load",
    "order_effect",
    "parse_experiment",
    "read",
    "read_compounds",
    "read_config",
    "read_experiments",
    "signed_edges",
]


class _Package(ModuleType):
    """The package, where `fit` is the function although a folder of that name is imported into it."""

    @property
    def fit(self) -> Any:
        """`semimech.fit.fit`."""
        return importlib.import_module("semimech.fit").fit

    @fit.setter
    def fit(self, folder: ModuleType) -> None:
        """Importing ``semimech.fit`` must not hide the function."""


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'semimech' has no attribute {name!r}")
