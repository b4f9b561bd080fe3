from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp
from scipy.optimize import root
from small_laws import (
    N_GENES,
    N_REGULATORS,
    ROSTER,
    START,
    context,
    harvested,
    linear,
    mechanistic,
    neural,
    regulation,
    states,
)

from semimech.experiment import Edit
from semimech.model import (
    AdaptiveSolver,
    ExponentialSolver,
    MechanisticDynamics,
    drift_at_rest,
    make_edges,
    make_plan,
    run_plan,
    settle,
)

pytestmark = pytest.mark.usefixtures("x64")

PROTOCOL = "edit A knockout 0.8 > wait 20h > medium M > edit B crispri 0.5 > wait 10h > harvest"


def drift_by_hand(law: MechanisticDynamics, z: np.ndarray, *, edited: bool, in_medium: bool) -> np.ndarray:
    """The law of the docstrings for PROTOCOL, written out with NumPy."""
    rule, n_edits = law.regulation, 0.8 * edited + 0.5 * in_medium
    signal = np.append(np.log2(1 + np.maximum(z, 0)), 1.0)
    signal[0] *= 1 - 0.8 * edited
    drive = rule.weight @ (signal - 1) + rule.medium_effect[:, 0] * in_medium + n_edits * rule.edit_effect + rule.bias
    headroom = np.exp(rule.log_headroom)
    production = np.where(drive <= 0, np.exp(drive), 1 + headroom * (1 - np.exp(-drive / headroom)))
    own = np.ones(N_GENES)
    own[0] = 1 + 0.8 * edited * (np.exp(law.log_transcript + law.log_transcript_gene[0]) - 1)
    own[1] = 1 - 0.5 * in_medium
    return np.exp(law.log_degradation) * (own * production - z)


@pytest.mark.parametrize("solver", [ExponentialSolver(0.02), AdaptiveSolver()], ids=["exponential", "adaptive"])
def test_both_solvers_agree_with_an_independent_integrator(solver):
    law = jax.tree.map(np.asarray, mechanistic(11))
    tight = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-12}
    first = solve_ivp(lambda t, z: drift_by_hand(law, z, edited=True, in_medium=False), (0, 20), START, **tight).y[
        :, -1
    ]
    second = solve_ivp(lambda t, z: drift_by_hand(law, z, edited=True, in_medium=True), (0, 10), first, **tight).y[
        :, -1
    ]
    np.testing.assert_allclose(states(mechanistic(11), [PROTOCOL], solver)[0], second, rtol=1e-5)


@pytest.mark.parametrize("law", [mechanistic, linear, neural], ids=["mechanistic", "linear", "neural"])
def test_both_solvers_agree_on_every_law(law):
    exponential, adaptive = (states(law(12), [PROTOCOL], s) for s in (ExponentialSolver(0.05), AdaptiveSolver()))
    np.testing.assert_allclose(exponential, adaptive, rtol=1e-5)


@pytest.mark.parametrize("order", [2, 4])
def test_the_exponential_solver_is_of_its_order(order):
    law = mechanistic(13, strength=1.0)
    exact = states(law, [PROTOCOL], AdaptiveSolver(rtol=1e-12, atol=1e-14))
    coarse, fine = (np.abs(states(law, [PROTOCOL], ExponentialSolver(h, order)) - exact).max() for h in (2.0, 0.25))
    assert np.log(coarse / fine) / np.log(8.0) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("max_step", [0.5, 8.0, 24.0])
def test_the_exponential_solver_keeps_a_steady_state_whatever_the_step(max_step, order):
    law, here = mechanistic(14), context(Edit(gene="A"), medium="M")
    contexts = jax.tree.map(lambda leaf: np.stack([leaf[None]] * 2), here)
    steady = root(lambda z: np.asarray(law.drift(jnp.asarray(z), here)), np.ones(N_GENES), tol=1e-13).x
    later = ExponentialSolver(max_step, order).integrate(law, jnp.asarray(steady)[None], contexts, (0.0, 96.0))[-1, 0]
    np.testing.assert_allclose(later, steady, rtol=1e-10)


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("half_life_hours", [0.01, 1e5])
def test_decay_is_exact_however_fast_or_slow_at_one_step_a_day(half_life_hours, order):
    law = mechanistic(0, strength=0.0, bias=np.zeros(N_GENES), edit_effect=np.zeros(N_GENES))
    rate = np.log(2) / half_life_hours
    law = eqx.tree_at(lambda m: m.log_degradation, law, jnp.full(N_GENES, np.log(rate)))
    found = states(law, ["wait 24h > harvest"], ExponentialSolver(24.0, order))[0]
    np.testing.assert_allclose(found, 1 + (START - 1) * np.exp(-24 * rate), rtol=1e-9)


