from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semimech.evaluate.cells import shifted_energy_distance
from semimech.evaluate.metrics import (
    METRICS,
    Scene,
    changed_genes,
    direction,
    energy_distance,
    mse,
    pearson_control,
    pearson_perturbed,
    rank_score,
    wmse,
)

RNG = np.random.default_rng(0)


def scene(predicted, measured, *, error=1.0, control=None, perturbed=None, keep=None, control_error=0.0):
    predicted, measured = np.atleast_2d(np.asarray(predicted, float)), np.atleast_2d(np.asarray(measured, float))
    zero = np.zeros_like(measured)
    return Scene(
        predicted=predicted,
        measured=measured,
        standard_error=zero + error,
        control=zero if control is None else np.broadcast_to(np.asarray(control, float), measured.shape),
        control_error=zero + control_error,
        perturbed=zero if perturbed is None else np.broadcast_to(np.asarray(perturbed, float), measured.shape),
        keep=np.ones(measured.shape, bool) if keep is None else np.atleast_2d(np.asarray(keep, bool)),
    )


def test_mse_is_the_mean_of_squares_over_the_genes_kept():
    assert mse(scene([1, 2, 3], [1, 0, 9])) == pytest.approx([40 / 3])
    assert mse(scene([1, 2, 3], [1, 0, 9], keep=[1, 1, 0])) == pytest.approx([2.0])


def test_the_weighted_error_divides_by_the_variance_and_its_floor():
    # Variances 1, 4, 4: their median is 4 and a tenth of it is added to each.
    assert wmse(scene([1, 2, 3], [0, 0, 0], error=[[1, 2, 2]])) == pytest.approx([(1 / 1.4 + 4 / 4.4 + 9 / 4.4) / 3])


def test_the_weighted_error_of_the_truth_is_near_one():
    truth = RNG.normal(size=(4, 5000))
    measured = truth + 0.3 * RNG.normal(size=truth.shape)
    assert wmse(scene(truth, measured, error=0.3)) == pytest.approx([1 / 1.1] * 4, rel=0.1)


def test_unknown_standard_errors_leave_the_weighted_error_and_the_direction_undefined():
    unknown = scene([1, 2, 3], [0, 5, 0], error=np.nan)
    assert np.isnan(wmse(unknown)).all()
    assert np.isnan(direction(unknown)).all()


@pytest.mark.parametrize(("metric", "reference"), [(pearson_control, "control"), (pearson_perturbed, "perturbed")])
def test_pearson_is_scipys_on_the_change_from_its_reference(metric, reference):
    predicted, measured, origin = RNG.normal(size=(3, 2, 30))
    score = metric(scene(predicted, measured, **{reference: origin}))
    expected = [stats.pearsonr(p - o, m - o).statistic for p, m, o in zip(predicted, measured, origin, strict=True)]
    assert score == pytest.approx(expected)


def test_a_constant_prediction_correlates_with_nothing_and_a_constant_measurement_with_no_prediction():
    control = RNG.normal(size=20)
    assert pearson_control(scene(control, RNG.normal(size=20), control=control)) == pytest.approx([0.0])
    assert np.isnan(pearson_control(scene(RNG.normal(size=20), np.ones(20)))).all()


def test_the_mean_of_edits_correlates_with_the_change_from_control_but_not_with_that_from_the_mean():
    shared = RNG.normal(size=200)
    measured = shared + 0.3 * RNG.normal(size=(10, 200))
    mean = np.tile(shared, (10, 1))
    trap = scene(mean, measured, perturbed=shared)
    assert pearson_control(trap).min() > 0.9
    assert pearson_perturbed(trap) == pytest.approx(np.zeros(10))


def test_only_changes_that_pass_the_false_discovery_rate_count():
    measured = np.array([[10.0, -10.0, 2.1, 0.0, 1.0]])
    assert list(changed_genes(scene(measured, measured))[0]) == [True, True, False, False, False]


def test_five_percent_of_null_conditions_at_most_have_a_changed_gene():
    measured = RNG.normal(size=(2000, 50))
    share = changed_genes(scene(measured, measured)).any(axis=1).mean()
    assert share == pytest.approx(0.05, abs=0.015)


