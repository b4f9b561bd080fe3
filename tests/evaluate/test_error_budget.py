"""Parts of the held-out error against closed forms, for a model that is linear in the data."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from small_data import condition, dataset

from semimech._errors import ConfigError, DataError
from semimech.data import Cells, Dataset
from semimech.data.split import Split
from semimech.evaluate import ERROR_PARTS, TOTAL, error_budget
from semimech.evaluate.crossed import crossed_mean
from semimech.evaluate.errors_of_means import draw_errors, error_variances
from semimech.evaluate.reference import target_mask
from semimech.fit import FitConfig, FittedModel
from semimech.predictor import Prediction

N_GENES, N_EDITS, N_TESTED, N_CELLS, N_BATCHES = 300, 12, 4, 24, 4
SPLIT = Split(
    name="unseen_edit", train=np.arange(1 + N_EDITS - N_TESTED), test=np.arange(1 + N_EDITS - N_TESTED, 1 + N_EDITS)
)


class MeanOfEdits(FittedModel):
    """Predicts an edit by the mean of all training edits; its law says half of what was seen."""

    def __init__(self, data: Dataset, likelihood: str = "pseudobulk") -> None:
        self.data = data
        self.record = SimpleNamespace(config=FitConfig(likelihood=likelihood))

    def predict_conditions(self, conditions):
        mean = self.data.mean[~self.data.is_control].mean(axis=0)
        return Prediction.without_interval(np.tile(mean, (len(conditions), 1)))

    def by_law(self, conditions):
        return 0.5 * self.data.mean[[self.data.index[c] for c in conditions]]


def screen(*, cell_sd: float = 1.0, shared_sd: float = 0.0, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Edits with independent effects of standard deviation 1, and the truth; controls are so many that offsets are known."""
    rng = np.random.default_rng(seed)
    conditions = [condition("control", 24), *(condition(f"G{i}", 24) for i in range(N_EDITS))]
    truth = np.vstack([np.zeros(N_GENES), rng.normal(size=(N_EDITS, N_GENES))])
    size = np.array([2000, *[N_CELLS] * N_EDITS])
    row = np.repeat(np.arange(len(size)), size)
    batch = np.concatenate([np.arange(n) % N_BATCHES for n in size])
    shared = shared_sd * rng.normal(size=(len(size), N_BATCHES, N_GENES))
    shared[0] = 0.0
    values = truth[row] + shared[row, batch] + cell_sd * rng.normal(size=(len(row), N_GENES))
    sums = lambda rows: np.array([values[rows & (row == k)].mean(axis=0) for k in range(len(size))])
    half = (np.arange(len(row)) // N_BATCHES) % 2 == 0
    data = dataset(
        conditions,
        sums(np.ones(len(row), bool)),
        standard_error=np.tile(cell_sd / np.sqrt(size)[:, None], N_GENES),
        halves=np.stack([sums(half), sums(~half)]),
        cells=Cells(values=sparse.csr_matrix(values), condition=row, batch=batch),
    )
    return data, truth


def budget(data: Dataset, *, shared_sd: float = 0.0, refit=MeanOfEdits, **options):
    rng = np.random.default_rng(1)
    interaction = np.full(N_GENES, shared_sd**2)
    return error_budget(data, [SPLIT], refit, interaction=interaction, rng=rng, **options)


def parts_of(found) -> dict[str, float]:
    return found.table.set_index("part")["estimate"].to_dict()


def test_each_part_is_what_theory_says_for_a_predictor_that_is_linear_in_the_data():
    data, truth = screen()
    parts = parts_of(budget(data))
    of_mean, n_trained = 1.0 / N_CELLS, N_EDITS - N_TESTED
    tested = truth[SPLIT.test]
    keep = np.arange(N_GENES) >= N_EDITS  # edited genes differ by condition; the rest stand for all
    misfit = (0.25 * tested[:, keep] ** 2).mean()
    missed = ((truth[1 : 1 + n_trained].mean(axis=0) - tested)[:, keep] ** 2).mean()
    assert parts["noise"] == pytest.approx(of_mean, rel=0.15)
    assert parts["finite cells"] == pytest.approx(of_mean / n_trained, rel=0.3)
    assert parts["batch"] == pytest.approx(0.0, abs=0.1 * of_mean)
    assert parts["mechanism misfit"] == pytest.approx(misfit, rel=0.1)
    assert parts["extrapolation"] == pytest.approx(missed - misfit, rel=0.1)
    assert parts["interaction"] == pytest.approx(0.0, abs=0.1 * of_mean)


def test_what_cells_of_one_condition_in_one_batch_share_is_told_as_batch():
    data, _ = screen(cell_sd=0.5, shared_sd=0.6)
    parts = parts_of(budget(data, shared_sd=0.6))
    wanted = 0.36 / N_BATCHES * (1 + 1 / (N_EDITS - N_TESTED))
    assert parts["batch"] == pytest.approx(wanted, rel=0.15)
    assert parts["noise"] == pytest.approx(0.25 / N_CELLS, rel=0.15)


def test_parts_sum_to_the_held_out_error_and_its_label_is_that_of_the_coverage():
    data, _ = screen()
    found = budget(data)
    assert found.conditions[list(ERROR_PARTS)].sum(axis=1).to_numpy() == pytest.approx(
        found.conditions[TOTAL].to_numpy()
    )
    assert set(found.table["coverage"]) == {"extrapolated: edit"}
    others = np.array([np.delete(np.arange(N_GENES), row - 1) for row in SPLIT.test])
    predicted = data.mean[1 : 1 + N_EDITS - N_TESTED].mean(axis=0)
    error = np.mean([(predicted - data.mean[r])[o] ** 2 for r, o in zip(SPLIT.test, others, strict=True)])
    assert parts_of(found)[TOTAL] == pytest.approx(error)
    assert (found.table["lower"] <= found.table["estimate"]).all() and (
        found.table["estimate"] <= found.table["upper"]
    ).all()


def test_errors_that_are_drawn_have_the_variance_of_a_mean():
    data, _ = screen()
    variances = error_variances(data, np.zeros(N_GENES))
    drawn = draw_errors(data, variances, np.zeros(N_GENES), rng=np.random.default_rng(0))
    assert np.mean(drawn.cells[1:] ** 2) == pytest.approx(1.0 / N_CELLS, rel=0.1)
    bulk = replace(data, cells=None, halves=None)
    drawn = draw_errors(bulk, error_variances(bulk, np.zeros(N_GENES)), np.zeros(N_GENES), rng=np.random.default_rng(0))
    assert np.mean(drawn.cells[1:] ** 2) == pytest.approx(1.0 / N_CELLS, rel=0.1)
    assert not drawn.batch.any()


def test_errors_of_a_mean_of_two_cells_are_as_large_in_every_draw():
    """Weights of chance length make all genes of a draw err much or little at once; the error of two cells is half of their difference, up to its sign."""
    data, _ = screen()
    cells = data.cells
    first = [np.flatnonzero((cells.condition == k) & (cells.batch == 0))[:2] for k in range(1, 1 + N_EDITS)]
    rows = np.concatenate([np.flatnonzero(cells.condition == 0), *first])
    few = replace(
        data,
        halves=None,
        cells=Cells(values=cells.values[rows], condition=cells.condition[rows], batch=cells.batch[rows]),
    )
    apart = np.array([np.ravel(np.diff(cells.values[pair].toarray(), axis=0)) / 2 for pair in first])
    for seed in range(3):
        drawn = draw_errors(
            few, error_variances(few, np.zeros(N_GENES)), np.zeros(N_GENES), rng=np.random.default_rng(seed)
        )
        assert np.abs(drawn.cells[1:]) == pytest.approx(np.abs(apart))


def test_intervals_know_what_all_edits_share_in_a_gene():
    """Genes of standard normal squares that all edits share, and edits that differ by a little: nominal 90 % intervals hold the mean in 90 %."""
    rng = np.random.default_rng(0)
    held = {False: [], True: []}
    for _ in range(200):
        values = rng.standard_normal(40) ** 2 + 0.3 * rng.standard_normal((8, 40))
        for by_gene, each in held.items():
            _, lower, upper = crossed_mean(values, np.arange(8), level=0.9, is_positive=True, by_gene=by_gene)
            each.append(lower < 1.0 < upper)
    assert np.mean(held[True]) == pytest.approx(
        0.93, abs=0.05
    )  # Student's law of 7 degrees, with 40 genes to tell it: somewhat wide
    assert np.mean(held[False]) < 0.5


def test_doubt_that_all_share_widens_an_interval_on_the_logarithmic_scale():
    values = np.full((8, 40), 2.0)
    mean, lower, upper = crossed_mean(values, np.arange(8), level=0.9, is_positive=True, by_gene=True, doubt=0.5)
    assert [mean, lower, upper] == pytest.approx(2.0 * np.exp(0.5 * 1.894579 * np.array([0.0, -1.0, 1.0])))


@pytest.mark.parametrize("n_cells", [6, 4])
def test_errors_of_few_cells_in_many_batches_have_the_variance_of_a_mean_too(n_cells):
    """Six cells in four batches, two of them alone in theirs; four cells, all alone."""
    rng = np.random.default_rng(2)
    conditions = [condition("control", 24), *(condition(f"G{i}", 24) for i in range(N_EDITS))]
    size = np.array([2000, *[n_cells] * N_EDITS])
    row = np.repeat(np.arange(len(size)), size)
    batch = np.concatenate([np.arange(n) % N_BATCHES for n in size])
    values = rng.normal(size=(len(row), N_GENES))
    data = dataset(
        conditions,
        np.array([values[row == k].mean(axis=0) for k in range(len(size))]),
        standard_error=np.tile(1 / np.sqrt(size)[:, None], N_GENES),
        cells=Cells(values=sparse.csr_matrix(values), condition=row, batch=batch),
    )
    drawn = draw_errors(data, error_variances(data, np.zeros(N_GENES)), np.zeros(N_GENES), rng=rng)
    assert np.mean(drawn.cells[1:] ** 2) == pytest.approx(1 / n_cells, rel=0.1)


def test_a_fit_to_single_cells_or_unknown_noise_is_an_error_that_says_what_to_do():
    data, _ = screen()
    with pytest.raises(ConfigError, match="use likelihood = 'pseudobulk'"):
        budget(data, refit=lambda part: MeanOfEdits(part, "counts"))
    unknown = replace(data, cells=None, halves=None, standard_error=np.full_like(data.mean, np.nan))
    with pytest.raises(DataError, match="give standard errors"):
        budget(unknown)


def test_a_condition_that_edits_every_measured_gene_is_left_out(monkeypatch):
    data, _ = screen()
    edited = target_mask(data, SPLIT.test)
    whole = budget(data).conditions
    module = importlib.import_module("semimech.evaluate.error_budget")  # the name in the package is the function
    monkeypatch.setattr(module, "target_mask", lambda *_: np.vstack([edited[:1] | True, edited[1:]]))
    found = budget(data)
    pd.testing.assert_frame_equal(found.conditions, whole[1:].reset_index(drop=True))
    assert np.isfinite(found.table["estimate"]).all()
    monkeypatch.setattr(module, "target_mask", lambda *_: edited | True)
    with pytest.raises(DataError, match="edits all measured genes"):
        budget(data)
