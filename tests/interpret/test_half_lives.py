"""Half-lives are those of the laws, and what the data say of them is what their shape in time says."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from fitted_by_hand import by_hand
from small_laws import N_GENES, ROSTER, UNIT, harvested, linear, mechanistic, neural

from semimech.interpret import half_lives
from semimech.model import LinearDynamics

pytestmark = pytest.mark.usefixtures("x64")

RATE = np.array([0.05, 0.1, 0.2, 0.4])


def unwired(rate=RATE) -> LinearDynamics:
    """A linear law without edges."""
    weight = jnp.zeros((N_GENES, len(ROSTER.regulators)))
    return LinearDynamics(weight=weight, bias=jnp.zeros(N_GENES), log_degradation=jnp.asarray(np.log(rate)))


def knockdowns(hours) -> list:
    return [harvested(f"edit A crispri 0.8 > wait {h}h > harvest") for h in hours]


def test_half_lives_are_ln_2_over_the_rate_and_their_spread_is_that_of_the_members():
    table = half_lives(by_hand(unwired(RATE), unwired(RATE * 4)))
    np.testing.assert_allclose(table["half_life_hours"], np.log(2) / (2 * RATE))
    np.testing.assert_allclose(table["upper"], np.log(2) / RATE)
    np.testing.assert_allclose(table["lower"], np.log(2) / (4 * RATE))
    np.testing.assert_allclose(table["time_constant_hours"], 1 / (2 * RATE))
    np.testing.assert_allclose(table["fold_spread"], np.exp(np.log(4) / np.sqrt(2)))


@pytest.mark.parametrize("times", [(4.0, 20.0, 60.0), (30.0, 31.0)])
def test_the_error_from_the_data_is_that_of_the_shape_in_time_in_closed_form(times):
    misfit = 0.1 * UNIT
    training = knockdowns(times)
    model = by_hand(unwired(), training=training, residual=np.tile(misfit, (len(times), 1)))
    t = RATE[0] * np.array(times)
    change, sensitivity = -0.8 * (1 - np.exp(-t)), -0.8 * t * np.exp(-t)
    best = np.linalg.lstsq(change[:, None], sensitivity, rcond=None)[0]
    left = sensitivity - change * best
    table = half_lives(model).set_index("gene")
    assert np.log(table.loc["A", "fold_error"]) == pytest.approx(0.1 / np.sqrt((left**2).sum()), rel=1e-3)
    assert np.isinf(table.loc[["B", "C", "D"], "fold_error"]).all()


@pytest.mark.parametrize("protocols", [["wait settled"], ["wait 10h"], []])
def test_cells_that_have_settled_and_cells_at_one_time_tell_no_half_life(protocols):
    training = [harvested(f"edit A crispri 0.8 > {p} > harvest") for p in protocols]
    training += [harvested(f"edit B crispri 0.8 > {p} > harvest") for p in protocols]
    model = by_hand(mechanistic(1), training=training, residual=np.full((len(training), N_GENES), 1e-3))
    table = half_lives(model)
    assert np.isinf(table["fold_error"]).all()
    assert not table["could_tell"].any()


def test_a_half_life_is_told_if_members_agree_and_the_data_speak():
    training = knockdowns((4.0, 20.0, 60.0))
    told = {"training": training, "residual": np.tile(0.01 * UNIT, (3, 1))}
    assert half_lives(by_hand(unwired(), **told))["could_tell"].tolist() == [True, False, False, False]
    torn = half_lives(by_hand(unwired(RATE / 2), unwired(RATE * 2), **told))
    assert not torn["could_tell"].any()
    assert torn["fold_error"].iloc[0] < 2
    assert half_lives(by_hand(unwired(), **(told | {"residual": np.tile(UNIT, (3, 1))})))["could_tell"].sum() == 0


def test_a_law_without_decay_has_no_half_lives_and_one_with_edges_has_one_for_each_gene():
    assert half_lives(by_hand(neural(1))).empty
    assert half_lives(by_hand(linear(1), linear(2)))["gene"].tolist() == list(ROSTER.genes)
    with pytest.raises(ValueError, match="above 1"):
        half_lives(by_hand(linear(1)), within_fold=1.0)
