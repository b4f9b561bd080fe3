from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_laws import N_GENES, ROSTER, harvested, mechanistic

from semimech.data.scale import Scale, count_scale, identity_scale, log1p_scale, log_scale
from semimech.model import CellModel, ExponentialSolver, ScaleGrid, make_plan, split_trained

pytestmark = pytest.mark.usefixtures("x64")

SCALES = {
    "linear": identity_scale(),
    "log": log_scale(),
    "log1p": log1p_scale(),
    "counts": count_scale(np.geomspace(500, 5000, 50)),
}


def grid(scale: Scale) -> ScaleGrid:
    return ScaleGrid(state=scale.state_grid, observed=scale.observed_grid)


@pytest.mark.parametrize("scale", SCALES)
@given(state=st.lists(st.floats(0, 2e4), min_size=5, max_size=5))
def test_the_compiled_scale_is_that_of_the_data_also_beyond_its_grid(scale, state):
    found = grid(SCALES[scale]).to_observed(jnp.asarray(state))
    np.testing.assert_allclose(found, SCALES[scale].to_observed(np.array(state)), rtol=1e-10, atol=1e-12)


def test_the_slope_of_the_scale_is_that_of_its_segment():
    scale = SCALES["counts"]
    for state in (0.3, 7.0, 450.0):
        slope = jax.grad(lambda x: grid(scale).to_observed(x)[0])(jnp.array([state]))
        assert slope == pytest.approx(1 / scale.state_slope(scale.to_observed(np.array([state]))), rel=1e-9)


@pytest.fixture
def model() -> CellModel:
    return CellModel(
        dynamics=mechanistic(0),
        log_initial=np.zeros(N_GENES),
        unit=np.array([1.0, 10.0, 100.0, 0.5]),
        scale=grid(SCALES["log1p"]),
    )


def test_unedited_cells_start_at_their_unit_on_the_observed_scale(model):
    plan = make_plan([harvested("harvest")], ROSTER)
    observed = model.observe(model.states(plan, ExponentialSolver()))[0]
    np.testing.assert_allclose(observed, np.log1p(model.unit), rtol=1e-4)


def test_a_state_below_nothing_is_observed_as_nothing(model):
    np.testing.assert_array_equal(model.observe(jnp.full(N_GENES, -0.5)), 0.0)


def test_trained_parts_and_constants_join_to_the_same_model(model):
    trained, fixed = split_trained(model)
    assert trained.unit is None
    assert trained.log_initial is None
    assert trained.scale.state is None
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(trained))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(fixed))
    assert eqx.tree_equal(eqx.combine(trained, fixed), model)


def test_a_start_that_is_not_known_is_trained(model):
    unknown = eqx.tree_at(lambda m: m.log_initial, model, jnp.full(N_GENES, 0.2))
    assert split_trained(unknown)[0].log_initial is not None
    plan = make_plan([harvested("harvest")], ROSTER)
    np.testing.assert_allclose(unknown.states(plan, ExponentialSolver())[0], np.exp(0.2), rtol=1e-12)
