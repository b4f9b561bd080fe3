from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from benchmarks.levers import Bench
from benchmarks.levers_page import SAME, of_worlds, with_same_order

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


def test_the_same_order_for_all_worlds_is_taken_from_the_others():
    other = world(1, [0.0, 0.0, 0.0])
    other.loc[:, [f"delivered_{k}" for k in range(4)]] = 7.0
    table = with_same_order(pd.concat([world(0, [0.0, 0.0, 0.0]), other], ignore_index=True))
    assert table[SAME].to_numpy() == pytest.approx([0.7] * 3 + [0.3, 0.1, 0.1], abs=0.002)


def test_cells_that_are_there_stay_when_more_are_bought():
    bench = Bench(world=type("World", (), {"genes": ("a", "b")})(), number=3, known={})
    edited = Condition(history=(Period(context=Context(edits=(Edit(gene="a", kind="knockout"),)), hours=24.0),))
    few, more, other = bench.cells(edited, 5, 0), bench.cells(edited, 9, 0), bench.cells(edited, 9, 1)
    assert (more[:5] == few).all()
    assert not np.isclose(more, other).any()
