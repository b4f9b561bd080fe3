from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_continuous_lyapunov
from small_data import condition, dataset
from small_laws import N_GENES, ROSTER, START, context, linear, mechanistic, neural

from semimech.fit import FitConfig
from semimech.fit.candidates import Candidate, run_weights
from semimech.fit.loss import (
    ControlNoise,
    Weights,
    correction,
    data_term,
    decay_term,
    fitting_loss,
    mean_term,
    moment_term,
    point_term,
    residual_term,
    sparsity_term,
    steady_state_term,
    with_tables,
)
from semimech.fit.problem import Controls, lyapunov_step, make_problem, make_roster
from semimech.model import CellModel, ExponentialSolver, MechanisticDynamics, PriorNetwork, ScaleGrid, jacobian, wiring

pytestmark = pytest.mark.usefixtures("x64")

STEP = lyapunov_step(8.0)
NONE = np.zeros((0, 0))
NO_TABLE = np.zeros(0)
EXPECTED = np.full(N_GENES, 5.0)


def controls(points: np.ndarray, covariance: np.ndarray = NONE, *, measured: float = 0.0) -> Controls:
    """Unedited cells whose variances were measured with some noise."""
    variance = np.diagonal(covariance) + measured
    return Controls(
        context=context(),
        points=np.asarray(points),
        covariance=covariance,
        precision=1.0 / np.outer(variance, variance),
    )


def noise(n_factors: int = 0, seed: int = 0) -> ControlNoise:
    rng = np.random.default_rng(seed)
    return ControlNoise(
        log_intrinsic=jnp.asarray(np.log(rng.uniform(0.02, 0.1, N_GENES))),
        loading=jnp.asarray(0.2 * rng.normal(size=(N_GENES, n_factors))),
        log_factor_rate=jnp.asarray(np.log(np.log(2) / np.linspace(24.0, 48.0, n_factors))),
    )


def stationary(seed: int) -> MechanisticDynamics:
    """A random law for which unedited cells at 1 do not move."""
    return mechanistic(seed, bias=np.zeros(N_GENES))


def written_out_covariance(law: MechanisticDynamics, given: ControlNoise) -> np.ndarray:
    """Stationary covariance of the law with this noise, by SciPy's solver."""
    rate, k = np.asarray(law.decay()), len(given.log_factor_rate)
    kappa = np.exp(given.log_factor_rate)
    drift = np.asarray(jacobian(law, jnp.ones(N_GENES), context()))
    whole = np.block([[drift, rate[:, None] * given.loading], [np.zeros((k, N_GENES)), -np.diag(kappa)]])
    diffusion = np.diag([*(2 * rate * np.exp(given.log_intrinsic)), *(2 * kappa)])
    return solve_continuous_lyapunov(whole, -diffusion)[:N_GENES, :N_GENES]


def test_cells_at_a_fixed_point_of_the_law_cost_nothing_in_point_and_mean():
    here = controls(np.ones((5, N_GENES)))
    for law in (stationary(1), neural(1, scale=0.0)):
        assert float(point_term(law, here)) == pytest.approx(0.0, abs=1e-20)
        assert float(mean_term(law, here)) == pytest.approx(0.0, abs=1e-20)


def test_the_covariance_that_the_law_implies_costs_nothing_in_moment():
    for n_factors in (0, 2):
        law, given = stationary(2), noise(n_factors)
        here = controls(np.ones((2, N_GENES)), written_out_covariance(law, given))
        assert float(moment_term(law, given, here, step=STEP)) < 1e-8


def test_another_covariance_costs_its_squared_difference_by_the_precision_of_each_entry():
    law, given = stationary(2), noise(2)
    implied = written_out_covariance(law, given)
    observed = implied + np.diag(np.full(N_GENES, 0.05)) + 0.01
    is_own = np.eye(N_GENES, dtype=bool)
    for measured in (0.0, 0.3):
        variance = np.diag(observed) + measured
        weight = np.where(is_own, 0.09, 1.0) / np.outer(variance, variance)
        misfit = (weight * (implied - observed) ** 2).sum() / (weight * observed**2)[~is_own].sum()
        here = controls(np.ones((2, N_GENES)), observed, measured=measured)
        assert float(moment_term(law, given, here, step=STEP)) == pytest.approx(np.log1p(misfit), rel=1e-5)


def test_a_law_without_edges_has_the_moment_loss_of_one_unit():
    law = mechanistic(0, strength=0.0, bias=np.zeros(N_GENES))
    given = noise()
    observed = np.diag(np.exp(given.log_intrinsic)) + 0.01 * (1.0 - np.eye(N_GENES))
    found = moment_term(law, given, controls(np.ones((2, N_GENES)), observed), step=STEP)
    assert float(found) == pytest.approx(np.log(2.0), rel=1e-5)


