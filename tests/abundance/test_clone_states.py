"""Clones seen once, and where a known law takes them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from fitted_by_hand import by_hand
from small_laws import N_GENES, ROSTER, UNIT, linear

from semimech import DataError
from semimech.abundance import advance_clones
from semimech.abundance.clone_states import shrunken_means
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


@pytest.mark.parametrize("between", [0.0, 0.5])
def test_one_large_clone_among_small_ones_does_not_bias_what_clones_differ_by(between):
    rng = np.random.default_rng(0)
    size, n_genes = np.array([400.0] + [4.0] * 9), 2000
    code = np.repeat(np.arange(10), size.astype(int))
    means = between * rng.standard_normal((10, n_genes))
    mean, error, share = shrunken_means(means[code] + rng.standard_normal((len(code), n_genes)), code, size)
    # Cells vary by one, clones of four by a quarter: kept is t / (t + 1 / 4) of their difference, with t the variance of clones.
    spread = share[1:] / (1.0 - share[1:]) / 4.0
    assert spread.mean() == pytest.approx(between**2, abs=0.06)
    # What is left of the error, and told of it, is that of known variances, and what ten clones leave open of them.
    missed, told = ((mean - means) ** 2)[1:].mean(), (error**2)[1:].mean()
    assert between**2 / (4.0 * between**2 + 1.0) <= missed < between**2 / (4.0 * between**2 + 1.0) + 0.04
    assert told == pytest.approx(missed, abs=0.04)


def test_where_clones_do_not_differ_the_mean_of_all_is_known_as_well_as_all_cells_tell_it():
    rng = np.random.default_rng(0)
    size, n_genes = np.array([40.0] + [4.0] * 15), 500
    code = np.repeat(np.arange(16), size.astype(int))
    mean, error, share = shrunken_means(rng.standard_normal((len(code), n_genes)), code, size)
    alone = share.max(axis=0) == 0.0
    assert 0.3 < alone.mean() < 0.8
    assert (error[:, alone] ** 2).mean() == pytest.approx(1 / 100, rel=0.05)
    assert (mean[:, alone] ** 2).mean() == pytest.approx(1 / 100, rel=0.15)


@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_cells_without_a_barcode_are_no_clone(model, missing):
    values, clones, _ = cells(between=0.3, within=0.6, size=3, n_clones=4)
    with pytest.raises(DataError, match="2 cells without a clone: leave out cells whose barcode was not read"):
        advance_clones(model, values, np.array([missing, missing, *clones[2:]], dtype=object), "wait 1h", key=KEY)


def test_all_faults_are_told_at_once(model):
    with pytest.raises(DataError, match=r"(?s)wanted a column for each.*3 clones for 4 cells.*level must lie.*n_draws"):
        advance_clones(model, np.zeros((4, 1)), ["a", "b", "c"], "wait 1h", level=90.0, n_draws=1, key=KEY)
