"""Cells with a guide that did not work, among survivors of an edit that kills."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gaussian_kde
from small_data import condition, dataset

from semimech import DataError
from semimech.abundance import edited_cells, guide_counts
from semimech.abundance.edited_probability import kernel_density, probability_edited
from semimech.data.dataset import Cells

EDITING, HOURS, GENES = 0.8, (72.0, 144.0), 20
EFFECTS = {"G0": 1.0, "G1": 1.0, "G2": 0.0}
"""Size of the effect of each edit, in standard deviations of cells, on every gene."""
FOLDS = {"G0": (0.5, 0.05), "G1": (1.0, 1.0), "G2": (0.5, 0.05)}
"""Edited cells at harvests for one at the start, over unedited ones."""


def screen(seed=0, *, start=60, folds=FOLDS):
    """Cells of two harvests whose unedited share is known, and reads of guides without noise."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], GENES)
    names, values, labels, unedited = [], [], [], []
    for n, at in enumerate(HOURS):
        for edit in ("control", *folds):
            names.append(condition(edit, at))
            sizes = (200, 0) if edit == "control" else (12, round(start * EDITING * folds[edit][n]))
            for size, effect in zip(sizes, (0.0, EFFECTS.get(edit, 0.0)), strict=True):
                values.append(2.0 + effect * sign + rng.standard_normal((size, GENES)))
                labels += [len(names) - 1] * size
                unedited += [edit != "control" and size == 12 and effect == 0.0] * size
    cells = Cells(values=np.concatenate(values), condition=np.array(labels), batch=np.zeros(len(labels), int))
    mean = np.array([cells.values[cells.condition == i].mean(axis=0) for i in range(len(names))])
    data = dataset(names, mean, standard_error=0.1, cells=cells, halves=np.stack([mean, mean]))
    table = pd.DataFrame({"sgRNA": ["n", *folds], "gene": ["non-targeting", *folds], "before": 100_000})
    for n, at in enumerate(HOURS):
        grown = [1.0] + [EDITING * fold[n] + 1 - EDITING for fold in folds.values()]
        table[f"day{at:g}"] = [round(100_000 * g) for g in grown]
    sheet = pd.DataFrame(
        {"sample": ["before", *(f"day{at:g}" for at in HOURS)], "role": ["reference", "sample", "sample"]}
    )
    truth = {edit: 2.0 + EFFECTS[edit] * sign for edit in folds}
    return data, guide_counts(table, sheet.assign(hours=[0.0, *HOURS])), truth


@pytest.fixture(scope="module")
def found():
    data, counts, truth = screen()
    return edited_cells(data, counts, editing=EDITING), data, truth


def test_counts_alone_tell_the_share_of_unedited_cells(found):
    shares = found[0].shares
    for row in shares.itertuples():
        fold = FOLDS[row.edit][HOURS.index(row.hours)]
        assert row.expected == pytest.approx(0.2 / (0.8 * fold + 0.2), rel=1e-3)


def test_means_of_an_edit_that_kills_are_those_of_its_edited_cells(found):
    freed, data, truth = found
    late = condition("G0", HOURS[1])
    # Twelve of fourteen cells are unedited: as labelled the mean is nearer to that of unedited cells.
    labelled, edited = data.mean[data.index[late]], freed.data.mean[freed.data.index[late]]
    assert np.abs(labelled - 2.0).mean() < np.abs(labelled - truth["G0"]).mean()
    assert ((edited - truth["G0"]) ** 2).mean() < ((labelled - truth["G0"]) ** 2).mean()
    row = freed.shares.query("edit == 'G0' and hours == @HOURS[1]").iloc[0]
    assert row["found"] == pytest.approx(12 / 14, abs=0.05)
    assert freed.data.n_cells[freed.data.index[late]] == 2
    assert freed.data.standard_error[freed.data.index[late]] == pytest.approx(0.1 * np.sqrt(14 / 2), rel=0.1)


def test_single_cells_that_stay_are_those_that_are_edited(found):
    freed = found[0].data
    assert len(freed.cells.of(np.array([freed.index[condition("G0", HOURS[0])]]))) == pytest.approx(24, abs=2)
    assert len(freed.cells.of(np.array([freed.index[condition("control", HOURS[0])]]))) == 200


def test_an_edit_that_moves_nothing_is_left_as_it_is(found):
    freed, data, _ = found
    for at in HOURS:
        c = condition("G2", at)
        assert freed.data.mean[freed.data.index[c]] == pytest.approx(data.mean[data.index[c]])
    assert freed.shares.query("edit == 'G2'")["found"].isna().all()


