"""DREAM4: what each row is, what each fold holds out, and how noise and wild type are taken."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import sets
from benchmarks.sets_dream4 import LOWEST_LEVEL, noise, noise_slope, robust_wild_type

from semimech.data import check_leakage
from semimech.experiment import Condition, parse_experiment


def condition(text: str) -> Condition:
    return parse_experiment(f"{text} > harvest").conditions["harvest"]


@pytest.fixture(scope="module")
def small(root):
    return sets.read_dream4(root, 10, 2)


@pytest.fixture(scope="module")
def large(root):
    return sets.read_dream4(root, 100, 1)


def test_the_noise_slope_of_replicates_is_their_variance_over_level():
    level = np.random.default_rng(0).uniform(0.1, 1.0, size=400)
    replicates = level + np.sqrt(0.007 * level) * np.random.default_rng(1).normal(size=(30, 400))
    assert noise_slope(replicates) == pytest.approx(0.007, rel=0.05)


def test_the_noise_of_a_value_near_zero_is_that_of_half_the_wild_type():
    deviation = noise(np.array([0.0, 0.8, 0.0]), np.array([0.8, 0.8, 0.0]), 0.01)
    np.testing.assert_allclose(deviation, [0.1 * np.sqrt(0.4), 0.1 * np.sqrt(0.8), 0.1 * np.sqrt(LOWEST_LEVEL)])


def test_a_dream4_knockout_is_settled_and_without_own_expression(small):
    for column, gene in enumerate(small.dataset.genes):
        row = small.dataset.index[condition(f"edit {gene} knockout > wait settled")]
        assert small.dataset.mean[row, column] == 0


def test_a_dream4_knockdown_halves_the_rate_so_its_expression_lies_between(large):
    data = large.dataset
    knockdown = [data.index[condition(f"edit {g} crispri 0.5 > wait settled")] for g in data.genes]
    own = data.mean[knockdown, np.arange(len(data.genes))]
    wild_type = large.unedited.mean(axis=0)
    expressed = wild_type > 0.3
    assert 0.3 < np.median(own[expressed] / wild_type[expressed]) < 0.7


def test_the_dream4_control_is_the_mean_of_unedited_samples_and_known_better_than_they_are(small):
    data = small.dataset
    assert data.is_stationary_control.tolist() == [True] + [False] * 20
    np.testing.assert_allclose(data.mean[0], small.unedited.mean(axis=0))
    expected = np.sqrt(small.noise_slope * data.mean[0] / len(small.unedited))
    np.testing.assert_allclose(data.standard_error[0], expected)


def test_dream4_wild_type_replicates_scatter_as_the_stated_noise(large):
    level = large.unedited.mean(axis=0)
    scaled = (large.unedited - level) / noise(level, level, large.noise_slope)
    n = len(large.unedited)
    for genes in ((level > 0.1) & (level < 0.4), level > 0.5):
        assert np.mean(scaled[:, genes] ** 2) * n / (n - 1) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("n_folds", [None, 3])
def test_every_knockout_is_scored_once_and_no_edit_of_its_gene_is_trained_on(small, n_folds):
    data = small.dataset
    folds = sets.knockout_folds(small, n_folds=n_folds)
    scored = [data.perturbations[row] for fold in folds for row in fold.test]
    assert sorted(scored) == sorted(data.genes)
    for fold in folds:
        held = {data.perturbations[row] for row in fold.test}
        assert not held & {data.perturbations[row] for row in fold.train}
        assert 0 in fold.train
        check_leakage(data, fold)


def test_nothing_held_out_enters_the_training_data(small):
    fold = sets.knockout_folds(small)[4]
    changed = small.dataset.mean.copy()
    changed[np.setdiff1d(np.arange(len(changed)), fold.train)] += 10
    tampered = replace(small, dataset=replace(small.dataset, mean=changed))
    np.testing.assert_array_equal(sets.training_data(small, fold).mean, sets.training_data(tampered, fold).mean)


def test_the_robust_wild_type_is_exact_where_edits_change_only_their_own_gene(small):
    data = small.dataset
    truth = np.linspace(0.2, 0.9, len(data.genes))
    own = np.array([[gene == name for gene in data.genes] for name in data.perturbations])
    untouched = replace(data, mean=np.where(own, 0.0, truth))
    np.testing.assert_array_equal(robust_wild_type(untouched, truth[None]), truth)


def test_the_robust_wild_type_predicts_an_unseen_knockout_better_than_the_single_sample_at_size_100(large):
    square = {"robust": 0.0, "sample": 0.0}
    for fold in sets.knockout_folds(large, n_folds=10):
        train = sets.training_data(large, fold)
        observed = large.dataset.mean[fold.test]
        square["robust"] += np.sum((observed - train.mean[train.is_control]) ** 2)
        square["sample"] += np.sum((observed - large.unedited[0]) ** 2)
    assert square["sample"] / square["robust"] > 1.2


def test_dream4_series_relax_to_the_wild_type(small):
    relaxation = small.relaxation
    wild_type = small.unedited.mean(axis=0)
    start = np.mean((relaxation.start - wild_type) ** 2)
    end = np.mean((relaxation.values[:, -1] - wild_type) ** 2)
    assert end < 2 * np.mean(relaxation.standard_error**2) < start / 3
    np.testing.assert_allclose(relaxation.hours, 5.0 * np.arange(1, 11))


def test_the_gold_network_has_no_self_regulation_and_only_measured_genes(large):
    assert (large.gold["source"] != large.gold["target"]).all()
    assert set(large.gold["source"]) | set(large.gold["target"]) <= set(large.dataset.genes)


def test_direct_gold_targets_respond_to_knockouts_more_than_other_genes(large):
    data = large.dataset
    effect = {
        g: np.abs(data.mean[data.index[condition(f"edit {g} knockout > wait settled")]] - data.mean[0])
        for g in data.genes
    }
    column = {gene: number for number, gene in enumerate(data.genes)}
    direct = [effect[s][column[t]] for s, t in large.gold.itertuples(index=False)]
    assert np.mean(direct) > 2 * np.mean(list(effect.values()))
