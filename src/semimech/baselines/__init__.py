"""Predictors without mechanism, always run and always shown."""

from semimech.baselines.baseline import AbstractBaseline
from semimech.baselines.effects import Effects
from semimech.baselines.fitting import BASELINES, Baseline, fit_baseline, fit_baselines
from semimech.baselines.latent_shift import LatentShift

__all__ = ["BASELINES", "AbstractBaseline", "Baseline", "Effects", "LatentShift", "fit_baseline", "fit_baselines"]
