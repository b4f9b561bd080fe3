from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from small_data import condition, dataset

from semimech.baselines.effects import Effects
from semimech.baselines.interpolate import hours_edited, time_weights
from semimech.experiment import parse_experiment

TIMES = st.lists(st.floats(0.5, 1e3) | st.just(math.inf), min_size=1, max_size=6)


@hypothesis.given(TIMES, st.floats(0, 2e3) | st.just(math.inf), st.booleans())
def test_time_weights_are_a_share_of_one(times, hours, from_zero):
    weights = time_weights(np.array(times), hours, from_zero=from_zero)
    assert (weights >= 0).all()
    assert weights.sum() <= 1 + 1e-9
    finite = [t for t in times if math.isfinite(t)]
    if not from_zero or not finite or hours >= min(finite):
        assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("hours", [12.0, 24.0, 30.0, 48.0, 60.0, 72.0])
def test_interpolation_is_exact_for_values_linear_in_time(hours):
    times = np.array([72.0, 24.0, 48.0, 24.0])
    assert time_weights(times, hours, from_zero=True) @ (3.0 * times) == pytest.approx(3.0 * hours)


def test_the_last_harvest_persists_and_the_settled_state_is_kept_for_settled_cells():
    times = np.array([24.0, 48.0, np.inf])
    assert list(time_weights(times, 100.0, from_zero=True)) == [0, 1, 0]
    assert list(time_weights(times, np.inf, from_zero=True)) == [0, 0, 1]
    assert list(time_weights(times[:2], np.inf, from_zero=True)) == [0, 1]
    assert list(time_weights(times[2:], 5.0, from_zero=True)) == [1]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("wait 24h > edit A > wait 48h > harvest", 48),
        ("edit A > wait 24h > medium M > wait 48h > edit B > wait 6h > harvest", 78),
        ("wait 24h > edit A > harvest", 0),
        ("wait 24h > harvest", 0),
        ("edit A > wait settled > harvest", math.inf),
    ],
)
def test_time_is_counted_from_the_first_edit(text, hours):
    assert hours_edited(parse_experiment(text).conditions["harvest"]) == hours


def test_an_effect_missing_in_a_medium_is_the_mean_over_the_other_media():
    names = [("control", None), ("control", "M"), ("control", "N"), ("G0", "M"), ("G0", "N"), ("G1", None)]
    mean = np.array([[5.0], [6.0], [7.0], [8.0], [11.0], [4.0]]) * np.ones(3)
    effects = Effects(dataset([condition(p, 24, medium=m) for p, m in names], mean, media=("M", "N")))
    edits = condition("G0", 24).edits
    assert effects.effect(edits, (None,), 24.0) == pytest.approx([3.0] * 3)
    assert effects.effect(edits, ("M",), 24.0) == pytest.approx([2.0] * 3)
    assert [e[0].gene for e in effects.table(("M",), 24.0)[0]] == ["G0"]


def test_leaving_rows_out_leaves_the_other_edits_as_they_were():
    names = ["control", "G0", "G1", "G0+G1"]
    effects = Effects(dataset([condition(p, 24) for p in names], np.arange(12.0).reshape(4, 3)))
    kept = effects.without(np.array([1]))
    assert [c.perturbation for c in kept.conditions] == ["G0", "G0+G1"]
    assert kept.change == pytest.approx(effects.change[[0, 2]])


def test_without_controls_changes_are_against_the_mean_of_all_rows():
    effects = Effects(dataset([condition(p, 24) for p in ("G0", "G1")], np.array([[1.0, 2.0], [3.0, 6.0]])))
    assert effects.change == pytest.approx(np.array([[-1.0, -2.0], [1.0, 2.0]]))
    assert effects.effect(condition("G0", 24).edits, (None,), 12.0) == pytest.approx([-1.0, -2.0])
