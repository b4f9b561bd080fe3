from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_laws import N_GENES, N_MEDIA, N_REGULATORS, context, network, regulation

from semimech.experiment import Edit
from semimech.model import ResidualRegulation, SaturatingRegulation, neural_map, unwired_regulation
from semimech.model.regulation import regulator_signal

pytestmark = pytest.mark.usefixtures("x64")

UNEDITED = np.ones(N_GENES)


def response(drive: float, max_fold: float) -> float:
    """Relative production of a gene without regulators at a constant drive."""
    one_gene = SaturatingRegulation(
        weight=jnp.zeros((N_GENES, N_REGULATORS)),
        bias=jnp.full(N_GENES, drive),
        medium_effect=jnp.zeros((N_GENES, N_MEDIA)),
        edit_effect=jnp.zeros(N_GENES),
        log_headroom=jnp.full(N_GENES, np.log(max_fold - 1.0)),
    )
    return float(one_gene(jnp.asarray(UNEDITED), context())[0])


def written_out(drive, headroom):
    """Losses multiply and gains saturate."""
    return np.where(drive <= 0, np.exp(drive), 1 + headroom * (1 - np.exp(-drive / headroom)))


def test_losses_of_independent_regulators_multiply():
    assert response(-0.5, 3.0) * response(-1.2, 3.0) == pytest.approx(response(-1.7, 3.0))


@pytest.mark.parametrize("max_fold", [1.5, 2.0, 6.0, 100.0])
def test_without_drive_production_is_that_of_unedited_cells_and_its_slope_is_one(max_fold):
    assert response(0.0, max_fold) == pytest.approx(1.0, rel=1e-12)
    for side in (-1e-6, 0.0, 1e-6):
        slope = (response(side + 1e-7, max_fold) - response(side - 1e-7, max_fold)) / 2e-7
        assert slope == pytest.approx(1.0, abs=5e-6)


@pytest.mark.parametrize("max_fold", [1.5, 6.0])
def test_production_lies_between_nothing_and_its_maximum(max_fold):
    found = [response(drive, max_fold) for drive in (-1e3, -3.0, -0.1, 0.1, 3.0, 1e3)]
    assert found[0] == pytest.approx(0.0, abs=1e-12)
    assert found[-1] == pytest.approx(max_fold)
    assert found == sorted(found)


@given(drive=st.floats(-5, 5), max_fold=st.floats(1.2, 20.0))
def test_production_is_the_saturating_curve_of_the_docstring(drive, max_fold):
    assert response(drive, max_fold) == pytest.approx(written_out(drive, max_fold - 1), rel=1e-9)


def test_the_drive_sums_edges_medium_edits_and_bias():
    law = regulation(1)
    edits = (Edit(gene="A", efficacy=0.5), Edit(gene="T", kind="drug", efficacy=0.25))
    z = np.array([0.5, 2.0, 1.0, 0.0])
    signal = np.array([0.5, 1.0, 1.0, 1.0, 0.75]) * np.append(np.log2(1 + z), 1.0) - 1.0
    drive = law.weight @ signal + law.medium_effect[:, 1] + 0.75 * law.edit_effect + law.bias
    expected = written_out(drive, np.exp(law.log_headroom))
    np.testing.assert_allclose(law(jnp.asarray(z), context(*edits, medium="N")), expected, rtol=1e-6)


def test_unedited_cells_give_no_signal_and_a_knockout_gives_the_signal_of_absence():
    z = jnp.asarray(UNEDITED)
    np.testing.assert_allclose(regulator_signal(z, context()), 0.0, atol=1e-12)
    np.testing.assert_allclose(regulator_signal(z, context(Edit(gene="C"))), [0, 0, -1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(regulator_signal(jnp.zeros(N_GENES), context()), [-1, -1, -1, -1, 0], atol=1e-12)


def test_the_weight_is_the_first_order_response_to_the_signal():
    law = regulation(2, bias=np.zeros(N_GENES), log_headroom=np.zeros(N_GENES))
    slope = jax.jacfwd(lambda z: law(z, context()))(jnp.asarray(UNEDITED))
    np.testing.assert_allclose(slope, law.weight[:, :N_GENES] / (2 * np.log(2)), atol=1e-10)


@given(z=st.lists(st.floats(0, 50), min_size=N_GENES, max_size=N_GENES))
def test_without_edges_production_is_that_of_unedited_cells_whatever_is_done(z):
    law = unwired_regulation(N_GENES, N_REGULATORS, N_MEDIA)
    for done in (
        context(),
        context(Edit(gene="A"), medium="M"),
        context(Edit(gene="T"), Edit(gene="B", kind="crispra")),
    ):
        np.testing.assert_allclose(law(jnp.asarray(z), done), 1.0, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_law_without_edges_has_the_precision_asked_for(dtype):
    law = unwired_regulation(N_GENES, N_REGULATORS, N_MEDIA, dtype=jnp.dtype(dtype))
    assert {leaf.dtype for leaf in jax.tree.leaves(law)} == {jnp.dtype(dtype)}


def test_a_residual_is_the_mechanism_itself_until_it_is_trained():
    mechanism = regulation(3)
    fresh = neural_map(N_GENES, N_REGULATORS, N_MEDIA, n_hidden=8, key=jax.random.key(0))
    wrapped = ResidualRegulation(mechanism=mechanism, correction=fresh)
    z, done = jnp.asarray([0.2, 3.0, 1.0, 0.0]), context(Edit(gene="A"), medium="M")
    np.testing.assert_array_equal(wrapped(z, done), mechanism(z, done))


def test_a_residual_multiplies_production_and_is_held_within_five_logarithms():
    mechanism, correction = regulation(3), network(3)
    z, done = jnp.asarray([0.2, 3.0, 1.0, 0.0]), context(Edit(gene="A"), medium="M")
    factor = ResidualRegulation(mechanism=mechanism, correction=correction)(z, done) / mechanism(z, done)
    np.testing.assert_allclose(np.log(factor), correction(z, done), rtol=1e-9)
    wild = ResidualRegulation(mechanism=mechanism, correction=network(3, scale=1e4))(z, done) / mechanism(z, done)
    np.testing.assert_allclose(np.abs(np.log(wild)), 5.0)


def test_a_neural_map_is_zero_at_the_start_but_can_be_trained():
    fresh = neural_map(N_GENES, N_REGULATORS, N_MEDIA, n_hidden=8, key=jax.random.key(0))
    z, done = jnp.asarray([0.2, 3.0, 1.0, 0.0]), context(Edit(gene="A"), medium="M")
    np.testing.assert_array_equal(fresh(z, done), 0.0)
    slope = jax.grad(lambda net: jnp.sum(net(z, done)))(fresh)
    assert float(jnp.abs(slope.leave).max()) > 0


def test_leading_axes_are_cells_side_by_side():
    law, z = regulation(4), jnp.asarray(np.random.default_rng(0).uniform(0, 3, (3, N_GENES)))
    contexts = jax.tree.map(lambda leaf: np.stack([leaf] * 3), context(Edit(gene="A"), medium="M"))
    alone = [law(row, context(Edit(gene="A"), medium="M")) for row in z]
    np.testing.assert_allclose(law(z, contexts), np.stack(alone), rtol=1e-12)
