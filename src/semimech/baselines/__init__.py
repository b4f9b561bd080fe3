"""Predictors without mechanism, always run and always shown."""

from semimech.baselines.baseline import AbstractBaseline
from semimech.baselines.effects import Effects
from semimech.baselines.fitting import BASELINES, Baseline, fit_baseline, fit_baselines

__all__ = ["BASELINES", "AbstractBaseline", "Baseline", "Effects", "fit_baseline", "fit_baselines"]
