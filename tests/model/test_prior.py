from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_laws import N_GENES, N_REGULATORS, ROSTER

from semimech._errors import DataError
from semimech.model import PriorNetwork, edge_penalty, table_factor

EDGES = pd.DataFrame({"source": ["A", "B", "elsewhere"], "target": ["B", "D", "A"], "sign": [1, -1, 1]})
IS_SELF = np.eye(N_GENES, N_REGULATORS, dtype=bool)


def test_without_a_prior_every_edge_costs_the_same_but_those_to_oneself():
    price = edge_penalty(None, ROSTER)
    assert np.isinf(price[IS_SELF]).all()
    assert (price[~IS_SELF] == 1.0).all()


def test_a_mask_forbids_what_is_not_in_the_table_and_frees_targets_that_are_not_measured():
    price = edge_penalty(PriorNetwork(edges=EDGES, use="mask"), ROSTER)
    allowed = {(t, s) for t, s in zip(*np.nonzero(np.isfinite(price)), strict=True)}
    unmeasured = {(target, 4) for target in range(N_GENES)}
    assert allowed == {(1, 0), (3, 1)} | unmeasured
    assert (price[np.isfinite(price)] == 1.0).all()


def test_a_soft_table_makes_edges_outside_it_dearer_by_its_strength_as_often_as_it_counts():
    soft = PriorNetwork(edges=EDGES, strength=3.0)
    assert (edge_penalty(soft, ROSTER) == edge_penalty(None, ROSTER)).all()
    known = soft.by_table(ROSTER)
    assert known.shape == (1, N_GENES, N_REGULATORS) and np.argwhere(known[0]).tolist() == [[1, 0], [3, 1]]
    for count, outside in ((0.0, 1.0), (1.0, 3.0), (2.0, 9.0)):
        factor = np.asarray(table_factor(known, np.array([count]), 3.0))
        np.testing.assert_allclose(factor, np.where(known[0], 1.0, outside), rtol=1e-6)


def test_of_several_tables_an_edge_is_as_cheap_as_the_one_that_counts_most_makes_it():
    edges = EDGES[:2].assign(known_from=["one;two", "two"])
    edges = pd.concat([edges, pd.DataFrame({"source": ["C"], "target": ["A"], "known_from": ["one"]})])
    network = PriorNetwork(edges=edges, strength=4.0)
    assert network.tables == ("one", "two")
    known = network.by_table(ROSTER)
    in_both, in_two, in_one, in_none = (1, 0), (3, 1), (0, 2), (2, 0)
    for counts, wanted in (
        ([1, 1], [1, 1, 1, 4]),
        ([1, 0], [1, 4, 1, 4]),
        ([2, 1], [1, 4, 1, 16]),
        ([0, 0], [1, 1, 1, 1]),
    ):
        factor = np.asarray(table_factor(known, np.array(counts, float), 4.0))
        np.testing.assert_allclose([factor[at] for at in (in_both, in_two, in_one, in_none)], wanted, rtol=1e-6)


def test_without_a_table_there_is_no_factor():
    nothing = np.zeros((0, N_GENES, N_REGULATORS), dtype=bool)
    assert (np.asarray(table_factor(nothing, np.zeros(0), 4.0)) == 1.0).all()


@pytest.mark.parametrize("use", ["soft", "mask"])
def test_no_prior_allows_an_edge_to_oneself(use):
    table = pd.DataFrame({"source": list("ABCD"), "target": list("ABCD")})
    assert np.isinf(edge_penalty(PriorNetwork(edges=table, use=use), ROSTER)[IS_SELF]).all()


def test_rows_are_targets_and_columns_regulators():
    known = PriorNetwork(edges=pd.DataFrame({"source": ["T", "A"], "target": ["A", "D"]})).known(ROSTER)
    expected = np.zeros((N_GENES, N_REGULATORS))
    expected[0, 4] = expected[3, 0] = 1.0
    np.testing.assert_array_equal(known, expected)


def test_an_edge_listed_twice_is_one_edge():
    twice = pd.concat([EDGES, EDGES])
    np.testing.assert_array_equal(PriorNetwork(edges=twice).known(ROSTER), PriorNetwork(edges=EDGES).known(ROSTER))


def test_a_table_of_other_columns_is_refused_with_every_fault():
    with pytest.raises(DataError) as error:
        PriorNetwork(edges=pd.DataFrame({"tf": ["A"], "gene": ["B"]}), strength=0.5)
    message = str(error.value)
    assert "3 faults" in message
    assert "'source' is missing" in message
    assert "'target' is missing" in message
    assert "strength must be at least 1, got 0.5" in message


@pytest.mark.parametrize("name", [None, np.nan, "", " "])
def test_an_edge_without_a_name_is_refused(name):
    with pytest.raises(DataError, match="an edge has no source or no target: remove such rows"):
        PriorNetwork(edges=pd.DataFrame({"source": ["A", name], "target": ["B", "A"]}))


def test_a_strength_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="strength must be at least 1, got nan"):
        PriorNetwork(edges=EDGES, strength=float("nan"))


@pytest.mark.usefixtures("unchecked_types")
def test_an_unknown_use_is_refused():
    with pytest.raises(DataError, match="use must be 'soft' or 'mask', got 'hard'"):
        PriorNetwork(edges=EDGES, use="hard")


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"counts": (1.0, 2.0)}, "one for each of the tables"),
        ({"counts": (-1.0,)}, "0 or more"),
        ({"counts": (1.0,), "use": "mask"}, "soft tables"),
    ],
)
def test_counts_that_do_not_fit_the_tables_are_refused(network, said):
    with pytest.raises(DataError, match=said):
        PriorNetwork(edges=EDGES, **network)
