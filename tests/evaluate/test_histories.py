"""What a model is told of a condition, and that means come back from it as they went in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_data import dataset

from semimech.evaluate.histories import (
    Telling,
    alone,
    as_labels,
    edited_only,
    ending_at,
    in_maintenance,
    of_edits,
    unedited,
)
from semimech.experiment import Condition, parse_experiment


def made(text: str) -> Condition:
    return parse_experiment(f"{text} > harvest").conditions["harvest"]


def test_as_labels_both_orders_of_an_edit_and_a_medium_are_one_condition():
    first, last = made("edit A > wait 24h > medium M > wait 24h"), made("medium M > wait 24h > edit A > wait 24h")
    assert first != last
    assert as_labels(first) == as_labels(last) == made("medium M > edit A > wait 48h")


def test_labels_leave_unedited_cells_their_order_of_media():
    control = made("wait 24h > medium M > wait 24h")
    assert as_labels(control) == control


@pytest.mark.parametrize("hours", [72.0, math.inf])
def test_a_harvest_is_moved_to_a_later_time_and_the_time_before_it_is_kept(hours):
    found = ending_at(hours)(made("wait 24h > edit A > wait 24h"))
    assert found.hours == hours
    assert found.history[0].hours == 24.0


def test_a_settled_harvest_stays():
    settled = made("edit A > wait settled")
    assert ending_at(72.0)(settled) == settled


def test_cells_without_their_edits_went_through_the_same_media():
    assert unedited(made("edit A > wait 24h > medium M > edit B > wait 24h")) == made("wait 24h > medium M > wait 24h")


def test_one_edit_alone_keeps_its_time():
    both = made("edit A > wait 24h > edit B > wait 24h")
    assert alone(both.edits[1])(both) == made("wait 24h > edit B > wait 24h")


def test_an_effect_told_in_the_maintenance_medium_is_the_mean_of_the_changes_in_both_and_comes_back():
    conditions = [
        made(t) for t in ("wait 24h", "medium M > wait 24h", "edit A > wait 24h", "medium M > edit A > wait 24h")
    ]
    mean = np.array([[1.0, 5.0], [2.0, 9.0], [1.5, 5.0], [3.5, 9.0]])  # changes of A: (0.5, 0) and (1.5, 0)
    data = dataset(conditions, mean, standard_error=0.3, media=("M",))
    telling = Telling(send=edited_only(in_maintenance), is_effect=True)
    told = telling.data(data)
    assert list(told.conditions) == conditions[:3]
    np.testing.assert_allclose(told.mean[2], [1.0 + 1.0, 5.0])
    np.testing.assert_allclose(told.standard_error[2], 0.3 / math.sqrt(2.0))
    assert told.n_cells[2] == 200
    back = told.mean[2] - telling.shift(data, conditions[3])
    np.testing.assert_allclose(back, mean[1] + [1.0, 0.0])


def test_pooled_means_are_weighted_by_their_cells():
    conditions = [made(f"edit A > wait {t}h") for t in (24, 48)]
    data = dataset(conditions, np.array([[1.0], [4.0]]))
    data.n_cells[:] = [100, 200]
    told = Telling(send=ending_at(math.inf)).data(data)
    assert list(told.conditions) == [made("edit A > wait settled")]
    np.testing.assert_allclose(told.mean, [[3.0]])


def test_an_unknown_error_stays_unknown_where_it_is_pooled_and_nowhere_else():
    conditions = [made(t) for t in ("wait 24h", "edit A > wait 24h", "edit A > wait 48h", "edit B > wait 24h")]
    error = np.array([[0.1], [np.nan], [0.1], [0.2]])
    told = Telling(send=edited_only(ending_at(math.inf))).data(
        dataset(conditions, np.ones((4, 1)), standard_error=error)
    )
    np.testing.assert_allclose(told.standard_error, [[0.1], [np.nan], [0.2]])


def test_edits_that_are_left_out_join_the_periods_around_them():
    found = of_edits(lambda edit: None)(made("wait 24h > edit A > wait 24h"))
    assert found == made("wait 48h")
