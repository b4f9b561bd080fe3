"""The iPSC-like screen and prior networks."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.simulate import choose_edits, ipsc_maintenance, prior_network, simulate_screen


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
