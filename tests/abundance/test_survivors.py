"""Single cells that grow by their state, and what their survivors say of those that did not."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

from semimech import DataError
from semimech.abundance import Tilt, correct_survivors

HOURS, GENES, EDITS, CELLS = 96.0, 12, 16, 300
NAMES = [f"e{i}" for i in range(EDITS)]


def screen(rng, *, depends=True, escapers=0.4):
    """Survivors of cells of which some escaped their edit, abundances, and effects without selection."""
    programmes = rng.standard_normal((3, GENES))
    effect = 0.5 * rng.standard_normal((EDITS, 3)) @ programmes
    weight = rng.standard_normal(GENES)
    weight *= 1.2 / np.std(effect @ weight) / HOURS
    own = rng.standard_normal(EDITS)
    values, labels, fold, truth = [], [], [], []
    for edit in range(-1, EDITS):
        works = (rng.random(10_000) > escapers)[:, None] * (effect[edit] if edit >= 0 else 0.0)
        states = 0.3 * rng.standard_normal((10_000, GENES)) + works
        growth = HOURS * (states @ weight) if depends else np.full(len(states), own[edit] if edit >= 0 else 0.0)
        chance = np.exp(growth)
        fold.append(np.log(chance.mean()))
        truth.append(states.mean(axis=0))
        grown = rng.choice(len(states), CELLS if edit >= 0 else 2000, p=chance / chance.sum())
        values.append(states[grown] + 0.2 * rng.standard_normal((len(grown), GENES)))
        labels += [NAMES[edit] if edit >= 0 else "control"] * len(grown)
    abundance = pd.DataFrame({"effect": np.array(fold[1:]) - fold[0], "standard_error": 0.03}, index=NAMES)
    return np.concatenate(values), labels, abundance, np.array(truth[1:]) - truth[0]


def correct(values, labels, abundance, **given):
    genes = [f"g{i}" for i in range(values.shape[1])]
    given = {"genes": genes, "tilt": Tilt(hours=HOURS), "n_draws": 40, "key": jax.random.key(0)} | given
    return correct_survivors(values, labels, abundance, **given)


@pytest.fixture(scope="module")
def selected():
    values, labels, abundance, truth = screen(np.random.default_rng(1))
    return correct(values, labels, abundance), truth


def test_most_of_the_bias_of_survivors_is_gone(selected):
    found, truth = selected
    bias = np.sqrt(np.mean((found.harvested - truth) ** 2))
    assert np.sqrt(np.mean((found.corrected - truth) ** 2)) < 0.4 * bias
    assert found.credence > 0.95 and found.explained > 0.7


def test_intervals_hold_the_effects_without_selection(selected):
    found, truth = selected
    assert np.mean((found.lower <= truth) & (truth <= found.upper)) > 0.82
    error = (found.corrected - truth) / ((found.upper - found.lower) / (2 * 1.645))
    assert 0.5 < np.sqrt(np.mean(error**2)) < 1.25  # neither narrower nor much wider than errors are
    assert np.mean((found.lower <= found.harvested) & (found.harvested <= found.upper)) < 0.8


def test_the_table_has_a_row_for_each_edit_and_gene(selected):
    found, _ = selected
    table = found.table()
    assert len(table) == EDITS * GENES
    row = table[(table["edit"] == "e3") & (table["gene"] == "g5")].iloc[0]
    assert row["corrected"] == found.corrected[3, 5] and row["harvested"] == found.harvested[3, 5]


def test_growth_for_another_cause_corrects_nothing():
    values, labels, abundance, _ = screen(np.random.default_rng(2), depends=False)
    found = correct(values, labels, abundance, n_draws=4)
    assert found.credence < 0.5
    moved = np.sqrt(np.mean((found.corrected - found.harvested) ** 2))
    assert moved < 0.3 * np.sqrt(np.mean(found.harvested**2))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_cost_that_all_edits_share_is_no_evidence_that_growth_follows_their_common_response(seed):
    """Cutting costs growth and moves some genes, in all edits alike; else growth has nothing to do with expression."""
    rng = np.random.default_rng(seed)
    effect = 0.5 * rng.standard_normal((EDITS, 3)) @ rng.standard_normal((3, GENES)) + rng.standard_normal(GENES)
    values, labels = [], []
    for edit in range(-1, EDITS):
        n = CELLS if edit >= 0 else 2000
        works = (rng.random(n) > 0.4)[:, None] * (effect[edit] if edit >= 0 else 0.0)
        values.append(0.35 * rng.standard_normal((n, GENES)) + works)
        labels += [NAMES[edit] if edit >= 0 else "control"] * n
    cost = pd.DataFrame({"effect": 0.3 * rng.standard_normal(EDITS) - 1.5, "standard_error": 0.03}, index=NAMES)
    found = correct(np.concatenate(values), labels, cost, n_draws=2)
    assert found.credence < 0.6 and found.explained < 0.5
    moved = np.sqrt(np.mean((found.corrected - found.harvested) ** 2))
    assert moved < 0.1 * np.sqrt(np.mean(found.harvested**2))


def test_cells_of_few_clones_have_intervals_of_their_founders():
    """60 founders of an edit, of unequal clones, 200 cells harvested, and nothing that selects."""
    rng, n_genes, n_edits = np.random.default_rng(0), 10, 12
    effect = 0.5 * rng.standard_normal((n_edits, n_genes))
    values, labels, founders = [], [], {}
    for edit in range(-1, n_edits):
        n_founders, n = (60, 200) if edit >= 0 else (300, 1000)
        states = 0.5 * rng.standard_normal((n_founders, n_genes)) + (effect[edit] if edit >= 0 else 0.0)
        size = rng.exponential(size=n_founders)
        name = NAMES[edit] if edit >= 0 else "control"
        founders[name] = float(size.sum() ** 2 / (size**2).sum())
        rows = rng.choice(n_founders, n, p=size / size.sum())
        values.append(states[rows] + 0.2 * rng.standard_normal((n, n_genes)))
        labels += [name] * n
    grown = pd.DataFrame({"effect": 0.5 * rng.standard_normal(n_edits), "standard_error": 0.2}, index=NAMES[:n_edits])
    found = correct(np.concatenate(values), labels, grown, founders=founders)
    assert 0.8 < np.mean((found.lower <= effect) & (effect <= found.upper)) < 0.99


def test_an_edit_that_shifts_all_of_its_cells_alike_needs_no_correction():
    values, labels, abundance, truth = screen(np.random.default_rng(3), escapers=0.0)
    found = correct(values, labels, abundance, n_draws=4)
    assert np.sqrt(np.mean((found.harvested - truth) ** 2)) < 0.05
    assert np.sqrt(np.mean((found.corrected - truth) ** 2)) < 0.07


def test_one_key_gives_one_interval():
    values, labels, abundance, _ = screen(np.random.default_rng(4))
    first, again = (correct(values, labels, abundance, n_draws=3) for _ in range(2))
    np.testing.assert_array_equal(first.lower, again.lower)


def test_all_faults_are_told_at_once():
    values = np.zeros((12, 2))
    values[0, 0] = np.nan
    abundance = pd.DataFrame({"effect": [0.1], "standard_error": [0.0]}, index=["a"])
    with pytest.raises(DataError) as caught:
        correct(values, ["a"] * 10 + ["control"] * 2, abundance)
    for words in ("1 edits have 10 cells", "2 cells called 'control'", "standard errors above 0", "must be numbers"):
        assert words in str(caught.value)


def test_arguments_that_would_give_no_interval_are_refused():
    values, labels, abundance, _ = screen(np.random.default_rng(5))
    twice = pd.concat([abundance, abundance.iloc[:1]]).drop(columns="standard_error")
    with pytest.raises(DataError) as caught:
        correct(values, labels, twice, level=90, n_draws=1, founders=dict.fromkeys(NAMES, 50.0))
    for words in ("no column 'standard_error'", "e0 stand twice", "got 90", "at least 2", "founders of control"):
        assert words in str(caught.value)
