from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from semimech import ConfigError
from semimech.design import Response, best_harvest, earliest_harvest, half_life_harvests, harvest_table


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


def test_the_earliest_harvest_has_just_the_power_and_one_that_never_has_it_is_infinite():
    response = Response(fold_change=0.5, half_life_hours=24.0)
    hours = earliest_harvest(response, standard_error=0.1, power=0.9)
    assert harvest_table(response, [hours], standard_error=0.1)["power"].iloc[0] == pytest.approx(0.9)
    assert earliest_harvest(response, standard_error=0.5, power=0.9) == np.inf


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
