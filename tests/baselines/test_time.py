from __future__ import annotations

import numpy as np
import pytest
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.baselines import fit_baseline

CONTROL = np.array([5.0, 6.0, 7.0])
SLOPE = {"G0": np.array([-0.05, 0.02, 0.01]), "G1": np.array([0.03, -0.05, 0.0])}


def course(hours, shape=lambda t: t):
    conditions = [condition("control", t) for t in hours] + [condition(g, t) for g in SLOPE for t in hours]
    means = [CONTROL] * len(hours) + [CONTROL + SLOPE[g] * shape(t) for g in SLOPE for t in hours]
    return dataset(conditions, np.array(means))


@pytest.mark.parametrize("hours", [6.0, 24.0, 36.0, 48.0])
def test_time_interpolation_is_exact_for_changes_linear_in_time(hours):
    predicted = fit_baseline("time interpolation", course([24.0, 48.0])).predict_conditions([condition("G0", hours)])
    assert predicted.mean[0] == pytest.approx(CONTROL + SLOPE["G0"] * hours)


def test_time_interpolation_persists_beyond_the_last_harvest():
    predicted = fit_baseline("time interpolation", course([24.0, 48.0])).predict_conditions([condition("G0", 90)])
    assert predicted.mean[0] == pytest.approx(CONTROL + SLOPE["G0"] * 48)


def test_persistence_takes_the_latest_harvest_not_later_than_asked():
    persistence = fit_baseline("persistence", course([24.0, 48.0, 72.0]))
    predicted = persistence.predict_conditions([condition("G0", 60), condition("G1", 100)]).mean
    assert predicted == pytest.approx(np.stack([CONTROL + SLOPE["G0"] * 48, CONTROL + SLOPE["G1"] * 72]))


def test_a_trend_linear_in_time_is_followed_without_damping():
    trend = fit_baseline("time trend", course([24.0, 48.0]))
    assert trend.damping == pytest.approx(1.0)
    assert trend.predict_conditions([condition("G0", 72)]).mean[0] == pytest.approx(CONTROL + SLOPE["G0"] * 72)


def test_a_trend_that_halves_each_day_is_followed_at_half_its_pace():
    trend = fit_baseline("time trend", course([24.0, 48.0, 72.0], lambda t: 24 * (2 - 2 * 0.5 ** (t / 24))))
    assert trend.damping == pytest.approx(0.5)
    exact = CONTROL + SLOPE["G0"] * 24 * (2 - 2 * 0.5**4)
    assert trend.predict_conditions([condition("G0", 96)]).mean[0] == pytest.approx(exact)


@pytest.mark.parametrize("name", ["persistence", "time interpolation", "time trend"])
def test_time_baselines_refuse_edits_that_were_never_harvested(name):
    with pytest.raises(DataError, match="G2.*training has not"):
        fit_baseline(name, course([24.0, 48.0])).predict_conditions([condition("G2", 48)])


def test_a_trend_needs_three_points_of_one_edit():
    data = dataset([condition("G0", t) for t in (24, 48)], np.ones((2, 3)))
    with pytest.raises(DataError, match="three harvests"):
        fit_baseline("time trend", data)


def test_persistence_one_step_ahead_is_the_observation_where_controls_stand_still():
    observed = np.array([[1.0, 2.0, 3.0]])
    later = fit_baseline("persistence", course([24.0])).advance(observed, [condition("G2", 24)], [condition("G2", 48)])
    assert later == pytest.approx(observed)


def test_persistence_one_step_ahead_moves_with_differentiating_controls():
    names = [("control", 24), ("control", 48), ("G0", 24)]
    data = dataset(
        [condition(p, t) for p, t in names], np.array([[1.0], [3.0], [2.0]]) * np.ones(3), differentiating=True
    )
    later = fit_baseline("persistence", data).advance(
        np.full((1, 3), 2.0), [condition("G0", 24)], [condition("G0", 48)]
    )
    assert later == pytest.approx(np.full((1, 3), 4.0))


def test_one_step_ahead_adds_the_predicted_step_to_the_observation():
    interpolation = fit_baseline("time interpolation", course([24.0, 48.0]))
    observed = (CONTROL + SLOPE["G0"] * 24 + 0.5)[None]
    later = interpolation.advance(observed, [condition("G0", 24)], [condition("G0", 36)])
    assert later[0] == pytest.approx(observed[0] + SLOPE["G0"] * 12)
