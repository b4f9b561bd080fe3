"""Kriging against brute force: solving for the weights, and leaving edits out one by one."""

from __future__ import annotations

import numpy as np
import pytest

from semimech.fit.kriging import Table, choose_strengths, left_out_error, shares

N, GENES = 9, 40


def kernel(rng: np.random.Generator, n: int = N) -> np.ndarray:
    profile = rng.normal(size=(n, 4))
    profile /= np.linalg.norm(profile, axis=1, keepdims=True)
    return profile @ profile.T


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_shares_are_the_best_linear_unbiased_weights_and_sum_to_one(rng):
    full = kernel(rng, N + 1)
    own = rng.uniform(0.5, 2.0, N)
    found = shares(full[-1:, :-1], full[:-1, :-1], own)[0]
    # minimise aᵀ(K + Λ)a − 2 aᵀk with Σa = 1: the stationary point of its Lagrangian
    system = np.block([[full[:-1, :-1] + np.diag(own), np.ones((N, 1))], [np.ones((1, N)), np.zeros((1, 1))]])
    expected = np.linalg.solve(system, np.append(full[-1, :-1], 1.0))[:-1]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert found.sum() == pytest.approx(1.0)


def test_where_nothing_is_alike_shares_are_equal(rng):
    np.testing.assert_allclose(shares(np.zeros((2, N)), np.zeros((N, N)), np.ones(N)), 1.0 / N)


def test_the_error_of_left_out_edits_is_that_of_leaving_them_out_one_by_one(rng):
    effects, own, matrix = rng.normal(size=(N, GENES)), rng.uniform(0.5, 2.0, N), kernel(rng)
    rows = np.array([0, 2, 3, 5, 8])
    expected = 0.0
    for row in rows:
        others = rows[rows != row]
        weights = shares(matrix[row, others][None], matrix[np.ix_(others, others)], own[others])[0]
        expected += float(((effects[row] - weights @ effects[others]) ** 2).sum())
    table = Table(rows=rows, gram=effects[rows] @ effects[rows].T)
    assert left_out_error([table], matrix, own) == pytest.approx(expected)


def test_the_source_that_effects_follow_is_found_and_the_others_are_left_out(rng):
    true, false = np.kron(np.eye(3), np.ones((3, 3))), kernel(rng)
    effects = np.repeat(rng.normal(size=(3, GENES)), 3, axis=0) + 0.3 * rng.normal(size=(N, GENES))
    table = Table(rows=np.arange(N), gram=effects @ effects.T)
    strengths, alone = choose_strengths(np.stack([false, true]), [table], np.ones(N))
    assert strengths[1] > 0 and strengths[0] == 0.0
    assert alone[1] < 0.3 and alone[0] > 0.9


def test_effects_that_follow_no_source_use_none_in_most_worlds():
    used = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        effects = rng.normal(size=(12, GENES))
        table = Table(rows=np.arange(12), gram=effects @ effects.T)
        used.append(choose_strengths(np.stack([kernel(rng, 12)]), [table], np.ones(12))[0][0] > 0)
    assert np.mean(used) < 0.3


def test_two_edits_are_too_few_to_learn_from(rng):
    effects = rng.normal(size=(2, GENES))
    table = Table(rows=np.arange(2), gram=effects @ effects.T)
    strengths, alone = choose_strengths(np.ones((1, 2, 2)), [table], np.ones(2))
    assert strengths.tolist() == [0.0] and alone.tolist() == [1.0]
