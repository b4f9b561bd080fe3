from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_screens import screen

from semimech import _errors
from semimech.data import check, dataset_from_anndata, read
from semimech.experiment import Edit, Experiment, Harvest, Wait, write_experiments


def with_obs(**columns):
    data = screen()
    for name, values in columns.items():
        data.obs[name] = values
    return data


def with_value(value):
    data = screen()
    data.X = data.X.toarray()
    data.X[3, 2] = value
    return data


def edited(change):
    data = screen()
    change(data)
    return data


def labelled(label, rows):
    data = screen()
    data.obs.iloc[rows, 0] = label
    return data


def duplicate_gene(data):
    data.var_names = ["A", "B", "C", "D", "E", "F", "G", "A"]


def duplicate_cell(data):
    data.obs_names = ["x", "x", *data.obs_names[2:]]


def sparse_infinity(data):
    data.X.data[5] = np.inf


def empty_cells(data):
    data.X = sp.csr_matrix(np.vstack([np.zeros((2, 8)), data.X.toarray()[2:]]))


def unused_category(data):
    data.obs["perturbation"] = pd.Categorical(data.obs["perturbation"], categories=["control", "A", "B", "A+B", "LOST"])


def medium(data):
    data.obs["medium"] = np.where(data.obs["batch"] == "b1", "base", "E6")


def linear(data):
    data.X = data.X.toarray() * 37.1


def fractional_counts(data):
    data.layers["counts"] = data.X * 0.3


MEMORY = {
    "a NaN": (lambda: with_value(np.nan), {}, ["1 NaN or infinite value,", "raw counts"]),
    "a negative value": (lambda: with_value(-1.0), {}, ["1 negative value,"]),
    "infinity in a sparse matrix": (lambda: edited(sparse_infinity), {}, ["NaN or infinite"]),
    "cells without counts": (lambda: edited(empty_cells), {}, ["2 cells without a single count"]),
    "an empty matrix": (lambda: screen()[:0].copy(), {}, ["empty"]),
    "values neither counts nor logarithms": (lambda: edited(linear), {}, ["not log-transformed", "sc.pp.log1p"]),
    "fractional counts": (lambda: edited(fractional_counts), {}, ["not integers"]),
    "duplicated genes": (lambda: edited(duplicate_gene), {}, ["gene names", "A", "var_names_make_unique"]),
    "duplicated cells": (lambda: edited(duplicate_cell), {}, ["cell names", "x", "obs_names_make_unique"]),
    "an unknown key": (screen, {"perturbation_key": "colour"}, ["perturbation_key='colour'", "day"]),
    "a misspelt key": (screen, {"time_key": "dya"}, ["Did you mean 'day'?"]),
    "a key that is absent": (screen, {"medium_key": "medium"}, ["medium_key='medium'"]),
    "a control label that is absent": (
        screen,
        {"control": "non-targeting"},
        ["control='non-targeting'", "recognised as controls: control"],
    ),
    "a misspelt control label": (screen, {"control": "contrl"}, ["Did you mean 'control'?"]),
    "an empty condition": (lambda: edited(unused_category), {}, ["LOST", "remove_unused_categories"]),
    "a condition of one cell": (lambda: labelled("C", [0]), {}, ["C at 48 h", "min_cells"]),
    "a missing perturbation": (lambda: labelled(None, [0, 1]), {}, ["of 2 cells", "cell0"]),
    "an unassigned perturbation": (lambda: labelled("unassigned", [0, 1]), {}, ["2 cells", "'unassigned'"]),
    "only controls": (lambda: screen(perturbations=["control"]), {}, ["nothing was edited"]),
    "no column of perturbations": (
        lambda: edited(lambda d: d.obs.pop("perturbation")),
        {},
        ["perturbation_key", "batch"],
    ),
    "a unit of time that is none": (screen, {"time_key": "day", "time_unit": "fortnights"}, ["'fortnights'", "hours"]),
    "a unit against the column": (screen, {"time_unit": "hours"}, ["'day' states days"]),
    "hours taken for days": (lambda: screen(days=(48, 168)), {}, ["longer than 100 days", "time_unit='hours'"]),
    "a negative time": (lambda: screen(days=(-1, 2)), {}, ["1 negative time"]),
    "a time that is none": (lambda: screen(days=("soon", 2)), {}, ["soon", "72h"]),
    "a missing time": (lambda: screen(days=(np.nan, 2)), {}, ["no value in obs['day']"]),
    "an unknown medium": (lambda: edited(medium), {"maintenance_medium": "bse"}, ["Did you mean 'base'?", "E6"]),
    "an unknown kind of edit": (screen, {"edit_kind": "knokout"}, ["Did you mean 'knockout'?"]),
    "a gene edited twice": (lambda: labelled("A+A", range(4)), {}, ["'A+A'", "twice"]),
    "an empty part of a combination": (lambda: labelled("A+", range(4)), {}, ["'A+'", "A+B"]),
    "a reserved character": (lambda: labelled("A>B", range(4)), {}, ["'A>B'", "Rename"]),
    "no condition that is large enough": (screen, {"min_cells": 1000}, ["min_cells=1000", "12"]),
    "a size below one": (screen, {"min_cells": 0}, ["min_cells=0"]),
}


