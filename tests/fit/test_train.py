from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset
from small_fits import QUICK, UNIT, control_moments, linear_data

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.fit.candidates import Candidate, run_weights
from semimech.fit.loss import Weights
from semimech.fit.members import predict_members
from semimech.fit.problem import make_problem, make_roster
from semimech.fit.start import initial_model, initial_noise
from semimech.fit.steps import first_point, paces
from semimech.fit.train import TERMS, Program, Training, TrainState, _compiled
from semimech.model import ExponentialSolver, PriorNetwork, ScaleGrid, edge_penalty, split_trained

N_STEPS = QUICK.n_steps
PROGRAM = Program(strength="none", config=QUICK)
CANDIDATE = Candidate(sparsity=0.02)


@pytest.fixture(scope="module")
def training(data) -> Training:
    """The problem of the fit that other tests look at: the same shapes, so the same compiled program."""
    return training_of(data)


def training_of(data: Dataset) -> Training:
    roster = replace(make_roster(data), targets=("X", "Y"))
    problem = make_problem(data, roster, None, seed=0)
    scale = ScaleGrid(state=data.scale.state_grid.astype("f4"), observed=data.scale.observed_grid.astype("f4"))
    start = initial_model(roster, problem.unit, scale, QUICK, is_start_known=True, key=jax.random.key(0))
    return Training(problem=problem, roster=roster, start=start, solver=ExponentialSolver(QUICK.max_step_hours))


def weights(training: Training, *held_out: int) -> Weights:
    row = np.ones(24, np.float32)
    row[list(held_out)] = 0.0
    return run_weights(CANDIDATE, QUICK, row, training.problem)


def run(training: Training, *runs, seeds: tuple[int, ...] | None = None, n_steps: int = N_STEPS) -> TrainState:
    keys = [jax.random.key(seed) for seed in (seeds or range(len(runs)))]
    return training.run(PROGRAM, runs, keys, n_steps=n_steps, label="test")


def same(a: TrainState, b: TrainState) -> bool:
    leaves = zip(jax.tree.leaves((a.model, a.noise)), jax.tree.leaves((b.model, b.noise)), strict=True)
    return all(np.array_equal(np.asarray(x), np.asarray(y)) for x, y in leaves)


def test_conditions_that_are_held_out_do_not_influence_the_fit(training):
    changed = replace(training, problem=replace(training.problem, target=training.problem.target.copy()))
    changed.problem.target[5] *= 100.0
    held_out = weights(training, 5)
    assert same(run(training, held_out), run(changed, held_out))
    assert not same(run(training, weights(training)), run(changed, weights(training)))


