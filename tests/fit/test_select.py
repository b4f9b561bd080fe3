from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_data import condition, dataset
from small_fits import N_GENES, QUICK, control_moments, linear_data

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.fit import FitConfig
from semimech.fit.candidates import (
    Candidate,
    each_at_its_best,
    first_candidates,
    law_credit,
    run_weights,
    steady_state_candidates,
    steady_state_neighbours,
    table_candidates,
    with_mask,
)
from semimech.fit.pooling import Nested
from semimech.fit.problem import make_problem, make_roster
from semimech.fit.select import Selection, _as_good, _Outcome, _Trial, edit_folds, select
from semimech.fit.start import initial_model
from semimech.fit.train import Training
from semimech.model import ExponentialSolver, PriorNetwork, ScaleGrid

NAMES = ["control", "G0", "G1", "G2", "G3", "G0+G1", "X"]


@given(n_folds=st.integers(2, 8), seed=st.integers(0, 100))
def test_every_edited_gene_is_held_out_with_all_that_carry_it_in_one_fold(n_folds, seed):
    conditions = [condition(name, hours) for name in NAMES for hours in (24, 48)]
    folds = edit_folds(dataset(conditions, np.ones((len(conditions), 4))), n_folds, seed=seed)
    assert len(folds) == min(n_folds, 5)
    for gene in ("G0", "G1", "G2", "G3", "X"):
        carries = np.array([gene in c.perturbation.split("+") for c in conditions])
        assert any((fold[carries]).all() for fold in folds)
    assert not any(fold[[c.is_control for c in conditions]].any() for fold in folds)
    assert all(fold.any() for fold in folds)


