"""Networks against a known one, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
from benchmarks.sachs import as_edges, distance

KNOWN = pd.DataFrame({"source": ["A", "B", "C"], "target": ["B", "C", "D"]})


def test_a_missing_an_extra_and_a_reversed_edge_count_once_each():
    made = pd.DataFrame({"source": ["A", "C", "A"], "target": ["B", "B", "D"], "weight": [1.0, -2.0, 0.5]})
    assert distance(made, KNOWN) == {"edges": 3, "found": 1, "reversed": 1, "distance": 3}


def test_the_known_network_is_at_no_distance_and_an_empty_one_at_that_of_its_edges():
    assert distance(KNOWN.assign(weight=1.0), KNOWN)["distance"] == 0
    assert distance(KNOWN.assign(weight=0.0), KNOWN)["distance"] == 3


def test_edges_of_a_matrix_run_from_column_to_row():
    edges = as_edges(np.array([[0.0, 0.0], [0.5, 0.0]]), ("A", "B"))
    assert edges.iloc[0].tolist() == ["A", "B", 0.5]
