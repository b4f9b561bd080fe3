"""Comparison of edits with each other where no cell is unedited."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from small_screens import screen

from semimech.data import Keys
from semimech.data.curation import escapers
from semimech.data.curation.shifts import control_shifts, references
from semimech.data.screen import read_screen


def without_controls(*edits: str, n: int = 20):
    """Cells of these edits, one day, two batches."""
    return read_screen(screen(perturbations=edits, days=(2,), n=n), Keys())[0]


def mitochondrial(cells, *, rich: str, seed: int) -> np.ndarray:
    """Shares around 8 %, in a batch more, and 30 points more in one edit."""
    rng, annotation = np.random.default_rng(seed), cells.annotation
    is_rich = np.array([c.perturbation == rich for c in annotation.conditions])
    return (
        0.08
        + 0.02 * rng.normal(size=len(annotation.batch))
        + 0.1 * annotation.batch
        + 0.3 * is_rich[annotation.condition]
    )


def test_one_strong_edit_of_five_does_not_make_the_others_differ():
    cells = without_controls(*"ABCDE")
    for seed in range(20):
        shifts = control_shifts(cells, mitochondrial(cells, rich="C", seed=seed))
        names = [cells.annotation.conditions[c].perturbation for c in np.flatnonzero(shifts.beyond(0.05))]
        assert names == ["C"]
        assert np.max(shifts.shift) == pytest.approx(0.3, abs=0.02)
        assert np.sort(np.abs(shifts.shift))[:-1].max() < 0.02
    assert not control_shifts(cells, mitochondrial(cells, rich="none", seed=0)).beyond(0.005).any()


def test_the_error_of_a_difference_from_the_median_edit_is_how_far_it_varies():
    cells = without_controls(*"ABCDEFGH")
    told = [control_shifts(cells, mitochondrial(cells, rich="none", seed=seed)) for seed in range(200)]
    spread = np.std([shifts.shift for shifts in told])
    assert np.sqrt(np.mean([shifts.standard_error**2 for shifts in told])) == pytest.approx(spread, rel=0.25)


def test_edits_that_share_a_gene_are_not_compared_with_each_other():
    cells = without_controls("A", "B", "C", "D", "A+B")
    names = [c.perturbation for c in cells.annotation.conditions]
    others = {
        name: {names[c] for c in cells.annotation.condition[references(cells)(i)]} for i, name in enumerate(names)
    }
    assert others == {
        "A": {"B", "C", "D"},
        "B": {"A", "C", "D"},
        "C": set(names) - {"C"},
        "D": set(names) - {"D"},
        "A+B": {"C", "D"},
    }


def test_without_controls_cells_are_not_read_anew_for_every_edit(monkeypatch):
    """Values of a cell are read for its edit, for the totals and for its relatives, not for all others."""
    cells, taken = without_controls("A", "B", "C", "D", "E", "F", "G", "H", n=30), []
    take = sp.csr_matrix.__getitem__
    monkeypatch.setattr(escapers, "_MOST_CONTROLS", 10)
    monkeypatch.setattr(
        sp.csr_matrix, "__getitem__", lambda self, rows: taken.append(np.size(rows)) or take(self, rows)
    )
    escapers.told_apart(cells, escapers.last_harvests(cells))
    n_cells, n_edits = len(cells.annotation.condition), 8
    assert 0 < sum(taken) <= 3 * n_cells + 10 * n_edits


def test_centres_without_controls_are_means_of_the_cells_of_other_edits(monkeypatch):
    cells, seen = without_controls("A", "B", "C", "D", "A+E", "F", n=30), []
    monkeypatch.setattr(escapers, "escaper_share", lambda edited, controls, rng: seen.append(edited))
    last = escapers.last_harvests(cells)
    escapers.told_apart(cells, last)
    values, annotation = cells.measurement.observed.toarray().astype(float), cells.annotation
    for i, edited in zip(last, seen, strict=True):
        rows, others = np.flatnonzero(annotation.condition == i), references(cells)(i)
        centre = [values[others & (annotation.batch == b)].mean(axis=0) for b in annotation.batch[rows]]
        np.testing.assert_allclose(edited, values[rows] - centre, atol=1e-5)
