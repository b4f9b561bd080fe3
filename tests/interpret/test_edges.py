"""Inclusion counts the members that hold an edge with its sign; recovery agrees with what can be counted by hand."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from fitted_by_hand import by_hand
from small_laws import N_GENES, ROSTER, mechanistic, neural

from semimech._errors import DataError
from semimech.interpret import recovery, signed_edges

pytestmark = pytest.mark.usefixtures("x64")


def held(*weights: float):
    """A model whose members have one edge, from B to A, with these weights."""

    def one(value: float):
        weight = np.zeros((N_GENES, len(ROSTER.regulators)))
        weight[0, 1] = value
        return mechanistic(1, weight=jnp.asarray(weight))

    return by_hand(*map(one, weights))


@pytest.mark.parametrize(
    ("weights", "sign", "inclusion"),
    [
        ((0.5, 0.4, 0.3, 0.2), 1, 1.0),
        ((-0.5, -0.4, 0.1, 0.005), -1, 0.5),
        ((0.5, 0.005, 0.0, -0.2), 1, 0.25),
    ],
)
def test_inclusion_is_the_share_of_members_with_the_sign_of_the_mean(weights, sign, inclusion):
    edges = signed_edges(held(*weights))
    assert edges[["source", "target"]].to_numpy().tolist() == [["B", "A"]]
    row = edges.iloc[0]
    assert (row["sign"], row["inclusion"]) == (sign, inclusion)
    assert row["weight"] == pytest.approx(np.mean(weights))
    assert row["spread"] == pytest.approx(np.std(weights, ddof=1))


def test_edges_below_the_least_weight_are_left_out_and_the_largest_stand_first():
    assert signed_edges(held(0.005, 0.009)).empty
    assert len(signed_edges(held(0.005, 0.009), least=0.008)) == 1
    edges = signed_edges(by_hand(mechanistic(1), mechanistic(2)))
    assert (np.diff(edges["weight"].abs()) <= 0).all()
    with pytest.raises(ValueError, match="above 0"):
        signed_edges(held(0.5), least=0.0)


def test_a_neural_ode_has_no_edges():
    assert signed_edges(by_hand(neural(1))).empty


def table(*rows, names=("source", "target", "weight")) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(names))


def test_recovery_is_the_average_precision_over_all_pairs():
    edges = table(("A", "B", -0.9), ("A", "C", 0.5), ("B", "C", 0.1))
    known = table(("A", "B", -1), ("B", "C", -1), ("C", "Q", 1), names=("source", "target", "sign"))
    found = recovery(edges, known, sources=["A", "B"], targets=["A", "B", "C"])
    assert (found.n_known, found.n_candidates, found.chance) == (2, 4, 0.5)
    assert found.auprc == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert found.sign_agreement == 0.5


def test_a_network_without_edges_recovers_what_chance_does():
    known = table(("A", "B"), names=("source", "target"))
    found = recovery(table(), known, sources=["A", "B"], targets=["A", "B", "C"])
    assert found.auprc == found.chance == 0.25
    assert np.isnan(found.sign_agreement)


def test_missing_columns_are_all_named_and_candidates_must_differ():
    with pytest.raises(DataError, match=r"2 faults[\s\S]*no column 'weight'[\s\S]*no column 'target'"):
        recovery(table().drop(columns="weight"), pd.DataFrame({"source": ["A"]}), sources=["A"], targets=["B"])
    known = table(("A", "B"), names=("source", "target"))
    with pytest.raises(DataError, match="0 of 1 candidate pairs"):
        recovery(table(), known, sources=["B"], targets=["A"])