@pytest.mark.parametrize("law", [mechanistic, linear], ids=["mechanistic", "linear"])
def test_the_settled_state_is_a_root_of_the_drift(law):
    law = law(15)
    settled = states(law, ["edit A > medium M > edit T drug 0.5 > wait settled > harvest"], ExponentialSolver())[0]
    here = context(Edit(gene="A"), Edit(gene="T", kind="drug", efficacy=0.5), medium="M")
    exact = root(lambda z: np.asarray(law.drift(jnp.asarray(z), here)), np.ones(N_GENES), tol=1e-13)
    assert np.abs(exact.fun).max() < 1e-12
    np.testing.assert_allclose(settled, exact.x, rtol=1e-5)


def test_the_settled_state_of_two_saturating_genes_is_that_of_the_written_out_equations():
    # A = h(0.9 (log2(1 + B) - 1)), B = h(0.3 - 1.1 (log2(1 + A) - 1)), h saturating at 6.
    def h(s):
        return np.exp(s) if s <= 0 else 1 + 5 * (1 - np.exp(-s / 5))

    weight = np.zeros((N_GENES, N_REGULATORS))
    weight[0, 1], weight[1, 0] = 0.9, -1.1
    bias = np.array([0.0, 0.3, 0.0, 0.0])
    law = mechanistic(0, weight=weight, bias=bias, log_headroom=np.full(N_GENES, np.log(5.0)))
    exact = root(
        lambda z: [h(0.9 * (np.log2(1 + z[1]) - 1)) - z[0], h(0.3 - 1.1 * (np.log2(1 + z[0]) - 1)) - z[1]],
        [1.0, 1.0],
        tol=1e-13,
    ).x
    settled = states(law, ["wait settled > harvest"], ExponentialSolver())[0]
    np.testing.assert_allclose(settled[:2], exact, rtol=1e-5)


def test_cells_settle_where_long_waiting_leads():
    law = mechanistic(16)
    settled, waited = states(
        law, ["edit A > wait settled > harvest", "edit A > wait 400h > harvest"], ExponentialSolver(1.0)
    )
    np.testing.assert_allclose(settled, waited, rtol=1e-6)


def test_newton_finds_the_rest_that_cells_spiral_into_where_the_iteration_does_not_end():
    # A makes B, B represses A, both strongly: -1 ± 3i times the decay, but the damped iteration has a factor above one.
    weight = np.zeros((N_GENES, N_REGULATORS))
    weight[0, 1], weight[1, 0] = -6.0, 6.0
    law = mechanistic(0, weight=weight, bias=np.array([0.4, 0.0, 0.0, 0.0]))
    law = eqx.tree_at(lambda m: m.log_degradation, law, jnp.full(N_GENES, -2.0))
    plan = make_plan([harvested("wait settled > harvest")], ROSTER)
    waited = states(law, ["wait 2000h > harvest"], ExponentialSolver(0.5))[0]
    lost = run_plan(law, jnp.asarray(START), plan, ExponentialSolver())
    found = run_plan(law, jnp.asarray(START), plan, ExponentialSolver(), newton=True)
    np.testing.assert_allclose(found[0], waited, rtol=1e-6)
    assert np.abs(np.asarray(lost[0]) / waited - 1).max() > 0.05
    assert float(drift_at_rest(law, lost, plan)[0]) > 0.01
    assert float(drift_at_rest(law, found, plan).max()) < 1e-6


def test_of_two_attractors_cells_settle_in_the_one_whose_basin_they_stand_in():
    # A toggle: A and B repress one another strongly.
    weight = np.zeros((N_GENES, N_REGULATORS))
    weight[0, 1] = weight[1, 0] = -4.0
    law = mechanistic(0, weight=weight, bias=np.zeros(N_GENES), edit_effect=np.zeros(N_GENES))
    law = eqx.tree_at(lambda m: m.log_degradation, law, jnp.full(N_GENES, np.log(0.1)))
    starts = jnp.asarray([[3.0, 0.2, 1.0, 1.0], [0.2, 3.0, 1.0, 1.0]])
    contexts = jax.tree.map(lambda leaf: np.stack([leaf] * 2), context())
    ends = settle(law, starts, contexts, ExponentialSolver())
    assert ends[0, 0] > 3 * ends[0, 1]
    assert ends[1, 1] > 3 * ends[1, 0]
    np.testing.assert_allclose(law.drift(ends, contexts), 0.0, atol=1e-9)


def settled_size(law: MechanisticDynamics, scale: float = 1.0) -> jax.Array:
    plan = make_plan([harvested("edit A knockout 0.7 > medium M > wait settled > harvest")], ROSTER)
    start = jnp.asarray(START, law.log_degradation.dtype)
    return scale * jnp.sum(run_plan(law, start, plan, ExponentialSolver())[0] * jnp.arange(1, 5))


def finite_difference(value, law: MechanisticDynamics, direction: np.ndarray, step: float = 1e-5) -> float:
    flat, unravel = ravel_pytree(law)
    return float((value(unravel(flat + step * direction)) - value(unravel(flat - step * direction))) / (2 * step))


