"""Facts about experiments that tell rivals apart, in pools whose errors are known and in a world whose law is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from small_data import condition
from small_fits import N_GENES, UNIT, LinearWorld

from semimech import ConfigError
from semimech.design import Limits, Pool, choose_apart
from semimech.design.apart import apart_of, chance_of_right, expected_nats, participation

NOISE = 0.04
HOURS = (2.0, 6.0, 12.0, 24.0, 48.0, 96.0, 192.0)


def pool(covariance: np.ndarray, mean: np.ndarray, conditions=None, noise: float = NOISE) -> Pool:
    conditions = [condition(f"G{i}", 48.0) for i in range(len(mean))] if conditions is None else conditions
    spread = np.repeat(np.sqrt(np.diagonal(covariance))[:, None], mean.shape[1], axis=1)
    return Pool(conditions=tuple(conditions), mean=mean, spread=spread, covariance=covariance, noise=noise)


def test_nats_of_a_batch_are_the_expected_log_ratio_of_the_two_laws_of_its_outcomes():
    """The log ratio of two normal laws of one covariance is linear in the outcome, so that its mean is its value at the mean."""
    rng = np.random.default_rng(0)
    root, mean, rival = rng.normal(size=(6, 6)), rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    known = pool(root @ root.T / 6, mean)
    known = replace(known, spread=np.full((6, 3), 0.7))  # all genes alike
    tellings = choose_apart(known, {"rival": rival}, Limits(batch=3), n_independent=3.0)
    rows = [telling.pick.row for telling in tellings]
    variance = known.covariance[np.ix_(rows, rows)] + NOISE * np.eye(3)
    expected = 0.0
    for gene in range(3):
        at = mean[rows, gene]
        expected += multivariate_normal(at, variance).logpdf(at) - multivariate_normal(
            rival[rows, gene], variance
        ).logpdf(at)
    assert sum(telling.nats["rival"] for telling in tellings) == pytest.approx(expected)
    assert expected_nats(known, apart_of(known, {"rival": rival}, 3.0)["rival"], rows) == pytest.approx(expected)
    assert expected_nats(known, apart_of(known, {"rival": rival}, 1.5)["rival"], rows) == pytest.approx(expected / 2)


def test_the_chance_of_the_right_model_is_that_of_a_likelihood_ratio_above_one():
    """Two laws N(0, 1) and N(d, 1): the outcome is nearer to 0 with chance Phi(d / 2), and d^2 / 2 nats are expected."""
    draws = np.random.default_rng(1).standard_normal(200_000)
    assert chance_of_right(1.5**2 / 2) == pytest.approx((np.abs(draws) < np.abs(draws - 1.5)).mean(), abs=0.004)


def test_a_second_harvest_that_errs_with_the_first_is_worth_less_than_another():
    covariance = np.eye(3)
    covariance[0, 1] = covariance[1, 0] = 1 - 1e-6
    rival = np.array([[1.0], [0.99], [0.8]])
    tellings = choose_apart(pool(covariance, np.zeros((3, 1))), {"rival": rival}, Limits(batch=2), n_independent=1.0)
    assert [telling.pick.row for telling in tellings] == [0, 2]


def test_of_two_rivals_the_one_that_is_told_draws_no_more_experiments():
    near, far = np.array([[0.0], [0.0], [0.6]]), np.array([[5.0], [5.0], [0.0]])
    means, known = {"near": near, "far": far}, pool(0.01 * np.eye(3), np.zeros((3, 1)))
    tellings = choose_apart(known, means, Limits(batch=2), n_independent=1.0)
    assert [telling.pick.row for telling in tellings] in ([0, 2], [1, 2])
    assert tellings[1].nats["near"] > 0 and tellings[1].nats["far"] == pytest.approx(0.0)


def test_rivals_that_predict_the_same_are_an_error_that_says_what_to_name():
    mean = np.zeros((2, 1))
    for means in ({}, {"rival": mean}):
        with pytest.raises(ConfigError, match="name other candidates"):
            choose_apart(pool(np.eye(2), mean), means, Limits(batch=1), n_independent=1.0)


def test_genes_that_err_together_count_as_one_and_those_that_do_not_as_many():
    shared = np.random.default_rng(2).normal(size=(400, 2, 1))
    assert participation(np.repeat(shared, 5, axis=2) * np.arange(1.0, 6.0)) == pytest.approx(1.0)
    assert participation(np.random.default_rng(3).normal(size=(2000, 2, 5))) == pytest.approx(5.0, rel=0.02)


@pytest.fixture(scope="module")
def course() -> tuple[Pool, np.ndarray]:
    """Edits of a linear world at several times, and what is predicted of them if all cells are taken for settled."""
    rng = np.random.default_rng(4)
    weight = 0.15 * rng.normal(size=(N_GENES, N_GENES))
    world = LinearWorld(
        degradation=np.geomspace(0.02, 0.3, N_GENES),
        weight=weight,
        medium_effect=np.zeros(N_GENES),
        loss_of_x=np.zeros(N_GENES),
    )
    able = [condition(f"G{gene}", hours, kind="crispri") for gene in range(5) for hours in HOURS]
    settled = [condition(f"G{gene}", np.inf, kind="crispri") for gene in range(5) for _ in HOURS]
    mean = np.stack([world.mean(each) for each in able]) / UNIT
    return pool(0.01 * np.eye(len(able)), mean, able), np.stack([world.mean(each) for each in settled]) / UNIT


@pytest.mark.parametrize("is_settled", [False, True])
def test_a_chosen_design_decides_whether_cells_are_settled_with_fewer_harvests_than_chance(course, is_settled):
    """Odds of twenty to one for the truth, where it moves and where it does not: of the best ten and of ten at random."""
    known, settled = course
    apart, rng = settled - known.mean, np.random.default_rng(5)
    truth = settled if is_settled else known.mean
    tellings = choose_apart(known, {"settled": settled}, Limits(batch=10), n_independent=float(N_GENES))
    best = [telling.pick.row for telling in tellings]
    assert max(known.conditions[row].hours for row in best) <= 24.0
    needed: dict[str, list[int]] = {"chosen": [], "random": []}
    for _ in range(100):
        seen = truth + np.sqrt(0.01 + NOISE) * rng.standard_normal(truth.shape)
        for name, rows in (("chosen", best), ("random", rng.permutation(len(truth))[:10].tolist())):
            nats = ((0.5 * apart**2 - (seen - known.mean) * apart)[rows].sum(axis=1) / (0.01 + NOISE)).cumsum()
            is_told = (-nats if is_settled else nats) > np.log(20.0)
            needed[name].append(int(np.argmax(is_told)) + 1 if is_told.any() else 11)
    assert np.mean(needed["chosen"]) < 0.7 * np.mean(needed["random"])


@pytest.mark.parametrize("n_conditions", [1, 5, 40])
def test_genes_that_err_by_themselves_are_counted_as_such_however_few_deviations_there_are(n_conditions):
    rng = np.random.default_rng(n_conditions)
    apart = participation(rng.normal(size=(4, n_conditions, 300)))
    assert apart > 150.0  # the ratio of the sample itself is at most 3 n_conditions
    shared = np.repeat(rng.normal(size=(4, 40, 10)), 30, axis=2)
    assert participation(shared) == pytest.approx(10.0, rel=0.2)


def test_of_harvests_that_tell_different_things_each_tells_all_that_it_would_have_alone():
    """Three of ten nats each, with independent errors: gains fall, as a rival told already draws less, and nats do not."""
    rival = np.full((3, 1), np.sqrt(20.0 * (1.0 + NOISE)))
    tellings = choose_apart(pool(np.eye(3), np.zeros((3, 1))), {"rival": rival}, Limits(batch=3), n_independent=1.0)
    for telling in tellings:
        assert telling.nats["rival"] == pytest.approx(10.0) == telling.alone["rival"]
    assert tellings[2].pick.gain < 0.3 * tellings[0].pick.gain
