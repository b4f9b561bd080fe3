from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from benchmarks.levers import Bench
from benchmarks.levers_page import of_random_orders, of_worlds, pairs_told_apart

from semimech.experiment import Condition, Context, Edit, Period

DELIVERED = np.array([[3.0, 3.1, 2.9, 3.0], [1.0, 1.1, 0.9, 1.05], [5.0, -3.0, 2.0, 0.0]])


def world(number: int, fall: list[float]) -> pd.DataFrame:
    """Three levers; the first delivers more than the second every time, the third anything."""
    table = pd.DataFrame({"lever": ["cells", "edits", "times"], "fall": fall, "world": number, "error": 10.0})
    return table.join(pd.DataFrame(DELIVERED).add_prefix("delivered_"))


def test_only_pairs_told_apart_decide_whether_a_ranking_agrees_and_the_first_lever_is_right():
    found = of_worlds(pd.concat([world(0, [1.0, 2.0, 3.0]), world(1, [2.0, 1.0, 3.0])]), "fall").set_index("world")
    assert found["pairs"].to_list() == [1, 1] and found["right"].to_list() == [0, 1]
    assert found["agrees"].to_list() == [False, True]
    assert found["first is right"].all()  # the third is not told apart from the best
    assert not of_worlds(world(0, [1.0, 2.0, 0.0]), "fall")["first is right"].any()


def test_a_level_for_all_pairs_at_once_tells_fewer_pairs_apart_than_one_for_each():
    """Of the pairs of three levers one has p = 5e-7, one .03 and one .09."""
    table = world(0, [1.0, 2.0, 3.0])
    table.loc[2, [f"delivered_{k}" for k in range(4)]] = [2.5, 1.5, 1.1, 2.1]
    assert pairs_told_apart(table) == [(0, 1), (0, 2)]
    assert pairs_told_apart(table, holm=True) == [(0, 1)]


def test_an_order_at_random_has_half_of_the_pairs_right():
    found = of_random_orders(world(0, [1.0, 2.0, 3.0]))
    assert found["right"].item() == pytest.approx(0.5, abs=0.05) and found["pairs"].item() == 1
    assert found["first is right"].item() == pytest.approx(2 / 3, abs=0.05)  # the second of three is not


def test_cells_that_are_there_stay_when_more_are_bought():
    bench = Bench(world=type("World", (), {"genes": ("a", "b")})(), number=3, known={})
    edited = Condition(history=(Period(context=Context(edits=(Edit(gene="a", kind="knockout"),)), hours=24.0),))
    few, more, other = bench.cells(edited, 5, 0), bench.cells(edited, 9, 0), bench.cells(edited, 9, 1)
    assert (more[:5] == few).all()
    assert not np.isclose(more, other).any()
