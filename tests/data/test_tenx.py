from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_screens import screen

from semimech._errors import DataError
from semimech._h5ad import any_strings
from semimech.data import gathered, passes, read, stored

KINDS = {0: "CRISPR Guide Capture", 3: "Antibody Capture"}
"""Places, among all features, of those that are no genes."""


def write_tenx(path, data, *, seed=0):
    """The counts of a screen as Cell Ranger writes them, with other features among genes and cells that no table names."""
    rng = np.random.default_rng(seed)
    n_genes, n_more = data.n_vars, len(KINDS)
    genes = np.setdiff1d(np.arange(n_genes + n_more), list(KINDS))
    counts = rng.poisson(3.0, (2 * data.n_obs, n_genes + n_more))
    named = np.sort(rng.permutation(2 * data.n_obs)[: data.n_obs])
    counts[named[:, None], genes] = data.X.toarray()
    barcodes = np.array([f"B{i}-1" for i in range(len(counts))], dtype=object)
    barcodes[named] = data.obs_names
    matrix = sp.csr_matrix(counts)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        order = rng.permutation(stop - start)  # features of a cell stand in any order
        matrix.indices[start:stop] = matrix.indices[start:stop][order]
        matrix.data[start:stop] = matrix.data[start:stop][order]
    names, kinds = (
        np.full(n_genes + n_more, "other", dtype=object),
        np.full(n_genes + n_more, "Gene Expression", object),
    )
    names[genes] = data.var_names
    for at, kind in KINDS.items():
        kinds[at] = kind
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array(matrix.shape[::-1], dtype=np.int32)
        group["barcodes"] = barcodes.astype("S")
        for name, values in {"id": names, "name": names, "feature_type": kinds}.items():
            group[f"features/{name}"] = values.astype("S")


@pytest.fixture(scope="module")
def data():
    data = screen(batches=("b0", "b1"), days=(2, 3), n=6, depth=30.0)
    data.obs_names = [f"CELL{i}-1" for i in range(data.n_obs)]
    return data


@pytest.fixture
def files(tmp_path, data):
    """A 10x file with its table, whose rows stand in another order, and the same cells with the same annotation as AnnData."""
    write_tenx(tmp_path / "screen.h5", data)
    data.obs.iloc[::-1].to_csv(tmp_path / "screen.cells.tsv", sep="\t")
    with any_strings():
        data.write_h5ad(tmp_path / "screen.h5ad")
    return tmp_path / "screen.h5", tmp_path / "screen.h5ad"


def assert_same(found, wanted):
    for name in ("conditions", "genes", "system", "name", "fingerprint", "var_names", "notes"):
        assert getattr(found, name) == getattr(wanted, name), name
    for name in ("mean", "standard_error", "halves", "n_cells"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-10, err_msg=name)
    np.testing.assert_array_equal(found.scale.observed_grid, wanted.scale.observed_grid)
    np.testing.assert_allclose(found.control_moments.covariance, wanted.control_moments.covariance, rtol=1e-9)


@pytest.mark.parametrize("block", [40, 300, 1 << 21])
def test_a_10x_file_is_streamed_like_the_same_cells_in_memory(files, monkeypatch, block):
    monkeypatch.setattr(stored, "BLOCK", block)
    monkeypatch.setattr(passes, "PART", 2)
    monkeypatch.setattr(passes, "VALUES_PER_SUM", 0)
    tenx, whole = files
    wanted = read(whole, streamed=False)
    assert_same(read(tenx, streamed=True), wanted)
    with ThreadPoolExecutor(1) as executor:
        assert_same(read(tenx, streamed=True, executor=executor), wanted)


