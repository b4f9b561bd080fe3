"""Where edges begin: a spike-and-slab posterior that is exact where regulators never change together, and what no held-out condition may tell."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from small_data import condition, dataset, genes
from small_laws import mechanistic

from semimech.data import Dataset
from semimech.experiment import parse_experiment
from semimech.fit import FitConfig, fit
from semimech.fit.first_guess import FirstGuess, late_rows, slab_regression
from semimech.fit.problem import make_roster
from semimech.fit.start import with_weights
from semimech.fit.train import Training
from semimech.model import CellModel, PriorNetwork, ScaleGrid, wiring

NOISE = 0.04
GRID = ScaleGrid(state=np.arange(3.0), observed=np.arange(3.0))


def regress(read: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    able = np.ones((read.shape[1], change.shape[1]), bool)
    return slab_regression(read, change, np.full(change.shape, 1 / NOISE), able)


def test_regulators_that_never_change_together_have_their_exact_posterior() -> None:
    """With orthogonal signals the mean-field posterior is exact: Bayes' rule for two hypotheses about each edge, given the share and the variance found."""
    rng = np.random.default_rng(0)
    n_regulators, n_genes = 8, 400
    read = np.repeat(-np.eye(n_regulators), 2, axis=0)
    truth = rng.normal(size=(n_regulators, n_genes)) * (rng.random((n_regulators, n_genes)) < 0.2)
    change = read @ truth + np.sqrt(NOISE) * rng.normal(size=(len(read), n_genes))
    inclusion, mean = regress(read, change)
    observed = -change.reshape(n_regulators, 2, n_genes).mean(axis=1)
    spread = 1 / (2 / NOISE + 1 / _variance_of(inclusion, mean))
    share, variance = inclusion.mean(), _variance_of(inclusion, mean)
    there = share * norm.pdf(observed, scale=np.sqrt(variance + NOISE / 2))
    absent = (1 - share) * norm.pdf(observed, scale=np.sqrt(NOISE / 2))
    assert inclusion == pytest.approx(there / (there + absent), abs=0.01)
    assert mean == pytest.approx(spread * 2 / NOISE * observed, abs=0.01)
    assert share == pytest.approx(0.2, abs=0.03)
    assert variance == pytest.approx(1.0, rel=0.15)


def _variance_of(inclusion: np.ndarray, mean: np.ndarray) -> float:
    """The variance at which empirical Bayes stands still, with two observations of each edge."""
    variance = 1.0
    for _ in range(100):
        variance = float((inclusion * (mean**2 + 1 / (2 / NOISE + 1 / variance))).sum() / inclusion.sum())
    return variance


def test_inclusion_is_a_probability_that_comes_true() -> None:
    """Of edges held with a probability between .2 and .8, as many are there as that says; so of those above .9."""
    rng = np.random.default_rng(1)
    read = np.where(np.eye(40) > 0, -1.0, 0.0)
    truth = rng.normal(size=(40, 300)) * (rng.random((40, 300)) < 0.1)
    inclusion, _ = regress(read, read @ truth + np.sqrt(NOISE) * rng.normal(size=(40, 300)))
    for low, high in ((0.2, 0.8), (0.9, 1.0)):
        is_in = (inclusion >= low) & (inclusion <= high)
        error = np.sqrt((inclusion[is_in] * (1 - inclusion[is_in])).sum()) / is_in.sum()
        assert abs((truth[is_in] != 0).mean() - inclusion[is_in].mean()) < 3 * error + 0.02


def test_an_effect_that_runs_through_another_edited_gene_is_not_an_edge_of_its_own() -> None:
    """A halves B, and B drives C: the knock-out of A moves C by what it does to B."""
    read = np.array([[-1.0, -0.5], [0.0, -1.0], [-1.0, -0.5], [0.0, -1.0]])
    inclusion, mean = regress(read, read @ np.array([[0.0], [1.0]]))
    assert inclusion[1, 0] > 0.99
    assert mean[1, 0] == pytest.approx(1.0, abs=0.05)
    assert inclusion[0, 0] < 0.5