def test_runs_without_a_steady_state_loss_are_the_same_in_the_program_of_those_with_one(training):
    assert training.problem.controls is not None
    alone = run(training, weights(training))
    for pull in ("mean", "point"):
        shared = run(replace(training, pull=pull), weights(training))
        for leaf, other in zip(jax.tree.leaves(shared.model), jax.tree.leaves(alone.model), strict=True):
            np.testing.assert_allclose(leaf, other, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(shared.history, alone.history, rtol=1e-4, atol=1e-5)
        assert (np.asarray(shared.noise.loading) == 0.0).all()


def test_factors_that_a_run_is_not_to_have_load_on_no_gene(world):
    data = linear_data(world, control_moments=control_moments(0.1 + 0.2 * np.eye(len(UNIT))))
    training = training_of(data)
    found = {}
    for most, n_loaded in ((2, 0), (2, 1), (0, 0)):
        config = replace(QUICK, latent_factors=(most,))
        candidate = Candidate(strength="moment", n_factors=n_loaded, weight=1.0, sparsity=0.05)
        given = run_weights(candidate, config, np.ones(len(data.conditions), np.float32), training.problem)
        program = Program(strength="moment", config=config)
        state = training.run(program, [given], [jax.random.key(0)], n_steps=30, label="test")
        assert (np.asarray(state.noise.loading)[0] != 0.0).any(axis=0).tolist() == [i < n_loaded for i in range(most)]
        found[most, n_loaded] = np.asarray(state.model.dynamics.regulation.weight)
    np.testing.assert_allclose(found[2, 0], found[0, 0], rtol=1e-3, atol=1e-5)
    assert np.abs(found[2, 1] - found[0, 0]).max() > 1e-3


def test_forbidden_edges_stay_zero_and_allowed_ones_move(training):
    mask = PriorNetwork(edges=pd.DataFrame({"source": ["G0", "G3"], "target": ["G1", "G4"]}), use="mask")
    price = edge_penalty(mask, training.roster)
    state = run(replace(training, problem=replace(training.problem, price=price)), weights(training))
    weight = np.asarray(state.model.dynamics.regulation.weight)[0]
    assert (weight[np.isinf(price)] == 0.0).all()
    assert (weight[[1, 4], [0, 3]] != 0.0).all()
    assert (weight[:, 8] != 0.0).any()  # targets that are not measured are free


def test_a_table_of_wiring_that_counts_for_nothing_is_none_and_one_that_counts_is_dearer_outside(training, data):
    edges = pd.DataFrame({"source": ["G0", "G3"], "target": ["G1", "G4"]})
    problem = make_problem(data, training.roster, PriorNetwork(edges=edges, strength=50.0), seed=0)
    wired = replace(training, problem=problem)
    row = np.ones(24, np.float32)
    sparse = Candidate(sparsity=0.05)
    alone = run(training, run_weights(sparse, QUICK, row, training.problem))
    ignored, counted = (
        run(wired, run_weights(replace(sparse, tables=(count,)), QUICK, row, problem)) for count in (0.0, 1.0)
    )
    for leaf, other in zip(jax.tree.leaves(ignored.model), jax.tree.leaves(alone.model), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-4, atol=1e-5)
    inside = problem.known[0]
    outside = ~inside & np.isfinite(problem.price)
    size = lambda state: np.abs(np.asarray(state.model.dynamics.regulation.weight)[0])
    assert size(counted)[outside].sum() < 0.5 * size(ignored)[outside].sum()
    assert size(counted)[inside].min() > 0.1


def test_runs_side_by_side_do_not_see_one_another(training):
    both = run(training, weights(training), weights(training, 3, 4), seeds=(7, 8))
    alone = run(training, weights(training, 3, 4), seeds=(8,))
    assert same(jax.tree.map(lambda leaf: leaf[1:], both), alone)


def test_more_runs_than_go_side_by_side_come_back_in_their_order(training):
    calls = []
    many = [weights(training, r) for r in range(13)]
    state = run(replace(training, progress=lambda *done: calls.append(done)), *many)
    assert state.step.tolist() == [N_STEPS] * 13
    last = run(training, many[-1], seeds=(12,))
    assert same(jax.tree.map(lambda leaf: leaf[12:], state), last)
    total = calls[-1][2]
    assert total > N_STEPS
    assert calls == [("test", done, total) for done in range(100, total + 1, 100)]


def test_the_loss_of_every_step_is_recorded_and_falls(training):
    history = np.asarray(run(training, weights(training)).history)[0]
    assert history.shape == (N_STEPS, len(TERMS))
    assert np.isfinite(history).all()
    total = history.sum(axis=1)
    assert total[-20:].mean() < 0.1 * total[0]
    assert history[0, TERMS.index("sparsity")] == 0.0


def test_before_training_no_change_is_predicted(training, data):
    start = jax.tree.map(lambda leaf: leaf[None] if isinstance(leaf, jax.Array) else leaf, training.start)
    predicted = predict_members(start, training.problem.plan, training.solver)[0, :24]
    unedited = np.stack([data.control_mean()] * 24)
    own = ~np.isclose(np.asarray(predicted), unedited, rtol=1e-4)
    edited = [[f"G{g}" in data.perturbations[row].split("+") for g in range(8)] for row in range(24)]
    np.testing.assert_array_equal(own, edited)


def test_an_interrupted_run_goes_on_from_its_checkpoint_to_the_same_end(training, tmp_path):
    def interrupt(label: str, done: int, total: int) -> None:
        if done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(replace(training, checkpoint=tmp_path, progress=interrupt), weights(training))
    assert [file.name for file in tmp_path.iterdir()] == ["test-0.npz"]
    seen = []
    resumed = run(replace(training, checkpoint=tmp_path, progress=lambda *done: seen.append(done)), weights(training))
    assert seen == [("test", 200, 200)]
    whole = run(training, weights(training))
    assert same(resumed, whole)
    np.testing.assert_array_equal(resumed.history, whole.history)


def test_a_finished_run_is_read_and_not_run_again(training, tmp_path):
    first = run(replace(training, checkpoint=tmp_path), weights(training))
    again = run(
        replace(training, checkpoint=tmp_path, progress=lambda *done: pytest.fail(str(done))), weights(training)
    )
    assert same(first, again)


def test_a_damaged_checkpoint_is_refused_by_its_name(training, tmp_path):
    (tmp_path / "test-0.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match=r"test-0\.npz: not an archive of arrays, or damaged"):
        run(replace(training, checkpoint=tmp_path), weights(training))


def test_a_step_without_a_finite_gradient_is_left_out(training):
    # A target that is not a number makes the gradient of the first run not a number, in every step.
    broken = replace(training, problem=replace(training.problem, target=training.problem.target.copy()))
    broken.problem.target[3] = np.nan
    state = run(broken, weights(training))
    assert all(
        np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves((state.model, state.noise, state.optimiser))
    )


def test_neural_weights_move_slower_and_drives_as_far_as_their_gene_reaches(data):
    config = replace(QUICK, residual_hidden=2)
    roster = make_roster(data)
    problem = make_problem(data, roster, None, seed=0)
    scale = ScaleGrid(state=np.array([0.0, 1.0]), observed=np.array([0.0, 1.0]))
    start = initial_model(roster, problem.unit, scale, config, is_start_known=True, key=jax.random.key(0))
    noise = initial_noise(problem, 1, 1, key=jax.random.key(0))
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), (split_trained(start)[0], noise))
    reach = jnp.linspace(0.5, 2.0, len(roster.genes))
    pace, _ = paces(stacked, split_trained(start)[1], reach)
    assert float(pace.dynamics.regulation.correction.enter.max()) == pytest.approx(0.2)
    mechanism = pace.dynamics.regulation.mechanism
    np.testing.assert_allclose(mechanism.weight, np.tile(reach[:, None], len(roster.regulators)), rtol=1e-6)
    np.testing.assert_allclose(mechanism.edit_effect, reach, rtol=1e-6)
    assert (mechanism.log_headroom == 1.0).all()


