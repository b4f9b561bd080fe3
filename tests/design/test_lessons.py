"""Facts about lessons: features are a way to write normal errors down, and their algebra is that of the normal law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fitted_by_hand import by_hand
from small_data import condition
from small_laws import mechanistic

from semimech import ConfigError
from semimech.design import Limits
from semimech.design.kin_lessons import kin_lessons
from semimech.design.law_lessons import (
    ELASTICITY,
    _without_own,
    edge_variance,
    law_lessons,
    posterior,
    refuse_too_many,
    responses,
)
from semimech.design.lessons import Lessons, choose_lessons
from semimech.design.strategies import spread_draw
from semimech.fit import FittedModel
from semimech.model import Kinship, PriorNetwork


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    feature = np.random.default_rng(0).normal(size=(3, 6, 4))
    return Lessons(feature=feature, noise=np.array([0.5, 1.0, 2.0]), weight=np.array([1.0, 2.0, 0.5]))


def covariance(lessons: Lessons) -> np.ndarray:
    return np.einsum("gcf,gdf->gcd", lessons.feature, lessons.feature)


def measured(cov: np.ndarray, noise: np.ndarray, row: int) -> np.ndarray:
    taken = cov[:, :, row]
    return cov - taken[:, :, None] * taken[:, None] / (cov[:, row, row] + noise)[:, None, None]


def test_what_is_left_after_a_measurement_is_the_conditional_covariance(lessons):
    left = lessons.after(2)
    np.testing.assert_allclose(covariance(left), measured(covariance(lessons), lessons.noise, 2), atol=1e-10)


def test_a_gain_is_the_fall_of_the_weighted_squared_error(lessons):
    asked = np.array([0.1, 0.3, 0.0, 0.2, 0.4, 0.0])
    before = covariance(lessons)
    fall = np.zeros(6)
    for row in range(6):
        fell = before - measured(before, lessons.noise, row)
        fall[row] = np.einsum("g,gcc,c->", lessons.weight, fell, asked)
    np.testing.assert_allclose(lessons.gains(asked, own=True), fall, rtol=1e-8)


def test_where_others_are_asked_for_an_own_error_counts_nothing():
    """Two edits that tell nothing of each other, one of which is not known at all."""
    apart = Lessons(feature=np.diag([5.0, 1.0])[None], noise=np.ones(1), weight=np.ones(1))
    np.testing.assert_allclose(apart.gains(np.full(2, 0.5), own=False), 0.0, atol=1e-12)
    assert apart.gains(np.full(2, 0.5), own=True)[0] > apart.gains(np.full(2, 0.5), own=True)[1]


def test_a_batch_takes_one_of_two_that_tell_the_same():
    feature = np.array([[[2.0, 0.0], [1.99, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])
    two = Lessons(feature=feature, noise=np.full(1, 0.01), weight=np.ones(1))
    can = np.array([True, True, True, False, False])
    conditions = [condition(name, 48.0) for name in "ABCDE"]
    told = {"asked": 0.5 * (~can), "is_candidate": can, "own": False}
    picks = choose_lessons([two], conditions, Limits(batch=2), **told)
    assert [pick.row for pick in picks] == [0, 2] and [pick.sharpened for pick in picks] == [3, 4]
    assert picks[0].gain == picks[0].alone and sum(pick.gain for pick in picks) == pytest.approx(0.99, abs=0.01)
    with pytest.raises(ConfigError, match="no candidate fits"):
        choose_lessons([two], conditions, Limits(budget=0.5), **told)


def test_errors_of_a_law_are_those_of_bayesian_regression_on_what_it_reads():
    """A knockout reads -1 of its own gene. Known are A to B and C to D; A was knocked out and C was not: 1 / (1 / v + 1 / noise) against v."""
    done = [condition(name, 48.0) for name in ("control", "A")]
    prior = PriorNetwork(edges=pd.DataFrame({"source": ["A", "C"], "target": ["B", "D"]}), use="mask")
    model = by_hand(mechanistic(strength=0.0), training=done)
    found = law_lessons(
        model, [condition(name, 48.0) for name in ("A", "C")], prior=prior, noise=0.01, rng=np.random.default_rng(0)
    )
    size = (found.feature**2).sum(axis=-1)[:4]  # of one draw
    assert np.flatnonzero(size[:, 0] > 0).tolist()[0] == 1 and size[0].max() == size[2].max() == 0.0
    variance = size[3, 1]
    assert size[1, 0] == pytest.approx(1.0 / (1.0 / variance + 1.0 / found.noise[1]), rel=1e-5)


def test_what_an_edit_does_to_its_own_gene_says_nothing_of_that_genes_regulators_and_is_not_asked():
    """CRISPRi of A took A down while B moved: the weight of B on A is as little known as before, its variance the least there is, .01."""
    done = [condition("control", 48.0), condition("A", 48.0, kind="crispri")]
    change = np.array([[0.0, 0.0, 0.0, 0.0], [-3.0, 1.0, 0.0, 0.0]])
    prior = PriorNetwork(edges=pd.DataFrame({"source": ["B"], "target": ["A"]}), use="mask")
    model = by_hand(mechanistic(strength=0.0), training=done)
    model = FittedModel(replace(model._result, fit=replace(model.fit, change=change)))
    asked = [condition("B", 48.0), condition("A", 48.0, kind="crispri"), condition("A+B", 48.0)]
    found = law_lessons(model, asked, prior=prior, noise=0.01, rng=np.random.default_rng(0))
    size = (found.feature**2).sum(axis=-1)[:4]  # of one draw
    assert size[0] == pytest.approx([0.01, 0.0, 0.0], rel=1e-5)  # a knockout reads -1 of B; A is edited in both others


def test_where_all_genes_share_a_posterior_each_mean_is_still_without_its_own_edits():
    rng = np.random.default_rng(1)
    read, change, own = rng.normal(size=(6, 3)), rng.normal(size=(6, 4)), np.zeros((6, 4), bool)
    own[[0, 1, 1], [2, 2, 3]] = True
    mean, covariance = posterior(read[:, None], change, np.array([0.3]), 0.5)
    found = _without_own(mean, covariance[0], read, change, own, 0.3)
    for gene in range(4):
        rows = ~own[:, gene]
        ridge = read[rows].T @ read[rows] + 0.3 / 0.5 * np.eye(3)
        np.testing.assert_allclose(found[gene], np.linalg.solve(ridge, read[rows].T @ change[rows, gene]))


def test_responses_are_those_of_a_linear_network_whose_edited_gene_is_held():
    """Held at its signal, gene 0 is read as that by all, itself among them; the others go on as far as they are moved."""
    weight = 0.3 * np.random.default_rng(2).normal(size=(4, 5))  # the fifth is edited and not measured
    assert abs(np.linalg.eigvals(ELASTICITY * weight[:, :4])).max() < 0.9
    source = np.zeros((2, 5))
    source[0, 0], source[1, 4] = -1.0, 0.7
    found = responses(weight, source)
    free = ELASTICITY * weight[:, :4] * (np.arange(4) != 0)
    np.testing.assert_allclose(found[0], np.linalg.solve(np.eye(4) - free, -weight[:, 0]), rtol=1e-10)
    np.testing.assert_allclose(
        found[1], np.linalg.solve(np.eye(4) - ELASTICITY * weight[:, :4], 0.7 * weight[:, 4]), rtol=1e-10
    )


def test_weights_are_as_large_as_what_edits_did_to_the_genes_that_they_may_regulate():
    """Of a knockout of A, B moved by .6 and may be its target, C did not and may not; (.36 - .04) / 1."""
    source, able = np.array([[-1.0, 0.0, 0.0]]), np.zeros((3, 3), bool)
    able[1, 0] = True
    change, noise = np.array([[-3.0, 0.6, 0.0]]), np.full(3, 0.04)
    assert edge_variance(change, source, able, noise) == pytest.approx(0.32)
    source[0, 1] = -1.0  # B is edited too, and its change is no sign of A
    assert edge_variance(change, source, able, noise) == pytest.approx(0.01)


def test_edits_that_act_alike_teach_of_each_other_as_kriging_has_it_and_edits_of_a_pair_add_up():
    """A and C are one complex, each pair of them alike by .8 x .5 = .4; B is another. Only A was made, with noise 1."""
    table = pd.DataFrame({"complex": ["x", "x", "y", "y"], "gene": ["A", "C", "B", "D"]})
    model = by_hand(
        mechanistic(strength=0.0),
        training=[condition(name, 48.0) for name in ("control", "A")],
        trust=(1.0, 1.0, 1.0, 0.0, 0.5, 0.0),
    )
    strength = pd.DataFrame({"source": ["table"], "targets": [4], "alone": [0.0], "strength": [0.8]})
    model = FittedModel(replace(model._result, record=replace(model.record, likeness=strength)))
    asked = [condition(name, 48.0) for name in ("C", "B", "A+B", "A+C", "control")]
    found = kin_lessons(model, asked, kinship=Kinship(complexes={"table": table}))
    before = 0.4 * np.array(
        [[1, 0, 1, 2, 0], [0, 1, 1, 0, 0], [1, 1, 2, 2, 0], [2, 0, 2, 4, 0], [0, 0, 0, 0, 0]], float
    )
    with_a = 0.4 * np.array([1.0, 0.0, 1.0, 2.0, 0.0])
    expected = before - np.outer(with_a, with_a) / (0.4 + 1.0)
    np.testing.assert_allclose(found.feature[0] @ found.feature[0].T, expected, atol=1e-6)
    assert kin_lessons(by_hand(mechanistic()), asked, kinship=Kinship(complexes={"table": table})) is None


def test_lessons_that_no_memory_holds_are_refused_with_what_to_leave_out():
    with pytest.raises(ConfigError, match=r"take 22 GiB.*fewer candidates"):
        refuse_too_many(2000, (5000, 150), 4)
    refuse_too_many(2000, (500, 20), 4)


def test_points_are_drawn_far_from_zero_and_from_each_other():
    """Of two pairs of equal points and one at zero, a draw takes one of each pair, and never the last."""
    points = np.array([[3.0, 0.0], [3.0, 0.0], [0.0, 3.0], [0.0, 3.0], [0.0, 0.0]])
    for seed in range(20):
        taken = spread_draw(points, 2, np.random.default_rng(seed))
        assert {row // 2 for row in taken} == {0, 1}
    assert sorted(spread_draw(np.zeros((3, 1)), 3, np.random.default_rng(0))) == [0, 1, 2]
