"""Between effects and their standard errors: power, and what a cell's counts are worth on the log scale."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from semimech._errors import ConfigError, raise_faults


def faults_of_test(alpha: float, power: float | None = None) -> list[str]:
    """What is wrong with the level of a test and the power that is wanted of it."""
    if not 0 < alpha < 1:
        return [f"alpha must lie between 0 and 1, got {alpha:g}"]
    if power is not None and not alpha < power < 1:
        return [f"power must lie between alpha ({alpha:g}) and 1, got {power:g}"]
    return []


def wanted_standard_error(effect: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    r"""Standard error at which an effect is found with a power: :math:`|\Delta| / (z_{1-\alpha/2} + z_{power})`.

    Parameters
    ----------
    effect
        Size of the effect, for instance the natural logarithm of a fold change.
    power
        Probability of finding it by a two-sided normal test; the chance of the wrong sign is neglected.
    alpha
        Level of the test.

    Raises
    ------
    ConfigError
        If there is no such standard error.
    """
    faults = []
    if not (np.isfinite(effect) and effect != 0):
        faults.append(f"the effect must be finite and not 0, got {effect:g}: no effect is never found")
    faults += faults_of_test(alpha, power)
    raise_faults(ConfigError, "Power", faults)
    return float(abs(effect) / (norm.ppf(1 - alpha / 2) + norm.ppf(power)))


def log_count_variance(mean_count: float, *, dispersion: float = 0.0, depth_cv: float = 0.0) -> float:
    r"""Variance of one cell in the natural logarithm of a mean count: :math:`1/m + \phi (1 + c^2)`.

    Counts are negative binomial, :math:`\mathrm{Var}\,y = \ell\mu + \phi\,\ell^2\mu^2`, and pooled before the logarithm is taken,
    :math:`\log(\sum y / \sum \ell)`. By the delta method its variance is this over the number of cells.

    Parameters
    ----------
    mean_count
        :math:`m`, expected count of the gene in a cell of mean depth.
    dispersion
        :math:`\phi`, squared coefficient of variation between cells beyond counting.
    depth_cv
        :math:`c`, coefficient of variation of depths between cells.

    Raises
    ------
    ConfigError
        If an argument is out of range.
    """
    faults = []
    if not (np.isfinite(mean_count) and mean_count > 0):
        faults.append(f"the mean count must be above 0, got {mean_count:g}")
    for name, value in (("dispersion", dispersion), ("depth_cv", depth_cv)):
        if not (np.isfinite(value) and value >= 0):
            faults.append(f"{name} must be 0 or more, got {value:g}")
    raise_faults(ConfigError, "Counts", faults)
    return float(1 / mean_count + dispersion * (1 + depth_cv**2))


def log_count_curvature(mean_count: float, *, dispersion: float = 0.0) -> float:
    r"""What the logarithm adds to the spread of few counts: :math:`c = (1/m + \phi)(3/m + \phi)/2`, see `Components`.

    The logarithm of :math:`n` cells' pooled counts has the variance :math:`\kappa_2 - \kappa_3 + 5\kappa_2^2/2` to second order, with
    :math:`\kappa_2 = (1/m + \phi)/n` and :math:`\kappa_3 = (1/m + \phi)(1/m + 2\phi)/n^2` the relative cumulants of a negative binomial sum:
    `log_count_variance` over :math:`n`, and :math:`c/n^2`.

    Parameters
    ----------
    mean_count
        :math:`m`, see `log_count_variance`.
    dispersion
        :math:`\phi`.

    Raises
    ------
    ConfigError
        If an argument is out of range.
    """
    cell = log_count_variance(mean_count, dispersion=dispersion)
    return cell * (cell + 2 / mean_count) / 2


def single_guide_share(moi: float) -> float:
    r"""Share of infected cells that carry exactly one guide: :math:`m e^{-m} / (1 - e^{-m})` (Poisson).

    Parameters
    ----------
    moi
        Multiplicity of infection, integrations per cell.

    Raises
    ------
    ConfigError
        If it is not above 0.
    """
    if not (np.isfinite(moi) and moi > 0):
        raise ConfigError(f"Multiplicity of infection must be above 0, got {moi:g}")
    return float(moi / np.expm1(moi))
