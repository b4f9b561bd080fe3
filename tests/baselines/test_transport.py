"""Displacement interpolation: closed forms of optimal transport, and which harvests a condition lies between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import sqrtm
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.baselines import fit_baseline, fit_baselines
from semimech.baselines.transport import displaced
from semimech.data import Cells, Dataset
from semimech.experiment import Condition, parse_experiment

N_CELLS = 30


def screen(conditions: list[Condition], centre: np.ndarray, *, spread: float = 1.0, **fields) -> Dataset:
    """Cells around a centre for each condition; the means are theirs."""
    rng = np.random.default_rng(0)
    values = centre[:, None, :] + spread * rng.normal(size=(len(conditions), N_CELLS, centre.shape[1]))
    cells = Cells(
        values=values.reshape(-1, centre.shape[1]),
        condition=np.repeat(np.arange(len(conditions)), N_CELLS),
        batch=np.zeros(values.shape[0] * N_CELLS, int),
    )
    return dataset(conditions, values.mean(axis=1), cells=cells, **fields)


def test_half_way_between_a_cloud_and_its_translation_is_half_the_translation():
    cloud, shift = np.random.default_rng(0).normal(size=(50, 3)), np.array([1.0, -2.0, 0.5])
    moved = np.random.default_rng(1).permutation(cloud + shift)
    found = displaced(cloud, moved, 0.5)
    order = np.argsort(cloud[:, 0])
    assert found[np.argsort(found[:, 0])] == pytest.approx(cloud[order] + 0.5 * shift)


def test_between_a_cloud_and_itself_it_stays():
    cloud = np.random.default_rng(0).normal(size=(40, 2))
    assert displaced(cloud, cloud[::-1], 0.3)[np.argsort(cloud[:, 0])] == pytest.approx(cloud[np.argsort(cloud[:, 0])])


def test_two_branches_are_crossed_by_the_shorter_paths():
    """Means would put every cell in the middle, where none ever is."""
    before = np.array([[-1.0], [1.0]])
    assert sorted(displaced(before, np.array([[3.0], [-3.0]]), 0.5).ravel()) == pytest.approx([-2.0, 2.0])


def test_normal_clouds_pass_through_the_covariance_of_bures():
    r"""The barycentre of normal laws: :math:`T = (1-s)I + sA^{-1/2}(A^{1/2}BA^{1/2})^{1/2}A^{-1/2}`, covariance TAT."""
    rng = np.random.default_rng(0)
    first, second = np.array([[1.0, 0.4], [0.4, 0.5]]), np.array([[0.5, -0.3], [-0.3, 2.0]])
    share, n = 0.4, 1500
    clouds = [rng.multivariate_normal(mean, cov, size=n) for mean, cov in (([0, 0], first), ([3, 1], second))]
    root = sqrtm(first)
    back = np.linalg.inv(root)
    step = (1 - share) * np.eye(2) + share * back @ sqrtm(root @ second @ root) @ back
    found = displaced(*clouds, share)
    assert found.mean(axis=0) == pytest.approx(share * np.array([3.0, 1.0]), abs=0.1)
    assert np.cov(found.T) == pytest.approx(step @ first @ step, abs=0.12)
    mixture = (1 - share) * first + share * second + share * (1 - share) * np.outer([3, 1], [3, 1])
    assert abs(np.cov(found.T) - mixture).max() > 1.0


def test_a_population_has_the_predicted_mean_and_takes_every_cell_alike():
    data = screen([condition("G0", 24), condition("G0", 72)], np.array([[5.0, 6.0, 7.0], [7.0, 2.0, 7.0]]))
    fitted = fit_baseline("OT interpolation", data)
    asked = condition("G0", 36)
    population = fitted.population(asked, n_cells=2 * N_CELLS, rng=np.random.default_rng(0))
    mean = fitted.predict_conditions([asked]).mean[0]
    assert population.mean(axis=0) == pytest.approx(mean)
    assert mean == pytest.approx(0.75 * data.mean[0] + 0.25 * data.mean[1])


def test_cells_begin_as_stationary_unedited_ones_and_persist_after_the_last_harvest():
    data = screen([condition("control", 48), condition("G0", 48)], np.array([[4.0, 4.0], [0.0, 6.0]]))
    predicted = fit_baseline("OT interpolation", data).predict_conditions([condition("G0", t) for t in (12, 48, 99)])
    expected = [0.75 * data.mean[0] + 0.25 * data.mean[1], data.mean[1], data.mean[1]]
    assert predicted.mean == pytest.approx(np.array(expected))


def test_differentiating_cells_have_no_harvest_at_time_zero():
    data = screen(
        [condition("control", 48), condition("G0", 48)], np.array([[4.0, 4.0], [0.0, 6.0]]), differentiating=True
    )
    predicted = fit_baseline("OT interpolation", data).predict_conditions([condition("G0", 12)])
    assert predicted.mean[0] == pytest.approx(data.mean[1])


def test_unseen_edits_are_unedited_cells_of_the_same_time_and_medium():
    conditions = [condition("control", t, medium="M") for t in (24, 72)] + [condition("G0", 24, medium="M")]
    data = screen(conditions, np.array([[1.0, 2.0], [3.0, 2.0], [9.0, 9.0]]), media=("M",))
    fitted = fit_baseline("OT interpolation", data)
    predicted = fitted.predict_conditions([condition("G1", 48, medium="M"), condition("control", 48, medium="M")])
    assert predicted.mean == pytest.approx(np.tile(data.mean[:2].mean(axis=0), (2, 1)))


def test_stationary_controls_are_pooled_over_times():
    data = screen([condition("control", t) for t in (24, 72)] + [condition("G0", 24)], np.eye(3))
    predicted = fit_baseline("OT interpolation", data).predict_conditions([condition("G1", 24)])
    assert predicted.mean[0] == pytest.approx(data.mean[:2].mean(axis=0))


def test_a_later_period_begins_at_the_harvest_before_it():
    course = "edit G0 > wait 24h > harvest before > medium M > wait 24h > harvest after"
    harvested = parse_experiment(course).conditions
    data = screen(list(harvested.values()), np.array([[0.0, 1.0], [4.0, 1.0]]), media=("M",))
    asked = parse_experiment("edit G0 > wait 24h > medium M > wait 6h > harvest").conditions["harvest"]
    predicted = fit_baseline("OT interpolation", data).predict_conditions([asked])
    assert predicted.mean[0] == pytest.approx(0.75 * data.mean[0] + 0.25 * data.mean[1])


def test_one_step_ahead_adds_the_predicted_step_to_the_observation():
    data = screen([condition("G0", 24), condition("G0", 72)], np.array([[5.0, 6.0], [7.0, 2.0]]))
    observed = data.mean[:1] + 0.5
    later = fit_baseline("OT interpolation", data).advance(observed, [condition("G0", 24)], [condition("G0", 48)])
    assert later == pytest.approx(observed + 0.5 * (data.mean[1] - data.mean[0]))


def test_it_is_among_the_baselines_where_there_are_cells_and_only_there():
    data = screen([condition("control", 24), condition("G0", 24)], np.array([[4.0, 4.0], [0.0, 6.0]]))
    assert "OT interpolation" in {b.name for b in fit_baselines(data)}
    assert "OT interpolation" not in {b.name for b in fit_baselines(replace(data, cells=None))}
    with pytest.raises(DataError, match="single cells"):
        fit_baseline("OT interpolation", replace(data, cells=None))


def test_media_without_unedited_cells_are_refused_for_unseen_edits():
    data = screen([condition("G0", 24, medium="M"), condition("G1", 24)], np.ones((2, 2)), media=("M",))
    with pytest.raises(DataError, match="never harvested"):
        fit_baseline("OT interpolation", data).predict_conditions([condition("G2", 24, medium="M")])