def test_a_harvest_of_unedited_cells_alone_is_left_out():
    data, counts, _ = screen(folds=FOLDS | {"G0": (1.0, 0.0)})
    freed = edited_cells(data, counts, editing=EDITING)
    assert condition("G0", HOURS[1]) not in freed.data.index and condition("G0", HOURS[0]) in freed.data.index
    assert "left out for want of edited cells: G0 at 144 h" in freed.data.notes[0]


def test_an_edit_that_leaves_no_edited_cell_at_any_harvest_is_left_out():
    data, counts, _ = screen(folds=FOLDS | {"G0": (0.0, 0.0)})
    freed = edited_cells(data, counts, editing=EDITING)
    assert "G0" not in freed.data.perturbations and {"G1", "G2"} <= set(freed.data.perturbations)
    assert "left out for want of edited cells: G0 at 72 h, G0 at 144 h" in freed.data.notes[0]
    rows = freed.shares.query("edit == 'G0'")
    assert rows["expected"].to_numpy() == pytest.approx(1.0, abs=1e-3) and not rows["kept"].any()


def test_few_cells_of_an_edit_that_nothing_selects_against_stay():
    data, counts, _ = screen(start=1, folds={"G1": (1.0, 1.0)})
    of_edit = np.flatnonzero(~data.is_control)
    one_each = np.concatenate(
        [data.cells.of(np.flatnonzero(data.is_control)), *(data.cells.of(np.array([r]))[:1] for r in of_edit)]
    )
    cells = replace(
        data.cells,
        values=data.cells.values[one_each],
        condition=data.cells.condition[one_each],
        batch=data.cells.batch[one_each],
    )
    freed = edited_cells(replace(data, cells=cells), counts, editing=EDITING)
    assert freed.data.conditions == data.conditions and (freed.shares["cells"] == 1).all()


def test_what_the_counts_do_not_tell_is_named():
    data, counts, _ = screen()
    other = {condition("G1", 144.0): condition("G1", 300.0), condition("G2", 72.0): condition("G0+G1", 72.0)}
    more = replace(data, conditions=tuple(other.get(c, c) for c in data.conditions))
    freed = edited_cells(more, counts, editing=EDITING)
    assert freed.data.notes[1:] == (
        "no guides were counted of G0+G1: their cells are as labelled, edited or not.",
        "harvests after the last count of guides are taken as if it had been then: G1 at 300 h.",
    )


def test_of_many_unedited_cells_some_tell_as_much(monkeypatch, found):
    monkeypatch.setattr(importlib.import_module("semimech.abundance.edited_cells"), "MOST_CONTROLS", 200)
    data, counts, _ = screen()
    some = edited_cells(data, counts, editing=EDITING, seed=1)
    assert some.shares["found"].to_numpy() == pytest.approx(found[0].shares["found"].to_numpy(), abs=0.05, nan_ok=True)
    assert some.data.fingerprint != edited_cells(data, counts, editing=EDITING, seed=2).data.fingerprint


@pytest.mark.parametrize("n", [50, 1000])
def test_a_density_from_bins_is_that_of_every_kernel(n):
    rng = np.random.default_rng(2)
    sample = np.concatenate([rng.standard_normal(n), [9.0]])
    at = np.linspace(-5.0, 20.0, 200)
    assert kernel_density(sample, at) == pytest.approx(gaussian_kde(sample)(at), abs=1e-3)


def test_noise_that_edited_cells_share_with_their_own_mean_is_no_edit():
    rng = np.random.default_rng(1)
    values, controls = rng.standard_normal((30, 200)), rng.standard_normal((400, 200))
    _, distance = probability_edited(values, np.full(30, 0.2), controls, controls.var(axis=0))
    assert distance < 2.0


def test_all_faults_are_told_at_once():
    data, counts, _ = screen()
    other = guide_counts(
        pd.DataFrame({"sgRNA": ["a", "b"], "gene": ["X", "non-targeting"], "before": 5, "after": 5}),
        pd.DataFrame({"sample": ["before", "after"], "role": ["reference", "sample"]}),
    )
    with pytest.raises(DataError, match=r"(?s)no single cells.*no hours.*editing must lie between 0 and 1, got 80"):
        edited_cells(dataset(data.conditions, data.mean), other, editing=80.0)
    with pytest.raises(DataError, match="no guide is of an edit of the cells"):
        named = other.samples.assign(hours=[0.0, 72.0])
        edited_cells(
            data,
            guide_counts(
                pd.DataFrame({"sgRNA": ["a", "b"], "gene": ["X", "non-targeting"], "before": 5, "after": 5}), named
            ),
        )