def test_folds_are_drawn_from_the_seed():
    data = dataset([condition(f"G{i}", 24) for i in range(12)], np.ones((12, 3)))
    one, same, other = (edit_folds(data, 3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_one_edited_gene_is_held_out_by_time_the_last_first():
    conditions = [condition("G0", hours) for hours in (12, 24, 48, np.inf)]
    folds = edit_folds(dataset(conditions, np.ones((4, 3))), 2, seed=0)
    np.testing.assert_array_equal(folds, [[False, False, True, False], [False, True, False, False]])


def test_one_edited_gene_at_one_time_leaves_nothing_to_hold_out():
    assert edit_folds(dataset([condition("control", 24), condition("G0", 24)], np.ones((2, 3))), 3, seed=0) == []


def test_all_penalties_are_tried_and_a_neural_ode_has_no_edges_to_make_sparse():
    config = FitConfig(sparsities=(0.1, 0.3), weight_decays=(0.01, 0.1))
    assert [(c.sparsity, c.decay) for c in first_candidates(config)] == [
        (0.1, 0.01),
        (0.1, 0.1),
        (0.3, 0.01),
        (0.3, 0.1),
    ]
    assert [(c.sparsity, c.decay) for c in first_candidates(replace(config, law="neural"))] == [(0.0, 0.01), (0.0, 0.1)]


def test_each_table_of_wiring_is_tried_otherwise_alone_and_none_of_several():
    best, config = Candidate(sparsity=0.1), FitConfig(table_counts=(0.0, 1.0, 2.0))
    assert table_candidates(config, 0, best) == []
    assert [c.tables for c in table_candidates(config, 1, best)] == [(0.0,), (2.0,)]
    found = table_candidates(config, 2, best)
    assert [c.tables for c in found] == [(0.0, 1.0), (2.0, 1.0), (1.0, 0.0), (1.0, 2.0), (0.0, 0.0)]
    assert {replace(c, tables=()) for c in found} == {best}
    assert table_candidates(replace(config, table_counts=(1.0,)), 2, best) == []
    assert table_candidates(replace(config, law="neural"), 2, best) == []


def test_a_law_whose_wiring_is_known_has_more_credit_and_a_neural_ode_has_none(data):
    edges = pd.DataFrame({"source": list(data.genes[:-1]), "target": list(data.genes[1:])})
    credit = {}
    for use in (None, "mask", "soft"):
        prior = None if use is None else PriorNetwork(edges=edges, use=use)
        problem = make_problem(data, make_roster(data), prior, seed=0)
        for tables in ((), (0.0,), (3.0,)) if use == "soft" else ((),):
            credit[use, tables] = law_credit(Candidate(tables=tables), FitConfig(), problem)
        assert law_credit(Candidate(), FitConfig(law="neural"), problem) == 0.0
    unwired, wired = credit[None, ()], credit["mask", ()]
    assert 0.0 < unwired < wired
    assert [credit["soft", tables] for tables in ((), (3.0,), (0.0,))] == [wired, wired, unwired]


def test_tables_count_as_given_in_every_candidate_and_are_not_tried_otherwise(data, monkeypatch):
    tried = []

    def validate(trial, candidates, *, key, what=""):
        tried.extend(candidates)
        return [outcome(c.sparsity, [0.5]) for c in candidates]

    first = Selection(
        chosen=Candidate(), averaged=(), table=pd.DataFrame(), held_out=np.zeros((1, 1)), trust=np.ones(6)
    )
    monkeypatch.setattr(_Trial, "validate", validate)
    monkeypatch.setattr(_Trial, "selection", lambda trial, outcomes, eligible: first)
    config = replace(QUICK, sparsities=(0.1, 0.2))
    network = PriorNetwork(edges=pd.DataFrame({"source": ["G0"], "target": ["G1"]}))
    training = training_of(data, config, network)
    given = {"folds": [~data.is_control], "borrowed": np.zeros((*data.mean.shape, 3)), "key": jax.random.key(0)}
    select(data, training, config, counts=(3.0,), **given)
    assert [c.tables for c in tried] == [(3.0,)] * 2
    tried.clear()
    select(data, training, config, **given)
    assert {c.tables for c in tried} == {(), (0.0,), (3.0,)}


def test_what_is_best_for_each_table_alone_is_tried_together_unless_it_was():
    best = Candidate()
    errors = {(): 0.5, (0.0, 1.0): 0.4, (2.0, 1.0): 0.6, (1.0, 0.0): 0.7, (1.0, 2.0): 0.45, (0.0, 0.0): 0.9}
    tried = [(replace(best, tables=counts), error) for counts, error in errors.items()]
    assert [c.tables for c in each_at_its_best(tried, 2, best)] == [(0.0, 2.0)]
    errors[(1.0, 2.0)] = 0.55
    assert each_at_its_best([(replace(best, tables=counts), error) for counts, error in errors.items()], 2, best) == []


def test_steady_state_losses_are_tried_at_the_best_sparsity_and_the_one_below(world):
    data = linear_data(world, control_moments=control_moments(np.eye(N_GENES)))
    config = FitConfig(sparsities=(0.1, 0.2, 0.4), steady_state_weights=(1.0, 3.0, 5.0), latent_factors=(0, 2))
    found = steady_state_candidates(config, data, Candidate(sparsity=0.4, decay=0.1))
    assert {(c.strength, c.n_factors, c.weight, c.sparsity, c.decay) for c in found} == {
        ("moment", 2, 3.0, s, 0.1) for s in (0.4, 0.2)
    }
    lowest = steady_state_candidates(config, data, Candidate(sparsity=0.1))
    assert {c.sparsity for c in lowest} == {0.1}


def test_weight_and_factors_of_the_best_steady_state_loss_are_varied_one_at_a_time():
    config = FitConfig(steady_state_weights=(1.0, 3.0, 5.0), latent_factors=(0, 2))
    best = Candidate(strength="moment", n_factors=2, weight=3.0, sparsity=0.2)
    assert {(c.n_factors, c.weight) for c in steady_state_neighbours(config, best)} == {(2, 1.0), (2, 5.0), (0, 3.0)}
    other = Candidate(strength="mean", weight=3.0)
    assert {(c.n_factors, c.weight) for c in steady_state_neighbours(config, other)} == {(0, 1.0), (0, 5.0)}


@pytest.mark.parametrize("strength", ["point", "mean"])
def test_a_strength_asked_for_by_name_is_tried_without_factors(data, strength):
    config = FitConfig(steady_state=strength, steady_state_weights=(1.0,), latent_factors=(2,))
    found = steady_state_candidates(config, data, Candidate(sparsity=0.1))
    assert {(c.strength, c.n_factors) for c in found} == {(strength, 0)}


def test_auto_tries_nothing_where_nothing_is_known_to_be_stationary(data, world):
    moments = control_moments(np.eye(N_GENES))
    best = Candidate(sparsity=0.1)
    assert steady_state_candidates(FitConfig(), data, best) == []
    assert (
        steady_state_candidates(FitConfig(), linear_data(world, control_moments=moments, differentiating=True), best)
        == []
    )
    assert (
        steady_state_candidates(FitConfig(steady_state="none"), linear_data(world, control_moments=moments), best) == []
    )


def test_a_strength_that_is_not_allowed_is_refused(world):
    with pytest.raises(ConfigError, match="steady-state loss 'mean': the system is declared differentiating"):
        steady_state_candidates(FitConfig(steady_state="mean"), linear_data(world, differentiating=True), Candidate())


def test_the_weights_of_a_run_are_the_candidates_with_the_padding_at_zero(data):
    problem = make_problem(data, make_roster(data), None, seed=0)
    candidate = Candidate(strength="point", weight=3.0, sparsity=0.2, decay=0.7)
    row = np.linspace(0.5, 1.0, len(data.conditions))
    found = run_weights(candidate, QUICK, row, problem)
    np.testing.assert_allclose(found.row[: len(row)], row, rtol=1e-6)
    assert not np.asarray(found.row[len(row) :]).any()
    assert [float(x) for x in (found.steady_state, found.sparsity, found.decay, found.residual)] == pytest.approx(
        [3.0, 0.2, 0.7, QUICK.residual_weight]
    )


def training_of(data: Dataset, config: FitConfig, prior: PriorNetwork | None) -> Training:
    roster = make_roster(data)
    problem = make_problem(data, roster, prior, seed=0)
    scale = ScaleGrid(state=data.scale.state_grid, observed=data.scale.observed_grid)
    start = initial_model(roster, problem.unit, scale, config, is_start_known=True, key=jax.random.key(0))
    return Training(problem=problem, roster=roster, start=start, solver=ExponentialSolver())


@pytest.mark.parametrize(("strength", "weight"), [("none", 0.0), ("point", 5.0)])
def test_with_nothing_to_hold_out_the_middle_is_chosen_unseen(strength, weight):
    data = dataset([condition("control", 24), condition("G0", 24)], np.array([[1.0, 1.0], [0.5, 2.0]]))
    config = replace(QUICK, sparsities=(0.1, 0.2, 0.3), steady_state=strength, steady_state_weights=(5.0,))
    training = training_of(data, config, None)
    borrowed = np.zeros((*data.mean.shape, 3))
    found = select(data, training, config, folds=[], borrowed=borrowed, key=jax.random.key(0))
    assert found.chosen == Candidate(strength=strength, weight=weight, sparsity=0.2)
    assert found.averaged == (found.chosen,)
    assert found.table["error"].isna().all()
    assert np.isnan(found.held_out).all()
    assert found.trust.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def outcome(sparsity: float, errors: list[float], *, strength: str = "none") -> _Outcome:
    nothing = np.zeros((1, 1))
    return _Outcome(
        candidate=Candidate(strength=strength, sparsity=sparsity),
        nested=Nested(
            unedited=nothing, control=nothing, shared=nothing, specific=nothing, borrowed=np.zeros((1, 1, 3))
        ),
        errors=np.array(errors),
        held_out=nothing,
        trust=np.ones(6),
    )


def test_what_cannot_be_told_from_the_best_is_averaged_with_it():
    best = outcome(0.1, [0.5, 0.7, 0.9])
    near = outcome(0.2, [0.7, 0.6, 0.9])  # worse by .033 on average, standard error over folds .088
    worse = outcome(0.3, [0.6, 0.81, 1.0])  # worse by .103, standard error .003
    tied = outcome(0.4, [0.51, 0.71, 0.91])  # worse by .01 in every fold, less than 2 % of .7
    other = outcome(0.1, [0.5, 0.7, 0.9], strength="point")  # another program
    assert _as_good([worse, best, near, other, tied]) == [best, tied, near]
    assert _as_good([worse]) == [worse]


def test_behind_a_sparse_mask_runs_go_further_and_a_weaker_penalty_is_tried_of_several():
    config = FitConfig(n_steps=60, validation_steps=30, learning_rate=0.02, sparsities=(0.3, 0.03))
    data = linear_data()
    edges = pd.DataFrame([(a, b) for a in data.genes for b in data.genes if a < b], columns=["source", "target"])
    half, few, none = (
        make_problem(data, make_roster(data), prior, seed=0)
        for prior in (PriorNetwork(edges=edges, use="mask"), PriorNetwork(edges=edges[:2], use="mask"), None)
    )
    searched = with_mask(config, few)
    assert (searched.n_steps, searched.validation_steps, searched.learning_rate) == (80, 40, 0.04)
    assert searched.sparsities == pytest.approx((0.01, 0.3, 0.03))
    assert with_mask(replace(config, sparsities=(0.3,)), few).sparsities == (0.3,)  # one was asked for
    assert with_mask(replace(config, sparsities=(0.0, 0.3)), few).sparsities == pytest.approx((0.1, 0.0, 0.3))
    assert with_mask(config, half) == with_mask(config, none) == config
    assert with_mask(replace(config, law="neural"), few) == replace(config, law="neural")
