"""What the weights of known edges leave open: closed forms, and an inverse that is written out."""

from dataclasses import replace

import numpy as np
import pytest
from fitted_by_hand import by_hand
from small_data import condition
from small_laws import mechanistic

from semimech.data.scale import identity_scale
from semimech.fit import FittedModel
from semimech.fit.calibrate import calibrate
from semimech.fit.linear_law import MISFIT
from semimech.fit.weights import KnownWeights
from semimech.model import Roster

GENES = ("A", "B", "C", "D")
LEAST_VARIANCE, NOISE = 0.01, 0.01


def weights(edges: list[tuple[str, str]], *edited: str, change: np.ndarray | None = None) -> KnownWeights:
    training = [condition(name, 48.0) for name in ("control", *edited)]
    at = {gene: i for i, gene in enumerate(GENES)}
    return KnownWeights(
        roster=Roster(genes=GENES),
        scale=identity_scale(),
        control=np.ones(4),
        training=training,
        change=np.zeros((len(training), 4)) if change is None else change,
        noise=np.full(4, NOISE),
        edges=np.array([[at[target] for _, target in edges], [at[source] for source, _ in edges]], int).reshape(2, -1),
    )


def test_an_edge_is_open_by_its_expected_variance_until_its_regulator_is_knocked_out():
    """Bayesian regression with one observation of signal -1: 1 / (1 / v + 1 / noise). Edits moved nothing, so that v is the least there is."""
    known = weights([("A", "B"), ("C", "D")], "A")
    found = known.left_open([condition("A", 48.0), condition("C", 48.0)], np.zeros((2, 4)))
    assert found[1] == pytest.approx([0.0, 0.0, 0.0, LEAST_VARIANCE], rel=1e-9)
    assert found[0] == pytest.approx([0.0, 1 / (1 / LEAST_VARIANCE + 1 / (NOISE + MISFIT)), 0.0, 0.0], rel=1e-9)


def test_nothing_is_open_where_no_edge_is_known_and_in_the_edited_gene():
    asked = [condition(gene, 48.0) for gene in GENES]
    assert weights([], "A").left_open(asked, np.ones((4, 4))).max() == 0.0
    looped = weights([("A", "B"), ("B", "A")], "C").left_open(asked, np.ones((4, 4)))
    assert np.diagonal(looped).max() == 0.0 and looped[0, 1] > 0.0


def test_what_is_open_is_carried_through_the_network_without_the_edited_genes():
    """Against the inverse of the whole matrix with rows of edited genes set to zero, for edits of none, one and two genes."""
    rng = np.random.default_rng(0)
    change = np.vstack([np.zeros(4), rng.normal(0.0, 0.8, (3, 4))])
    known = weights([(a, b) for a in GENES[:3] for b in GENES if a != b], "A", "B", "C", change=change)
    direct, own = rng.uniform(size=(3, 4)), np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]], bool)
    direct[own] = 0.0
    found = known._carried(direct, own)
    pull = known._mean * 0.5 / np.log(2.0)
    pull *= min(1.0, 0.9 / np.abs(np.linalg.eigvals(pull)).max())
    assert np.abs(pull).max() > 0.05
    for row in range(3):
        through = np.linalg.inv(np.eye(4) - np.where(own[row][:, None], 0.0, pull))
        others = ~own[row]
        np.testing.assert_allclose(found[row, others], (through**2 @ direct[row])[others], rtol=1e-9)


def test_intervals_grow_with_what_is_open_only_where_residuals_do():
    rng = np.random.default_rng(1)
    left_open, nowhere = rng.exponential(size=(60, 30)), np.zeros((60, 30), bool)
    residual = rng.normal(size=(60, 30)) * np.sqrt(0.1**2 + 0.5**2 * left_open)
    found = calibrate(residual, np.zeros((60, 30)), nowhere, left_open)
    assert found.doubt == pytest.approx(0.5, rel=0.15)
    new = rng.exponential(size=(60, 30))
    drawn = rng.normal(size=(60, 30)) * np.sqrt(0.1**2 + 0.5**2 * new)
    held = np.abs(drawn) < found.half_width(np.zeros((60, 30)), nowhere, new)
    assert held.mean() == pytest.approx(0.9, abs=0.02)
    assert held[new > 2.0].mean() == pytest.approx(0.9, abs=0.05)  # one width for all would hold far fewer of these
    plain = calibrate(rng.normal(size=(60, 30)), np.zeros((60, 30)), nowhere, left_open)
    assert plain.doubt < 0.25


def test_only_intervals_of_unseen_edits_widen_where_a_known_edge_is_open():
    """Half-widths are factor sqrt(gene^2 + doubt^2 v), with v the closed form above; an edit that was measured keeps its own."""
    training = [condition("control", 48.0), condition("A", 48.0)]
    model = by_hand(mechanistic(strength=0.0), training=training)
    fit = replace(
        model.fit,
        edges=np.array([[3], [2]]),
        unseen=replace(model.fit.unseen, doubt=np.array(2.0)),
        seen=model.fit.seen,
    )
    model = FittedModel(replace(model._result, fit=fit))
    found = model.predict_conditions([condition("C", 48.0), condition("A", 48.0)])
    half = (found.upper - found.lower) / 2
    assert half[1] == pytest.approx(np.ones(4))
    assert half[0] == pytest.approx([1.0, 1.0, 1.0, np.sqrt(1.0 + 4.0 * LEAST_VARIANCE * model.fit.control[3] ** 2)])
