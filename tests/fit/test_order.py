from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fitted_by_hand import by_hand
from scipy.linalg import expm
from small_laws import N_GENES, ROSTER, UNIT, linear, mechanistic

from semimech._errors import DataError, ExperimentError
from semimech.data.scale import log1p_scale
from semimech.fit import order_effect

KNOCKDOWN, LOSS = "edit A crispri 0.5 > wait 20h", "edit T knockout > wait 10h"
N_REGULATORS, N_MEDIA = len(ROSTER.regulators), len(ROSTER.media)

pytestmark = pytest.mark.usefixtures("x64")


def flow(law, hours: float, *, a_production: float = 1.0, t_activity: float = 1.0):
    """The affine map of a linear law over some hours, as one matrix that acts on ``(x, 1)``."""
    weight, rate = np.asarray(law.weight), np.exp(np.asarray(law.log_degradation))
    production = np.array([a_production, 1.0, 1.0, 1.0])
    matrix = np.zeros((N_GENES + 1, N_GENES + 1))
    matrix[:-1, :-1] = rate[:, None] * (weight[:, :-1] - np.eye(N_GENES)) * UNIT[:, None] / UNIT
    constant = production + np.asarray(law.bias) - weight[:, :-1].sum(axis=1) + weight[:, -1] * (t_activity - 1.0)
    matrix[:-1, -1] = UNIT * rate * constant
    return expm(hours * matrix)


def exact(law) -> tuple[np.ndarray, np.ndarray]:
    """Knockdown of A then loss of T, and the other order, in closed form."""
    start, both = np.append(UNIT, 1.0), {"a_production": 0.5, "t_activity": 0.0}
    a_then_b = flow(law, 10.0, **both) @ flow(law, 20.0, a_production=0.5) @ start
    b_then_a = flow(law, 20.0, **both) @ flow(law, 10.0, t_activity=0.0) @ start
    return a_then_b[:-1], b_then_a[:-1]