@pytest.mark.parametrize("kind", MEMORY)
@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_bad_data_bring_one_error_that_names_fault_and_mend(kind):
    make, keys, words = MEMORY[kind]
    with pytest.raises(_errors.DataError) as error:
        dataset_from_anndata(make(), **keys)
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "Traceback" not in message and "faults" not in message
    table = check(make(), **keys)
    faults = table[table["severity"] == "fail"]
    assert len(faults) == 1 and faults["mend"].str.len().all()


def truncated(path):
    screen().write_h5ad(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def foreign(path):
    path.write_text("gene\tcells\nA\t3\n")


def another_h5(path):
    import h5py

    with h5py.File(path, "w") as file:
        file["values"] = np.ones(3)


FILES = {
    "a missing file": (lambda path: None, "no such file"),
    "a truncated file": (truncated, "truncated or of another format"),
    "a foreign file": (foreign, "truncated or of another format"),
    "an empty file": (lambda path: path.write_bytes(b""), "truncated or of another format"),
    "a folder that is no zarr": (lambda path: path.mkdir(), "truncated or of another format"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_cannot_be_read_brings_one_error(kind, tmp_path):
    make, words = FILES[kind]
    path = tmp_path / "screen.h5ad"
    make(path)
    with pytest.raises(_errors.DataError, match=words) as error:
        read(path)
    assert str(path) in str(error.value)
    table = check(path)
    assert table["severity"].tolist() == ["fail"] and words in table["evidence"][0]


def test_a_file_of_other_content_is_refused(tmp_path):
    another_h5(tmp_path / "x.h5ad")
    with pytest.raises(_errors.DataError):
        read(tmp_path / "x.h5ad")


def test_faults_of_all_parts_are_listed_together():
    data = screen(days=(-1, "soon"))
    data.X.data[0] = np.nan
    duplicate_cell(data)
    data.obs.iloc[7, 0] = None
    with pytest.raises(_errors.DataError, match="7 faults") as error:
        dataset_from_anndata(data, control="WT", batch_key="lane", edit_kind="cut", maintenance_medium="E8")
    for word in ("NaN", "cell names", "soon", "no value", "lane", "cut"):
        assert word in str(error.value)


def test_every_unknown_experiment_is_listed(tmp_path):
    write_experiments(
        [Experiment(id="a", steps=(Edit(gene="A"), Wait(hours=48), Harvest(label="d2")))], tmp_path / "e.tsv"
    )
    data = screen(perturbations=["a", "b", "c"], days=("d2", "d9"))
    data.obs = data.obs.rename(columns={"perturbation": "experiment", "day": "harvest"})
    with pytest.raises(_errors.DataError, match="2 faults") as error:
        dataset_from_anndata(data, experiments=tmp_path / "e.tsv")
    assert "b, c" in str(error.value) and "a / d9" in str(error.value)


def test_a_join_without_its_columns_or_table_is_refused(tmp_path):
    with pytest.raises(_errors.DataError, match="2 faults"):
        dataset_from_anndata(screen(), experiments=tmp_path / "none.tsv")


def test_the_harvest_may_be_left_out_only_where_there_is_one(tmp_path):
    one = Experiment(id="a", steps=(Edit(gene="A"), Wait(hours=48), Harvest()))
    two = Experiment(id="b", steps=(Harvest(label="x"), Wait(hours=48), Harvest(label="y")))
    write_experiments([one, two], tmp_path / "e.tsv")
    data = screen(perturbations=["a"])
    data.obs = data.obs.rename(columns={"perturbation": "experiment"})
    assert dataset_from_anndata(data, experiments=tmp_path / "e.tsv").conditions == tuple(one.conditions.values())
    data.obs.iloc[:3, 0] = "b"
    with pytest.raises(_errors.DataError, match="several harvests"):
        dataset_from_anndata(data, experiments=tmp_path / "e.tsv")


def test_an_unedited_join_has_nothing_to_learn(tmp_path):
    write_experiments([Experiment(id="wt", steps=(Wait(hours=48), Harvest()))], tmp_path / "e.tsv")
    data = screen(perturbations=["wt"])
    data.obs = data.obs.rename(columns={"perturbation": "experiment"})
    with pytest.raises(_errors.DataError, match="no cell of the file was edited"):
        dataset_from_anndata(data, experiments=tmp_path / "e.tsv")


def test_reading_does_not_change_the_object():
    data = screen()
    before = data.copy()
    dataset_from_anndata(data)
    pd.testing.assert_frame_equal(data.obs, before.obs)
    assert (data.X != before.X).nnz == 0 and isinstance(data, ad.AnnData)
