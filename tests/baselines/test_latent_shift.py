"""A latent-shift autoencoder on cells of a world in which every edit is a shift of three latent factors."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.assumptions.catalogue import ADDITIVE, START_INDEPENDENT
from semimech.baselines import Effects, LatentShift
from semimech.data import Cells

N_GENES, N_CELLS = 12, 250
NAMES = ("control", "A", "B", "C", "A+B")
SHIFT = {"A": np.array([2.0, 0.0, 0.0]), "B": np.array([0.0, -2.0, 0.0]), "C": np.array([0.0, 0.5, 1.5])}
LOADING = np.random.default_rng(5).normal(size=(3, N_GENES))


def mean(name: str) -> np.ndarray:
    """Mean of cells of a perturbation, in the observed scale."""
    latent = sum((SHIFT[gene] for gene in name.split("+") if gene in SHIFT), np.zeros(3))
    return 10.0 + latent @ LOADING


@pytest.fixture(scope="module")
def fitted() -> LatentShift:
    """Trained on all but the pair B+C, with the pair A+B as measured."""
    rng = np.random.default_rng(0)
    conditions = [condition(name, 48) for name in NAMES]
    latent = rng.normal(size=(len(NAMES), N_CELLS, 3)) @ LOADING
    values = (
        np.stack([mean(name) for name in NAMES])[:, None]
        + latent
        + 0.2 * rng.normal(size=(len(NAMES), N_CELLS, N_GENES))
    )
    cells = Cells(
        values=values.reshape(-1, N_GENES),
        condition=np.repeat(np.arange(len(NAMES)), N_CELLS),
        batch=np.zeros(len(NAMES) * N_CELLS, int),
    )
    data = dataset(conditions, values.mean(axis=1), cells=cells)
    return LatentShift(Effects(data), n_latent=3, n_hidden=32, n_steps=800, key=jax.random.key(0))


@pytest.mark.parametrize("name", ["A", "A+B", "B+C"])
def test_edits_move_cells_by_their_latent_shifts_and_pairs_that_were_not_made_by_the_sum(fitted, name):
    predicted = fitted.predict_conditions([condition(name, 48), condition("control", 48)]).mean
    change, truth = predicted[0] - predicted[1], mean(name) - mean("control")
    assert np.linalg.norm(change - truth) < 0.2 * np.linalg.norm(truth)


def test_it_sees_no_time_and_takes_for_granted_what_its_family_does(fitted):
    early, late = fitted.predict_conditions([condition("A", 6), condition("A", 480)]).mean
    np.testing.assert_array_equal(early, late)
    assert {ADDITIVE, START_INDEPENDENT} <= set(fitted.assumptions)


def test_an_edit_that_was_never_made_is_shifted_as_edits_are_on_average(fitted):
    usual = np.mean(list(fitted.shifts.values()), axis=0)
    np.testing.assert_allclose(fitted.shift(condition("D", 48).edits), usual)


def test_means_without_cells_are_refused():
    data = dataset([condition("control", 48), condition("A", 48)], np.ones((2, 3)))
    with pytest.raises(DataError, match="needs single cells"):
        LatentShift(Effects(data), key=jax.random.key(0))
