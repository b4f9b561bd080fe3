from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from small_screens import GENES, screen

from semimech._errors import DataError
from semimech.data import files, read
from semimech.data.files import open_anndata


def write_mudata(path, *, genes: str = "rna") -> ad.AnnData:
    """A file in the layout of MuData (https://mudata.readthedocs.io/en/stable/io/spec.html), its cells of guides in another order."""
    raw = screen(n=3)
    guides = ad.AnnData(
        np.arange(2.0 * raw.n_obs).reshape(raw.n_obs, 2),
        obs=pd.DataFrame(index=raw.obs_names[::-1]),
        var=pd.DataFrame(index=["A_1", "NT_1"]),
    )
    whole = raw.obs.rename(columns=lambda c: f"rna:{c}")
    bare = ad.AnnData(raw.X, obs=raw.obs[[]], var=raw.var)
    with h5py.File(path, "w") as file, ad.settings.override(allow_write_nullable_strings=True):
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "MuData", "0.1.0"
        file.create_group("mod")
        ad.io.write_elem(file["mod"], genes, bare)
        ad.io.write_elem(file["mod"], "gdo", guides)
        ad.io.write_elem(file, "obs", whole)
    return raw


def test_a_mudata_file_reads_as_its_genes_with_guides_beside(tmp_path):
    raw = write_mudata(tmp_path / "screen.h5mu")
    found = open_anndata(tmp_path / "screen.h5mu")
    assert found.var_names.tolist() == list(GENES)
    assert found.obs["perturbation"].astype(str).tolist() == raw.obs["perturbation"].astype(str).tolist()
    np.testing.assert_array_equal(found.obsm["guide_counts"], np.arange(2.0 * raw.n_obs).reshape(-1, 2)[::-1])
    assert found.uns["guide_names"] == ["A_1", "NT_1"]
    assert read(tmp_path / "screen.h5mu").genes == GENES


def test_a_mudata_file_without_genes_is_refused_by_the_names_of_what_it_has(tmp_path):
    write_mudata(tmp_path / "screen.h5mu", genes="adt")
    with pytest.raises(DataError, match=r"no modality of genes among .*adt.*name it 'rna'"):
        open_anndata(tmp_path / "screen.h5mu")


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_table_of_replicates_reads_as_the_same_screen_in_anndata(tmp_path, separator):
    raw = screen(n=3)
    table = pd.concat([raw.obs, pd.DataFrame(raw.X.toarray(), index=raw.obs_names, columns=list(GENES))], axis=1)
    path = tmp_path / ("bulk.csv" if separator == "," else "bulk.tsv")
    table.to_csv(path, sep=separator, index=False)
    raw.write_h5ad(tmp_path / "bulk.h5ad")
    found, wanted = read(path), read(tmp_path / "bulk.h5ad")
    assert found.conditions == wanted.conditions
    np.testing.assert_allclose(found.mean, wanted.mean)


@pytest.mark.parametrize(
    ("text", "said"), [("perturbation,kind\na,b\n", "no columns of numbers"), ("G1,G2\n1,2\n", "no column that says")]
)
def test_a_table_that_is_none_of_measurements_is_refused(tmp_path, text, said):
    (tmp_path / "bulk.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        open_anndata(tmp_path / "bulk.csv")


def test_a_broken_file_of_any_kind_is_our_error(tmp_path):
    for name in ("a.h5mu", "a.h5ad", "a.csv"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n\x00\xff\xfe")
        with pytest.raises(DataError, match=name):
            open_anndata(tmp_path / name)


def test_a_10x_file_without_scanpy_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(DataError, match=r"pip install 'semimech\[tenx\]'"):
        open_anndata(tmp_path / "a.h5")


def test_a_10x_folder_reads_as_genes_with_guides_beside(tmp_path):
    pytest.importorskip("scanpy", reason="needs semimech[tenx]")
    (tmp_path / "matrix.mtx").write_text(
        "%%MatrixMarket matrix coordinate integer general\n3 2 3\n1 1 5\n2 2 7\n3 1 9\n"
    )
    (tmp_path / "barcodes.tsv").write_text("AA-1\nBB-1\n")
    kinds = ["Gene Expression", "Gene Expression", "CRISPR Guide Capture"]
    rows = [f"id{i}\tname{i}\t{kind}" for i, kind in enumerate(kinds)]
    (tmp_path / "features.tsv").write_text("\n".join(rows) + "\n")
    for name in ("matrix.mtx", "barcodes.tsv", "features.tsv"):
        import gzip

        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    found = open_anndata(tmp_path)
    assert found.X.toarray().tolist() == [[5, 0], [0, 7]]
    assert found.obsm["guide_counts"].tolist() == [[9], [0]]


def test_a_10x_file_reads_as_genes_with_guides_beside(tmp_path):
    """Layout of Cell Ranger 3 and later: features by cells, compressed by cell."""
    pytest.importorskip("scanpy", reason="needs semimech[tenx]")
    kinds = ["Gene Expression", "Gene Expression", "CRISPR Guide Capture"]
    with h5py.File(tmp_path / "filtered.h5", "w") as file:
        group = file.create_group("matrix")
        parts = {"data": [5, 9, 7], "indices": [0, 2, 1], "indptr": [0, 2, 3], "shape": [3, 2]}
        for name, values in parts.items():
            group[name] = np.array(values, dtype=np.int32)
        group["barcodes"] = np.array([b"AA-1", b"BB-1"])
        for name, values in {"id": ["i0", "i1", "g"], "name": ["A", "B", "A_1"], "feature_type": kinds}.items():
            group[f"features/{name}"] = np.array(values, dtype="S")
        group["features/genome"] = np.array([b"GRCh38"] * 3)
    found = open_anndata(tmp_path / "filtered.h5")
    assert found.X.toarray().tolist() == [[5, 0], [0, 7]] and found.var_names.tolist() == ["A", "B"]
    assert found.obsm["guide_counts"].tolist() == [[9], [0]] and found.uns["guide_names"] == ["A_1"]


def test_a_file_that_mudata_wrote_reads_as_its_genes_with_guides_beside(tmp_path):
    mudata = pytest.importorskip("mudata", reason="comes with semimech[guides]")
    raw = screen(n=3)
    counts = np.arange(2.0 * raw.n_obs).reshape(raw.n_obs, 2)
    guides = ad.AnnData(counts, obs=pd.DataFrame(index=raw.obs_names), var=pd.DataFrame(index=["A_1", "NT_1"]))
    mudata.MuData({"rna": raw, "gdo": guides}).write(tmp_path / "screen.h5mu")
    found = open_anndata(tmp_path / "screen.h5mu")
    np.testing.assert_array_equal(found.obsm["guide_counts"], counts)
    raw.write_h5ad(tmp_path / "screen.h5ad")
    whole, wanted = read(tmp_path / "screen.h5mu"), read(tmp_path / "screen.h5ad")
    assert whole.conditions == wanted.conditions
    np.testing.assert_array_equal(whole.mean, wanted.mean)


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("part", "at", "value"), [("indices", 3, 4000), ("indices", 0, -1), ("indptr", 2, 1), ("indptr", slice(5, None), 0)]
)
def test_a_sparse_matrix_that_points_outside_itself_is_refused(tmp_path, part, at, value, is_streamed):
    path = tmp_path / "screen.h5ad"
    screen(n=30).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X"][part][at] = value
    with pytest.raises(DataError, match=r"screen.h5ad: not a readable"):
        read(path, streamed=is_streamed)
