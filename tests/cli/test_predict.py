from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from small_commands import call, call_apart
from small_data import condition
from small_screens import normalised

import semimech
from semimech.experiment import Edit, Experiment, Harvest, SetMedia, Wait, write_experiments

COLUMNS = ["experiment", "harvest", "perturbation", "hours", "medium", "coverage", "coverage_axes"]


@pytest.fixture(scope="module")
def genes(cells) -> list[str]:
    """Edited genes."""
    return sorted({name for name in cells.obs["perturbation"] if "+" not in name and name != "control"})


def predict(folder, path, *queries):
    asked = [word for query in queries for word in ("--query", query)]
    done = call("predict", folder, *asked, "--out", path)
    assert done.code == 0, done.err
    return ad.read_h5ad(path)


@pytest.fixture(scope="module")
def refit(tmp_path_factory, settings):
    """Fits a changed screen."""

    def fit(cells: ad.AnnData, *options: object):
        folder = tmp_path_factory.mktemp("refit")
        cells.write_h5ad(folder / "cells.h5ad")
        done = call("fit", folder / "cells.h5ad", "--out", folder, "--config", settings, *options)
        assert done.code == 0, done.err
        return folder

    return fit


def test_there_is_one_row_per_harvest_in_the_order_asked(finished, genes, tmp_path):
    first = f"edit {genes[1]} knockout > wait 2d > harvest early > wait 72h > harvest late"
    made = predict(
        finished.folder, tmp_path / "p.h5ad", first, "wait 5d > harvest", f"edit {genes[0]} > wait 48h > harvest"
    )
    assert list(made.obs.columns) == COLUMNS
    assert list(made.obs["experiment"]) == [first, first, "wait 5d > harvest", f"edit {genes[0]} > wait 48h > harvest"]
    assert list(made.obs["harvest"]) == ["early", "late", "harvest", "harvest"]
    assert list(made.obs["perturbation"]) == [genes[1], genes[1], "control", genes[0]]
    assert list(made.obs["hours"]) == [48.0, 120.0, 120.0, 48.0]


def test_genes_are_those_of_training_in_their_order_and_every_interval_holds_its_mean(finished, cells, genes, tmp_path):
    made = predict(finished.folder, tmp_path / "p.h5ad", *(f"edit {g} > wait 5d > harvest" for g in genes))
    assert list(made.var_names) == list(cells.var_names)
    assert set(made.layers) == {"lower", "upper"}
    assert (made.layers["lower"] <= made.X).all()
    assert (made.X <= made.layers["upper"]).all()
    assert (made.layers["lower"] < made.layers["upper"]).mean() > 0.9


def test_counts_are_predicted_as_log1p_of_ten_thousand_and_near_what_was_observed(finished, cells, tmp_path):
    """Counts stand in X, so that the scale is that of their normalised logarithm, whatever the depth."""
    counts = cells.X.toarray() if hasattr(cells.X, "toarray") else cells.X
    observed = normalised(counts, target_sum=1e4)[(cells.obs["perturbation"] == "control").to_numpy()].mean(axis=0)
    made = predict(finished.folder, tmp_path / "p.h5ad", "wait 5d > harvest")
    assert np.abs(made.X[0] - observed).mean() < 0.15
    assert np.corrcoef(made.X[0], observed)[0, 1] > 0.98


def test_normalised_input_keeps_its_normalisation(refit, cells, tmp_path):
    counts = cells.X.toarray() if hasattr(cells.X, "toarray") else cells.X
    changed = ad.AnnData(X=normalised(counts, target_sum=300.0), obs=cells.obs.copy(), var=cells.var.copy())
    observed = changed.X[(cells.obs["perturbation"] == "control").to_numpy()].mean(axis=0)
    made = predict(refit(changed), tmp_path / "p.h5ad", "wait 5d > harvest")
    assert np.abs(made.X[0] - observed).mean() < 0.15
    assert observed.mean() < 2.5 < normalised(counts, target_sum=1e4).mean()


def test_a_combination_is_named_by_its_genes_and_their_order_does_not_matter(finished, genes, tmp_path):
    a, b = genes[:2]
    made = predict(
        finished.folder,
        tmp_path / "p.h5ad",
        f"edit {a} > edit {b} > wait 5d > harvest",
        f"edit {b} > edit {a} > wait 5d > harvest",
    )
    assert set(made.obs["perturbation"]) == {f"{a}+{b}"}
    np.testing.assert_array_equal(made.X[0], made.X[1])


def test_cells_are_in_the_maintenance_medium_unless_moved(finished, tmp_path):
    made = predict(finished.folder, tmp_path / "p.h5ad", "wait 1d > harvest", "medium maintenance > wait 1d > harvest")
    assert list(made.obs["medium"]) == ["maintenance", "maintenance"]
    np.testing.assert_array_equal(made.X[0], made.X[1])


