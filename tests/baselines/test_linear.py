from __future__ import annotations

import numpy as np
import pytest
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.baselines import Effects, fit_baseline
from semimech.baselines.linear import LowRank, RidgeOnEdits, noise_to_signal
from semimech.data.dataset import ControlMoments

N = 12
CONTROL = np.full(N, 20.0)


def linear_world(rank, seed=0):
    """Response of every gene to every edit, through a map between low-dimensional embeddings."""
    rng = np.random.default_rng(seed)
    embedding = np.linalg.qr(rng.normal(size=(N, rank)))[0]
    return embedding @ rng.normal(size=(rank, rank)) @ embedding.T


def screen(response, trained, *, hours=48, moments=None, doubles=()):
    names = ["control", *(f"G{i}" for i in trained), *(f"G{i}+G{j}" for i, j in doubles)]
    changes = [np.zeros(N), *(response[:, i] for i in trained), *(response[:, i] + response[:, j] for i, j in doubles)]
    return dataset(
        [condition(name, hours) for name in names],
        CONTROL + np.array(changes),
        control_moments=moments,
    )


def error_beside_target(baseline, response, query):
    predicted = baseline.predict_conditions([condition(f"G{query}", 48)]).mean[0] - CONTROL
    return np.abs(np.delete(predicted - response[:, query], query)).max()


def test_low_rank_is_exact_in_a_linear_world_with_enough_rank():
    # Rotation leaves no gene a response to its own edit, and targets in opposite pairs leave a mean of zero: so what
    # the baseline puts in the place of own targets is the truth.
    half = np.random.default_rng(0).normal(size=(4, 2))
    embedding = np.concatenate([half, -half, np.random.default_rng(1).normal(size=(N - 8, 2))])
    response = embedding @ np.array([[0.0, 1.0], [-1.0, 0.0]]) @ embedding.T
    effects = Effects(screen(response, range(8)))
    for query in range(8, N):
        assert error_beside_target(LowRank(effects, rank=2, penalty=1e-12), response, query) < 1e-6
        assert error_beside_target(LowRank(effects, rank=1, penalty=1e-12), response, query) > 1e-2


def test_low_rank_beats_the_mean_in_a_noisy_linear_world_with_chosen_rank():
    ratios = []
    for seed in range(5):
        response = linear_world(2, seed) + 0.02 * np.random.default_rng(seed).normal(size=(N, N))
        data = screen(response, range(9))
        errors = [
            np.mean([error_beside_target(fit_baseline(name, data), response, query) for query in (9, 10, 11)])
            for name in ("low-rank linear", "mean of edits + target")
        ]
        ratios.append(errors[0] / errors[1])
    assert np.median(ratios) < 0.7


def test_a_huge_penalty_makes_low_rank_the_mean_of_edits():
    response = linear_world(3)
    effects = Effects(screen(response, range(6)))
    predicted = LowRank(effects, rank=3, penalty=1e12).predict_conditions([condition("G9", 48)]).mean
    mean = fit_baseline("mean of edits + target", effects.dataset).predict_conditions([condition("G9", 48)]).mean
    assert predicted == pytest.approx(mean)


def test_ridge_without_penalty_reproduces_training_edits_and_adds_them_up():
    response = linear_world(4)
    ridge = RidgeOnEdits(Effects(screen(response, range(6), doubles=[(0, 1), (2, 3)])), penalty=1e-9, borrowed=0.5)
    predicted = ridge.predict_conditions([condition("G0", 48), condition("G1+G4", 48)]).mean - CONTROL
    assert predicted[0] == pytest.approx(response[:, 0], abs=1e-6)
    assert predicted[1] == pytest.approx(response[:, 1] + response[:, 4], abs=1e-6)


def test_a_huge_penalty_makes_ridge_the_mean_of_edits():
    response = linear_world(3)
    effects = Effects(screen(response, range(6)))
    predicted = RidgeOnEdits(effects, penalty=1e12, borrowed=0.5).predict_conditions([condition("G9", 48)]).mean
    mean = fit_baseline("mean of edits + target", effects.dataset).predict_conditions([condition("G9", 48)]).mean
    assert predicted == pytest.approx(mean)


def test_ridge_borrows_from_edits_whose_targets_vary_together_in_controls():
    rng = np.random.default_rng(1)
    programme = rng.normal(size=(2, N))
    member = np.array([0, 1] * (N // 2))
    response = programme[member].T
    covariance = np.where(member[:, None] == member, 0.09, 0.0) + 0.01 * np.eye(N)
    moments = ControlMoments(covariance=covariance, noise=np.zeros(N), n_cells=1000)
    data = screen(response, range(8), moments=moments)
    ridge, mean = fit_baseline("ridge", data), fit_baseline("mean of edits + target", data)
    for query in (8, 9, 10, 11):
        assert error_beside_target(ridge, response, query) < 0.35 * error_beside_target(mean, response, query)


def test_the_penalty_of_ridge_is_the_ratio_of_noise_to_signal():
    rng = np.random.default_rng(2)
    n_edits, n_genes, noise = 60, 60, 0.7
    change = rng.normal(size=(n_edits, n_genes)) + noise * rng.normal(size=(n_edits, n_genes))
    names = ["control", *(f"G{i}" for i in range(n_edits))]
    mean = 50.0 + np.vstack([np.zeros(n_genes), change])
    data = dataset([condition(name, 48) for name in names], mean, standard_error=noise)
    assert noise_to_signal(Effects(data)) == pytest.approx(noise**2, rel=0.1)
    assert fit_baseline("ridge", data).penalty == pytest.approx(noise**2, rel=0.1)
    unknown = dataset(data.conditions, data.mean, standard_error=np.nan)
    assert noise_to_signal(Effects(unknown)) is None
    assert np.isfinite(fit_baseline("ridge", unknown).predict_conditions([condition("G3", 48)]).mean).all()


def test_low_rank_says_how_many_edits_it_needs():
    with pytest.raises(DataError, match="at least 4 measured genes"):
        fit_baseline("low-rank linear", screen(linear_world(2), range(3)))
