"""Facts about what is saved, on learning curves that are power laws."""

from __future__ import annotations

import numpy as np
import pytest

from semimech import ConfigError
from semimech.design import Prices, edits_needed, saving

SIZES = np.array([10.0, 20.0, 40.0])


def test_a_method_of_half_the_error_saves_what_the_power_law_says():
    curve = SIZES**-0.5
    errors = np.repeat(curve[:, None], 12, axis=1)
    prices = Prices(edit=100.0, harvest=10.0, cell=0.5, cells=20, week=1000.0)
    found = saving(SIZES, errors / 2, errors, prices, conditions_per_edit=2.0, edits_per_week=10.0)
    assert found.needed == pytest.approx(160.0)  # e ~ n^-1/2: half the error takes four times the edits
    assert found.share == pytest.approx(0.75) and found.lower == pytest.approx(0.75)
    assert found.experiments == pytest.approx(240.0) and found.cells == pytest.approx(4800.0)
    assert found.weeks == pytest.approx(12.0)
    assert found.money == pytest.approx(120 * (100 + 2 * (10 + 10)) + 12 * 1000)


def test_the_worse_method_saves_less_than_nothing():
    errors = np.repeat((SIZES**-0.5)[:, None], 12, axis=1)
    assert saving(SIZES, errors * 2, errors, Prices()).share < 0


def test_an_error_that_a_flat_curve_never_reaches_takes_more_than_can_be_followed():
    assert edits_needed(SIZES, np.ones(3), 0.5) == pytest.approx(1000 * SIZES[-1])
    assert edits_needed(SIZES, 3 / SIZES, 3 / 25) == pytest.approx(25.0)


def test_intervals_hold_the_true_saving_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        edit = rng.lognormal(sigma=0.7, size=40)
        noise = rng.lognormal(sigma=0.3, mean=-0.045, size=(2, 2, 40))
        other = (SIZES[:2] ** -0.5)[:, None] * edit * noise[0]
        found = saving(SIZES[:2], 0.7 * (SIZES[:2] ** -0.5)[:, None] * edit * noise[1], other, Prices(), n_draws=300)
        held += found.lower <= 1 - 0.7**2 <= found.upper
    assert 45 <= held <= 60  # 54 are expected; the chance of fewer than 45 is below one in a thousand


def test_what_tells_no_saving_is_an_error_in_words():
    with pytest.raises(ConfigError, match="3 faults"):
        saving(np.array([10.0]), np.ones((1, 1)), np.ones((1, 1)), Prices(), edits_per_week=0.0)
