from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from tests.small_data import condition, dataset

from semimech.data import Cells, ControlMoments, Dataset
from semimech.data.edited_moments import moments_with_edited_cells

N_GENES, N_EDITS, N_CELLS = 12, 10, 200
LEVEL = np.linspace(1.0, 5.0, N_GENES)


def mixing(seed: int) -> np.ndarray:
    """Loadings of relative abundances on independent normal noise, small enough that none is negative."""
    return 0.03 * np.random.default_rng(seed).standard_normal((N_GENES, N_GENES))


def screen(edited_mixing: np.ndarray, *, seed: int = 0, shift: float = 1.0, dose: str | None = None) -> Dataset:
    """Unedited cells, as many of each of ten knockouts, and the covariance that the unedited ones show."""
    rng = np.random.default_rng(seed)
    conditions = [condition("control", 24), *(condition(f"G{i}", 24, medium=dose) for i in range(N_EDITS))]
    relative = [1.0 + rng.standard_normal((N_CELLS, N_GENES)) @ mixing(0).T]
    relative += [shift * (1.0 + rng.standard_normal((N_CELLS, N_GENES)) @ edited_mixing.T) for _ in range(N_EDITS)]
    for i in range(N_EDITS):
        relative[1 + i][:, i] = 0.0
    cells = np.concatenate(relative)
    return dataset(
        conditions,
        np.stack([np.log1p(LEVEL * each).mean(axis=0) for each in relative]),
        media=() if dose is None else (dose,),
        control_moments=ControlMoments(
            covariance=np.cov(relative[0], rowvar=False), noise=np.zeros(N_GENES), n_cells=N_CELLS
        ),
        cells=Cells(
            values=np.log1p(LEVEL * cells).astype(np.float32),
            condition=np.repeat(np.arange(1 + N_EDITS), N_CELLS),
            batch=np.zeros(len(cells), int),
        ),
    )


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    deviation = mixing(0) @ mixing(0).T
    scale = np.sqrt(np.outer(np.diag(deviation), np.diag(deviation)))
    return (matrix / scale)[~np.eye(N_GENES, dtype=bool)]


def squared_error(data: Dataset) -> tuple[float, float]:
    """Mean squared error of the covariances of unedited cells alone, and with edited ones, against the truth."""
    truth = off_diagonal(mixing(0) @ mixing(0).T)
    alone, together = data.control_moments, moments_with_edited_cells(data)
    assert alone is not None and together is not None
    return tuple(float(np.mean((off_diagonal(m.covariance) - truth) ** 2)) for m in (alone, together))


@pytest.mark.parametrize("shift", [1.0, 1.005])
def test_edited_cells_that_vary_alike_lower_the_error_as_their_number_says(shift):
    # Ten times as many cells beside, less those in which one of the two genes is edited: a variance of 1/9 to 1/10 of before.
    errors = np.array([squared_error(screen(mixing(0), seed=seed, shift=shift)) for seed in range(4)]).mean(axis=0)
    assert 0.07 < errors[1] / errors[0] < 0.18


def test_genes_that_change_much_lend_nothing():
    alone, together = squared_error(screen(mixing(0), shift=2.0))
    assert together == alone


def test_of_edited_cells_that_vary_otherwise_little_is_borrowed():
    alone, together = squared_error(screen(mixing(1)))
    assert together < 1.3 * alone


def test_of_genes_that_answer_an_edit_which_some_cells_escaped_little_is_borrowed():
    """A mixture of cells with and without the effect covaries by share (1 - share) effect², and only where the effect is."""
    n_genes, rng = 60, np.random.default_rng(0)
    effect = np.where((np.arange(n_genes) >= 20) & (np.arange(n_genes) < 25), -0.3, 0.0)
    conditions = [condition("control", 24), *(condition(f"G{i}", 24) for i in range(N_EDITS))]
    relative = 1.0 + 0.15 * rng.standard_normal((len(conditions), 3 * N_CELLS, n_genes))
    relative[1:] *= 1.0 + effect * (rng.random((N_EDITS, 3 * N_CELLS, 1)) > 0.3)
    cells = np.concatenate(list(relative))
    data = dataset(
        conditions,
        np.log1p(relative).mean(axis=1),
        control_moments=ControlMoments(
            covariance=np.cov(relative[0], rowvar=False), noise=np.zeros(n_genes), n_cells=3 * N_CELLS
        ),
        cells=Cells(
            values=np.log1p(cells).astype(np.float32),
            condition=np.repeat(np.arange(len(conditions)), 3 * N_CELLS),
            batch=np.zeros(len(cells), int),
        ),
    )
    found = moments_with_edited_cells(data).covariance  # no two genes covary in unedited cells
    answers = np.flatnonzero(effect)
    among = np.ix_(answers, answers)
    off = ~np.eye(len(answers), dtype=bool)
    mixed = 0.3 * 0.7 * 0.3**2 / np.mean(1.0 + 0.7 * effect[answers]) ** 2
    assert np.abs(found[among][off]).mean() < 0.2 * mixed
    quiet = np.delete(np.delete(found, answers, 0), answers, 1)
    alone = np.delete(np.delete(data.control_moments.covariance, answers, 0), answers, 1)
    off = ~np.eye(len(quiet), dtype=bool)
    assert np.mean(quiet[off] ** 2) < 0.25 * np.mean(alone[off] ** 2)


def test_variances_stay_those_of_unedited_cells():
    data = screen(mixing(0))
    found = moments_with_edited_cells(data)
    np.testing.assert_array_equal(np.diagonal(found.covariance), np.diagonal(data.control_moments.covariance))
    np.testing.assert_allclose(found.covariance, found.covariance.T, atol=1e-12)


def test_a_pair_that_was_edited_in_every_lending_condition_is_known_from_unedited_cells_alone():
    data = screen(mixing(0)).subset([0, 1, 2])  # G0 and G1 were edited, one in each
    found = moments_with_edited_cells(data).covariance
    assert found[0, 1] == data.control_moments.covariance[0, 1]
    assert found[0, 2] != data.control_moments.covariance[0, 2]


def test_cells_in_another_medium_lend_nothing():
    data = screen(mixing(0), dose="M")
    assert moments_with_edited_cells(data) is data.control_moments


def test_without_single_cells_or_moments_nothing_changes():
    data = screen(mixing(0))
    assert moments_with_edited_cells(replace(data, cells=None)) is data.control_moments
    assert moments_with_edited_cells(replace(data, control_moments=None)) is None
    assert moments_with_edited_cells(data.subset([0])) is data.control_moments


def test_sparse_and_dense_cells_in_batches_say_the_same():
    data = screen(mixing(0))
    batch = np.arange(len(data.cells.condition)) % 3
    dense = replace(data, cells=replace(data.cells, batch=batch))
    sparse = replace(data, cells=replace(data.cells, batch=batch, values=sp.csr_matrix(data.cells.values)))
    np.testing.assert_allclose(
        moments_with_edited_cells(dense).covariance, moments_with_edited_cells(sparse).covariance, rtol=1e-6
    )
