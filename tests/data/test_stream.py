from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from small_screens import GENES, screen

from semimech._errors import DataError
from semimech._h5ad import any_strings
from semimech.data import Keys, examine, gathered, moments, passes, read, stored, stream
from semimech.data.sampled import read_sample

LAYOUTS = ("csr", "dense", "layer", "scaled", "twice")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("streamed")


def shifted_screen(seed: int = 0, *, n_batches: int = 3, times: bool = True, n: int = 8) -> ad.AnnData:
    """Counts whose batches differ, cells in random order; one condition is small, one batch has no controls."""
    data = screen(
        batches=[f"b{i}" for i in range(n_batches)], days=(2, 3) if times else (2,), n=n, seed=seed, depth=30.0
    )
    rng = np.random.default_rng(seed)
    fold = rng.lognormal(0.0, 0.4, (n_batches, len(GENES)))[pd.factorize(data.obs["batch"])[0]]
    data.X = sp.csr_matrix(rng.poisson(data.X.toarray() * fold) + np.eye(1, len(GENES))).astype(np.float32)
    is_odd = (data.obs["perturbation"] == "A+B") & (data.obs["day"] == 2) & (np.arange(data.n_obs) % 2 > 0)
    is_bare = (data.obs["perturbation"] == "control") & (data.obs["batch"] == "b2")
    data = data[~(is_odd | is_bare)].copy()
    return data[rng.permutation(data.n_obs)].copy()


def laid_out(data: ad.AnnData, layout: str) -> ad.AnnData:
    """The same counts, stored in another way."""
    data = data.copy()
    if layout == "dense":
        data.X = data.X.toarray()
    elif layout != "csr":
        data.layers["counts"] = data.X.copy()
        if layout == "twice":
            data.layers["counts"] = sp.csr_matrix(data.X.astype(np.int64))
        elif layout == "scaled":
            data.X = data.X.toarray() - data.X.toarray().mean(axis=0)
        else:
            del data.X
    return data


def written(data: ad.AnnData, path: Path) -> Path:
    with any_strings():
        if path.suffix == ".zarr":
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Writing zarr v2", UserWarning)
                data.write_zarr(path)
        else:
            data.write_h5ad(path, compression="lzf")
    return path


def logarithms(data: ad.AnnData, *, with_counts: bool) -> ad.AnnData:
    """Fewer counts, one in each cell at least, behind an ``X`` that is normalised over more genes than these."""
    rng = np.random.default_rng(0)
    counts = rng.binomial(data.X.toarray().astype(int), 0.1)
    counts[:, 0] = 1
    unit = 5e3 / (counts.sum(axis=1) + rng.poisson(20, len(counts)))
    data = data.copy()
    data.X = sp.csr_matrix(np.log1p(counts * unit[:, None]).astype(np.float32))
    if with_counts:
        data.layers["counts"] = sp.csr_matrix(counts)
    return data


def assert_same(found, wanted, *, scale: float = 0.0, moments: float = 1e-9):
    """All that a data set says, but for its cells; ``scale`` and ``moments`` may differ by such a share."""
    assert wanted.cells is not None and found.cells is None
    for name in ("conditions", "genes", "system", "name", "fingerprint", "var_names"):
        assert getattr(found, name) == getattr(wanted, name), name
    np.testing.assert_array_equal(found.n_cells, wanted.n_cells)
    for name in ("mean", "standard_error", "halves"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(found.scale.observed_grid, wanted.scale.observed_grid, rtol=scale)
    assert (found.control_moments is None) == (wanted.control_moments is None)
    if wanted.control_moments is not None:
        assert found.control_moments.n_cells == wanted.control_moments.n_cells
        for name in ("covariance", "noise"):
            one, other = getattr(found.control_moments, name), getattr(wanted.control_moments, name)
            np.testing.assert_allclose(one, other, rtol=moments, atol=0.1 * moments, err_msg=name)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 3),
    layout=st.sampled_from(LAYOUTS),
    block=st.integers(1, 700),
    part=st.integers(1, 4),
    pair_bytes=st.sampled_from([0, 1 << 30]),
    n_batches=st.integers(1, 3),
    times=st.booleans(),
    drops=st.booleans(),
    differentiating=st.booleans(),
)
def test_a_file_that_is_streamed_gives_what_it_gives_in_memory(
    folder, seed, layout, block, part, pair_bytes, n_batches, times, drops, differentiating
):
    keys = {"min_cells": 5 * n_batches if drops else None, "differentiating": differentiating}
    path = folder / f"{seed}-{layout}-{n_batches}-{times}.h5ad"
    if not path.exists():
        written(laid_out(shifted_screen(seed, n_batches=n_batches, times=times), layout), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "BLOCK", block)
        patch.setattr(passes, "PART", part)
        patch.setattr(passes, "VALUES_PER_SUM", 0)
        patch.setattr(stream, "PAIR_BYTES", pair_bytes)
        assert_same(read(path, streamed=True, **keys), read(path, streamed=False, **keys))


