"""Networks that are no full matrix, at a size where they could be one."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from small_fits import QUICK, asked

from semimech.data import Dataset
from semimech.fit import FittedModel, load
from semimech.fit.candidates import Candidate, run_weights
from semimech.fit.problem import make_problem, make_roster
from semimech.fit.start import initial_model
from semimech.fit.train import TERMS, Program, Training
from semimech.interpret import half_lives, signed_edges
from semimech.model import (
    ExponentialSolver,
    PriorNetwork,
    Programmes,
    ScaleGrid,
    rewired,
    sized,
    sparse,
    thinned,
    wiring,
)

EDGES = pd.DataFrame({"source": ["G0", "G3", "G1"], "target": ["G1", "G4", "G2"]})
PROGRAM = Program(strength="none", config=QUICK)


@pytest.fixture
def many(monkeypatch):
    """Eight genes count as many, and few edges as few; two programmes are enough."""
    for name, value in {"_MANY_REGULATORS": 1, "_EDGE_COST": 2, "_TOO_MANY_REGULATORS": 2, "_PROGRAMMES": 2}.items():
        monkeypatch.setattr(sparse, name, value)


def trainings(data: Dataset, prior: PriorNetwork) -> tuple[Training, Training]:
    """Of a network in the form that suits its size, and of the full matrix."""
    roster = make_roster(data)
    problem = make_problem(data, roster, prior, seed=0)
    scale = ScaleGrid(state=data.scale.state_grid.astype("f4"), observed=data.scale.observed_grid.astype("f4"))
    start = initial_model(roster, problem.unit, scale, QUICK, is_start_known=True, key=jax.random.key(0))
    full = Training(problem=problem, roster=roster, start=start, solver=ExponentialSolver(QUICK.max_step_hours))
    compact = sized(start, np.isfinite(problem.price), problem.known.any(axis=0), key=jax.random.key(1))
    return replace(full, start=compact), full


def trained(training: Training):
    run = run_weights(Candidate(sparsity=0.02), QUICK, np.ones(24, np.float32), training.problem)
    return training.run(PROGRAM, [run], [jax.random.key(0)], n_steps=QUICK.n_steps, label="large")


def weighted(mechanism, weight: np.ndarray):
    return eqx.tree_at(lambda m: m.weight, mechanism, jnp.asarray(weight, jnp.float32))


def test_training_by_edge_is_that_of_the_full_matrix_with_the_same_mask(data, many):
    by_edge, full = trainings(data, PriorNetwork(edges=EDGES, use="mask"))
    found, expected = trained(by_edge), trained(full)
    np.testing.assert_allclose(found.history, expected.history, rtol=1e-3, atol=1e-4)
    matrices = [np.asarray(wiring(t.models(s).dynamics).full()) for t, s in ((by_edge, found), (full, expected))]
    np.testing.assert_allclose(*matrices, rtol=1e-2, atol=1e-3)


def test_what_no_table_knows_is_learned_by_programmes(data, many):
    training, _ = trainings(data, PriorNetwork(edges=EDGES))
    state = trained(training)
    mechanism = wiring(training.models(state).dynamics)
    assert mechanism.weight.shape == (1, len(EDGES))
    assert (np.abs(mechanism.programmes.writing) > 1e-3).any()
    loss = np.asarray(state.history)[0, :, TERMS.index("data")]
    assert loss[-1] < 0.7 * loss[0]


def test_a_network_of_edges_and_programmes_is_saved_and_shown_like_a_full_matrix(fitted, many, tmp_path):
    mechanism = wiring(fitted.fit.members.dynamics)
    n_members, n_genes, n_regulators = mechanism.weight.shape
    few = np.where(np.arange(n_regulators) < 2, np.asarray(mechanism.weight), 0.0)
    members = thinned(rewired(fitted.fit.members, weighted(mechanism, few)))
    programmes = Programmes(
        reading=jnp.ones((n_members, n_regulators, 2)), writing=0.01 * jnp.ones((n_members, n_genes, 2))
    )
    by_edge = wiring(members.dynamics)
    assert by_edge.edges is not None
    added = eqx.tree_at(lambda m: m.programmes, by_edge, programmes, is_leaf=lambda leaf: leaf is None)
    compact = rewired(members, added)
    full = few + 0.02
    full[:, np.arange(n_genes), np.arange(n_genes)] = few[:, np.arange(n_genes), np.arange(n_genes)]
    models = [
        FittedModel(replace(fitted._result, fit=replace(fitted.fit, members=m)))
        for m in (compact, rewired(fitted.fit.members, weighted(mechanism, full)))
    ]
    query = [asked("G0", 24.0), asked("G1+G2", np.inf)]
    found, expected = (model.predict_conditions(query).mean for model in models)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    pd.testing.assert_frame_equal(signed_edges(models[0]), signed_edges(models[1]), rtol=1e-3)
    pd.testing.assert_frame_equal(half_lives(models[0]), half_lives(models[1]), rtol=1e-2)
    models[0].save(tmp_path / "model")
    again = load(tmp_path / "model")
    leaves = zip(jax.tree.leaves(models[0].fit), jax.tree.leaves(again.fit), strict=True)
    assert all(type(x) is type(y) and np.array_equal(x, y) for x, y in leaves)
