"""Facts about what is saved, on learning curves that are power laws."""

from __future__ import annotations

import numpy as np
import pytest

from semimech import ConfigError
from semimech.design import Prices, edits_needed, saving, sensitivity

SIZES = np.array([10.0, 20.0, 40.0])


def test_a_method_of_less_error_saves_what_the_power_law_says():
    curve = SIZES**-0.5
    errors = np.repeat(curve[:, None], 12, axis=1)
    prices = Prices(edit=100.0, harvest=10.0, cell=0.5, cells=20, week=1000.0)
    found = saving(SIZES, 0.7 * errors, errors, prices, conditions_per_edit=2.0, edits_per_week=10.0)
    assert found.needed == pytest.approx(
        40 / 0.49, rel=0.1
    )  # e ~ n^-1/2: .7 of the error takes 1 / .49 times the edits
    assert found.share == pytest.approx(0.51, abs=0.03) and found.lower < 0.51 < found.upper
    assert found.share == pytest.approx(1 - 40 / found.needed) and found.can_be_told
    saved = found.needed - 40
    assert found.experiments == pytest.approx(2 * saved) and found.cells == pytest.approx(40 * saved)
    assert found.weeks == pytest.approx(saved / 10)
    assert found.money == pytest.approx(saved * (100 + 2 * (10 + 10)) + saved / 10 * 1000)


@pytest.mark.parametrize("ratio", [0.9, 0.7])
@pytest.mark.parametrize("fall", [1e-4, 0.02])
def test_a_curve_that_hardly_falls_gives_a_lower_bound_and_no_money(ratio, fall):
    """From 8 to 16 edits the other falls by a ten thousandth, or a fiftieth: its slope times any number of edits is an invention."""
    sizes = np.array([8.0, 16.0])
    errors = np.repeat(np.array([[1.0], [1.0 - fall]]), 12, axis=1)
    found = saving(sizes, ratio * errors, errors, Prices(edit=100.0))
    assert found.is_far and not found.can_be_told and found.share == found.upper == 0.75
    assert np.isnan([found.experiments, found.cells, found.money, found.weeks]).all()
    assert sensitivity(found, Prices(edit=100.0))[["half", "given", "double"]].isna().all(axis=None)


def test_without_a_third_size_the_form_is_not_known_and_both_are_followed():
    """From 1 at 10 to 1/2 at 20, a quarter is reached at 40 by a power law and at 30 by an exponential."""
    sizes, errors = np.array([10.0, 20.0]), np.repeat(np.array([[1.0], [0.5]]), 8, axis=1)
    assert edits_needed(sizes, errors[:, 0], 0.25) == pytest.approx(40.0)
    assert edits_needed(sizes, errors[:, 0], 0.25, form="exponential") == pytest.approx(30.0)
    assert saving(sizes, errors / 2, errors, Prices()).needed == pytest.approx((40.0 * 30.0) ** 0.5)


def test_money_saved_moves_with_each_price_as_far_as_that_price_counts():
    """An edit costs 100, 2 x 10 for harvests, 2 x 20 x 0.5 for cells and a tenth of a week of 1,000: 240."""
    curve = SIZES**-0.5
    errors = np.repeat(curve[:, None], 12, axis=1)
    prices = Prices(edit=100.0, harvest=10.0, cell=0.5, cells=20, week=1000.0)
    found = saving(SIZES, 0.7 * errors, errors, prices, conditions_per_edit=2.0)
    table = sensitivity(found, prices, conditions_per_edit=2.0).set_index("price")
    saved = found.needed - 40.0
    assert table["given"].to_numpy() == pytest.approx(240.0 * saved)
    for name, part in {"edit": 100.0, "harvest": 20.0, "cell": 20.0, "week": 100.0}.items():
        assert table.loc[name, "half"] == pytest.approx((240.0 - part / 2) * saved)
        assert table.loc[name, "double"] == pytest.approx((240.0 + part) * saved)
    assert table["lower"].to_numpy() == pytest.approx(240.0 * (found.needed_lower - 40.0))
    assert table["upper"].to_numpy() == pytest.approx(240.0 * (found.needed_upper - 40.0))


def test_where_less_than_half_the_edits_do_money_is_that_of_the_edits_and_not_of_a_share_that_stops():
    """What the other has at 10 of its 30 edits saves nothing, and costs 20 edits."""
    sizes = np.array([10.0, 20.0, 30.0])
    errors = np.repeat(np.exp(-sizes / 10.0)[:, None], 12, axis=1)
    found = saving(sizes, errors * np.exp(2.0), errors, Prices(edit=100.0))  # as the other has it at 10
    table = sensitivity(found, Prices(edit=100.0))
    assert found.share == -1.0 and found.needed == pytest.approx(10.0, rel=0.1)
    assert table["given"].to_numpy() == pytest.approx(found.money) and found.money == pytest.approx(-2000.0, rel=0.1)


def test_curves_that_stray_from_their_law_are_believed_less():
    curve = np.repeat((SIZES**-0.5)[:, None], 12, axis=1)
    bent = curve * np.array([1.0, 1.3, 1.0])[:, None]
    found = [saving(SIZES, curve / 2, each, Prices()) for each in (curve, bent)]
    width = [SIZES[-1] / f.needed_lower - SIZES[-1] / f.needed_upper for f in found]
    assert width[1] > 1.5 * width[0] > 0.0


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