def test_forbidden_edges_and_what_does_not_count_say_nothing() -> None:
    change = np.array([[-1.0, 0.0], [-1.0, 0.0], [-1.0, 5.0]])
    able = np.array([[True, True], [False, True]])
    precision = np.where(change == 5.0, 0.0, 1 / NOISE)
    inclusion, mean = slab_regression(np.array([[-1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]]), change, precision, able)
    assert inclusion[1, 0] == 0.0
    assert np.abs(inclusion * mean)[:, 1].max() < 0.05


def guessed(data: Dataset) -> FirstGuess:
    n = len(data.genes)
    return FirstGuess(dataset=data, roster=make_roster(data), able=np.ones((n, n), bool), unit=np.ones(n, np.float32))


def knocked_out(*moved: float) -> Dataset:
    """Unedited cells, and knock-outs of the first genes; each moves the last of four genes by so much."""
    conditions = [condition(name, 48.0) for name in ("control", *genes(len(moved)))]
    mean = np.ones((len(conditions), 4))
    mean[1:, 3] += moved
    return dataset(conditions, mean, standard_error=0.05)


def test_weights_are_those_of_a_linear_law_and_a_gene_says_nothing_to_itself() -> None:
    """A knock-out takes the whole signal of its gene, -1: what it takes from D is the weight."""
    found = guessed(knocked_out(-0.8, 0.0, 1.5)).weights(np.ones(4, bool))
    assert found[3] == pytest.approx([0.8, 0.0, -1.5, 0.0], abs=0.15)
    assert np.abs(found[:3]).max() < 0.05
    assert not np.diagonal(found).any()


@pytest.mark.parametrize("has_control", [True, False])
def test_what_is_held_out_tells_nothing(has_control: bool) -> None:
    """Neither by itself nor as a part of what others are compared with, where there are no unedited cells."""
    rng = np.random.default_rng(0)
    mean = 1.0 + 0.1 * rng.normal(size=(9, 8))
    mean[1:4, 7] = 0.1, 1.0, 2.0
    other = mean.copy()
    other[6:] += 2.0
    conditions = [condition(name, 48.0) for name in ("control", *genes(8))]
    kept = slice(0 if has_control else 1, None)
    twins = [guessed(dataset(conditions[kept], each[kept])) for each in (mean, other)]
    shown = np.arange(9)[kept] < 6
    everything = np.ones(len(shown), bool)
    assert np.abs(twins[0].weights(shown)).max() > 0.1
    assert (twins[0].weights(shown) == twins[1].weights(shown)).all()
    assert (twins[0].weights(everything) != twins[1].weights(everything)).any()


def test_what_a_medium_does_is_no_edge_of_what_was_edited_in_it() -> None:
    conditions = [condition("control", 48.0), *(condition(name, 48.0, medium="M") for name in genes(5))]
    mean = np.ones((6, 6))
    mean[1:, 5] = 2.0
    data = dataset(conditions, mean, media=("M",))
    assert np.abs(guessed(data).weights(np.ones(6, bool))).max() < 0.01


def test_errors_that_nothing_tells_are_taken_from_the_spread_over_edits() -> None:
    rng = np.random.default_rng(0)
    conditions = [condition(name, 48.0) for name in ("control", *genes(30))]
    data = dataset(conditions, 1.0 + 0.4 * rng.normal(size=(31, 30)), standard_error=np.nan)
    assert (np.abs(guessed(data).weights(np.ones(31, bool))) > 0.2).mean() < 0.01