def test_the_gradient_of_a_steady_state_is_that_of_finite_differences():
    law = mechanistic(17)
    slope, _ = ravel_pytree(jax.jit(jax.grad(settled_size))(law))
    value = jax.jit(settled_size)
    for direction in np.random.default_rng(0).normal(size=(4, len(slope))):
        assert slope @ direction == pytest.approx(finite_difference(value, law, direction), rel=1e-6)


def test_the_gradient_of_a_steady_state_does_not_depend_on_the_unit_of_the_loss():
    law, gradient = (
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), mechanistic(17)),
        jax.jit(jax.grad(settled_size)),
    )
    size, tiny = (ravel_pytree(gradient(law, scale))[0] for scale in (1.0, 1e-7))
    np.testing.assert_allclose(1e7 * tiny, size, rtol=1e-3, atol=1e-4 * float(jnp.abs(size).max()))


def test_the_gradient_through_time_is_that_of_finite_differences():
    plan = make_plan([harvested(PROTOCOL)], ROSTER)

    def size(law):
        return jnp.sum(run_plan(law, jnp.asarray(START), plan, ExponentialSolver(8.0))[0] ** 2)

    law = mechanistic(18)
    slope, _ = ravel_pytree(jax.jit(jax.grad(size))(law))
    direction = np.random.default_rng(1).normal(size=len(slope))
    assert slope @ direction == pytest.approx(finite_difference(jax.jit(size), law, direction), rel=1e-6)


def together(law, plan) -> set[int]:
    """How many courses are carried through time at once."""
    seen = set()

    class Spy(ExponentialSolver):
        def _through(self, dynamics, z, contexts, hours):
            seen.add(len(z))
            return super()._through(dynamics, z, contexts, hours)

    run_plan(law, jnp.asarray(START), plan, Spy(4.0))
    return seen


def test_courses_one_block_after_the_other_end_where_all_at_once_do():
    """A network by edge is carried through time in blocks of courses (three of 27 here, of which one is padding); as a full matrix it is not."""
    law = mechanistic(20)
    mechanism = law.regulation
    gene, regulator = np.nonzero(np.asarray(mechanism.weight))
    edges = make_edges(gene, regulator, n_genes=N_GENES, n_regulators=mechanism.weight.shape[1])
    asked = [f"edit A knockout {(i + 1) / 100} > wait {5 + i % 3}h > harvest" for i in range(77)]
    plan = make_plan([harvested(protocol) for protocol in asked], ROSTER)
    assert len(plan.stages[0].start) == 80

    def size(edges, weight, log_degradation):
        rule = replace(mechanism, weight=weight, edges=edges)
        found = run_plan(
            replace(law, regulation=rule, log_degradation=log_degradation),
            jnp.asarray(START),
            plan,
            ExponentialSolver(4.0),
        )
        return jnp.sum(found**2), found

    slope = jax.jit(jax.grad(size, argnums=(1, 2), has_aux=True), static_argnums=0)
    (by_weight, by_rate), at_once = slope(None, mechanism.weight, law.log_degradation)
    by_edge = jax.jit(jax.grad(lambda *free: size(edges, *free), argnums=(0, 1), has_aux=True))
    (by_kept, by_same_rate), in_blocks = by_edge(mechanism.weight[edges.gene, edges.regulator], law.log_degradation)
    np.testing.assert_allclose(in_blocks, at_once, rtol=1e-9, atol=1e-12)
    kept = replace(mechanism, weight=mechanism.weight[edges.gene, edges.regulator], edges=edges)
    assert together(replace(law, regulation=kept), plan) == {27}
    assert together(law, plan) == {80}
    np.testing.assert_allclose(by_kept, by_weight[edges.gene, edges.regulator], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(by_same_rate, by_rate, rtol=1e-9, atol=1e-12)


def test_a_row_that_does_not_settle_keeps_its_gradient_beside_one_that_does():
    law = mechanistic(19)

    def slope(*protocols):
        plan = make_plan([harvested(p) for p in protocols], ROSTER)
        size = lambda law: jnp.sum(run_plan(law, jnp.asarray(START), plan, ExponentialSolver(8.0))[0])
        return ravel_pytree(jax.jit(jax.grad(size))(law))[0]

    asked = ("edit A > wait 24h > harvest", "edit B > wait settled > harvest")
    np.testing.assert_allclose(slope(*asked), slope(asked[0]), rtol=1e-6, atol=1e-9)


def test_padding_rows_are_zero_and_no_time_gives_the_start():
    plan = make_plan([harvested("edit A > harvest")], ROSTER)
    found = run_plan(mechanistic(0), jnp.asarray(START), plan, ExponentialSolver())
    np.testing.assert_array_equal(found[0], START)
    assert found.shape == (plan.n_rows, N_GENES)
    assert plan.n_rows > 1


def test_strong_repression_to_nothing_settles_at_nothing():
    law = mechanistic(0)
    law = eqx.tree_at(lambda m: m.regulation, law, regulation(0, bias=np.full(N_GENES, -200.0)))
    np.testing.assert_allclose(states(law, ["wait settled > harvest"], ExponentialSolver()), 0.0, atol=1e-12)
