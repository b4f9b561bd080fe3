from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from small_data import condition, dataset
from small_fits import N_GENES, TIMES, UNIT, asked, control_moments, linear_conditions, linear_data

from semimech._errors import ConfigError, DataError
from semimech.data import ControlMoments, Dataset
from semimech.data.dataset import Cells
from semimech.data.scale import log1p_scale
from semimech.fit.problem import check_strength, data_weight, edited_genes, lyapunov_step, make_problem, make_roster
from semimech.model import Roster


def problem(data: Dataset):
    return make_problem(data, make_roster(data), None, seed=0)


def test_edited_genes_that_are_not_measured_become_targets(data):
    assert make_roster(data) == Roster(genes=data.genes, targets=("X",), media=("M",))
    assert make_roster(data, data.conditions[:3]).targets == ()


def test_the_unit_of_each_gene_is_its_state_in_unedited_cells(data):
    np.testing.assert_allclose(problem(data).unit, UNIT, rtol=1e-5)


def test_the_unit_is_the_state_whatever_the_scale_of_observation():
    mean = np.log1p(np.stack([UNIT, 2 * UNIT]))
    logged = dataset([condition("control", 24), condition("G0", 24)], mean, scale=log1p_scale())
    np.testing.assert_allclose(problem(logged).unit, UNIT, rtol=1e-2)


def test_a_gene_that_is_silent_in_unedited_cells_has_a_unit_above_nothing():
    mean = np.array([[0.0, 10.0, 10.0], [3.0, 10.0, 10.0]])
    assert problem(dataset([condition("control", 24), condition("G1", 24)], mean)).unit[0] == pytest.approx(0.2)


def test_all_genes_silent_have_the_unit_one():
    assert (problem(dataset([condition("control", 24), condition("G0", 24)], np.zeros((2, 3)))).unit == 1.0).all()


def test_targets_and_weights_are_zero_in_the_padding(data):
    compiled, n = problem(data), len(data.conditions)
    assert len(compiled.target) == compiled.plan.n_rows > n
    np.testing.assert_allclose(compiled.target[:n], data.mean, rtol=1e-6)
    assert not compiled.target[n:].any()
    assert not compiled.weight[n:].any()


def test_weights_are_inverse_variances_that_average_one(data):
    weight = data_weight(data)
    assert weight.mean() == pytest.approx(1.0)
    variance = data.standard_error**2 + np.mean((data.mean - data.mean.mean(axis=0)) ** 2)
    np.testing.assert_allclose(weight * variance, (weight * variance)[0, 0])


def test_one_replicate_among_two_is_as_noisy_as_one_of_the_others():
    mean = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 0.0]])
    error = np.array([[0.3, 0.2], [0.5, 0.2], [np.nan, np.nan]])
    names = ("control", "G0", "G1")
    data = dataset([condition(name, 1) for name in names], mean, standard_error=error)
    data = replace(data, n_cells=np.array([2, 2, 1]))
    one_replicate = [np.median([2 * 0.09, 2 * 0.25]), 2 * 0.04]
    expected = 1 / (np.vstack([error[:2] ** 2, one_replicate]) + np.mean((mean - mean.mean(axis=0)) ** 2))
    np.testing.assert_allclose(data_weight(data), expected / expected.mean())
    assert (data_weight(data)[2] < data_weight(data)[:2]).all()


def test_without_any_standard_error_all_weights_are_one():
    mean = np.array([[1.0, 2.0], [2.0, 1.0]])
    weight = data_weight(dataset([condition("control", 1), condition("G0", 1)], mean, standard_error=np.nan))
    np.testing.assert_allclose(weight, 1.0)


def test_no_change_is_the_weighted_error_of_matched_controls_beside_the_edited_genes():
    mean = np.array([[10.0, 10.0], [1.0, 12.0], [14.0, 2.0]])
    compiled = problem(dataset([condition(name, 24) for name in ("control", "G0", "G1")], mean, standard_error=0.0))
    assert float(compiled.no_change) == pytest.approx((2.0**2 + 4.0**2) / 2)


