"""AbstractPredictor: what evaluation may rely on, whatever the model behind it."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import ConfigError
from semimech.assumptions import Assumption
from semimech.experiment import Condition, Experiment


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted means in the observed scale, with 90 % intervals.

    Parameters
    ----------
    mean
        Mean over cells.
    lower, upper
        Ends of the 90 % interval of ``mean``; NaN from a predictor that gives none.
    """

    mean: Float[np.ndarray, "condition gene"]
    lower: Float[np.ndarray, "condition gene"]
    upper: Float[np.ndarray, "condition gene"]

    @classmethod
    def without_interval(cls, mean: Float[np.ndarray, "condition gene"]) -> Prediction:
        """A prediction that states no uncertainty."""
        nothing = np.full_like(mean, np.nan)
        return cls(mean=mean, lower=nothing, upper=nothing)


class AbstractPredictor(abc.ABC):
    """Predicts the mean over cells of any condition of one system.

    Parameters
    ----------
    name
        Name in tables.
    genes
        Genes predicted, in order.
    assumptions
        What the predictor takes for granted; at least one.
    var_names
        Names of the genes in the file they were read from, where those are identifiers; ``genes`` if not given.
    maintenance_medium
        What the maintenance medium is called in tables.

    Raises
    ------
    ConfigError
        If no assumption is named.
    """

    def __init__(
        self,
        *,
        name: str,
        genes: tuple[str, ...],
        assumptions: tuple[Assumption, ...],
        var_names: tuple[str, ...] | None = None,
        maintenance_medium: str = "maintenance",
    ) -> None:
        if not assumptions:
            raise ConfigError(f"predictor {name!r} names no assumption: state what it takes for granted")
        self.name = name
        self.genes = genes
        self.assumptions = assumptions
        self.var_names = genes if var_names is None else var_names
        self.maintenance_medium = maintenance_medium

    @abc.abstractmethod
    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Predict conditions, one row each, in the order given."""

    def predict(self, experiments: Sequence[Experiment]) -> ad.AnnData:
        """Predict every harvest of experiments.

        Parameters
        ----------
        experiments
            Protocols; harvests are predicted in the order asked.

        Returns
        -------
        anndata.AnnData
            One row per harvest, in the schema of a measurement: ``X`` the mean over cells in the scale of the training
            data, ``layers["lower"]`` and ``layers["upper"]`` its 90 % interval, ``obs`` columns ``experiment``,
            ``harvest``, ``perturbation``, ``hours``, ``medium``.
        """
        asked = [(e.id, label, condition) for e in experiments for label, condition in e.conditions.items()]
        prediction = self.predict_conditions([condition for _, _, condition in asked])
        obs = pd.DataFrame(
            {
                "experiment": [id for id, _, _ in asked],
                "harvest": [label for _, label, _ in asked],
                "perturbation": [c.perturbation for _, _, c in asked],
                "hours": [c.hours for _, _, c in asked],
                "medium": [c.medium or self.maintenance_medium for _, _, c in asked],
            },
            index=[str(row) for row in range(len(asked))],
        )
        return ad.AnnData(
            X=prediction.mean.astype(np.float32),
            obs=obs,
            var=pd.DataFrame({"gene": list(self.genes)}, index=list(self.var_names)),
            layers={"lower": prediction.lower.astype(np.float32), "upper": prediction.upper.astype(np.float32)},
        )


class AbstractDynamicPredictor(AbstractPredictor):
    """A predictor that can also go on from cells observed at an earlier harvest of the same protocol."""

    @abc.abstractmethod
    def advance(
        self,
        observed: Float[np.ndarray, "condition gene"],
        before: Sequence[Condition],
        after: Sequence[Condition],
    ) -> Float[np.ndarray, "condition gene"]:
        """Predict later harvests from earlier ones.

        Parameters
        ----------
        observed
            Means measured at the earlier harvests, observed scale.
        before
            Conditions of the earlier harvests.
        after
            Conditions of the later harvests of the same protocols, one for each row of ``observed``.

        Returns
        -------
        numpy.ndarray
            Predicted means at the later harvests, observed scale.
        """