def test_control_noise_counts_in_the_error_of_a_change():
    measured = np.array([[4.0, -4.0, 0.0]])
    assert changed_genes(scene(measured, measured)).any()
    assert not changed_genes(scene(measured, measured, control_error=3.0)).any()


def test_direction_is_the_share_of_changed_genes_and_zero_counts_half():
    measured = [10.0, 10.0, -10.0, -10.0, 0.1]
    assert direction(scene([1, -1, -1, 0, -1], measured)) == pytest.approx([(1 + 0 + 1 + 0.5) / 4])
    assert direction(scene(np.zeros(5), measured)) == pytest.approx([0.5])
    assert np.isnan(direction(scene([1.0, 1.0], [0.1, -0.1]))).all()


def keep_all(values):
    return np.ones(values.shape, dtype=bool)


def test_the_truth_ranks_first_and_its_opposite_last():
    measured = RNG.normal(size=(6, 40))
    own = list(range(6))
    assert rank_score(measured, measured, own, keep_all(measured), keep_all(measured)) == pytest.approx(np.ones(6))
    away = -100 * (measured - measured.mean(axis=0))
    assert rank_score(away, measured, own, keep_all(measured), keep_all(measured)) == pytest.approx(np.zeros(6))


def test_one_prediction_for_all_and_noise_rank_at_chance():
    measured = RNG.normal(size=(50, 40))
    own = list(range(50))
    same = np.tile(RNG.normal(size=40), (50, 1))
    assert rank_score(same, measured, own, keep_all(measured), keep_all(measured)).mean() == pytest.approx(0.5)
    noise = RNG.normal(size=(50, 40))
    assert rank_score(noise, measured, own, keep_all(measured), keep_all(measured)).mean() == pytest.approx(
        0.5, abs=0.12
    )


def test_identical_candidates_tie():
    measured = np.ones((3, 4))
    assert rank_score(measured, measured, [0, 1, 2], keep_all(measured), keep_all(measured)) == pytest.approx([0.5] * 3)


def test_rank_without_the_edited_genes_ignores_both_conditions_targets():
    measured = np.zeros((2, 5))
    measured[0, 0] = measured[1, 1] = -9.0
    measured[:, 2:] = [[1, 2, 3], [3, 2, 1]]
    keep = measured != -9.0
    predicted = np.zeros((2, 5))
    predicted[:, 2:] = [[3, 2, 1], [1, 2, 3]]
    predicted[0, 0] = predicted[1, 1] = -9.0
    assert rank_score(predicted, measured, [0, 1], keep_all(measured), keep_all(measured)) == pytest.approx([1.0, 1.0])
    assert rank_score(predicted, measured, [0, 1], keep, keep) == pytest.approx([0.0, 0.0])


def test_rank_needs_another_candidate():
    one = np.ones((1, 3))
    assert np.isnan(rank_score(one, one, [0], keep_all(one), keep_all(one))).all()


def test_energy_distance_in_one_dimension_is_twice_the_area_between_distribution_functions_squared():
    left, right = RNG.normal(size=400), RNG.normal(1.0, size=300)
    biased = stats.energy_distance(left, right) ** 2
    # The unbiased form leaves out the distance of each cell to itself.
    within = [np.abs(x[:, None] - x).mean() / (len(x) - 1) for x in (left, right)]
    assert energy_distance(left[:, None], right[:, None]) == pytest.approx(biased - sum(within))


def test_energy_distance_of_one_law_is_zero_on_average():
    draws = [energy_distance(*RNG.normal(size=(2, 30, 5))) for _ in range(200)]
    assert np.mean(draws) == pytest.approx(0.0, abs=3 * np.std(draws) / np.sqrt(200))


def test_shifting_all_cells_at_once_is_shifting_them_one_by_one():
    left, right, shift = RNG.normal(size=(30, 6)), RNG.normal(size=(20, 6)), RNG.normal(size=(4, 6))
    expected = [energy_distance(left + s, right) for s in shift]
    assert shifted_energy_distance(left, right, shift) == pytest.approx(expected)


def test_perfect_predictions_have_perfect_scores():
    measured = RNG.normal(size=(3, 20)) * 10
    perfect = {"mse": 0, "wmse": 0, "pearson_control": 1, "pearson_perturbed": 1, "direction": 1}
    for metric in METRICS:
        assert metric.score(scene(measured, measured)) == pytest.approx([perfect[metric.name]] * 3)