def test_edited_genes_are_marked_where_they_are_measured():
    data = dataset([condition(name, 24) for name in ("control", "G1", "G0+G2", "X")], np.ones((4, 3)))
    np.testing.assert_array_equal(edited_genes(data), [[0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]])


def test_a_gene_reaches_as_far_as_it_moves_in_conditions_that_do_not_edit_it():
    mean = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.5, 1.5, 4.0], [1.5, 9.0, 0.5, 4.0]])
    compiled = problem(dataset([condition(name, 24) for name in ("control", "G0", "G1")], mean))
    # root mean squared departures over control and the conditions that edit other genes: .35, .35, .41 and 2.4
    size = np.sqrt([0.25 / 2, 0.25 / 2, 0.5 / 3, 18.0 / 3])
    np.testing.assert_allclose(compiled.reach, size / np.median(size), rtol=1e-5)
    free = np.isfinite(compiled.price)
    np.testing.assert_allclose(compiled.price[free], np.broadcast_to(1 / compiled.reach[:, None], free.shape)[free])


def test_production_is_expected_to_rise_twice_as_far_as_was_seen():
    mean = np.array([[1.0, 1.0, 1.0], [9.0, 1.6, 0.4]])
    compiled = problem(dataset([condition(name, 24) for name in ("control", "G0")], mean))
    np.testing.assert_allclose(compiled.headroom, [0.3, 1.2, 0.3], rtol=1e-5)  # never below 0.3


def test_noisy_variances_make_covariances_less_precise():
    covariance, noisy = np.array([[0.1, 0.02], [0.02, 0.2]]), np.array([0.3, 0.0])
    moments = ControlMoments(covariance=covariance, noise=noisy, n_cells=100)
    data = dataset([condition(name, 24) for name in ("control", "G0")], np.ones((2, 2)), control_moments=moments)
    np.testing.assert_allclose(problem(data).controls.precision, 1 / np.outer([0.4, 0.2], [0.4, 0.2]), rtol=1e-6)


def test_controls_of_bulk_data_are_the_rows_of_unedited_cells_in_maintenance_medium(data):
    controls = problem(data).controls
    np.testing.assert_allclose(controls.points, np.ones((len(TIMES), N_GENES)), rtol=1e-5)
    assert controls.covariance.size == 0
    assert not controls.context.medium.any()
    assert (controls.context.activity == 1).all()


def test_controls_of_single_cells_are_unedited_cells_relative_to_their_mean():
    rng = np.random.default_rng(0)
    linear = rng.uniform(5, 15, size=(40, 3))
    cells = Cells(values=sp.csr_matrix(np.log1p(linear)), condition=np.repeat([0, 1], 20), batch=np.zeros(40, int))
    covariance = np.diag([0.1, 0.2, 0.3])
    data = dataset(
        [condition("control", 24), condition("G0", 24)],
        np.log1p(linear).reshape(2, 20, 3).mean(axis=1),
        scale=log1p_scale(),
        cells=cells,
        control_moments=control_moments(covariance),
    )
    controls = problem(data).controls
    unedited = linear[:20] / linear[:20].mean(axis=0)
    np.testing.assert_allclose(np.sort(controls.points, axis=0), np.sort(unedited, axis=0), rtol=1e-5)
    np.testing.assert_allclose(controls.covariance, covariance, rtol=1e-6)


def test_nothing_is_stationary_and_the_start_unknown_where_unedited_cells_differentiate(data, world):
    assert problem(data).is_start_known
    wandering = problem(linear_data(world, differentiating=True))
    assert not wandering.is_start_known
    assert wandering.controls is None


