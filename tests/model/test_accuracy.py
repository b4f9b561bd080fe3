from __future__ import annotations

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_laws import N_MEDIA, ROSTER, harvested, mechanistic

from semimech.model import (
    AdaptiveSolver,
    CellModel,
    ExponentialSolver,
    MechanisticDynamics,
    Programmes,
    ScaleGrid,
    accuracy,
    accurate_solver,
    coupled,
    halving_error,
    make_edges,
    make_plan,
    unwired_regulation,
    wiring,
)

PLAN = make_plan([harvested(f"edit A > wait {h}h > harvest") for h in (24, 48, 72)], ROSTER)
GRID = np.array([0.0, 1.0], np.float32)


def model(law: MechanisticDynamics) -> CellModel:
    n_genes = len(law.log_degradation)
    ones = np.ones(n_genes, np.float32)
    return CellModel(dynamics=law, log_initial=0 * ones, unit=ones, scale=ScaleGrid(state=GRID, observed=GRID))


@pytest.mark.parametrize("solver", [ExponentialSolver(12.0, 2), ExponentialSolver(12.0, 4)])
def test_halving_the_steps_tells_the_error(solver):
    law = model(mechanistic(3))
    exact = law.states(PLAN, AdaptiveSolver(rtol=1e-7, atol=1e-9))[:3]
    size = lambda x: float(jnp.sqrt(jnp.mean(x**2)))
    true = size(law.states(PLAN, solver)[:3] - exact) / size(exact - 1.0)
    told = halving_error(law, PLAN, solver)
    assert told == pytest.approx(true, rel=0.5)


def test_the_cheapest_integrator_that_keeps_the_error_is_chosen(monkeypatch):
    assert [s.order / s.max_step for s in accuracy._TRIED] == sorted(s.order / s.max_step for s in accuracy._TRIED)
    tried = [ExponentialSolver(24.0, 2), ExponentialSolver(12.0, 4), ExponentialSolver(6.0, 4)]
    monkeypatch.setattr(accuracy, "_TRIED", tried)
    law = model(mechanistic(3))
    rough, fine = (accurate_solver(law, PLAN, error) for error in (0.1, 1e-3))
    evaluations = lambda solver: solver.order / solver.max_step
    assert evaluations(rough) < evaluations(fine)
    assert halving_error(law, PLAN, rough) <= 0.1
    assert halving_error(law, PLAN, fine) <= 1e-3
    assert accurate_solver(law, PLAN, 0.0) == ExponentialSolver(6.0, 4)


def test_a_coupled_law_is_as_strong_as_a_law_at_rest_may_be():
    n_genes = 200
    law = partial(eqx.tree_at, lambda m: (m.regulation, m.log_degradation, m.log_transcript_gene), mechanistic(0))
    zeros = jnp.zeros(n_genes)
    start = model(law((unwired_regulation(n_genes, n_genes, N_MEDIA), zeros, zeros)))
    weight = np.asarray(wiring(coupled(start, key=jax.random.key(0)).dynamics).weight)
    assert np.abs(np.linalg.eigvals(weight)).max() == pytest.approx(1.0, abs=0.15)


def test_coupled_programmes_are_as_strong():
    n_genes, n_programmes = 400, 60
    zeros, key = jnp.zeros(n_genes), jax.random.key(1)
    programmes = Programmes(
        reading=jax.random.normal(key, (n_genes, n_programmes)) / np.sqrt(n_genes),
        writing=jnp.zeros((n_genes, n_programmes)),
    )
    none = np.zeros(0, np.int64)
    regulation = replace(
        unwired_regulation(n_genes, n_genes, N_MEDIA),
        weight=jnp.zeros(0),
        edges=make_edges(none, none, n_genes=n_genes, n_regulators=n_genes),
        programmes=programmes,
    )
    parts = lambda m: (m.regulation, m.log_degradation, m.log_transcript_gene)
    law = eqx.tree_at(parts, mechanistic(0), (regulation, zeros, zeros))
    full = np.asarray(wiring(coupled(model(law), key=jax.random.key(0)).dynamics).full())
    assert np.abs(np.linalg.eigvals(full)).max() == pytest.approx(1.0, abs=0.3)
