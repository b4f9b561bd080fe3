"""Facts about a batch of experiments chosen one by one, on pools whose errors are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from small_data import condition

from semimech import ConfigError
from semimech.design import CandidateSpace, Limits, Pool, Prices, as_experiments, choose, choose_for_goal, make_goal
from semimech.design.choose import criterion_of, remaining
from semimech.design.goal import closeness_interval, noncentrality
from semimech.design.pool import likeness

NOISE = 0.1


def pool(covariance: np.ndarray, mean: np.ndarray | None = None, names: list[str] | None = None) -> Pool:
    n = len(covariance)
    mean = np.zeros((n, 2)) if mean is None else mean
    names = [f"G{i}" for i in range(n)] if names is None else names
    return Pool(
        conditions=tuple(condition(name, 48.0) for name in names),
        mean=mean,
        spread=np.repeat(np.sqrt(np.diagonal(covariance))[:, None], mean.shape[1], axis=1),
        covariance=covariance,
        noise=NOISE,
    )


def random_covariance(n: int, seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T / n


def test_gains_add_up_to_what_a_gaussian_posterior_says_of_the_whole_batch():
    covariance = random_covariance(8)
    picks = choose(pool(covariance), Limits(batch=3))
    rows = [pick.row for pick in picks]
    precision = np.linalg.inv(covariance)  # another way to the posterior: precisions of measurements add
    precision[rows, rows] += 1 / NOISE
    posterior = np.linalg.inv(precision)
    assert np.allclose(remaining(pool(covariance), tuple(rows)), posterior)
    assert sum(pick.gain for pick in picks) == pytest.approx(1 - np.trace(posterior) / np.trace(covariance))


def test_information_is_the_log_determinant_of_the_batch_and_near_the_best_of_all_batches():
    covariance = random_covariance(9, seed=1)
    picks = choose(pool(covariance), Limits(batch=3), criterion="information")

    def information(rows: tuple[int, ...]) -> float:
        return 0.5 * np.linalg.slogdet(np.eye(3) + covariance[np.ix_(rows, rows)] / NOISE)[1]

    found = information(tuple(pick.row for pick in picks))
    assert sum(pick.gain for pick in picks) == pytest.approx(found)
    assert found >= (1 - 1 / np.e) * max(map(information, combinations(range(9), 3)))


@pytest.mark.parametrize("criterion", ["error", "information"])
def test_a_batch_is_not_the_same_experiment_twice(criterion):
    twins = np.kron(np.diag([3.0, 2.0, 1.0]), np.full((2, 2), 1.0)) + 1e-9 * np.eye(6)
    picks = choose(pool(twins), Limits(batch=3), criterion=criterion)
    assert sorted(pick.row // 2 for pick in picks) == [0, 1, 2]


def test_only_what_is_asked_counts():
    covariance = np.diag([5.0, 1.0, 1.0])
    covariance[1, 2] = covariance[2, 1] = 0.9
    asked = np.array([0.0, 0.0, 1.0])
    can = np.array([True, True, False])
    (pick,) = choose(pool(covariance), Limits(batch=1), is_candidate=can, weight=asked)
    assert (pick.row, pick.sharpened, pick.own) == (1, 2, 0.0)


def test_a_budget_is_kept_and_an_edit_is_paid_for_once():
    names = ["G0", "G1", "G0+G1", "G2"]
    limits = Limits(batch=4, budget=23.0, prices=Prices(edit=10.0, harvest=1.0))
    picks = choose(pool(np.eye(4) + 0.01, names=names), limits)
    assert sum(pick.cost for pick in picks) == 23.0
    assert {names[pick.row] for pick in picks} == {"G0", "G1", "G0+G1"}


def test_a_round_has_no_more_genes_than_the_laboratory_can_edit():
    picks = choose(pool(np.diag([3.0, 2.0, 1.0])), Limits(batch=3, edits=2))
    assert [pick.row for pick in picks] == [0, 1]


def test_what_cannot_be_chosen_is_an_error_in_words():
    with pytest.raises(ConfigError, match="raise the budget"):
        choose(pool(np.eye(2)), Limits(batch=1, budget=0.5))
    with pytest.raises(ConfigError, match="2 faults"):
        Limits(batch=0, budget=-1.0)
    with pytest.raises(ConfigError, match="criterion must be one of"):
        criterion_of("luck")
    with pytest.raises(ConfigError, match="hours is empty"):
        CandidateSpace(genes=("A",), hours=())


def test_errors_of_an_edit_go_with_it_and_a_pair_shares_those_of_both():
    alike = likeness([condition(name, hours) for name, hours in [("A", 48.0), ("A", 60.0), ("B", 48.0), ("A+B", 48.0)]])
    assert np.linalg.eigvalsh(alike).min() > 0
    assert alike[0, 1] > alike[0, 3] > alike[0, 2] == 0.0
    assert alike[0, 3] == alike[2, 3]


def test_a_goal_takes_the_nearest_and_then_one_that_may_win_where_it_fails():
    goal = make_goal({"G0": 1.0, "G1": 1.0}, ("G0", "G1"), np.zeros(2))
    mean = np.array([[0.9, 0.9], [0.89, 0.89], [0.8, 0.8], [0.0, 0.0]])
    covariance = 0.04 * np.eye(4)
    covariance[0, 1] = covariance[1, 0] = 0.04 * (1 - 1e-9)
    attempts = choose_for_goal(pool(covariance, mean), goal, Limits(batch=2), seed=0)
    assert attempts[0].row in (0, 1) and attempts[1].row == 2
    assert np.allclose(goal.closeness(np.array([[1.0, 1.0], [0.0, 0.0], [0.5, 0.5]])), [1.0, 0.0, 0.75])
    assert attempts[0].lower < attempts[0].closeness <= attempts[0].upper == 1.0


def test_an_unmeasured_gene_and_a_goal_that_is_reached_are_refused():
    with pytest.raises(ConfigError, match="2 faults"):
        make_goal({"X": 1.0, "G0": np.nan}, ("G0",), np.zeros(1))
    with pytest.raises(ConfigError, match="already"):
        make_goal({"G0": 0.0}, ("G0",), np.zeros(1))


def test_candidates_are_all_that_was_asked_for_but_not_what_was_measured():
    space = CandidateSpace(genes=("A", "B", "C"), hours=(24.0, 48.0), n_genes=2, efficacies=(0.5, 1.0))
    everything = space.conditions(most=1000, seed=0)
    assert len(set(everything)) == len(everything) == 3 * 2 * 2 + 3 * 4 * 2
    assert len(space.conditions(most=20, seed=0)) == 20
    assert everything[0] not in space.conditions(most=1000, seed=0, but=everything[:1])


def test_harvests_of_one_culture_are_one_experiment_and_give_the_same_conditions():
    space = CandidateSpace(genes=("A", "B"), hours=(24.0, 48.0), media=(None, "M"))
    wanted = space.conditions(most=100, seed=0)
    made = as_experiments(wanted, maintenance_medium="maintenance")
    assert len(made) == 4
    assert {c for e in made for c in e.conditions.values()} == set(wanted)


@pytest.mark.parametrize("away", [0.0, 0.5, 2.0])
def test_the_interval_of_the_way_holds_the_truth_nine_times_in_ten_also_at_the_goal_itself(away):
    """Predictions of eight genes, each off by a normal error; draws around them would hold a state at its goal never."""
    rng, n, genes = np.random.default_rng(0), 500, 8
    goal = make_goal({f"G{i}": 0.0 for i in range(genes)}, [f"G{i}" for i in range(genes)], np.full(genes, 2.0))
    state = np.zeros((n, genes))
    state[:, 0] = away
    mean = state + 0.2 * rng.standard_normal((n, genes))
    known = pool(0.04 * np.eye(n), mean)
    low, middle, high = closeness_interval(known, goal, range(n))
    truth = goal.closeness(state)
    held = ((low <= truth + 1e-9) & (truth <= high + 1e-9)).mean()
    assert 0.88 <= held <= 0.97  # beside the goal it ends there and at luck, so that it holds a little more
    assert np.median(middle) == pytest.approx(truth[0], abs=0.02)
    wider, _, _ = closeness_interval(known, goal, range(n), independent_share=0.25)
    assert (wider <= low + 1e-9).mean() > 0.9


def test_a_noncentrality_is_that_under_which_what_was_seen_has_its_chance():
    draws = np.random.default_rng(1).standard_normal((100_000, 6))
    draws[:, 0] += np.sqrt(noncentrality(np.array([20.0]), np.array([6.0]), 0.3))
    assert ((draws**2).sum(axis=1) <= 20.0).mean() == pytest.approx(0.3, abs=0.006)
    assert noncentrality(np.array([2.0]), np.array([6.0]), 0.95) == pytest.approx(0.0)
    far = noncentrality(np.array([0.999e5, 1.001e5]), np.full(2, 6.0), 0.05)
    assert far[1] - far[0] == pytest.approx(200.0, rel=0.02)  # the normal law goes on where the exact one ends


def test_what_is_at_the_goal_itself_has_no_noncentrality():
    assert noncentrality(np.zeros(2), np.array([1.0, 6.0]), 0.95).tolist() == [0.0, 0.0]
