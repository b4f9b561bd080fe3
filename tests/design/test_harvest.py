from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from semimech import ConfigError
from semimech.design import Response, best_harvest, half_life_harvests, harvest_table, harvest_window


@pytest.mark.parametrize("turnover", [0.0, 5.0, 12 / np.log(2), 30.0])
def test_the_share_of_a_change_is_that_of_the_integrated_law(turnover):
    response = Response(fold_change=0.2, half_life_hours=12.0, turnover_hours=turnover, onset_hours=6.0)
    times = np.array([3.0, 10.0, 30.0, 80.0])

    def law(t, y):
        production = 1.0
        if t >= 6:
            production = 0.2 + 0.8 * (np.exp(-(t - 6) / turnover) if turnover else 0.0)
        return response.rate * (production - y)

    found = solve_ivp(law, (0, 80), [1.0], t_eval=times, max_step=0.1, rtol=1e-8).y[0]
    np.testing.assert_allclose(np.exp(response.log_change(times)), found, atol=2e-3)


def test_power_is_that_of_draws_and_cells_make_up_for_an_early_harvest():
    response = Response(fold_change=0.5, half_life_hours=24.0, loss_hours=100.0)
    row = harvest_table(response, [24.0], standard_error=0.15).iloc[0]
    assert row["log_fold_change"] == pytest.approx(np.log(0.75))  # half of a fall to a half
    error = 0.15 * 2 ** (24 / 200)
    drawn = np.random.default_rng(0).normal(np.log(0.75), error, 400_000)
    assert row["power"] == pytest.approx(np.mean(np.abs(drawn) > 1.959964 * error), abs=4e-3)
    assert row["cells_factor"] == pytest.approx((np.log(0.5) / np.log(0.75)) ** 2 * 2 ** (24 / 100))


def test_the_best_harvest_is_where_the_slopes_of_change_and_loss_meet():
    response = Response(fold_change=0.3, half_life_hours=20.0, loss_hours=60.0)
    best = best_harvest(response)
    step = 1e-4
    slope = np.diff(np.log(np.abs(response.log_change(np.array([best - step, best + step])))))[0] / (2 * step)
    assert slope == pytest.approx(np.log(2) / 120, rel=1e-3)
    assert best_harvest(Response(fold_change=0.3, half_life_hours=20.0)) == np.inf


@pytest.mark.parametrize(("half_life", "loss"), [(240.0, 1.0), (24.0, 0.05)])
def test_where_cells_die_long_before_the_change_is_there_the_best_harvest_depends_on_the_loss_alone(half_life, loss):
    best = best_harvest(Response(fold_change=0.5, half_life_hours=half_life, loss_hours=loss))
    assert best == pytest.approx(2 * loss / np.log(2), rel=5e-3)  # largest t 2^(-t / 2h)


def test_the_window_of_harvests_has_just_the_power_at_both_ends_more_within_and_less_outside():
    lasting = Response(fold_change=0.5, half_life_hours=24.0)
    first, last = harvest_window(lasting, standard_error=0.1, power=0.9)
    assert harvest_table(lasting, [first], standard_error=0.1)["power"].iloc[0] == pytest.approx(0.9)
    assert last == np.inf
    assert np.isnan(harvest_window(lasting, standard_error=0.5, power=0.9)).all()
    dying = Response(fold_change=0.5, half_life_hours=24.0, loss_hours=24.0)
    first, last = harvest_window(dying, standard_error=0.08)
    power = harvest_table(dying, [first, last, 1.01 * first, 0.99 * last], standard_error=0.08)["power"]
    assert power[:2].tolist() == pytest.approx([0.8, 0.8]) and (power[2:] > 0.8).all()
    assert (harvest_table(dying, [0.99 * first, 1.01 * last, 5 * last], standard_error=0.08)["power"] < 0.8).all()
    none_left = harvest_table(dying, [1e5], standard_error=0.08).iloc[0]
    assert none_left["power"] == pytest.approx(0.05) and none_left["cells_factor"] == np.inf


def test_two_harvests_for_a_half_life_make_the_information_largest():
    response, last = Response(fold_change=0.5, half_life_hours=16.0, onset_hours=2.0), 50.0

    def lost(times):
        t = np.asarray(times) - 2.0
        slopes = np.stack([1 - np.exp(-response.rate * t), t * np.exp(-response.rate * t)])
        return -np.linalg.det(slopes @ slopes.T)

    found = minimize(lost, [8.0, 40.0], bounds=[(2, last)] * 2, method="L-BFGS-B").x
    assert half_life_harvests(response, last) == pytest.approx(sorted(found), rel=1e-2)


def test_every_impossible_response_is_named_at_once():
    with pytest.raises(ConfigError, match=r"(?s)not 1, got 1.*half-life must be above 0.*turnover_hours.*loss_hours"):
        Response(fold_change=1.0, half_life_hours=0.0, turnover_hours=-1.0, loss_hours=0.0)
    slow = Response(fold_change=0.5, half_life_hours=5.0, turnover_hours=3.0, onset_hours=9.0)
    with pytest.raises(ConfigError, match=r"(?s)acts at once.*must be after the onset"):
        half_life_harvests(slow, 9.0)
    dying = Response(fold_change=0.5, half_life_hours=5.0, loss_hours=9.0)
    with pytest.raises(ConfigError, match="leave loss_hours out"):
        half_life_harvests(dying, 48.0)
    with pytest.raises(ConfigError, match=r"(?s)power must lie between alpha \(0.05\).*standard error must be above 0"):
        harvest_window(dying, standard_error=0.0, power=0.05)
    with pytest.raises(ConfigError, match=r"(?s)finite hours, got inf.*alpha must lie between 0 and 1"):
        harvest_table(dying, [np.inf], standard_error=0.1, alpha=1.0)


def test_the_early_harvest_of_very_many_half_lives_is_one_time_constant_after_the_onset():
    response = Response(fold_change=0.5, half_life_hours=1.0, onset_hours=3.0)
    assert half_life_harvests(response, 5000.0) == pytest.approx((3 + 1 / np.log(2), 5000.0))
