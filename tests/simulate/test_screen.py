"""A simulated screen looks like a real one, and keeps its truth."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import jax
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from semimech._errors import ConfigError, ExperimentError
from semimech.data import dataset_from_anndata
from semimech.experiment import Edit, parse_experiment
from semimech.simulate import Measurement, ScreenDesign, screen_experiments, simulate_screen, write_screen

KEY = jax.random.key(21)
PERTURBATIONS = (
    (Edit(gene="TF01"),),
    (Edit(gene="TF02", kind="crispri", efficacy=0.9),),
    (Edit(gene="TF01"), Edit(gene="TF03")),
)


@pytest.fixture(scope="module")
def design() -> ScreenDesign:
    return ScreenDesign(
        experiments=screen_experiments(PERTURBATIONS, (1, 2, 4)),
        cells=150,
        control_cells=700,
        n_batches=2,
        escaper_share=0.2,
        measurement=Measurement(library_mean=3000.0, batch_gene_spread=0.3),
    )


@pytest.fixture(scope="module")
def screen(small_world, design) -> ad.AnnData:
    return simulate_screen(small_world, design, n_truth_cells=64, key=KEY)


def log_share(screen):
    """Log of each cell's smoothed share of counts."""
    counts = screen.X.toarray() + 0.5
    return np.log(counts / counts.sum(axis=1, keepdims=True))


def test_counts_are_sparse_integers_in_both_places(screen):
    assert sp.issparse(screen.X) and np.issubdtype(screen.X.dtype, np.integer)
    assert screen.X.min() >= 0
    assert (screen.X != screen.layers["counts"]).nnz == 0


def test_every_condition_has_its_cells_in_every_batch(screen):
    sizes = screen.obs.groupby(["perturbation", "day", "batch"], observed=True).size()
    assert len(sizes) == 4 * 3 * 2
    assert set(sizes["control"]) == {350} and set(sizes.drop("control")) == {75}
    assert set(screen.obs["perturbation"]) == {"control", "TF01", "TF02", "TF01+TF03"}
    assert "medium" not in screen.obs


def test_guides_name_their_targets(screen):
    for perturbation, guide in screen.obs[["perturbation", "guide"]].drop_duplicates().to_numpy(str):
        targets = [g.rsplit("_g", 1)[0] for g in guide.split("+")]
        assert targets == (["non-targeting"] if perturbation == "control" else perturbation.split("+"))


def test_one_key_makes_one_screen(small_world, design, screen):
    again = simulate_screen(small_world, design, n_truth_cells=64, key=KEY)
    assert (again.X != screen.X).nnz == 0
    assert again.obs.equals(screen.obs)
    np.testing.assert_array_equal(again.uns["truth"]["observed"], screen.uns["truth"]["observed"])
    other = simulate_screen(small_world, design, n_truth_cells=64, key=jax.random.key(22))
    assert (other.X != screen.X).nnz > 0


def test_unedited_cells_are_stationary_over_days(screen):
    """The law of no gene depends on the day: p-values of a rank test within batches are uniform."""
    p_values = []
    for batch in ("batch1", "batch2"):
        rows = (screen.obs["perturbation"] == "control") & (screen.obs["batch"] == batch)
        values, days = log_share(screen[rows]), screen.obs.loc[rows, "day"].to_numpy()
        p_values += [stats.kruskal(*(values[days == d, g] for d in (1, 2, 4))).pvalue for g in range(12)]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
    assert min(p_values) > 1e-4


def test_the_same_rank_test_tells_edited_cells_from_unedited_ones(screen):
    values, names = log_share(screen)[:, list(screen.var_names).index("TF02")], screen.obs["perturbation"].to_numpy()
    assert stats.kruskal(values[names == "control"], values[names == "TF02"]).pvalue < 1e-6


def test_batch_factors_can_be_read_off_the_controls(screen):
    controls = (screen.obs["perturbation"] == "control").to_numpy()
    share = screen.X.toarray() / np.asarray(screen.X.sum(axis=1))
    means = [np.log(share[controls & (screen.obs["batch"] == b).to_numpy()].mean(axis=0)) for b in ("batch1", "batch2")]
    truth = np.log(screen.uns["truth"]["batch_gene_fold"])
    np.testing.assert_allclose(stats.zscore(means[0] - means[1]), stats.zscore(truth[0] - truth[1]), atol=0.35)