def test_the_program_is_the_same_for_settings_that_do_not_enter_it(data):
    other = replace(QUICK, seed=5, n_folds=7, sparsities=(9.0,), n_members=1)
    assert _compiled(PROGRAM) == _compiled(replace(PROGRAM, config=other))
    assert _compiled(PROGRAM) != _compiled(replace(PROGRAM, config=replace(QUICK, learning_rate=0.5)))


def test_a_run_that_gets_lost_goes_back_at_half_its_pace():
    point = jnp.arange(3.0)
    safe = first_point(point)
    safe, is_lost = safe.after(point, jnp.array(1.0))
    assert not is_lost
    worse, is_lost = safe.after(point + 1.0, jnp.array(1.4))
    assert not is_lost
    assert worse.loss == 1.0
    np.testing.assert_array_equal(worse.point, point)
    for spike, patience in ((1.6, 10), (np.inf, 1), (np.nan, 1)):
        after = worse
        for step in range(patience):
            after, is_lost = after.after(point + 2.0, jnp.array(spike))
            assert is_lost == (step == patience - 1)
        assert after.share == 0.5
        np.testing.assert_array_equal(after.point, point)
    better, is_lost = after.after(point - 1.0, jnp.array(0.5))
    assert not is_lost
    np.testing.assert_array_equal(better.point, point - 1.0)
    assert (better.loss, better.share) == (0.5, 0.5)


def test_a_hundred_genes_that_answer_nothing_do_not_end_worse_than_no_change():
    # Knock-outs whose only change is noise: a fit at full pace lost its stability, and ended at 20 times the error.
    rng = np.random.default_rng(0)
    n_genes = 100
    mean = 10.0 * np.exp(np.geomspace(0.05, 1.0, n_genes) * rng.normal(size=(61, n_genes)))
    mean[0] = 10.0
    conditions = [condition("control", np.inf), *(condition(f"G{i}", np.inf) for i in range(60))]
    data = dataset(conditions, mean)
    roster = make_roster(data)
    config = replace(QUICK, n_steps=60)
    problem = make_problem(data, roster, None, seed=0)
    scale = ScaleGrid(state=data.scale.state_grid.astype("f4"), observed=data.scale.observed_grid.astype("f4"))
    start = initial_model(roster, problem.unit, scale, config, is_start_known=True, key=jax.random.key(0))
    training = Training(problem=problem, roster=roster, start=start, solver=ExponentialSolver(24.0))
    run_of = run_weights(Candidate(sparsity=0.01), config, np.ones(61, np.float32), problem)
    program = Program(strength="none", config=config)
    state = training.run(program, [run_of], [jax.random.key(0)], n_steps=60, label="wide")
    loss = np.asarray(state.history)[0, :60, TERMS.index("data")]
    assert loss[-1] <= loss[0], loss[::5]
