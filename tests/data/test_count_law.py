from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom
from small_screens import screen

from semimech._errors import DataError
from semimech.data import dataset_from_anndata
from semimech.data.count_groups import group_counts
from semimech.data.count_law import CountLaw, batch_factors, count_law, law_of
from semimech.data.dispersion import estimate_dispersion, group_means, profile

N_GENES, N_EDITS, N_BATCHES = 80, 6, 3


@dataclass(frozen=True)
class Simulated:
    """Counts with known expression, dispersion and batch factors; condition 0 is unedited."""

    counts: np.ndarray
    unit: np.ndarray
    condition: np.ndarray
    batch: np.ndarray
    expression: np.ndarray
    dispersion: np.ndarray
    factor: np.ndarray

    def law(self) -> CountLaw:
        is_control = np.arange(N_EDITS + 1) == 0
        groups = group_counts(sp.csr_matrix(self.counts), self.unit, condition=self.condition, batch=self.batch)
        dispersion = estimate_dispersion(groups)
        batches = batch_factors(
            groups,
            is_control=is_control,
            stratum=np.zeros(N_EDITS + 1, dtype=int),
            dispersion=dispersion.value,
            n_batches=N_BATCHES,
        )
        return law_of(groups, batches, dispersion, is_control=is_control)


def simulated(depth: float = 3000.0, *, seed: int = 0, batch_spread: float = 0.3) -> Simulated:
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0.0, 1.0, N_GENES)
    effect = np.exp(0.5 * rng.normal(size=(N_EDITS + 1, N_GENES)))
    effect[0] = 1.0
    expression = 1e4 * share / share.sum() * effect
    condition = np.repeat(np.arange(N_EDITS + 1), [1200] + [400] * N_EDITS)
    batch = rng.integers(0, N_BATCHES, len(condition))
    factor = np.exp(batch_spread * rng.normal(size=(N_BATCHES, N_GENES)))
    factor /= np.exp(np.log(factor).mean(axis=0))
    theta = np.exp(rng.uniform(np.log(0.2), np.log(50.0), N_GENES))
    unit = 1e4 / (depth * np.exp(0.35 * rng.normal(size=len(condition))))
    mean = factor[batch] * expression[condition] / unit[:, None]
    counts = rng.poisson(mean * rng.gamma(theta, 1.0 / theta, mean.shape)).astype(float)
    return Simulated(counts, unit, condition, batch, expression, 1.0 / theta, factor)


@pytest.fixture(scope="module")
def world() -> Simulated:
    return simulated()


@pytest.fixture(scope="module")
def law(world: Simulated) -> CountLaw:
    return world.law()


def test_the_sums_give_the_likelihood_of_scipy_where_cells_are_equally_deep():
    rng = np.random.default_rng(1)
    counts, alpha, unit = rng.negative_binomial(2.0, 0.3, (40, 3)).astype(float), np.array([0.2, 0.5, 1.5]), 0.25
    none = np.zeros(40, dtype=int)
    groups = group_counts(sp.csr_matrix(counts), np.full(40, unit), condition=none, batch=none)

    def by_scipy(alpha: np.ndarray) -> np.ndarray:
        mean, r = counts.mean(axis=0), 1.0 / alpha
        information = 40 * mean / (1.0 + alpha * mean)
        return nbinom.logpmf(counts, r, r / (r + mean)).sum(axis=0) - 0.5 * np.log(information)

    rows = np.zeros(len(groups.n), dtype=int)
    other = np.array([0.4, 0.3, 0.9])
    np.testing.assert_allclose(
        profile(groups, rows, alpha) - profile(groups, rows, other), by_scipy(alpha) - by_scipy(other), rtol=1e-8
    )


def test_every_count_is_in_the_sums(world):
    groups = group_counts(sp.csr_matrix(world.counts), world.unit, condition=world.condition, batch=world.batch)
    np.testing.assert_allclose(groups.total.sum(axis=0), world.counts.sum(axis=0))
    assert groups.n.sum() == len(world.counts)
    by_gene = np.bincount(groups.gene, weights=groups.count * groups.times, minlength=N_GENES)
    np.testing.assert_allclose(by_gene, world.counts.sum(axis=0))
    np.testing.assert_allclose(groups.n @ groups.exposure, (1.0 / world.unit).sum())


