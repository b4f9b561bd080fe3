"""Times, numbers and lists as people write them."""

from __future__ import annotations

import math

import pytest

from semimech.report.words import counted, listed, measure, number, split_name, time_name


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0.0, "start"), (6.0, "6 h"), (24.0, "day 1"), (36.0, "36 h"), (96.0, "day 4"), (math.inf, "settled")],
)
def test_whole_days_are_called_days_and_the_rest_hours(hours, words):
    assert time_name(hours) == words


@pytest.mark.parametrize("value", [0.000123, 0.0456, 0.999, 1.234, 56.78, 999.4])
def test_three_figures_hold_a_number_to_half_a_percent(value):
    assert float(number(value)) == pytest.approx(value, rel=0.005)


def test_numbers_use_a_minus_sign_a_separator_and_a_dash_for_nothing():
    assert [number(v) for v in (-0.5, 12345.0, 0.0, math.nan)] == ["−0.500", "12,345", "0", "–"]


def test_lists_end_in_and():
    assert [listed(names) for names in ([], ["A"], ["A", "B"], ["A", "B", "C"])] == ["", "A", "A and B", "A, B and C"]


def test_errors_are_better_low_and_correlations_high():
    assert [measure(m).is_error for m in ("mse", "wmse", "energy", "pearson_control", "rank", "direction")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_split_that_is_not_known_keeps_its_name():
    assert (split_name("unseen_edit"), split_name("left_out_plate")) == ("unseen edits", "left out plate")


def test_one_of_a_thing_is_singular():
    assert [counted(n, "edit") for n in (0, 1, 2)] == ["0 edits", "1 edit", "2 edits"]