def test_library_sizes_follow_the_batches(screen):
    depth = screen.uns["truth"]["batch_depth"]
    total = np.asarray(screen.X.sum(axis=1)).ravel()
    for number, factor in enumerate(depth, 1):
        members = total[(screen.obs["batch"] == f"batch{number}").to_numpy()]
        assert members.mean() == pytest.approx(3000 * factor, rel=0.04)
        assert np.log(members).std() == pytest.approx(0.35, abs=0.05)


def test_escapers_carry_a_guide_but_look_unedited(small_world, screen):
    is_escaper, obs = screen.uns["truth"]["is_escaper"], screen.obs
    edited = (obs["perturbation"] != "control").to_numpy()
    assert not is_escaper[~edited].any()
    assert is_escaper[edited].mean() == pytest.approx(0.2, abs=0.04)
    target = log_share(screen)[:, list(screen.var_names).index("TF02")]
    late = (obs["day"] == 4).to_numpy()
    rows = late & (obs["perturbation"] == "TF02").to_numpy()
    control = target[late & ~edited].mean()
    assert target[rows & ~is_escaper].mean() < control - 1
    assert target[rows & is_escaper].mean() == pytest.approx(control, abs=0.35)


def test_the_truth_is_what_a_reader_finds_but_for_escapers_and_noise(small_world, design):
    clean = replace(design, escaper_share=0.0, measurement=Measurement(library_mean=3000.0))
    screen = simulate_screen(small_world, clean, key=jax.random.key(23))
    data = dataset_from_anndata(screen)
    table = screen.uns["truth"]["conditions"]
    row = {(p, h): i for i, (p, h) in enumerate(zip(table["perturbation"], table["hours"], strict=True))}
    truth = screen.uns["truth"]["observed"][[row[c.perturbation, c.hours] for c in data.conditions]]
    error = (data.mean - truth) / np.sqrt(data.standard_error**2 + 0.01**2)
    assert np.sqrt((error**2).mean()) == pytest.approx(1, abs=0.25)
    assert np.abs(error).max() < 6


def test_a_screen_survives_its_file(screen, tmp_path):
    path = tmp_path / "screen.h5ad"
    write_screen(screen, path)
    back = ad.read_h5ad(path)
    assert (back.X != screen.X).nnz == 0
    truth, read = screen.uns["truth"], back.uns["truth"]
    assert set(read) == set(truth)
    np.testing.assert_array_equal(read["mean_cp10k"], truth["mean_cp10k"])
    assert read["network"].equals(truth["network"])
    np.testing.assert_array_equal(read["kinetics"]["decay"], truth["kinetics"]["decay"])
    assert [p.name for p in tmp_path.iterdir()] == ["screen.h5ad"]


def test_a_failed_write_leaves_the_old_file(screen, tmp_path):
    path = tmp_path / "screen.h5ad"
    path.write_text("old")
    broken = ad.AnnData(np.ones((1, 1)), uns={"cannot": object()})
    with pytest.raises(Exception, match="object"):
        write_screen(broken, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["screen.h5ad"]
    with pytest.raises(ConfigError, match="cannot be written"):
        write_screen(screen, path / "below_a_file.h5ad")


def test_several_media_are_told_apart(chain):
    texts = ("wait 24h > harvest", "medium starved > wait 24h > harvest")
    experiments = tuple(parse_experiment(t, id=str(i)) for i, t in enumerate(texts))
    design = ScreenDesign(experiments=experiments, control_cells=100, n_batches=1)
    screen = simulate_screen(chain(), design, n_truth_cells=64, key=KEY)
    assert set(screen.obs["medium"]) == {"maintenance", "starved"}
    d = screen.X.toarray()[:, 3] / np.asarray(screen.X.sum(axis=1)).ravel()
    starved = (screen.obs["medium"] == "starved").to_numpy()
    assert d[starved].mean() < 0.8 * d[~starved].mean()


def test_changes_after_the_start_are_refused_because_obs_cannot_tell_them(chain):
    design = ScreenDesign(experiments=(parse_experiment("wait 5h > edit A > wait 5h > harvest", id="late"),))
    with pytest.raises(ValueError, match=r"\['late'\] change edits or medium after time 0"):
        simulate_screen(chain(), design, key=KEY)


def test_an_edit_of_no_gene_of_the_world_is_refused(chain):
    design = ScreenDesign(experiments=screen_experiments([(Edit(gene="Z"),)], (1,)))
    with pytest.raises(ExperimentError, match="'Z'"):
        simulate_screen(chain(), design, key=KEY)


def test_a_design_lists_every_field_out_of_range():
    with pytest.raises(ValueError, match=r"(?s)cells.*n_batches.*experiments.*escaper_share"):
        ScreenDesign(experiments=(), cells=0, n_batches=0, escaper_share=1.0)