def test_means_of_groups_are_those_of_largest_likelihood_cell_by_cell(world):
    rows = np.flatnonzero((world.condition == 1) & (world.batch == 0))
    here = np.zeros(len(rows), dtype=int)
    groups = group_counts(sp.csr_matrix(world.counts[rows]), world.unit[rows], condition=here, batch=here)
    found = group_means(groups, np.zeros(len(groups.n), dtype=int), world.dispersion)[0][0]
    for gene in (0, 7, 30):
        r = 1.0 / world.dispersion[gene]

        def lost(log_mean: float, gene: int = gene, r: float = r) -> float:
            mean = np.exp(log_mean) / world.unit[rows]
            return -nbinom.logpmf(world.counts[rows, gene], r, r / (r + mean)).sum()

        best = minimize_scalar(lost, bracket=(0.0, np.log(found[gene]), 8.0)).x
        error = 1.0 / np.sqrt(len(rows) * world.dispersion[gene])
        assert np.log(found[gene]) == pytest.approx(best, abs=0.2 * min(error, 0.2))


def test_dispersions_and_expression_are_recovered_with_intervals_that_hold_them(world, law):
    assert np.median(np.abs(law.dispersion.value / world.dispersion - 1.0)) < 0.2
    assert np.median(np.abs(law.expression / world.expression - 1.0)) < 0.05
    lower, upper = law.interval(0.9)
    assert 0.85 <= np.mean((lower <= world.expression) & (world.expression <= upper)) <= 0.95
    held = (law.dispersion.lower <= world.dispersion) & (world.dispersion <= law.dispersion.upper)
    assert held.mean() > 0.75  # of 80 genes, where 90 % are due: four standard errors


def test_poisson_counts_have_next_to_no_dispersion():
    rng = np.random.default_rng(3)
    here = np.zeros(3000, dtype=int)
    counts = rng.poisson(np.full((3000, 20), 8.0)).astype(float)
    found = estimate_dispersion(group_counts(sp.csr_matrix(counts), np.ones(3000), condition=here, batch=here))
    assert (found.value < 0.01).all()


def test_batch_factors_are_those_of_the_simulation(world, law):
    error = np.log(law.batches.factor / world.factor)
    assert np.sqrt((error**2).mean()) < 0.08 < 0.3  # the factors have a spread of 0.3
    assert law.batches.is_linked.all()


def test_without_batch_effects_factors_stay_near_one():
    found = simulated(batch_spread=0.0, seed=5).law().batches.factor
    assert np.sqrt((np.log(found) ** 2).mean()) < 0.03


def test_a_batch_without_controls_keeps_its_factor_of_one_and_is_named(world):
    kept = (world.condition > 0) | (world.batch < 2)
    cut = replace(
        world,
        counts=world.counts[kept],
        unit=world.unit[kept],
        condition=world.condition[kept],
        batch=world.batch[kept],
    )
    found = cut.law().batches
    assert found.is_linked.tolist() == [True, True, False]
    assert (found.factor[2] == 1.0).all()
    assert (found.variance[2] > found.variance[0]).all()


def test_a_condition_without_counts_has_an_interval_that_reaches_above_zero():
    here = np.zeros(30, dtype=int)
    counts = np.zeros((30, 2))
    counts[:, 1] = 3.0
    groups = group_counts(sp.csr_matrix(counts), np.ones(30), condition=here, batch=here)
    one = np.array([True])
    batches = batch_factors(groups, is_control=one, stratum=here[:1], dispersion=np.full(2, 0.1), n_batches=1)
    law = law_of(groups, batches, estimate_dispersion(groups), is_control=one)
    lower, upper = law.interval()
    assert law.expression[0, 0] == 0.0
    assert lower[0, 0] < 0.01 < upper[0, 0] < 0.2


def test_counts_come_back_from_a_data_set_exactly():
    raw = screen(n=4)
    found = dataset_from_anndata(raw)
    np.testing.assert_array_equal(found.cells.counts(np.arange(raw.n_obs)).toarray(), raw.X.toarray())
    assert count_law(found).expression.shape == found.mean.shape


def test_a_data_set_without_counts_has_no_law_of_counts():
    found = dataset_from_anndata(screen())
    without = replace(found, cells=replace(found.cells, unit=None))
    with pytest.raises(DataError, match="there are no counts"):
        count_law(without)
