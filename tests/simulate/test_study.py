"""Study worlds: what is held out, and what is measured against what is true."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech.simulate import STUDY_KINDS, simulate_study, study_world

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def world():
    return study_world("intrinsic", key=jax.random.key(4))


@pytest.fixture(scope="module")
def exact(world):
    return simulate_study(world, umi=None, key=KEY)


@pytest.fixture(scope="module")
def counted(world):
    return simulate_study(world, umi=5000.0, cells=60, key=KEY)


def edited(study, rows):
    return {e.gene for r in rows for e in study.dataset.conditions[r].edits}


def test_rows_are_for_one_purpose_each(exact):
    parts = [exact.train, exact.unseen_edit, exact.unseen_combination]
    assert sorted(np.concatenate(parts)) == list(range(len(exact.dataset.conditions)))
    assert [len(p) for p in parts] == [4 * 17, 4 * 8, 4 * 12]


def test_held_out_genes_are_edited_in_no_training_row(exact):
    train, test = edited(exact, exact.train), edited(exact, exact.unseen_edit)
    assert len(train) == 16 and len(test) == 8 and not train & test
    assert edited(exact, exact.unseen_combination) <= train


def test_noise_free_means_are_the_truth(exact):
    np.testing.assert_array_equal(exact.dataset.mean, np.log1p(exact.truth.mean))
    np.testing.assert_array_equal(exact.scored.mean, exact.dataset.mean)
    assert exact.dataset.control_moments.n_cells == 2000
    assert (exact.dataset.control_moments.noise == 0).all()


def test_counted_means_differ_from_the_truth_by_their_standard_errors(counted):
    z = (counted.dataset.mean - counted.true_mean) / counted.dataset.standard_error
    assert np.sqrt((z**2).mean()) == pytest.approx(1, abs=0.1)


def test_scoring_replaces_all_but_training_rows_by_the_truth(counted):
    test = np.concatenate([counted.unseen_edit, counted.unseen_combination])
    np.testing.assert_array_equal(counted.scored.mean[test], counted.true_mean[test])
    np.testing.assert_array_equal(counted.scored.mean[counted.train], counted.dataset.mean[counted.train])


def test_noise_corrected_variances_of_counts_agree_with_those_of_cells(exact, counted):
    cells, counts = (np.diag(s.dataset.control_moments.covariance) for s in (exact, counted))
    expressed = exact.truth.mean[0] > 5
    np.testing.assert_allclose(counts[expressed], cells[expressed], rtol=0.6)
    assert np.corrcoef(counts[expressed], cells[expressed])[0, 1] > 0.3


def test_slow_factors_widen_the_law_of_unedited_cells():
    spread = {}
    for kind in ("intrinsic", "extrinsic"):
        study = simulate_study(study_world(kind, key=jax.random.key(4)), umi=None, control_cells=400, key=KEY)
        spread[kind] = np.diag(study.dataset.control_moments.covariance).mean()
    assert spread["extrinsic"] > 1.2 * spread["intrinsic"]


@pytest.mark.parametrize("kind", STUDY_KINDS)
def test_every_kind_has_twenty_four_regulators(kind):
    world = study_world(kind, key=jax.random.key(1))
    assert len(world.kinetics.regulators) == len(world.genes) == 24
    assert set(world.network["source"]) == set(world.genes)
    assert np.isfinite(world.kinetics.protein_decay).all() == ("proteins" in kind)
    assert (world.kinetics.loadings != 0).any() == ("extrinsic" in kind)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="kind must be one of intrinsic, .*, got 'quiet'"):
        study_world("quiet", key=jax.random.key(0))