def test_drift_is_counted_in_units_of_the_natural_rate():
    # Without regulation dz/dt = δ(1 - z): a cell at 1 + d drifts by -d whatever its half-lives.
    law = mechanistic(0, strength=0.0, bias=np.zeros(N_GENES))
    here = controls([[1.5, 1.0, 1.0, 0.7], [0.5, 1.0, 1.0, 1.3]])
    assert float(point_term(law, here)) == pytest.approx((0.5**2 + 0.3**2) / 4)
    assert float(mean_term(law, here)) == pytest.approx(0.0, abs=1e-20)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_mean_asks_no_more_than_point(seed):
    law, cells = mechanistic(seed), np.random.default_rng(seed).lognormal(0, 0.5, size=(7, N_GENES))
    assert float(mean_term(law, controls(cells))) <= float(point_term(law, controls(cells))) * (1 + 1e-9)


def test_point_is_mean_for_a_single_cell():
    here = controls(START[None])
    assert float(point_term(mechanistic(3), here)) == pytest.approx(float(mean_term(mechanistic(3), here)))


EDITS = ("control", "X", "Y", "G0")
CHANGED = np.array([[10.0, 20.0, 5.0], [12.0, 10.0, 5.0], [10.0, 22.0, 4.0], [1.0, 25.0, 8.0]])


@pytest.fixture
def problem():
    """Three genes; X and Y are not measured, all errors weigh the same."""
    data = dataset([condition(name, 24.0) for name in EDITS], CHANGED, standard_error=0.0)
    return make_problem(data, make_roster(data), None, seed=0)


def rows(problem, *chosen: int) -> jnp.ndarray:
    return jnp.zeros(problem.plan.n_rows).at[jnp.asarray(chosen)].set(1.0)


def test_predicting_no_change_costs_one():
    data = dataset([condition(name, 24.0) for name in EDITS[:3]], CHANGED[:3], standard_error=0.0)
    problem = make_problem(data, make_roster(data), None, seed=0)
    no_change = jnp.asarray(np.tile(CHANGED[0], (problem.plan.n_rows, 1)))
    assert float(data_term(no_change, problem, rows(problem, 1, 2))) == pytest.approx(1.0, rel=1e-6)


def test_predicting_what_was_seen_costs_nothing(problem):
    assert float(data_term(jnp.asarray(problem.target), problem, rows(problem, 0, 1, 2, 3))) == 0.0


def test_a_row_of_no_weight_does_not_count(problem):
    wrong = jnp.asarray(problem.target).at[2].set(1e6)
    assert float(data_term(wrong, problem, rows(problem, 0, 1, 3))) == 0.0
    assert float(data_term(wrong, problem, rows(problem, 2))) > 1.0


def test_the_data_term_is_a_weighted_mean_over_rows(problem):
    predicted = jnp.asarray(problem.target) + jnp.arange(problem.plan.n_rows)[:, None]
    each = [float(data_term(predicted, problem, rows(problem, r))) for r in range(3)]
    weight = 0.5 * rows(problem, 0) + 2.0 * rows(problem, 2)
    assert float(data_term(predicted, problem, weight)) == pytest.approx((0.5 * each[0] + 2.0 * each[2]) / 2.5)


def test_the_strength_of_the_steady_state_loss_is_the_one_asked_for(problem):
    law, given = mechanistic(4), noise(1)
    here = controls(np.random.default_rng(0).lognormal(0, 0.3, (6, N_GENES)), 0.1 * np.eye(N_GENES))
    with_controls = eqx.tree_at(lambda p: p.controls, problem, here, is_leaf=lambda leaf: leaf is None)
    found = {s: steady_state_term(s, law, given, with_controls, step=STEP) for s in ("none", "point", "mean", "moment")}
    expected = {
        "none": 0.0,
        "point": point_term(law, here),
        "mean": mean_term(law, here),
        "moment": moment_term(law, given, here, step=STEP),
    }
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {k: float(v) for k, v in expected.items()}
    )


def test_without_controls_there_is_no_steady_state_loss(problem):
    without = eqx.tree_at(lambda p: p.controls, problem, None)
    assert float(steady_state_term("point", mechanistic(4), noise(), without, step=STEP)) == 0.0


@pytest.fixture
def four_genes():
    """A problem of the genes of the small laws, with a prior."""
    data = dataset([condition("control", 24.0), condition("A", 24.0)], np.array([[1.0] * N_GENES, [1.5] * N_GENES]))
    prior = PriorNetwork(edges=pd.DataFrame({"source": ["B"], "target": ["A"]}), strength=3.0)
    compiled = make_problem(data, ROSTER, prior, seed=0)
    return with_tables(compiled, run_weights(Candidate(tables=(1.0,)), FitConfig(), np.ones(2), compiled))