def test_a_table_of_experiments_is_predicted_as_its_queries_are(finished, genes, tmp_path):
    steps = (
        Edit(gene=genes[0], kind="crispri", efficacy=0.5),
        Wait(hours=30),
        Harvest(label="a"),
        Wait(hours=30),
        Harvest(label="b"),
    )
    write_experiments(
        [Experiment(id="one", steps=steps), Experiment(id="two", steps=(Wait(hours=5), Harvest()))], tmp_path / "e.tsv"
    )
    done = call("predict", finished.folder, "--experiments", tmp_path / "e.tsv", "--out", tmp_path / "t.h5ad")
    assert done.code == 0, done.err
    table = ad.read_h5ad(tmp_path / "t.h5ad")
    asked = predict(
        finished.folder,
        tmp_path / "q.h5ad",
        f"edit {genes[0]} crispri 0.5 > wait 30h > harvest a > wait 30h > harvest b",
        "wait 5h > harvest",
    )
    assert list(table.obs["experiment"]) == ["one", "one", "two"]
    assert list(table.obs["harvest"]) == ["a", "b", "harvest"]
    np.testing.assert_array_equal(table.X, asked.X)


def test_a_saved_model_predicts_the_same_numbers_in_a_new_process(finished, genes, tmp_path):
    query = f"edit {genes[2]} > wait 100h > harvest"
    here = predict(finished.folder, tmp_path / "here.h5ad", query)
    done = call_apart("predict", finished.folder / "model", "--query", query, "--out", tmp_path / "there.h5ad")
    assert done.code == 0, done.err
    assert done.out.split("\t")[1:] == ["1 harvests", "25 genes\n"]
    there = ad.read_h5ad(tmp_path / "there.h5ad")
    for name in ("lower", "upper"):
        np.testing.assert_array_equal(there.layers[name], here.layers[name])
    np.testing.assert_array_equal(there.X, here.X)
    python = semimech.load(finished.folder / "model").predict([semimech.parse_experiment(query)])
    np.testing.assert_array_equal(python.X, here.X)


def test_names_of_columns_labels_and_units_do_not_change_the_model(
    refit, cells, screen_file, settings, genes, tmp_path
):
    """Identifiers as var_names, hours instead of days, and columns that nobody would recognise."""
    same = call("fit", screen_file, "--out", tmp_path / "same", "--config", settings)
    assert same.code == 0, same.err
    changed = ad.AnnData(X=cells.X.copy(), obs=pd.DataFrame(index=cells.obs_names))
    changed.var = pd.DataFrame({"gene": list(cells.var_names)}, index=[f"ENSG{i:011d}" for i in range(cells.n_vars)])
    changed.obs["what"] = cells.obs["perturbation"].astype(str).replace("control", "nothing").to_numpy()
    changed.obs["when"] = cells.obs["day"].to_numpy(float) * 24.0
    changed.obs["who"] = cells.obs["batch"].astype(str).to_numpy()
    changed.obs["where"] = "broth"
    folder = refit(
        changed,
        *("--perturbation-key", "what", "--control", "nothing", "--time-key", "when", "--time-unit", "hours"),
        *("--batch-key", "who", "--medium-key", "where"),
    )
    query = f"edit {genes[0]} > wait 5d > harvest"
    made, wanted = predict(folder, tmp_path / "a.h5ad", query), predict(tmp_path / "same", tmp_path / "b.h5ad", query)
    np.testing.assert_array_equal(made.X, wanted.X)
    assert list(made.var_names) == list(changed.var_names)
    assert list(made.var["gene"]) == list(wanted.var_names)
    assert list(made.obs["medium"]) == ["broth"]


def test_media_of_the_data_can_be_asked_for(refit, cells, tmp_path):
    changed = ad.AnnData(X=cells.X.copy(), obs=cells.obs[["perturbation", "day", "batch"]].copy(), var=cells.var.copy())
    is_second = (changed.obs["batch"] == changed.obs["batch"].iloc[0]).to_numpy()
    changed.obs["medium"] = np.where(is_second, "hypoxia", "mTeSR")
    folder = refit(changed, "--maintenance-medium", "mTeSR", "--min-cells", "2")
    made = predict(folder, tmp_path / "p.h5ad", "wait 2d > harvest", "medium hypoxia > wait 2d > harvest")
    assert list(made.obs["medium"]) == ["mTeSR", "hypoxia"]
    wrong = call("predict", folder, "--query", "medium hypoxi > wait 2d > harvest", "--out", tmp_path / "q.h5ad")
    assert wrong.code == 2
    assert "did you mean 'hypoxia'" in wrong.err
    assert not (tmp_path / "q.h5ad").exists()


def test_the_same_from_python_is_the_same(finished, screen_file, settings, genes, tmp_path):
    dataset = semimech.read(screen_file)
    model = semimech.fit(dataset, semimech.read_config(settings))
    model.save(tmp_path / "model")
    experiment = Experiment(
        id="x", steps=(Edit(gene=genes[0]), SetMedia(name="maintenance"), Wait(hours=48), Harvest())
    )
    made = semimech.load(tmp_path / "model").predict([experiment])
    asked = predict(finished.folder, tmp_path / "p.h5ad", f"edit {genes[0]} > wait 48h > harvest")
    np.testing.assert_array_equal(made.X, asked.X)
    assert condition(genes[0], 48.0) in dataset.index