def test_without_controls_the_unit_is_the_mean_of_all_and_the_start_unknown(world):
    edited = linear_data(world, conditions=[asked(f"G{i}", 12.0) for i in range(3)])
    compiled = problem(edited)
    np.testing.assert_allclose(compiled.unit, edited.mean.mean(axis=0), rtol=1e-5)
    assert not compiled.is_start_known
    assert compiled.controls is None


@pytest.mark.parametrize("strength", ["none", "point", "mean"])
def test_steady_state_losses_are_allowed_on_stationary_controls(data, strength):
    check_strength(data, strength)


def test_moment_is_allowed_with_second_moments(world):
    check_strength(linear_data(world, control_moments=control_moments(np.eye(N_GENES))), "moment")


@pytest.mark.parametrize("strength", ["point", "mean", "moment"])
@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"is_differentiating": True}, "declared differentiating, so unedited cells are not stationary"),
        ({"environment": "in-vivo"}, "declared in-vivo, and transplantation breaks the stationarity of unedited cells"),
    ],
)
def test_a_steady_state_loss_on_cells_that_move_is_an_error_that_says_why(world, strength, declared, why):
    data = linear_data(world, control_moments=control_moments(np.eye(N_GENES)))
    moving = replace(data, system=replace(data.system, **declared))
    check_strength(data, strength)
    with pytest.raises(ConfigError, match=why):
        check_strength(moving, strength)
    compiled = problem(moving)
    assert compiled.controls is None and not compiled.is_start_known


def founded(world, **declared):
    """The linear data with the founders at time 0, at twice the level of the controls that follow."""
    conditions = [asked("control", 0.0, medium="M"), *linear_conditions()]
    data = linear_data(world, conditions=conditions)
    mean = data.mean.copy()
    mean[0] = 2.0 * data.mean[1]
    return replace(data, mean=mean, system=replace(data.system, **declared))


@pytest.mark.parametrize(
    ("declared", "is_known", "start"),
    [
        ({}, True, 1.0),
        ({"start": "learned"}, False, 2.0),
        ({"start": "observed"}, True, 2.0),
        ({"is_differentiating": True}, False, 2.0),
        ({"is_differentiating": True, "start": "observed"}, True, 2.0),
        ({"environment": "in-vivo", "start": "observed"}, True, 2.0),
    ],
)
def test_experiments_start_as_the_system_declares(world, declared, is_known, start):
    compiled = problem(founded(world, **declared))
    assert compiled.is_start_known == is_known
    np.testing.assert_allclose(compiled.start, np.full(N_GENES, start), rtol=1e-5)
    assert (compiled.controls is None) == ("is_differentiating" in declared or "environment" in declared)


def test_a_start_declared_observed_that_was_not_is_an_error(world):
    data = linear_data(world)
    with pytest.raises(DataError, match="needs unedited cells harvested at time 0; there are none"):
        problem(replace(data, system=replace(data.system, start="observed")))


def test_every_reason_against_a_steady_state_loss_is_named(world):
    edited = linear_data(world, conditions=[asked("G0", 12.0), asked("G1", 12.0)], differentiating=True)
    check_strength(edited, "none")
    with pytest.raises(ConfigError) as error:
        check_strength(edited, "moment")
    message = str(error.value)
    assert message.startswith("steady-state loss 'moment': 2 faults")
    assert "declared differentiating" in message
    assert "no unedited cells in the maintenance medium" in message
    assert message.count("use 'none'") == 2


def test_controls_in_another_medium_are_no_stationary_controls(world):
    moved = linear_data(world, conditions=[asked("control", 12.0, medium="M"), asked("G1", 12.0)])
    with pytest.raises(ConfigError, match="no unedited cells in the maintenance medium"):
        check_strength(moved, "point")


def test_the_lyapunov_step_follows_the_time_constant():
    assert lyapunov_step(16.0) == 2 * lyapunov_step(8.0)
    assert lyapunov_step(np.log(2.0)) == pytest.approx(0.8)
