from __future__ import annotations

import numpy as np
import pytest
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.baselines import Effects, fit_baseline
from semimech.baselines.gaussian import GaussianConditioning
from semimech.data.dataset import ControlMoments

N = 10
MEAN = np.linspace(5.0, 50.0, N)


def normal_world(seed=0):
    factor = np.random.default_rng(seed).normal(size=(N, N))
    return 0.02 * factor @ factor.T / N


def conditional_mean(covariance, targets):
    """Mean of relative abundances given that the targets lost everything, by the regression of each gene on them."""
    slope = np.linalg.lstsq(covariance[np.ix_(targets, targets)], covariance[targets], rcond=None)[0]
    return -np.ones(len(targets)) @ slope


def screen(covariance, amplitude, trained, *, noise=0.0):
    names, means = ["control"], [MEAN]
    for hours, a in amplitude.items():
        for i in trained:
            names.append((f"G{i}", hours))
            change = MEAN * a * conditional_mean(covariance, [i])
            change[i] = 0.0
            means.append(MEAN + change)
    conditions = [condition("control", 48)] + [condition(*name) for name in names[1:]]
    moments = ControlMoments(covariance=covariance, noise=np.full(N, noise), n_cells=1000)
    return dataset(conditions, np.array(means), control_moments=moments)


def test_gaussian_conditioning_is_exact_in_a_jointly_normal_world():
    covariance = normal_world()
    baseline = fit_baseline("gaussian conditioning", screen(covariance, {24.0: 0.1, 48.0: 0.2}, range(5)))
    predicted = baseline.predict_conditions([condition("G7", 24), condition("G7", 48), condition("G7+G8", 48)]).mean
    one, two = conditional_mean(covariance, [7]), conditional_mean(covariance, [7, 8])
    others = np.delete(np.arange(N), [7, 8])
    assert predicted[0, others] == pytest.approx((MEAN * (1 + 0.1 * one))[others])
    assert predicted[1, others] == pytest.approx((MEAN * (1 + 0.2 * one))[others])
    assert predicted[2, others] == pytest.approx((MEAN * (1 + 0.2 * two))[others])


def test_the_amplitude_is_never_negative():
    baseline = GaussianConditioning(Effects(screen(normal_world(), {48.0: -0.3}, range(5))), noise_share=0.0)
    predicted = baseline.predict_conditions([condition("G7", 48)]).mean[0]
    assert np.delete(predicted, 7) == pytest.approx(np.delete(MEAN, 7))


def test_noise_given_back_to_the_targets_variance_shrinks_noisy_targets():
    effects = Effects(screen(normal_world(), {48.0: 0.2}, range(5), noise=0.05))
    plain, careful = (
        GaussianConditioning(effects, noise_share=share)._responses([condition("G7", 48).edits])[0]
        for share in (0.0, 1.0)
    )
    variance = effects.dataset.control_moments.covariance[7, 7]
    assert careful == pytest.approx(plain * variance / (variance + 0.05))


def test_it_is_unavailable_without_the_covariance_of_controls():
    data = dataset([condition("control", 48), condition("G0", 48), condition("G1", 48)], np.ones((3, N)))
    with pytest.raises(DataError, match="covariance of unedited cells"):
        fit_baseline("gaussian conditioning", data)
