"""Phases of cycling cells, told by their markers, and what they explain of pairs."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pandas as pd
import pytest

from semimech import DataError
from semimech.assumptions.catalogue import NO_CELL_CYCLE
from semimech.baselines import fit_baseline
from semimech.data import dataset_from_anndata
from semimech.fit.candidates import Candidate
from semimech.fit.claims import model_assumptions
from semimech.fit.config import FitConfig
from semimech.fit.cycle import phases_by_time, with_cycle
from semimech.simulate.cycle import MARKERS, cycling_cells

ADDITIVE = partial(fit_baseline, "additive")


@pytest.fixture(scope="module")
def screen():
    sizes = {"n_genes": 32, "n_edits": 4, "n_doubles": 3, "cells": 60, "control_cells": 120}
    return cycling_cells(**sizes, key=jax.random.key(2))


@pytest.fixture(scope="module")
def data(screen):
    plain = screen.copy()
    plain.obs = plain.obs.drop(columns="phase")
    del plain.uns["truth"]
    return dataset_from_anndata(plain)


def by_name(screen, what):
    truth = screen.uns["truth"]
    return dict(zip(truth["conditions"]["perturbation"], truth[what], strict=True))


@pytest.fixture(scope="module")
def models(data):
    single = data.subset(np.array([len(c.edits) < 2 for c in data.conditions]))
    return with_cycle(single, ADDITIVE), ADDITIVE(single)


def test_shares_of_phases_are_those_that_cells_were_drawn_with(screen, data, models):
    shares = by_name(screen, "shares")
    for condition in data.conditions:
        branch = models[0].shares.branch(condition)
        found = models[0].shares.shares(condition, branch).share if condition.edits else branch.unedited
        assert np.abs(found - shares[condition.perturbation]).max() < 0.12, condition.perturbation


def test_as_many_cells_are_made_as_were_asked_for(screen):
    """Phases are drawn, so that numbers vary: by four standard deviations at the most."""
    made = screen.obs.groupby("perturbation", observed=True).size()
    assert made["control"] == pytest.approx(120, abs=4 * np.sqrt(120 * 0.63))
    assert made.drop("control").to_numpy() == pytest.approx(60, abs=4 * np.sqrt(60 * 0.67))


def test_cells_are_in_the_phase_that_they_were_simulated_in(screen, data):
    phases = phases_by_time(data)[72.0]
    cells = data.cells.values
    cells = cells.toarray() if hasattr(cells, "toarray") else cells
    _, belongs = phases.membership(cells, np.full(3, 1.0 / 3.0))
    called = np.array(["G1", "S", "G2M"])[belongs.argmax(axis=1)]
    assert np.mean(called == screen.obs["phase"].to_numpy()) > 0.85


def test_pairs_that_arrest_are_predicted_better_with_their_phases(screen, data, models):
    truth = by_name(screen, "observed")
    asked = [c for c in data.conditions if len(c.edits) > 1]
    markers = np.isin(data.genes, [*MARKERS["S"], *MARKERS["G2M"]])
    wanted = np.array([truth[c.perturbation] for c in asked])[:, markers]
    errors = [np.mean((m.predict_conditions(asked).mean[:, markers] - wanted) ** 2) for m in models]
    assert errors[0] < 0.8 * errors[1]


def test_a_law_of_means_takes_the_cycle_for_granted_and_one_within_phases_does_not(data, models):
    assert NO_CELL_CYCLE in model_assumptions(FitConfig(), Candidate(strength="none"), pd.DataFrame({"strength": []}))

    def law(part):
        found = ADDITIVE(part)
        found.assumptions = (*found.assumptions, NO_CELL_CYCLE)
        return found

    assert NO_CELL_CYCLE not in with_cycle(data, law).assumptions
    assert models[0].name == "additive + cell cycle"


def test_a_panel_without_markers_is_refused(data):
    with pytest.raises(DataError, match=r"0 markers of S[\s\S]*0 markers of G2M"):
        with_cycle(data, ADDITIVE, s_genes=("A",), g2m_genes=("B",))


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="n_genes must be at least 28"):
        cycling_cells(n_genes=20, n_edits=4, key=jax.random.key(0))
