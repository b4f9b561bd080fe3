"""Ready-made screens and prior networks."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.data import dataset_from_anndata
from semimech.experiment import write_experiments
from semimech.simulate import PRESETS, choose_edits, drug_combination, ipsc_maintenance, prior_network, simulate_screen
from semimech.simulate.fates import endoderm_differentiation
from semimech.simulate.population import deterministic_cells

WITH_PAIRS = (ipsc_maintenance, endoderm_differentiation, drug_combination)


@pytest.fixture(scope="module")
def preset():
    return ipsc_maintenance(
        n_genes=30, n_edits=8, n_doubles=4, days=(2, 3.5), cells=6, control_cells=20, key=jax.random.key(1)
    )


def test_the_default_screen_is_of_the_size_of_a_real_one():
    world, design = ipsc_maintenance(key=jax.random.key(0))
    edits = [c.edits for c in design.conditions]
    cells = sum(design.cells if e else design.control_cells for e in edits)
    assert len(world.genes) == 200 and 5000 <= cells <= 6000 and design.n_batches == 3
    assert len({e for e in edits if len(e) == 1}) == 30 and len({e for e in edits if len(e) == 2}) == 10
    assert {c.hours for c in design.conditions} == {48, 72, 96, 120}


def test_edited_genes_have_targets_and_doubles_are_of_them(preset):
    world, design = preset
    singles = {c.perturbation for c in design.conditions if len(c.edits) == 1}
    assert singles <= set(world.network["source"])
    for condition in design.conditions:
        if len(condition.edits) == 2:
            assert set(condition.perturbation.split("+")) <= singles


def test_a_small_preset_runs():
    world, design = ipsc_maintenance(
        n_genes=12, n_edits=6, n_doubles=4, days=(2, 3.5), cells=6, control_cells=20, key=jax.random.key(1)
    )
    screen = simulate_screen(world, design, n_truth_cells=64, key=jax.random.key(2))
    assert screen.shape == (2 * (10 * 6 + 20), 12)
    assert set(screen.obs["day"]) == {2.0, 3.5}


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"n_edits": 31}, "n_edits"), ({"n_edits": 3, "n_doubles": 4}, "n_doubles must not exceed the number of pairs")],
)
def test_impossible_presets_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        ipsc_maintenance(n_genes=30, key=jax.random.key(0), **fields)


def test_a_world_with_too_few_regulators_with_targets_is_refused(chain):
    with pytest.raises(ValueError, match="only 2 genes have targets, 3 edits"):
        choose_edits(chain(), 3, 0, key=jax.random.key(0))


@pytest.mark.parametrize("false_share", [0.0, 0.2, 0.5])
def test_a_prior_lists_all_true_edges_and_the_stated_share_of_false_ones(preset, false_share):
    world, _ = preset
    prior = prior_network(world, false_share=false_share, key=jax.random.key(3))
    truth = {(e.source, e.target): e.sign for e in world.network.itertuples()}
    listed = {(e.source, e.target): e.sign for e in prior.itertuples()}
    assert len(listed) == len(prior)
    assert all(listed[edge] == sign for edge, sign in truth.items())
    assert 1 - len(truth) / len(prior) == pytest.approx(false_share, abs=0.5 / len(truth))
    assert {source for source, _ in listed} == {source for source, _ in truth}
    assert not any(source == target for source, target in listed)


def test_priors_of_one_key_are_equal(preset):
    world, _ = preset
    first, again = (prior_network(world, key=jax.random.key(4)) for _ in range(2))
    assert first.equals(again)


@pytest.mark.parametrize("false_share", [1.0, -0.1, 0.999])
def test_impossible_shares_of_false_edges_are_refused(preset, false_share):
    with pytest.raises(ValueError, match="false_share"):
        prior_network(preset[0], false_share=false_share, key=jax.random.key(0))


def test_false_edges_have_both_signs(preset):
    world, _ = preset
    prior = prior_network(world, false_share=0.5, key=jax.random.key(5))
    true = set(zip(world.network["source"], world.network["target"], strict=True))
    signs = [e.sign for e in prior.itertuples() if (e.source, e.target) not in true]
    assert np.mean(np.array(signs) > 0) == pytest.approx(0.5, abs=0.25)


@pytest.mark.parametrize("make", PRESETS, ids=lambda make: make.__name__)
def test_a_preset_of_one_key_is_one_world_and_one_design(make):
    sizes = {"n_genes": 20, "n_edits": 3, "n_doubles": 2 if make in WITH_PAIRS else 0}
    (first, design), (again, same) = (make(**sizes, key=jax.random.key(7)) for _ in range(2))
    np.testing.assert_array_equal(first.weight, again.weight)
    assert design == same
    assert make(**sizes, key=jax.random.key(8))[1].conditions != design.conditions


@pytest.fixture(scope="module")
def drugs():
    return drug_combination(
        n_genes=16,
        n_edits=3,
        n_doubles=2,
        efficacies=(0.4, 0.9),
        days=(1,),
        cells=12,
        control_cells=40,
        key=jax.random.key(9),
    )


def test_compounds_stand_alone_and_in_pairs_at_all_doses(drugs):
    _, design = drugs
    edits = [c.edits for c in design.conditions if c.edits]
    assert {e.kind for pair in edits for e in pair} == {"drug"}
    singles = [pair for pair in edits if len(pair) == 1]
    assert len(singles) == 3 * 2 and len(edits) == 3 * 2 + 2 * 4
    assert {e.efficacy for (e,) in singles} == {0.4, 0.9}
    assert all(c.medium is None for c in design.conditions)


def test_doses_are_told_apart_through_the_table_of_experiments(drugs, tmp_path):
    world, design = drugs
    screen = simulate_screen(world, design, n_truth_cells=64, key=jax.random.key(10))
    write_experiments(design.experiments, tmp_path / "experiments.tsv")
    data = dataset_from_anndata(screen, experiments=tmp_path / "experiments.tsv")
    assert set(data.conditions) == set(design.conditions)
    assert screen.uns["truth"]["conditions"]["protocol"].is_unique


def test_a_larger_dose_moves_the_targets_of_a_compound_further(drugs):
    world, design = drugs
    wanted = [c for c in design.conditions if len(c.edits) <= 1]
    level = np.log(deterministic_cells(world, wanted))
    control = next(level[i] for i, c in enumerate(wanted) if c.is_control)
    for gene in {c.perturbation for c in wanted if c.edits}:
        low, high = (
            next(level[i] for i, c in enumerate(wanted) if c.perturbation == gene and c.edits[0].efficacy == dose)
            for dose in (0.4, 0.9)
        )
        assert np.abs(high - control).sum() > np.abs(low - control).sum() > 0


@pytest.mark.parametrize("fields", [{"n_edits": 31}, {"n_edits": 2, "n_doubles": 2}])
def test_impossible_drug_screens_are_refused(fields):
    with pytest.raises(ValueError, match="n_edits|n_doubles"):
        drug_combination(n_genes=30, key=jax.random.key(0), **fields)
