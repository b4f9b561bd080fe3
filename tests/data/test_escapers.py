from __future__ import annotations

import anndata as ad
import jax
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from semimech.data.curation.escapers import escaper_share, escapers_by_condition
from semimech.data.curation.target_moments import escape, escape_by_condition
from semimech.data.schema import Keys
from semimech.data.screen import read_screen
from semimech.experiment import Edit
from semimech.simulate import (
    Measurement,
    ScreenDesign,
    WorldRecipe,
    choose_edits,
    random_world,
    screen_experiments,
    simulate_screen,
)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_the_share_of_escapers_of_a_mixture_is_found_again(share):
    rng = np.random.default_rng(1)
    controls = rng.normal(size=(1000, 40))
    edited = rng.normal(size=(600, 40)) + 0.8
    edited[: int(share * 600)] -= 0.8
    found = escaper_share(edited, controls, rng=rng)
    assert abs(found.share - share) < 0.05
    # 40 genes moved by 0.8 standard deviations.
    assert abs(found.distance - 0.8 * np.sqrt(40)) < 0.5


def test_cells_that_do_not_move_say_nothing_of_escapers():
    rng = np.random.default_rng(2)
    assert escaper_share(rng.normal(size=(200, 40)), rng.normal(size=(600, 40)), rng=rng) is None


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_share_of_escapers_of_a_simulated_screen_is_found_to_ten_points_and_to_five_where_it_says_so(share):
    world = random_world(WorldRecipe(n_genes=70, n_regulators=20), key=jax.random.key(0))
    genes = [edits[0] for edits in choose_edits(world, n_singles=6, n_doubles=0, key=jax.random.key(1))[0]]
    design = ScreenDesign(
        experiments=screen_experiments([(Edit(gene=g),) for g in genes], (4,)),
        cells=200,
        control_cells=600,
        escaper_share=share,
        measurement=Measurement(library_mean=4000.0),
    )
    data = simulate_screen(world, design, n_truth_cells=8, key=jax.random.key(2))
    screen = read_screen(data, Keys())[0]
    found = escapers_by_condition(screen)
    assert len(found) >= 2
    for row, escapers in found.items():
        true = np.mean(data.uns["truth"]["is_escaper"][screen.annotation.condition == row])
        assert abs(escapers.share - true) < (0.05 if escapers.is_known_to_5_points else 0.1 + escapers.standard_error)
    assert any(escapers.is_known_to_5_points for escapers in found.values())


def test_a_target_that_makes_half_of_all_counts_does_not_look_as_if_cells_had_escaped():
    """All edited cells keep a fifth; as shares of all counts theirs are more uneven than thinned shares of unedited cells."""
    rng = np.random.default_rng(0)
    n = 20_000
    rate = np.stack([rng.gamma(2.0, 50.0, 2 * n), np.full(2 * n, 100.0)], axis=1)
    rate[n:, 0] *= 0.2
    obs = pd.DataFrame({"perturbation": ["control"] * n + ["A"] * n}, index=[f"c{i}" for i in range(2 * n)])
    counts = sp.csr_matrix(rng.poisson(rate).astype(np.float32))
    adata = ad.AnnData(X=counts, obs=obs, var=pd.DataFrame(index=["A", "B"]))
    screen, _ = read_screen(adata, Keys(edit_kind="crispri"))
    (found,) = escape_by_condition(screen).values()
    assert found.kept == pytest.approx(0.2, rel=0.03)
    assert abs(found.excess) < 4.0 * found.excess_error
    assert found.share == pytest.approx(0.0, abs=0.02)
    own, total = counts[:, [0]].toarray().ravel().astype(float), np.asarray(counts.sum(axis=1), float).ravel()
    naive = escape(own[n:], own[:n], total[n:], total[:n])
    assert naive.excess > 10.0 * naive.excess_error