@pytest.mark.parametrize("with_counts", [False, True])
@pytest.mark.parametrize("pair_bytes", [0, 1 << 30])
def test_logarithms_are_streamed_as_they_are_and_counts_are_recovered_from_them(
    tmp_path, monkeypatch, with_counts, pair_bytes
):
    path = written(logarithms(shifted_screen(), with_counts=with_counts), tmp_path / "screen.h5ad")
    monkeypatch.setattr(stored, "BLOCK", 100)
    monkeypatch.setattr(stream, "PAIR_BYTES", pair_bytes)
    # The layer tells one count in a cell from the sum of its values, the steps tell it from the smallest.
    assert_same(read(path, streamed=True), read(path, streamed=False), scale=1e-5, moments=1e-4)


def test_a_check_of_streamed_logarithms_says_what_they_are_normalised_to(tmp_path, monkeypatch):
    path = written(logarithms(shifted_screen(), with_counts=False), tmp_path / "screen.h5ad")
    wanted = examine(path, Keys()).findings.set_index("check")["evidence"]["scale of X"]
    monkeypatch.setattr(stream, "STREAM_FROM", 0)
    assert examine(path, Keys()).findings.set_index("check")["evidence"]["scale of X"] == wanted


def test_logarithms_without_counts_behind_them_and_values_that_are_none_are_refused(tmp_path, monkeypatch):
    data = logarithms(shifted_screen(), with_counts=False)
    smooth = np.random.default_rng(0).uniform(0, 0.3, data.X.nnz).astype(np.float32)
    data.X.data[200:] += smooth[200:]
    monkeypatch.setattr(stream, "_FIRST", 100)  # the values by which logarithms are told from counts
    with pytest.raises(DataError, match="no counts show through it in .* cells.*streamed=False"):
        read(written(data, tmp_path / "smooth.h5ad"), streamed=True)
    data.X.data[:200] += smooth[:200]
    monkeypatch.setattr(stream, "STREAM_FROM", 0)
    with pytest.raises(DataError, match="no counts show through it: put the raw counts"):
        read(written(data, tmp_path / "smooth.h5ad"), streamed=True)
    assert read(tmp_path / "smooth.h5ad").control_moments is None  # as a whole
    data = logarithms(shifted_screen(), with_counts=False)
    data.X.data[-1] = np.nan
    with pytest.raises(DataError, match="no logarithms of normalised counts, in 1 cell"):
        read(written(data, tmp_path / "values.h5ad"), streamed=True)


@pytest.mark.parametrize("layout", ["csr", "dense"])
def test_a_zarr_folder_is_streamed_like_a_file(tmp_path, monkeypatch, layout):
    path = written(laid_out(shifted_screen(), layout), tmp_path / "screen.zarr")
    monkeypatch.setattr(stored, "BLOCK", 100)
    assert_same(read(path, streamed=True), read(path, streamed=False))


def test_batch_effects_are_there_to_be_removed_from_what_is_streamed(tmp_path):
    """Else the comparison with memory would not be one of them."""
    data = read(written(shifted_screen(n=12), tmp_path / "screen.h5ad"))
    assert data.cells.batch_offset is not None and np.abs(data.cells.batch_offset).max() > 0.1


def test_covariances_of_many_controls_are_those_of_as_many_as_bear_them(tmp_path, monkeypatch):
    path = written(shifted_screen(n=12), tmp_path / "screen.h5ad")
    monkeypatch.setattr("semimech.data.sums.MAX_MOMENT_CELLS", 20)
    monkeypatch.setattr(stored, "BLOCK", 50)
    found = read(path, streamed=True)
    assert found.control_moments.n_cells == 20
    assert_same(found, read(path, streamed=False))
    assert moments.MAX_MOMENT_CELLS > 20


def test_no_more_values_lie_in_memory_than_a_block_and_a_cell(tmp_path, monkeypatch):
    path = written(shifted_screen(), tmp_path / "screen.h5ad")
    monkeypatch.setattr(stored, "BLOCK", 64)
    with stored.opened(path) as root:
        matrix, _ = stored.stored_matrices(root, path)
        blocks = list(matrix.blocks(matrix.bounds()))
    assert max(block.nnz for _, block in blocks) <= 64
    assert [rows.start for rows, _ in blocks[1:]] == [rows.stop for rows, _ in blocks[:-1]]
    np.testing.assert_array_equal(sp.vstack([b for _, b in blocks]).toarray(), ad.read_h5ad(path).X.toarray())