def test_a_gene_that_is_nearly_silent_is_measured_in_the_unit_of_the_law() -> None:
    """A tenth of the unit gained by a gene at a thousandth of it is a tenth, not a hundred."""
    data = knocked_out(0.0, 0.0, 0.0)
    mean = np.where(np.arange(4) == 3, 0.001, data.mean)
    mean[1, 3] += 0.1
    found = guessed(replace(data, mean=mean, standard_error=np.full(mean.shape, 0.001))).weights(np.ones(4, bool))
    assert np.abs(found).max() < 0.11


def test_a_law_begins_where_cells_come_to_rest() -> None:
    """Two genes that hold each other down so hard that around unedited cells no state is stationary: a gradient from there would be none."""
    conditions = [condition("control", 48.0), *(condition(name, 48.0) for name in genes(3))]
    mean = np.ones((4, 3))
    mean[1, 1] = mean[2, 0] = 5.0
    found = guessed(dataset(conditions, mean)).weights(np.ones(4, bool))
    assert found[0, 1] < -1.0
    assert np.abs(np.linalg.eigvals(0.5 / np.log(2.0) * found)).max() == pytest.approx(0.9)


def test_too_few_edits_leave_the_law_without_edges() -> None:
    """Times of one edit are no edits."""
    assert not guessed(knocked_out(-0.8, 0.3)).weights(np.ones(3, bool)).any()
    conditions = [condition("control", 48.0), *(condition("G0", hours) for hours in (40.0, 44.0, 48.0))]
    mean = np.ones((4, 4))
    mean[1:, 3] = 0.2
    assert not guessed(dataset(conditions, mean)).weights(np.ones(4, bool)).any()


def test_late_harvests_of_each_edit_are_those_from_half_its_longest_time() -> None:
    conditions = [condition(*at) for at in (("control", 48.0), ("G0", 24.0), ("G0", 48.0), ("G0", 96.0), ("G1", 24.0))]
    assert late_rows(conditions).tolist() == [2, 3, 4]
    assert late_rows(conditions[:3]).tolist() == [1, 2]
    elsewhere = [*conditions[:2], condition("G0", np.inf, medium="M")]
    assert late_rows(elsewhere).tolist() == [1, 2]
    after_a_wait = parse_experiment("wait 240h > edit G0 > wait 2h > harvest early > wait 70h > harvest late")
    assert late_rows([after_a_wait.conditions[name] for name in ("early", "late")]).tolist() == [1]


def test_each_run_begins_with_what_it_is_shown_and_none_behind_a_sparse_mask(data: Dataset) -> None:
    """With no steps taken, the weights of a run are its guess."""
    begun: list[np.ndarray] = []

    class Spied(Training):
        def run(self, program, runs, keys, **given):
            state = super().run(program, runs, keys, **(given | {"n_steps": 0}))
            for number, run in enumerate(runs):
                shown = np.asarray(run.row)[: len(data.conditions)] > 0
                weight = np.asarray(wiring(self.models(state).dynamics).full())[number]
                begun.append(weight)
                if self.guess is not None:
                    assert weight == pytest.approx(self.guess.weights(shown), abs=1e-6)
            return state

    config = FitConfig(n_members=2, n_folds=2, sparsities=(0.1,), steady_state="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("semimech.fit.fitting"), "Training", Spied)
        fit(data, config)
        assert any(weight.any() for weight in begun)
        assert len({weight.tobytes() for weight in begun}) > 1
        begun.clear()
        one = pd.DataFrame({"source": [data.genes[0]], "target": [data.genes[1]]})
        fit(data, config, prior=PriorNetwork(edges=one, use="mask"))
        assert begun
        assert not any(weight.any() for weight in begun)


def test_a_law_begins_with_the_weights_of_its_guess() -> None:
    weight = np.arange(20.0).reshape(4, 5)
    model = with_weights(
        CellModel(dynamics=mechanistic(1), log_initial=np.zeros(4), unit=np.ones(4), scale=GRID), weight
    )
    assert np.asarray(wiring(model.dynamics).full()) == pytest.approx(weight)
