"""A screen written in blocks is a screen, and a broken run leaves nothing."""

from __future__ import annotations

import anndata as ad
import h5py
import jax
import numpy as np
import pytest
from scipy import stats

from semimech.data import dataset_from_anndata
from semimech.experiment import Edit, parse_experiment
from semimech.simulate import Measurement, ScreenDesign, screen_experiments, simulate_screen, stream_screen
from semimech.simulate.stream import BLOCK

KEY = jax.random.key(31)


@pytest.fixture(scope="module")
def design():
    return ScreenDesign(
        experiments=screen_experiments([(Edit(gene="TF01"),), (Edit(gene="TF02"), Edit(gene="TF03"))], (1, 3)),
        cells=200,
        control_cells=300,
        n_batches=2,
        escaper_share=0.1,
        measurement=Measurement(library_mean=3000.0),
    )


@pytest.fixture(scope="module")
def path(small_world, design, tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "screen.h5ad"
    stream_screen(small_world, design, path, n_states=320, key=KEY)
    return path


def test_a_streamed_screen_reads_like_a_simulated_one(small_world, design, path):
    screen, memory = ad.read_h5ad(path), simulate_screen(small_world, design, n_truth_cells=32, key=KEY)
    assert screen.shape == memory.shape and list(screen.var_names) == list(memory.var_names)
    assert screen.obs.dtypes.equals(memory.obs.dtypes)
    columns = ["perturbation", "day", "batch"]
    sizes, wanted = (s.obs.groupby(columns, observed=True).size() for s in (screen, memory))
    assert sizes.equals(wanted)
    assert set(screen.uns["truth"]) == set(memory.uns["truth"])
    assert screen.X.dtype == memory.X.dtype and screen.X.has_canonical_format
    assert (screen.X != screen.layers["counts"]).nnz == 0


def test_a_streamed_screen_is_read_in_part(path):
    whole, backed = ad.read_h5ad(path), ad.read_h5ad(path, backed="r")
    rows = slice(BLOCK - 10, BLOCK + 10)
    part = backed[rows].to_memory()
    backed.file.close()
    assert (part.X != whole.X[rows]).nnz == 0
    assert part.obs.astype(str).equals(whole.obs.iloc[rows].astype(str))


def test_a_streamed_screen_has_the_law_of_a_simulated_one(small_world, design, path):
    """Shares of counts of each gene by Kolmogorov and Smirnov; so many states that few cells share one."""
    screen, memory = ad.read_h5ad(path), simulate_screen(small_world, design, n_truth_cells=32, key=jax.random.key(5))
    fold = [np.log(s.uns["truth"]["batch_gene_fold"]) for s in (screen, memory)]
    p_values = []
    for perturbation in ("control", "TF01", "TF02+TF03"):
        groups = []
        for data, batch_fold in zip((screen, memory), fold, strict=True):
            rows = ((data.obs["perturbation"] == perturbation) & (data.obs["day"] == 3)).to_numpy()
            batch = (data.obs["batch"][rows] == "batch2").to_numpy().astype(int)
            share = (data.X[rows].toarray() + 0.1) / np.exp(batch_fold)[batch]
            groups.append(share / share.sum(axis=1, keepdims=True))
        p_values += [stats.ks_2samp(groups[0][:, g], groups[1][:, g]).pvalue for g in range(12)]
    assert min(p_values) > 1e-4
    assert np.mean(np.array(p_values) < 0.05) < 0.25


def test_a_reader_finds_the_truth_of_a_streamed_screen(small_world, design, tmp_path):
    clean = ScreenDesign(experiments=design.experiments, cells=800, control_cells=800, n_batches=1, escaper_share=0.0)
    stream_screen(small_world, clean, tmp_path / "clean.h5ad", n_states=64, key=jax.random.key(6))
    screen = ad.read_h5ad(tmp_path / "clean.h5ad")
    data = dataset_from_anndata(screen)
    table = screen.uns["truth"]["conditions"]
    row = {(p, h): i for i, (p, h) in enumerate(zip(table["perturbation"], table["hours"], strict=True))}
    truth = screen.uns["truth"]["observed"][[row[c.perturbation, c.hours] for c in data.conditions]]
    error = (data.mean - truth) / np.sqrt(data.standard_error**2 + 0.01**2)
    assert np.sqrt((error**2).mean()) == pytest.approx(1, abs=0.3)
    assert np.abs(error).max() < 5


def test_one_key_makes_one_file(small_world, design, tmp_path):
    first_path, again, other = (tmp_path / f"{name}.h5ad" for name in ("first", "again", "other"))
    for place, key in ((first_path, KEY), (again, KEY), (other, jax.random.key(32))):
        stream_screen(small_world, design, place, n_states=16, key=key)
    first, second, third = (ad.read_h5ad(p) for p in (first_path, again, other))
    assert (first.X != second.X).nnz == 0 and first.obs.equals(second.obs)
    assert (first.X != third.X).nnz > 0


def test_counts_stand_in_the_file_once(path):
    with h5py.File(path) as file:
        assert file["X"] == file["layers/counts"]


def test_nothing_stands_under_the_name_until_all_is_written(small_world, design, tmp_path):
    """Whenever the run is killed, the name is free or holds the old file; one that fails cleans up after itself."""
    path, seen = tmp_path / "screen.h5ad", []

    def interrupt(done, total):
        seen.append((done, total, path.exists(), len(list(tmp_path.iterdir()))))
        if done > 2 * BLOCK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream_screen(small_world, design, path, n_states=8, key=KEY, progress=interrupt)
    assert seen == [(BLOCK * n, 2 * (2 * 200 + 300), False, 1) for n in (1, 2, 3)]
    assert list(tmp_path.iterdir()) == []


def test_impossible_streams_are_refused(small_world, tmp_path):
    with pytest.raises(ValueError, match="n_states"):
        design = ScreenDesign(experiments=screen_experiments([], (1,)))
        stream_screen(small_world, design, tmp_path / "a.h5ad", n_states=0, key=KEY)
    with pytest.raises(ValueError, match=r"\['late'\]"):
        late = (parse_experiment("wait 5h > edit TF01 > wait 5h > harvest", id="late"),)
        stream_screen(small_world, ScreenDesign(experiments=late), tmp_path / "a.h5ad", key=KEY)