def test_large_files_are_streamed_by_themselves_and_small_ones_are_not(tmp_path, monkeypatch):
    path = written(shifted_screen(), tmp_path / "screen.h5ad")
    assert read(path).cells is not None
    monkeypatch.setattr(stream, "STREAM_FROM", 1000)
    assert read(path).cells is None
    assert read(path, streamed=False).cells is not None


def test_a_large_file_that_cannot_be_streamed_is_read_as_a_whole(tmp_path, monkeypatch):
    data = shifted_screen()
    data.X = sp.csc_matrix(data.X)
    monkeypatch.setattr(stream, "STREAM_FROM", 0)
    assert read(written(data, tmp_path / "screen.h5ad")).cells is not None


def test_a_check_of_a_large_file_says_what_a_check_of_a_small_one_says(tmp_path, monkeypatch):
    """Of so few cells, all are in the sample."""
    path = written(shifted_screen(n=30), tmp_path / "screen.h5ad")
    wanted = examine(path, Keys(min_cells=31))
    monkeypatch.setattr(stream, "STREAM_FROM", 0)
    monkeypatch.setattr(stored, "BLOCK", 500)
    found = examine(path, Keys(min_cells=31))
    pd.testing.assert_frame_equal(found.conditions, wanted.conditions)
    n = int(wanted.conditions["cells"].sum())
    sampled = found.findings["evidence"].str.endswith(f" (in a sample of {n} cells)")
    assert 0 < sampled.sum() < len(sampled)
    plain = found.findings.assign(evidence=found.findings["evidence"].str.removesuffix(f" (in a sample of {n} cells)"))
    is_other = wanted.findings["check"].isin(["readable file"]).to_numpy()
    pd.testing.assert_frame_equal(plain[~is_other], wanted.findings[~is_other])


def test_a_sample_holds_cells_of_every_condition_and_counts_are_of_all(tmp_path, monkeypatch):
    path = written(shifted_screen(n=30), tmp_path / "screen.h5ad")
    monkeypatch.setattr(stream, "STREAM_FROM", 0)
    monkeypatch.setattr("semimech.data.sampled.MOST_CELLS", 100)
    (whole, some), _ = read_sample(path, Keys())
    assert set(np.bincount(some.annotation.condition)) == {20} and some.measurement.observed.shape[0] == 160
    assert list(examine(path, Keys()).conditions["cells"]) == list(read(path, streamed=False).n_cells)


def test_a_check_of_a_large_file_tells_faults_instead_of_raising_them(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "STREAM_FROM", 0)
    data = shifted_screen()
    data.X = data.X + sp.csr_matrix(([-50.0], ([3], [1])), shape=data.shape)
    findings = examine(written(data, tmp_path / "values.h5ad"), Keys()).findings
    assert findings.loc[0, "severity"] == "fail" and "no counts, in 1 cell" in findings.loc[0, "evidence"]
    data = shifted_screen()
    data.obs["day"] = "soon"
    findings = examine(written(data, tmp_path / "days.h5ad"), Keys()).findings
    assert findings.loc[0, "severity"] == "fail" and "soon" in findings.loc[0, "evidence"]


def test_progress_is_told_of_all_cells(tmp_path, monkeypatch):
    path = written(shifted_screen(), tmp_path / "screen.h5ad")
    monkeypatch.setattr(stored, "BLOCK", 200)
    monkeypatch.setattr(passes, "PART", 1)
    monkeypatch.setattr(passes, "VALUES_PER_SUM", 0)
    told = []
    read(path, streamed=True, progress=lambda done, total: told.append((done, total)))
    n = ad.read_h5ad(path, backed="r").n_obs
    assert len(told) > 3 and told[-1] == (n, n) and sorted(told) == told


class Interrupted(Exception):
    """Ends a pass in its middle."""


def interrupted_after(parts: int):
    """A progress that ends the pass after some parts, and the cells read of each part it was told of."""
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if len(told) == parts:
            raise Interrupted

    return progress, told


@pytest.fixture
def in_small_parts(monkeypatch):
    monkeypatch.setattr(stored, "BLOCK", 100)
    monkeypatch.setattr(passes, "PART", 1)
    monkeypatch.setattr(passes, "VALUES_PER_SUM", 0)
    monkeypatch.setattr(gathered, "KEEP_SECONDS", 0.0)