def test_a_10x_file_goes_on_from_its_checkpoint_unless_its_table_names_other_cells(files, monkeypatch, tmp_path):
    for module, name, value in (
        (stored, "BLOCK", 100),
        (passes, "PART", 1),
        (passes, "VALUES_PER_SUM", 0),
        (gathered, "KEEP_SECONDS", 0.0),
    ):
        monkeypatch.setattr(module, name, value)
    tenx, whole = files

    def told(stop_at=None):
        done = []

        def progress(n, total):
            done.append(n)
            if len(done) == stop_at:
                raise InterruptedError

        return done, progress

    first, progress = told(stop_at=3)
    with pytest.raises(InterruptedError):
        read(tenx, streamed=True, checkpoint=tmp_path / "kept.npz", progress=progress)
    kept = (tmp_path / "kept.npz").read_bytes()
    again, progress = told()
    assert_same(
        read(tenx, streamed=True, checkpoint=tmp_path / "kept.npz", progress=progress), read(whole, streamed=False)
    )
    assert again[0] > first[-1]
    (tmp_path / "kept.npz").write_bytes(kept)
    # A cell is swapped for the one after it, which was not named: what is asked of cells in order stays what it was.
    table = pd.read_csv(tmp_path / "screen.cells.tsv", sep="\t", index_col=0)
    with h5py.File(tenx) as file:
        barcodes = [each.decode() for each in file["matrix/barcodes"][:]]
    one, other = next(
        (a, b) for a, b in zip(barcodes, barcodes[1:], strict=False) if a in table.index and b not in table.index
    )
    table.rename(index={one: other}).to_csv(tmp_path / "screen.cells.tsv", sep="\t")
    anew, progress = told()
    read(tenx, streamed=True, checkpoint=tmp_path / "kept.npz", progress=progress)
    assert anew[0] <= first[0]


def test_all_that_is_wrong_with_the_table_of_cells_is_told_at_once(files, tmp_path):
    tenx, _ = files
    table = pd.read_csv(tmp_path / "screen.cells.tsv", sep="\t", index_col=0)
    pd.concat([table, table.iloc[:1], table.iloc[:1].rename(index=lambda _: "ELSE-1")]).to_csv(
        tmp_path / "screen.cells.tsv", sep="\t"
    )
    with pytest.raises(DataError, match="more than once: .*CELL") as raised:
        read(tenx, streamed=True)
    assert "1 barcode that screen.h5 does not have: ELSE-1" in str(raised.value)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"", "not a readable table"),
        ("barcode\tperturbation\nCELL0-1\tsiège\n".encode("latin-1"), "not a readable table"),
        (b"barcode\tperturbation\n", "names no cell"),
    ],
)
def test_a_table_of_cells_that_cannot_be_read_is_named_with_what_it_should_be(files, tmp_path, written, told):
    tenx, _ = files
    (tmp_path / "screen.cells.tsv").write_bytes(written)
    with pytest.raises(
        DataError, match=rf"screen\.cells\.tsv: .*{told}.*UTF-8 text with a header, a column of barcodes"
    ):
        read(tenx, streamed=True)


@pytest.mark.parametrize("label", ["None", "NA"])
def test_controls_may_be_called_what_other_tables_leave_out(files, tmp_path, label):
    tenx, whole = files
    table = pd.read_csv(tmp_path / "screen.cells.tsv", sep="\t", index_col=0)
    table.replace({"perturbation": {"control": label}}).to_csv(tmp_path / "screen.cells.tsv", sep="\t")
    found, wanted = read(tenx, streamed=True, control=label), read(whole, streamed=False)
    np.testing.assert_array_equal(found.n_cells, wanted.n_cells)
    assert found.conditions == wanted.conditions


@pytest.mark.parametrize("streamed", [True, False])
def test_genes_that_share_a_symbol_are_numbered_and_the_data_set_says_so(files, streamed):
    if not streamed:
        pytest.importorskip("scanpy", reason="needs semimech[tenx]")
    tenx, whole = files
    with h5py.File(tenx, "a") as file:
        kinds, names = file["matrix/features/feature_type"][:], file["matrix/features/name"][:]
        genes = np.flatnonzero(kinds == b"Gene Expression")
        names[genes[-1]] = names[genes[-2]]
        del file["matrix/features/name"]
        file["matrix/features/name"] = names
    found, wanted = read(tenx, streamed=streamed), read(whole, streamed=False)
    shared = wanted.genes[-2]
    assert found.genes == (*wanted.genes[:-1], f"{shared}-1")
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=1e-9, atol=1e-10)
    (note,) = found.notes
    assert note.startswith("1 symbol of more than one gene") and note.endswith(shared)


def test_a_10x_file_without_a_table_of_cells_says_what_to_put_beside_it(files, tmp_path):
    tenx, _ = files
    (tmp_path / "screen.cells.tsv").unlink()
    with pytest.raises(DataError, match=r"table screen\.cells\.tsv beside it"):
        read(tenx, streamed=True)


def test_a_10x_file_read_as_a_whole_has_what_its_table_says(files):
    pytest.importorskip("scanpy", reason="needs semimech[tenx]")
    tenx, whole = files
    assert_same(read(tenx, streamed=False), read(whole, streamed=False))
