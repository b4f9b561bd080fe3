"""Screens in hosts, of known founders and growth."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import binom

from semimech import read
from semimech.abundance import analyse_abundance, correct_expression, guide_counts
from semimech.abundance.joint import founders_of_edits
from semimech.simulate import (
    Graft,
    haematopoiesis_in_vivo,
    ipsc_maintenance,
    simulate_in_vivo,
    simulate_screen,
    tumour_in_vivo,
    write_in_vivo,
)

SIZES = {"n_genes": 24, "n_edits": 6, "days": (4, 8), "cells": 32, "control_cells": 120, "n_batches": 2}


@pytest.fixture(scope="module")
def preset():
    world, design = tumour_in_vivo(**SIZES, founders=4000, key=jax.random.key(3))
    return world, replace(design, graft=replace(design.graft, lives=72))


@pytest.fixture(scope="module")
def screen(preset):
    return simulate_in_vivo(*preset, n_truth_cells=16, key=jax.random.key(4))


@pytest.fixture(scope="module")
def abundance(screen):
    return analyse_abundance(guide_counts(screen.guides, screen.samples))


def test_neutral_guides_tell_the_founders(screen, abundance):
    truth = screen.cells.uns["truth"]["effective_founders"]
    assert 1000 < truth < 2000  # clones of exponential sizes halve 4,000, and growth that differs takes some more
    found = abundance.founders
    assert ((found["lower"] < truth) & (truth < found["upper"])).sum() >= binom.ppf(0.05, len(found), 0.9)
    told = found[np.isfinite(found["upper"])]
    assert len(told) and np.allclose(told["founders"], truth, rtol=0.4)


def test_guides_grow_by_the_state_of_their_cells(screen, abundance):
    truth = screen.cells.uns["truth"]
    last = truth["conditions"]["hours"] == 192
    fold = dict(zip(truth["conditions"]["perturbation"][last], truth["log_fold"][last], strict=True))
    genes = abundance.genes.set_index("gene")
    works = truth["guides"].groupby("gene")["efficacy"].mean()
    # A share of the cells with a guide is unedited, and grows as such.
    expected = [np.log(works[g] * np.exp(fold[g] - fold["control"]) + 1 - works[g]) for g in genes.index]
    assert genes.index.tolist() and np.allclose(genes["effect"] * 192, expected, atol=0.45)
    assert np.corrcoef(genes["effect"], expected)[0, 1] > 0.9


def test_survivors_are_those_that_grow(screen):
    truth = screen.cells.uns["truth"]
    score = (truth["survivors"] - truth["observed"]) @ truth["growth_weight"]
    assert (score > 0).all()


def test_cells_are_as_many_as_their_guides_survived(screen):
    obs = screen.cells.obs[screen.cells.obs["day"] == 8]
    cells = obs.groupby("guide", observed=False).size()
    at_day = screen.guides.set_index("sgRNA")[[c for c in screen.guides if c.endswith("day8")]]
    share = (at_day / at_day.sum()).mean(axis=1)
    assert np.corrcoef(cells.reindex(share.index, fill_value=0), share)[0, 1] > 0.6
    assert len(obs) == pytest.approx(6 * 32 + 120, abs=4)


def test_the_files_are_read_as_any_others(screen, tmp_path):
    guides, samples = write_in_vivo(screen, tmp_path / "screen.h5ad")
    assert guides.name == "screen.guides.tsv" and samples.exists()
    data = read(tmp_path / "screen.h5ad", environment="in-vivo")
    assert set(data.hours) == {96.0, 192.0} and not data.system.is_stationary
    assert {c.perturbation for c in data.conditions} >= {"control"}
    assert set(screen.cells.obs["batch"]) == {"animal1", "animal2"}


def test_effects_freed_of_survivors_rest_on_the_errors_and_founders_of_the_guides(screen, abundance, tmp_path):
    write_in_vivo(screen, tmp_path / "screen.h5ad")
    data = read(tmp_path / "screen.h5ad", environment="in-vivo")
    found = correct_expression(data, abundance, n_draws=2, key=jax.random.key(0))
    errors = abundance.genes.set_index("gene")["standard_error"] * 192
    np.testing.assert_allclose(found.growth["standard_error"], errors[list(found.edits)])
    last = abundance.founders[abundance.founders["sample"].str.endswith("day8")]
    founders = founders_of_edits(abundance)
    told = np.where(np.isfinite(last["upper"]), last["founders"], last["lower"])
    assert sum(founders.values()) == pytest.approx(told.sum())
    assert founders["control"] > max(founders[e] for e in found.edits)


def test_stem_cells_take_the_fate_whose_regulator_they_keep():
    world, design = haematopoiesis_in_vivo(**SIZES, key=jax.random.key(5))
    assert {"SPI1", "GATA1"} <= {c.perturbation for c in design.conditions}
    assert design.graft.niche == "marrow" == design.conditions[0].medium
    assert world.genes[:2] == ("SPI1", "GATA1")


def test_grafts_and_cultures_are_not_taken_for_each_other(preset):
    with pytest.raises(ValueError, match="simulate it with simulate_in_vivo"):
        simulate_screen(*preset, key=jax.random.key(0))
    culture = ipsc_maintenance(n_genes=12, n_edits=2, n_doubles=0, key=jax.random.key(0))
    with pytest.raises(ValueError, match="no graft"):
        simulate_in_vivo(*culture, key=jax.random.key(0))


def test_impossible_grafts_are_refused_with_all_their_faults():
    with pytest.raises(ValueError, match=r"founders must be at least 1.*guide_efficacy must lie"):
        Graft(niche="tumour", weight=(0.0, 0.0), founders=0, guide_efficacy=1.0)
    with pytest.raises(ValueError, match="n_doubles must be 0"):
        tumour_in_vivo(**SIZES, n_doubles=1, key=jax.random.key(0))
