"""The curated copy: what can be mended is, the rest and the input stay as they are."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_faults import FAULTS, KEYS, clean, plant
from small_screens import normalised, screen

from semimech import ConfigError
from semimech.data import Keys, check, curate, write_curated
from semimech.data.curation.fix import RECORD, changes

MENDED = (
    *("no logarithm", "base 2", "two logarithms", "a gene name twice", "cells without counts"),
    *("cells without a label", "copied cells", "a silent gene"),
)


@pytest.mark.parametrize("name", MENDED)
def test_a_curated_copy_is_free_of_the_fault_and_says_so(name):
    fault = next(f for f in FAULTS if f.name == name)
    data = plant(fault, clean(0))
    curated = curate(data, Keys(**KEYS))
    found = check(curated, **KEYS)
    assert fault.check not in set(found.loc[found["severity"] != "ok", "check"])
    assert len(changes(curated)) == 1


def test_a_clean_screen_is_copied_as_it_is():
    data = clean(0)
    curated = curate(data, Keys(**KEYS))
    assert changes(curated).empty
    assert (curated.X != data.X).nnz == 0 and curated.obs.equals(data.obs) and curated.var.equals(data.var)


@pytest.mark.parametrize("state", [lambda x: x, np.log2, np.log10, np.log1p])
def test_the_scale_that_is_mended_is_log1p_of_the_same_expression(state):
    counts = clean(0).X.toarray()
    wanted = normalised(counts, target_sum=1e4)
    expression = np.expm1(wanted.astype(float))
    stored = {np.log2: np.log2(1 + expression), np.log10: np.log10(1 + expression), np.log1p: np.log1p(wanted)}
    data = clean(0)
    del data.layers["counts"]
    data.X = sp.csr_matrix(stored.get(state, expression))
    curated = curate(data, Keys(**KEYS))
    np.testing.assert_allclose(curated.X.toarray(), wanted, atol=1e-5)


def test_genes_that_are_edited_are_kept_even_if_no_cell_expresses_them():
    data = screen(n=30)
    data.X = sp.csr_matrix(data.X.toarray() * np.array([0, 1, 0, 1, 1, 1, 1, 1], dtype=np.float32))
    assert list(curate(data, Keys()).var_names) == ["A", "B", "D", "E", "F", "G", "H"]


def test_what_was_removed_is_listed_and_later_changes_are_added():
    data = screen(n=30)
    data.obs["perturbation"] = data.obs["perturbation"].astype(object).where(np.arange(data.n_obs) > 2, "unassigned")
    once = curate(data, Keys())
    assert once.n_obs == data.n_obs - 3 and "3 without an edit" in changes(once)["changed"].iloc[0]
    once.obs_names = ["twice"] * once.n_obs
    assert list(changes(curate(once, Keys()))["fix"]) == ["unlabelled cells", "cell names"]


def test_the_input_is_not_touched(tmp_path):
    data = plant(next(f for f in FAULTS if f.name == "cells without counts"), clean(0))
    data.write_h5ad(tmp_path / "in.h5ad")
    before = (tmp_path / "in.h5ad").read_bytes()
    values, labels = data.X.copy(), data.obs.copy()
    found = write_curated(tmp_path / "in.h5ad", tmp_path / "out.h5ad", Keys(**KEYS))
    curate(data, Keys(**KEYS))
    assert (tmp_path / "in.h5ad").read_bytes() == before
    assert (data.X != values).nnz == 0 and data.obs.equals(labels) and RECORD not in data.uns
    assert "2 cells without a single count removed" in set(found.loc[found["severity"] == "fixed", "evidence"])
    written = ad.read_h5ad(tmp_path / "out.h5ad")
    assert written.n_obs == data.n_obs - 2 and isinstance(written.uns[RECORD]["changes"], pd.DataFrame)


def test_the_copy_does_not_take_the_place_of_the_input(tmp_path):
    screen(n=30).write_h5ad(tmp_path / "in.h5ad")
    (tmp_path / "link.h5ad").symlink_to(tmp_path / "in.h5ad")
    for out in ("in.h5ad", "link.h5ad"):
        with pytest.raises(ConfigError, match="never changed"):
            write_curated(tmp_path / "in.h5ad", tmp_path / out, Keys())
    with pytest.raises(ConfigError, match=r"an \.h5ad file"):
        write_curated(tmp_path / "in.h5ad", tmp_path / "out.csv", Keys())


def test_a_copy_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    screen(n=30).write_h5ad(tmp_path / "in.h5ad")

    def fail(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(ad.AnnData, "write_h5ad", fail)
    with pytest.raises(ConfigError, match="no space left"):
        write_curated(tmp_path / "in.h5ad", tmp_path / "out.h5ad", Keys())
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


def test_a_matrix_that_stores_zeros_keeps_its_values_while_it_is_curated():
    data = screen(n=30)
    x = sp.csr_matrix(data.X).astype(np.float32)
    x.data[::3] = 0.0
    data.X = x
    curated = curate(data, Keys())
    for matrix in (data.X, curated.X):
        assert matrix.indptr[-1] == len(matrix.data) == len(matrix.indices)
    kept = [data.obs_names.get_loc(name) for name in curated.obs_names]
    shared = [data.var_names.get_loc(name) for name in curated.var_names]
    np.testing.assert_array_equal(curated.X.toarray(), x.toarray()[np.ix_(kept, shared)])
