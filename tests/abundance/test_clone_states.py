"""Clones seen once, and where a known law takes them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from fitted_by_hand import by_hand
from small_laws import N_GENES, ROSTER, UNIT, linear

from semimech import DataError
from semimech.abundance import advance_clones
from semimech.data.scale import identity_scale

KEY = jax.random.key(0)
pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(scope="module")
def model():
    return by_hand(linear(0), linear(1), scale=identity_scale(), max_step_hours=1.0)


def cells(*, between, within, size, n_clones=200, seed=0):
    """Normal cells of normal clones around unedited cells, in units of each gene; and the means of clones."""
    rng = np.random.default_rng(seed)
    means = UNIT * (3.0 + between * rng.standard_normal((n_clones, N_GENES)))
    clone = np.repeat(np.arange(n_clones), size)
    values = means[clone] + UNIT * within * rng.standard_normal((len(clone), N_GENES))
    return values, [f"c{c:03d}" for c in clone], means


def test_clones_without_noise_go_where_the_operator_takes_their_means(model):
    values, clones, means = cells(between=0.3, within=0.0, size=2, n_clones=5)
    found = advance_clones(model, values, clones, "wait 6h", key=KEY)
    assert found.earlier == pytest.approx(means)
    assert found.later == pytest.approx(model.operator("wait 6h")(means), rel=1e-4)
    assert found.kept == pytest.approx(1.0)


def test_an_edit_made_before_goes_on(model):
    values, clones, means = cells(between=0.3, within=0.0, size=2, n_clones=5)
    gene = ROSTER.genes[0]
    found = advance_clones(model, values, clones, "wait 6h", before=f"edit {gene} > wait 2h", key=KEY)
    both = model.operator(f"edit {gene} > wait 8h")
    start = model.operator(f"edit {gene} > wait 2h").members(means)
    after = model.operator("wait 6h").after(model.operator(f"edit {gene} > wait 2h"))
    assert found.later == pytest.approx(after(means), rel=1e-4)
    assert both.members(means) == pytest.approx(after.members(start), rel=1e-3)


def test_the_mean_of_a_clone_of_few_cells_is_shrunk_as_far_as_it_is_noise(model):
    values, clones, means = cells(between=0.3, within=0.6, size=4)
    found = advance_clones(model, values, clones, "wait 0h", key=KEY)
    # .09 between clones and .36 / 4 of noise: half of a difference is kept, and half of the error of the means is left.
    assert found.kept.mean() == pytest.approx(0.5, abs=0.06)
    raw = np.array([values[np.array(clones) == c].mean(axis=0) for c in found.clones])
    left = ((found.earlier - means) / UNIT) ** 2
    assert left.mean() == pytest.approx(0.5 * (((raw - means) / UNIT) ** 2).mean(), rel=0.1)


def test_cells_that_differ_as_much_within_clones_as_between_tell_no_clones(model):
    values, clones, _ = cells(between=0.0, within=0.6, size=4)
    found = advance_clones(model, values, clones, "wait 0h", key=KEY)
    assert found.kept.mean() < 0.1


def test_what_is_not_known_of_a_start_widens_the_interval_of_its_end(model):
    few, many = (
        advance_clones(model, *cells(between=0.3, within=0.6, size=n, n_clones=40)[:2], "wait 1h", key=KEY)
        for n in (3, 60)
    )
    assert ((few.upper - few.lower) > (many.upper - many.lower)).mean() > 0.9


def test_all_faults_are_told_at_once(model):
    with pytest.raises(DataError, match=r"(?s)wanted a column for each.*3 clones for 4 cells.*level must lie.*n_draws"):
        advance_clones(model, np.zeros((4, 1)), ["a", "b", "c"], "wait 1h", level=90.0, n_draws=1, key=KEY)
