"""Conditioning: what unedited cells that happen to have less of one gene have of the others."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from semimech.data.dataset import Dataset


def observed_per_relative(dataset: Dataset) -> Float[np.ndarray, " gene"]:
    """Change of the observed mean per relative change of the state, at the control mean, to first order."""
    mean = dataset.control_mean()
    return np.maximum(dataset.scale.to_state(mean), 0.0) / dataset.scale.state_slope(mean)


def conditional_changes(dataset: Dataset, *, noise_share: float) -> Float[np.ndarray, "target gene"]:
    r"""Change of the observed mean of every gene where the relative abundance of one is less by one.

    With jointly normal relative abundances of covariance :math:`C`, measurement noise :math:`N` removed, it is
    :math:`-C_{gj} / (C_{jj} + \lambda N_j)` in units of the gene's mean.

    Parameters
    ----------
    dataset
        With second moments of unedited cells; without them, there is no row.
    noise_share
        :math:`\lambda`, the share of the noise that counts against a target whose variance is nearly all noise.
    """
    moments = dataset.control_moments
    if moments is None:
        return np.zeros((0, len(dataset.genes)))
    variance = np.diagonal(moments.covariance) + noise_share * moments.noise
    return -observed_per_relative(dataset) * moments.covariance / np.maximum(variance, 1e-12)[:, None]