def test_edges_are_priced_per_gene_and_forbidden_ones_are_not(four_genes):
    law = mechanistic(5)
    weight = np.abs(np.asarray(law.regulation.weight))
    expected = (3 * weight.sum() - 2 * weight[0, 1]) / N_GENES
    assert float(sparsity_term(law, four_genes, NO_TABLE)) == pytest.approx(expected, rel=1e-6)
    on_oneself = eqx.tree_at(lambda m: m.regulation.weight, law, law.regulation.weight.at[2, 2].set(9.0))
    assert float(sparsity_term(on_oneself, four_genes, NO_TABLE)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("law", [linear, neural], ids=["linear", "neural"])
def test_a_law_without_a_learned_network_of_edges_has_no_sparsity(problem, law):
    assert float(sparsity_term(law(0), problem, NO_TABLE)) == 0.0


def test_a_network_without_edges_costs_nothing(four_genes):
    assert float(sparsity_term(mechanistic(0, strength=0.0), four_genes, NO_TABLE)) == 0.0


def test_the_squared_penalty_is_zero_at_what_is_expected_and_grows_with_each_departure():
    law = mechanistic(0, strength=0.0, bias=np.zeros(N_GENES), edit_effect=np.zeros(N_GENES))
    law = eqx.tree_at(
        lambda m: (m.log_degradation, m.log_transcript, m.log_transcript_gene, m.regulation.log_headroom),
        law,
        (
            jnp.full(N_GENES, np.log(np.log(2) / 8.0)),
            jnp.array(0.0),
            jnp.zeros(N_GENES),
            jnp.full(N_GENES, np.log(5.0)),
        ),
    )
    assert float(decay_term(law, noise(), EXPECTED, 8.0)) == pytest.approx(0.0, abs=1e-20)
    faster = eqx.tree_at(lambda m: m.log_degradation, law, law.log_degradation.at[1].add(0.5))
    assert float(decay_term(faster, noise(), EXPECTED, 8.0)) == pytest.approx(0.25 / N_GENES)
    edge = eqx.tree_at(lambda m: m.regulation.weight, law, law.regulation.weight.at[0, 2].set(0.3))
    assert float(decay_term(edge, noise(), EXPECTED, 8.0)) == pytest.approx(0.09 / N_GENES)
    loaded = noise(2)
    assert float(decay_term(law, loaded, EXPECTED, 8.0)) == pytest.approx(float((loaded.loading**2).sum()) / N_GENES)


def test_the_squared_penalty_reaches_neural_parts():
    small, large = (float(decay_term(neural(0, scale=scale), noise(), EXPECTED, 8.0)) for scale in (0.1, 1.0))
    assert large > small
    plain, residual = (float(decay_term(mechanistic(0, residual=r), noise(), EXPECTED, 8.0)) for r in (False, True))
    assert residual > plain


def test_the_wiring_and_the_correction_of_each_law_are_found():
    law = mechanistic(0, residual=True)
    assert wiring(law) is law.regulation.mechanism
    assert correction(law) is law.regulation.correction
    assert wiring(mechanistic(0)) is not None
    assert correction(mechanistic(0)) is None
    ode = neural(0)
    assert wiring(ode) is None
    assert correction(ode) is ode.network
    assert wiring(linear(0)) is None
    assert correction(linear(0)) is None
    odd = eqx.tree_at(lambda m: m.regulation, mechanistic(0), ode.network)
    assert wiring(odd) is None


def model(law) -> CellModel:
    grid = np.array([0.0, 1.0])
    return CellModel(
        dynamics=law, log_initial=np.zeros(N_GENES), unit=np.ones(N_GENES), scale=ScaleGrid(state=grid, observed=grid)
    )


def test_the_residuals_share_is_its_mean_square_over_visited_states(four_genes):
    law = mechanistic(0, residual=True)
    states = model(law).states(four_genes.plan, ExponentialSolver())
    assert float(residual_term(law, states, four_genes)) > 0
    assert float(residual_term(mechanistic(0), states, four_genes)) == 0.0
    fresh = eqx.tree_at(lambda m: m.regulation.correction.leave, law, jnp.zeros_like(law.regulation.correction.leave))
    assert float(residual_term(fresh, states, four_genes)) == 0.0


def test_the_loss_is_the_sum_of_its_weighted_terms(four_genes):
    law, given = mechanistic(0, residual=True), noise(1)
    ones = Weights(
        row=rows(four_genes, 0, 1),
        **{n: jnp.array(2.0) for n in ("steady_state", "sparsity", "decay", "residual")},
        tables=np.zeros(0),
        factors=np.array(1),
    )
    total, terms = fitting_loss(model(law), given, four_genes, ones, solver=ExponentialSolver(), half_life_hours=8.0)
    assert float(total) == pytest.approx(sum(float(term) for term in terms.values()))
    assert float(terms["sparsity"]) == pytest.approx(2 * float(sparsity_term(law, four_genes, NO_TABLE)))
    assert float(terms["weight decay"]) == pytest.approx(2 * float(decay_term(law, given, four_genes.headroom, 8.0)))
    nothing = eqx.tree_at(lambda w: (w.sparsity, w.decay, w.residual), ones, (jnp.array(0.0),) * 3)
    total, terms = fitting_loss(model(law), given, four_genes, nothing, solver=ExponentialSolver(), half_life_hours=8.0)
    assert float(total) == float(terms["data"])