def by_gene(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("gene").loc[list(ROSTER.genes)]


def test_the_order_effect_of_linear_laws_is_that_of_their_matrix_exponentials():
    laws = [linear(seed, strength=0.2) for seed in (1, 2, 3)]
    model = by_hand(*laws)
    found = order_effect(model, KNOCKDOWN, LOSS)
    table = by_gene(found.table)
    either = np.array([exact(law) for law in laws])
    assert (either > 0).all()
    differences = either[:, 0] - either[:, 1]
    spread = differences.std(axis=0, ddof=1)
    intervals = model.predict_conditions(
        [model.operator(f"{a} > {b}").condition for a, b in ((KNOCKDOWN, LOSS), (LOSS, KNOCKDOWN))]
    )
    quantile = 1.6448536
    misfit = (intervals.upper - intervals.lower) / (2 * quantile)
    error = np.sqrt(spread**2 + (misfit**2).sum(axis=0))
    np.testing.assert_allclose(table["a_then_b"], either[:, 0].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(table["b_then_a"], either[:, 1].mean(axis=0), rtol=1e-5)
    half = quantile * error
    pairs = [
        (table["difference"], differences.mean(axis=0)),
        (table["standard_error"], error),
        (table["upper"] - table["difference"], half),
        (table["difference"] - table["lower"], half),
    ]
    for got, expected in pairs:
        np.testing.assert_allclose(got / UNIT, expected / UNIT, atol=1e-4)
    assert found.size == pytest.approx(np.sqrt(np.mean(differences.mean(axis=0) ** 2)), rel=1e-3)
    assert found.standard_error == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-3)
    assert found.size > 0.1


def test_the_largest_differences_stand_first():
    table = order_effect(by_hand(linear(1), linear(2)), KNOCKDOWN, LOSS).table
    assert list(table.columns) == [*("gene", "a_then_b", "b_then_a", "difference", "standard_error", "lower", "upper")]
    assert (np.diff(table["difference"].abs()) <= 0).all()
    assert sorted(table["gene"]) == sorted(ROSTER.genes)


def test_swapping_the_protocols_turns_the_sign():
    model = by_hand(mechanistic(4), mechanistic(5))
    asked = "edit A knockout > wait 20h", "medium M > wait 10h"
    there, back = order_effect(model, *asked), order_effect(model, *asked[::-1])
    np.testing.assert_allclose(there.table["difference"], -back.table["difference"], rtol=1e-12)
    np.testing.assert_allclose(there.table["a_then_b"], back.table["b_then_a"], rtol=1e-12)
    np.testing.assert_allclose(there.table["lower"], -back.table["upper"], rtol=1e-12)
    assert there.size == pytest.approx(back.size, rel=1e-12)
    assert there.size > 1e-2


def test_edits_made_at_the_same_moment_commute():
    found = order_effect(by_hand(mechanistic(6), mechanistic(7)), "edit A", "edit C crispri 0.5", then="wait 20h")
    assert (found.table["difference"] == 0).all()
    assert found.size == found.standard_error == 0.0


def test_separate_effects_commute_once_cells_have_settled_after_each():
    # Without edges an edit moves its own gene only, and a medium each gene for itself.
    separate = [
        mechanistic(seed, weight=np.zeros((N_GENES, N_REGULATORS)), edit_effect=np.zeros(N_GENES)) for seed in (8, 9)
    ]
    asked = "edit A crispri 0.5 > wait settled", "edit C > wait settled"
    assert order_effect(by_hand(*separate), *asked).size < 1e-6
    # Genes that neither protocol touches do not see the order even while the others still move.
    medium = np.zeros((N_GENES, N_MEDIA))
    medium[2, 0] = 1.0
    moving = [
        mechanistic(s, weight=np.zeros((N_GENES, N_REGULATORS)), edit_effect=np.zeros(N_GENES), medium_effect=medium)
        for s in (8, 9)
    ]
    table = by_gene(order_effect(by_hand(*moving), "edit A crispri > wait 20h", "medium M > wait 10h").table)
    assert table.loc[["B", "D"], "difference"].abs().max() < 1e-6
    assert table.loc[["A", "C"], "difference"].abs().min() > 1e-2


def test_the_order_effect_is_in_the_observed_scale_that_predictions_have():
    model = by_hand(mechanistic(10), scale=log1p_scale())
    asked = KNOCKDOWN, "medium M > wait 10h"
    table = by_gene(order_effect(model, *asked).table)
    for column, (one, other) in {"a_then_b": asked, "b_then_a": asked[::-1]}.items():
        operator = model.operator(f"{one} > {other}")
        predicted = model.predict_conditions([operator.condition]).mean[0]
        np.testing.assert_allclose(table[column], predicted, rtol=1e-5)


def test_one_member_alone_has_the_error_of_its_predictions():
    model = by_hand(mechanistic(11))
    table = by_gene(order_effect(model, KNOCKDOWN, LOSS).table)
    orders = [model.operator(f"{a} > {b}").condition for a, b in ((KNOCKDOWN, LOSS), (LOSS, KNOCKDOWN))]
    found = model.predict_conditions(orders)
    error = np.sqrt((((found.upper - found.lower) / (2 * 1.6448536)) ** 2).sum(axis=0))
    np.testing.assert_allclose(table["standard_error"], error, rtol=1e-5)


def test_a_gene_edited_in_both_protocols_and_unknown_names_are_refused():
    model = by_hand(linear(12))
    with pytest.raises(ExperimentError, match="gene 'A' is edited twice"):
        order_effect(model, KNOCKDOWN, "edit A > wait 2h")
    with pytest.raises(DataError, match="gene 'Z' is neither measured nor edited"):
        order_effect(model, KNOCKDOWN, "edit Z > wait 2h")
    with pytest.raises(DataError, match="medium 'Q' was not in the training data"):
        model.operator("medium Q > wait 2h")


def test_the_operator_of_a_fitted_model_gives_what_its_laws_predict(fitted):
    protocols = ["edit G0 crispri 0.9 > wait 12h > medium M > wait 24h", "edit X > wait 48h", "wait settled"]
    for protocol in protocols:
        operator = fitted.operator(protocol)
        members = fitted.scale.to_observed(operator.members(operator.unedited)[:, 0])
        predicted = fitted.by_law([operator.condition])[0]
        np.testing.assert_allclose(members.mean(axis=0), predicted, rtol=1e-4)
