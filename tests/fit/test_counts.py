from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import nbinom
from small_fits import QUICK
from small_screens import screen

from semimech._errors import DataError
from semimech.data import Dataset, dataset_from_anndata
from semimech.data.count_law import count_law
from semimech.fit import FittedModel, fit
from semimech.fit.counts import batch_notes, count_term
from semimech.fit.problem import Problem, make_problem, make_roster
from semimech.pipeline.predictive import predictive_counts
from semimech.report.plots import plot_counts


def compiled(data: Dataset) -> Problem:
    return make_problem(data, make_roster(data), None, likelihood="counts", seed=0)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return dataset_from_anndata(screen(n=25, depth=120.0))


@pytest.fixture(scope="module")
def problem(data: Dataset) -> Problem:
    return compiled(data)


def saturated(problem: Problem) -> np.ndarray:
    return np.exp(np.asarray(problem.counts.log_saturated, np.float64))


def test_the_deviance_is_twice_the_log_likelihood_of_all_cells_that_is_lost(data):
    equal = replace(data, cells=replace(data.cells, unit=np.full(len(data.cells.batch), 50.0)))
    problem, law = compiled(equal), count_law(equal)
    counts, n = equal.cells.counts(np.arange(len(equal.cells.batch))).toarray(), len(equal.conditions)
    z = saturated(problem)
    asked = z * np.exp(0.3 * np.random.default_rng(0).normal(size=z.shape))
    alpha = law.dispersion.value
    factor = law.batches.factor[equal.cells.batch] / 50.0

    def log_likelihood(expression: np.ndarray) -> np.ndarray:
        mean = factor * expression[equal.cells.condition]
        each = nbinom.logpmf(counts, 1 / alpha, 1 / (1 + alpha * mean))
        return np.stack([each[equal.cells.condition == row].sum(axis=0) for row in range(n)])

    own = law.expression
    lost = 2 * (log_likelihood(own) - log_likelihood(own * (asked / z)[:n]))
    with jax.enable_x64(True):
        found = np.asarray(problem.counts.deviance(jnp.log(asked)))[:n]
    np.testing.assert_allclose(found, lost, rtol=2e-3, atol=2e-3)


def test_the_loss_of_each_conditions_own_expression_is_zero_and_rises_away_from_it(problem):
    z, row = saturated(problem), np.ones(problem.plan.n_rows)
    assert float(count_term(jnp.asarray(z), problem.counts, jnp.asarray(row))) == pytest.approx(0.0, abs=1e-3)
    for factor in (0.7, 1.4):
        assert float(count_term(jnp.asarray(factor * z), problem.counts, jnp.asarray(row))) > 0.05


def test_a_condition_held_out_does_not_move_the_loss(problem):
    z, row = saturated(problem), np.ones(problem.plan.n_rows)
    row[2] = 0.0
    moved = z.copy()
    moved[2] *= 3.0
    terms = [float(count_term(jnp.asarray(each), problem.counts, jnp.asarray(row))) for each in (z, moved)]
    assert terms[0] == terms[1]


def test_padding_adds_nothing(problem):
    n = len(problem.weight.any(axis=1).nonzero()[0])
    assert problem.plan.n_rows > n
    z, row = np.ones((problem.plan.n_rows, len(problem.unit))), np.zeros(problem.plan.n_rows)
    row[:n] = 1.0
    far = z.copy()
    far[n:] = 100.0
    terms = [float(count_term(jnp.asarray(each), problem.counts, jnp.asarray(row))) for each in (z, far)]
    assert terms[0] == terms[1]


def test_a_state_of_zero_costs_much_but_not_everything(problem):
    zero, row = jnp.zeros((problem.plan.n_rows, len(problem.unit))), jnp.ones(problem.plan.n_rows)
    value, slope = jax.value_and_grad(count_term)(zero, problem.counts, row)
    assert 1.0 < float(value) < np.inf
    assert np.isfinite(np.asarray(slope)).all()


def test_counts_are_asked_for_where_there_are_none(data):
    without = replace(data, cells=replace(data.cells, unit=None))
    with pytest.raises(DataError, match="there are no counts"):
        compiled(without)


@pytest.fixture(scope="module")
def lonely() -> Dataset:
    """A screen whose second batch has no controls."""
    raw = screen(perturbations=("control", "A", "B"), days=(2,), n=14, depth=200.0)
    return dataset_from_anndata(
        raw[~((raw.obs["perturbation"] == "control") & (raw.obs["batch"] == "b2")).to_numpy()].copy()
    )


@pytest.fixture(scope="module")
def fitted(lonely: Dataset) -> FittedModel:
    return fit(lonely, replace(QUICK, likelihood="counts", n_steps=4, validation_steps=4, checkpoint_every=4))


def test_a_fit_on_counts_says_which_batches_share_no_controls(fitted, data):
    assert any("b2" in note and "controls" in note for note in fitted.record.notes)
    assert batch_notes(data, compiled(data).counts) == ()


def test_predicted_shares_of_counts_sum_to_one_and_stand_about_what_was_counted(fitted, lonely):
    table = predictive_counts(fitted, lonely, n_genes=3)
    shares = table.groupby("gene")[["observed", "negative binomial", "Poisson"]].sum()
    assert len(shares) == 3 and not set(shares.index) & set(table["condition"])
    np.testing.assert_allclose(shares, 1.0, atol=1e-9)
    within = (table["lower"] <= table["observed"]) & (table["observed"] <= table["upper"])
    assert within.mean() > 0.6
    figure = plot_counts(table)
    assert figure.axes[0].get_title() in shares.index
    figure.canvas.draw()
    words = figure.legends[0].get_window_extent() if figure.legends else figure.axes[0].get_legend().get_window_extent()
    assert words.x1 <= figure.bbox.x1  # the name of the last law is not cut off


def test_deep_counts_are_shown_in_steps_that_hold_nearly_all_cells(fitted, lonely):
    deep = replace(lonely, cells=replace(lonely.cells, unit=lonely.cells.unit / 50))
    table = predictive_counts(fitted, deep, n_genes=3)
    steps = table.groupby("gene")["count"].apply(lambda c: np.unique(np.diff(c)))
    assert all(len(step) == 1 and step[0] >= 5 for step in steps)
    assert (table.groupby("gene")["observed"].last() <= 0.05).all()
    np.testing.assert_allclose(table.groupby("gene")["negative binomial"].sum(), 1.0, atol=1e-9)


def test_without_counts_there_is_nothing_to_predict(fitted, lonely):
    bare = replace(lonely, cells=replace(lonely.cells, unit=None))
    assert predictive_counts(fitted, bare).empty
