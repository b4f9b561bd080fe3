from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest

from semimech.data.times import parse_time, read_times, unit_of_column


def column(values, name="t", **kwargs):
    return pd.Series(values, name=name, **kwargs)


def hours_of(values, name="t", time_unit=None):
    times, faults = read_times(column(values, name), time_unit=time_unit)
    assert faults == ()
    return times.hours.tolist()


def fault_of(values, name="t", time_unit=None):
    times, faults = read_times(column(values, name), time_unit=time_unit)
    assert times is None
    return " ".join(fault.fault for fault in faults)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("day3", 72),
        ("D3", 72),
        ("d3", 72),
        ("Day 3", 72),
        ("day_3", 72),
        ("3d", 72),
        ("3 days", 72),
        ("72h", 72),
        ("24 hours", 24),
        ("hour12", 12),
        ("36hpi", 36),
        ("30 min", 0.5),
        ("week2", 336),
        ("2.5d", 60),
        ("settled", math.inf),
    ],
)
def test_a_time_with_its_unit_needs_no_other(text, hours):
    assert hours_of([text]) == [hours]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("day", "days"),
        ("Days", "days"),
        ("time_h", "hours"),
        ("hpi", "hours"),
        ("HoursPostEdit", "hours"),
        ("harvest day", "days"),
        ("minutes", "minutes"),
        ("t", None),
        ("time", None),
        ("timepoint", None),
    ],
)
def test_a_column_name_states_its_unit(name, unit):
    assert unit_of_column(name) == unit


def test_numbers_texts_and_categories_mean_the_same_time():
    for values in (
        [2, 4],
        [2.0, 4.0],
        ["2", "4"],
        ["t2", "T4"],
        pd.Categorical([2, 4]),
        pd.Categorical(["day2", "day4"]),
    ):
        assert hours_of(values) == [48, 96]


def test_bare_numbers_are_days_unless_a_unit_is_given():
    assert hours_of([2, 3]) == [48, 72]
    assert hours_of([2, 3], time_unit="hours") == [2, 3]
    assert hours_of([24, 72], name="hours") == [24, 72]


@hypothesis.given(number=st.integers(0, 99), unit=st.sampled_from(["h", "d", " days", "hours"]))
def test_a_unit_before_and_after_the_number_mean_the_same(number, unit):
    assert parse_time(f"{number}{unit}") == parse_time(f"{unit.strip()}{number}")


@pytest.mark.parametrize("values", [[24, 48, 72], [0, 24], [120]])
def test_undeclared_times_that_look_like_hours_are_not_guessed(values):
    assert "time_unit='hours'" in fault_of(values)


@pytest.mark.parametrize(
    ("values", "name", "unit"), [([48, 168], "day", None), ([48, 168], "t", "days"), ([5000], "hours", None)]
)
def test_times_beyond_a_hundred_days_are_questioned(values, name, unit):
    assert "longer than 100 days" in fault_of(values, name, unit)


def test_long_times_are_believed_when_the_unit_stands_beside_them():
    assert hours_of(["120d"]) == [2880]


def test_every_time_that_cannot_be_read_is_listed():
    message = fault_of(["P14", "day3", "soon", True])
    assert (
        "P14" in message
        and "soon" in message
        and "True" in message
        and "day3" not in message.split("Write")[0].split("write")[0]
    )


def test_negative_times_are_refused():
    assert "negative" in fault_of([-1, 2]) and "negative" in fault_of(["day-3"])


def test_a_unit_that_contradicts_the_column_is_refused():
    assert "states days" in fault_of([2], "day", "hours")
    assert "not a unit" in fault_of([2], "t", "fortnights")


def test_times_with_and_without_unit_are_not_mixed_without_saying_the_unit():
    assert "mixes" in fault_of(["day3", "4"])
    assert hours_of(["day3", "4"], time_unit="hours") == [72, 4]


def test_an_infinite_time_is_that_of_settled_cells():
    assert hours_of([np.inf, 2]) == [math.inf, 48] == hours_of(["settled", 2])
