"""The arms of the steady-state study: a law, a treatment of steady states and a wiring prior make one method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from semimech.data import Cells, Dataset
from semimech.evaluate import Method
from semimech.fit import FitConfig, FittedModel, fit
from semimech.model import PriorNetwork

NEURAL, MECHANISTIC = "neural", "semi-mechanistic"
LAW_NAMES = {NEURAL: "Neural ODE", MECHANISTIC: "semi-mechanistic"}

# As many candidate weights for the control arm as a strength has, over five decades. All but the package's default
# predict without pooling, which would pull all arms alike.
TREATMENTS: Mapping[str, Mapping[str, Any]] = {
    "none": {"steady_state": "none"},
    "weight decay": {"steady_state": "none", "weight_decays": (0.01, 1.0, 10.0, 100.0, 1000.0)},
    "point": {"steady_state": "point", "steady_state_weights": (1.0, 10.0, 100.0)},
    "mean": {"steady_state": "mean", "steady_state_weights": (1.0, 10.0, 100.0)},
    "moment": {"steady_state": "moment", "steady_state_weights": (0.25, 0.5, 1.0), "latent_factors": (2,)},
    "default": {
        name: getattr(FitConfig(), name)
        for name in (
            "pooling",
            "steady_state_weights",
            "latent_factors",
            "sparsities",
            "n_steps",
            "validation_steps",
            "checkpoint_every",
        )
    },
}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One learned method of the study.

    Parameters
    ----------
    law
        ``"neural"`` or ``"semi-mechanistic"``.
    treatment
        A key of `TREATMENTS`, or ``"auto"``: whichever of ``none`` and ``moment`` inner validation finds better.
        ``"default"`` is what the package does when nothing is asked: ``auto`` with pooling, its own candidates and its own number of steps.
    wiring
        ``""`` without a prior network, else how it is used: ``"soft"`` or ``"mask"``.
    """

    law: str
    treatment: str
    wiring: str = ""

    @property
    def name(self) -> str:
        """Name in tables."""
        wiring = f" + {self.wiring} prior" if self.wiring else ""
        return f"{LAW_NAMES[self.law]}{wiring}, {self.treatment}"


def arms(law: str, treatments: Sequence[str], *, wiring: str = "") -> tuple[Arm, ...]:
    """One arm per treatment."""
    return tuple(Arm(law=law, treatment=treatment, wiring=wiring) for treatment in treatments)


@dataclass
class Workshop:
    """Fits the arms of one task, each once, however many splits share its training data.

    Parameters
    ----------
    settings
        Settings of `FitConfig` that belong to the data set.
    prior
        Edges for arms with a prior network.
    targets
        Unmeasured genes that queries may edit.
    cells
        Cells of training conditions; they are kept from the scoring, which would measure energy distances.
    is_narrow
        Whether to try only every second candidate weight of each treatment, where a fit is dear.
    """

    settings: Mapping[str, Any]
    prior: pd.DataFrame | None = None
    targets: tuple[str, ...] = ()
    cells: Callable[[Dataset], Cells | None] = field(default=lambda train: None)
    is_narrow: bool = False
    models: dict[tuple[str, int, int], FittedModel] = field(default_factory=dict)

    def methods(self, chosen: Sequence[Arm]) -> tuple[Method, ...]:
        """Arms as methods for `run_benchmark`."""
        return tuple(
            Method(name=arm.name, fit=lambda train, seed, arm=arm: self.fit(arm, train, seed)) for arm in chosen
        )

    def fit(self, arm: Arm, train: Dataset, seed: int) -> FittedModel:
        """Fit an arm, or give back what was fitted to the same data before.

        ``auto`` fits nothing of its own: the candidates of ``none`` are the first candidates of ``moment``, with the
        same folds and keys, so that what it would choose and predict is one of the two.

        Raises
        ------
        ConfigError
            If the data do not allow the strength.
        """
        key = (arm.name, seed, hash(train.mean.tobytes()))
        if key not in self.models:
            if arm.treatment == "auto":
                self.models[key] = self._better(arm, train, seed)
            else:
                self.models[key] = self._fit(arm, train, seed)
        return self.models[key]

    def chosen(self) -> pd.DataFrame:
        """What inner validation chose, one row per fitted model: its error relative to no change, and the weights."""
        rows = []
        for (name, seed, _), model in self.models.items():
            table = model.record.selection
            best = table[table["chosen"]].iloc[0]
            rows.append({"predictor": name, "seed": seed, **best.drop("chosen").to_dict()})
        return pd.DataFrame(rows)

    def _fit(self, arm: Arm, train: Dataset, seed: int) -> FittedModel:
        treatment = dict(TREATMENTS[arm.treatment])
        if self.is_narrow:
            treatment = {k: v[::2] if isinstance(v, tuple) else v for k, v in treatment.items()}
        config = FitConfig(law=arm.law, seed=seed, **{**self.settings, **treatment})
        prior = PriorNetwork(edges=self.prior, use=arm.wiring) if arm.wiring and self.prior is not None else None
        return fit(replace(train, cells=self.cells(train)), config, prior=prior, targets=self.targets)

    def _better(self, arm: Arm, train: Dataset, seed: int) -> FittedModel:
        none, moment = (self.fit(replace(arm, treatment=t), train, seed) for t in ("none", "moment"))
        errors = [m.record.selection.query("chosen")["error"].iloc[0] for m in (none, moment)]
        return (none, moment)[int(np.argmin(errors))]