@pytest.mark.parametrize("pair_bytes", [0, 1 << 30])
def test_an_interrupted_pass_goes_on_from_its_checkpoint_to_the_same_digits(
    tmp_path, monkeypatch, in_small_parts, pair_bytes
):
    monkeypatch.setattr(stream, "PAIR_BYTES", pair_bytes)
    path, checkpoint = written(shifted_screen(), tmp_path / "screen.h5ad"), tmp_path / "kept" / "reading.npz"
    whole = read(path, streamed=True)
    progress, first = interrupted_after(3)
    with pytest.raises(Interrupted):
        read(path, streamed=True, checkpoint=checkpoint, progress=progress)
    assert checkpoint.exists()
    again: list[int] = []
    found = read(path, streamed=True, checkpoint=checkpoint, progress=lambda done, total: again.append(done))
    assert min(again) > max(first) or pair_bytes == 0
    assert again[0] > first[-1]
    for name in ("mean", "standard_error", "halves"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), err_msg=name)
    assert found.fingerprint == whole.fingerprint and not checkpoint.exists()
    np.testing.assert_array_equal(found.control_moments.covariance, whole.control_moments.covariance)


@pytest.mark.parametrize("change", ["file", "conditions", "damage"])
def test_a_checkpoint_of_another_pass_or_a_damaged_one_is_not_gone_on_from(
    tmp_path, monkeypatch, in_small_parts, change
):
    path, checkpoint = written(shifted_screen(), tmp_path / "screen.h5ad"), tmp_path / "reading.npz"
    progress, first = interrupted_after(3)
    with pytest.raises(Interrupted):
        read(path, streamed=True, checkpoint=checkpoint, progress=progress)
    keys = {"min_cells": 17} if change == "conditions" else {}
    if change == "file":
        written(shifted_screen(seed=1), path)
    elif change == "damage":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-300])
    told: list[int] = []
    found = read(path, streamed=True, checkpoint=checkpoint, progress=lambda done, total: told.append(done), **keys)
    assert told[0] == first[0] or change == "file"
    assert_same(found, read(path, streamed=False, **keys))


def test_what_cannot_be_streamed_is_refused_with_its_mend(tmp_path):
    data = shifted_screen()
    by_gene = data.copy()
    by_gene.X = sp.csc_matrix(data.X)
    nothing = ad.AnnData(obs=data.obs, var=data.var)
    for name, made, said in (("genes", by_gene, "tocsr"), ("nothing", nothing, "put raw counts")):
        with pytest.raises(DataError, match=said):
            read(written(made, tmp_path / f"{name}.h5ad"), streamed=True)
    table = tmp_path / "table.csv"
    table.write_text("perturbation,A\ncontrol,1\n")
    with pytest.raises(DataError, match="csv table cannot be streamed"):
        read(table, streamed=True)


def test_all_that_is_wrong_with_counts_is_told_at_once(tmp_path, monkeypatch):
    data = shifted_screen()
    data.layers["counts"] = data.X.copy()
    values = data.layers["counts"].toarray()
    values[3], values[-1, 0], values[-2, 1] = 0, 0.5, -1
    data.layers["counts"] = sp.csr_matrix(values)
    monkeypatch.setattr(stored, "BLOCK", 100)
    with pytest.raises(DataError) as raised:
        read(written(data, tmp_path / "screen.h5ad"), streamed=True)
    assert "no counts, in 2 cells" in str(raised.value) and "1 cell without a single count" in str(raised.value)
    assert "adata[adata.layers['counts'].sum(axis=1) > 0]" in str(raised.value)


def test_faults_of_the_annotation_are_told_before_the_counts_are_read(tmp_path):
    data = shifted_screen()
    data.obs["day"] = "soon"
    with pytest.raises(DataError, match="soon"):
        read(written(data, tmp_path / "screen.h5ad"), streamed=True)


def test_a_missing_truncated_or_foreign_file_is_told_as_such(tmp_path):
    whole = written(shifted_screen(n=40), tmp_path / "screen.h5ad").read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5ad").write_text("no measurement")
    for name, said in (("cut", "truncated"), ("text", "truncated or of another format"), ("none", "no such file")):
        with pytest.raises(DataError, match=said):
            read(tmp_path / f"{name}.h5ad", streamed=True)


def test_a_file_that_breaks_in_the_middle_is_told_as_such(tmp_path, monkeypatch):
    path = written(shifted_screen(n=40), tmp_path / "screen.h5ad")
    monkeypatch.setattr(stored, "BLOCK", 400)
    with stored.opened(path) as root:
        chunk = root["X/data"].id.get_chunk_info(0)
    damaged = bytearray(path.read_bytes())
    damaged[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="not a readable .h5ad file"):
        read(path, streamed=True)
