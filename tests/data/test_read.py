from __future__ import annotations

import math
import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_screens import GENES, normalised, screen

from semimech._errors import DataError
from semimech.data import dataset_from_anndata, read
from semimech.experiment import (
    Compound,
    Edit,
    Experiment,
    Harvest,
    SetMedia,
    Wait,
    parse_experiment,
    write_experiments,
)


def condition(text):
    return next(iter(parse_experiment(text).conditions.values()))


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "screen.h5ad"
    screen().write_h5ad(file)
    return file


def test_each_perturbation_and_time_is_the_condition_of_its_protocol(path):
    found = read(path)
    assert found.name == "screen"
    assert found.genes == GENES
    assert found.index[condition("wait 2d > harvest")] == 0
    for text in ("edit A > wait 3d > harvest", "edit B > edit A > wait 2d > harvest"):
        assert found.n_cells[found.index[condition(text)]] == 12
    assert len(found.conditions) == 8 and found.is_control.sum() == 2


def test_the_kind_of_edit_is_told_once_for_the_file(path):
    assert {e.kind for c in read(path, edit_kind="crispri").conditions for e in c.edits} == {"crispri"}


def test_labels_of_one_meaning_are_one_condition():
    data = screen(perturbations=["control", "A", "A+ctrl", "ctrl+A", "B+A", "A+B", "NT"])
    found = dataset_from_anndata(data)
    assert sorted(set(found.perturbations)) == ["A", "A+B", "control"]
    assert found.n_cells[found.index[condition("edit A > wait 2d > harvest")]] == 36


def test_without_a_column_of_times_cells_are_settled():
    data = screen()
    del data.obs["day"]
    found = dataset_from_anndata(data)
    assert set(found.hours) == {math.inf} and condition("edit A > wait settled > harvest") in found.index


def test_edited_cells_may_be_harvested_at_once():
    found = dataset_from_anndata(screen(days=(0, 2)))
    assert condition("edit A > harvest") in found.index and condition("harvest") in found.index


def test_the_medium_comes_before_the_edit_and_the_maintenance_medium_is_the_start():
    data = screen(batches=("base", "E6"))
    data.obs = data.obs.rename(columns={"batch": "medium"})
    found = dataset_from_anndata(data)
    assert found.system.maintenance_medium == "base" and found.system.media == ("E6",)
    assert condition("medium E6 > edit A > wait 2d > harvest") in found.index
    assert condition("edit A > wait 2d > harvest") in found.index
    assert found.is_stationary_control.sum() == 2 and found.control_moments.n_cells == 12
    other = dataset_from_anndata(data, maintenance_medium="E6")
    assert other.system.media == ("base",)


def test_media_of_which_none_is_known_to_be_maintenance_all_count_as_changes():
    data = screen(batches=("X", "Y"))
    data.obs = data.obs.rename(columns={"batch": "medium"})
    found = dataset_from_anndata(data)
    assert found.system.media == ("X", "Y") and not found.is_stationary_control.any() and found.control_moments is None


def test_means_are_those_of_cells_in_log1p_cp10k_when_batches_agree():
    data = screen(batches=("b1",), n=30)
    found = dataset_from_anndata(data)
    values = normalised(data.X.toarray(), target_sum=1e4)
    for c, row in (
        (condition("edit A > wait 2d > harvest"), ("A", 2)),
        (condition("wait 3d > harvest"), ("control", 3)),
    ):
        rows = ((data.obs["perturbation"] == row[0]) & (data.obs["day"] == row[1])).to_numpy()
        np.testing.assert_allclose(found.mean[found.index[c]], values[rows].mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(
            found.standard_error[found.index[c]], values[rows].std(axis=0, ddof=1) / np.sqrt(30), rtol=0.35
        )


def test_log_normalised_values_keep_their_scale():
    data = screen(batches=("b1",))
    values = normalised(data.X.toarray(), target_sum=777.0)
    data.X = sp.csr_matrix(values)
    found = dataset_from_anndata(data)
    rows = ((data.obs["perturbation"] == "A") & (data.obs["day"] == 2)).to_numpy()
    np.testing.assert_allclose(
        found.mean[found.index[condition("edit A > wait 2d > harvest")]], values[rows].mean(axis=0), rtol=1e-5
    )
    assert found.control_moments is not None


def shifted(n=200, effect=1.0):
    """Edit A stands mostly in b1, edit B in b2; the library of b2 has twice the share of the first genes."""
    rng = np.random.default_rng(0)
    rows = [("control", "b1")] * n + [("control", "b2")] * n + [("A", "b1")] * n + [("B", "b2")] * n
    factor = np.where(np.arange(len(GENES)) < 4, 1.0 + effect, 1.0)
    rate = np.where(np.array([b == "b2" for _, b in rows])[:, None], factor, 1.0) * 8.0
    obs = pd.DataFrame(rows, columns=["gene", "batch"], index=[f"c{i}" for i in range(len(rows))])
    counts = rng.poisson(rate * np.ones(len(GENES))) + 1.0
    return ad.AnnData(X=sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=list(GENES)))


def test_batch_effects_are_removed_by_the_controls_of_the_batch():
    found = dataset_from_anndata(shifted())
    a, b, control = (found.mean[found.perturbations.index(p)] for p in ("A", "B", "control"))
    np.testing.assert_allclose(a, control, atol=0.12)
    np.testing.assert_allclose(b, control, atol=0.12)
    raw = [found.cells.values[found.cells.condition == k].mean(axis=0) for k in range(3)]
    assert np.abs(raw[found.perturbations.index("B")] - raw[found.perturbations.index("control")]).max() > 0.2


def test_the_mean_of_a_condition_is_the_mean_of_the_cells_that_are_handed_out():
    found = dataset_from_anndata(shifted())
    for row in range(len(found.conditions)):
        cells = found.cells.take(np.flatnonzero(found.cells.condition == row))
        np.testing.assert_allclose(cells.mean(axis=0), found.mean[row], atol=1e-4)
    kept = found.subset([1])
    np.testing.assert_allclose(
        kept.cells.take(np.arange(5)), found.cells.take(np.flatnonzero(found.cells.condition == 1)[:5])
    )


def test_controls_of_all_times_correct_a_batch_only_where_they_do_not_move():
    data = shifted()
    data.obs["day"] = np.where(data.obs["batch"] == "b1", 2, 3)
    assert dataset_from_anndata(data).cells.batch_offset is not None
    assert dataset_from_anndata(data, differentiating=True).cells.batch_offset is None


def test_data_without_controls_can_be_read():
    found = dataset_from_anndata(screen(perturbations=["A", "B"]))
    assert found.control_moments is None and not found.is_control.any()


def test_small_conditions_are_left_out_when_asked():
    data = screen(n=5)
    data = data[~((data.obs["perturbation"] == "A") & (data.obs["day"] == 3) & (data.obs["batch"] == "b1"))].copy()
    found = dataset_from_anndata(data, min_cells=6)
    assert condition("edit A > wait 3d > harvest") not in found.index and len(found.conditions) == 7
    assert len(found.cells.condition) == found.n_cells.sum() and found.cells.condition.max() == 6


def test_the_fingerprint_follows_the_content(path):
    assert read(path).fingerprint == read(path).fingerprint
    changed = screen()
    changed.X[0, 0] += 1
    assert dataset_from_anndata(changed).fingerprint != read(path).fingerprint
    relabelled = screen()
    relabelled.obs["day"] = relabelled.obs["day"] + 1
    assert dataset_from_anndata(relabelled).fingerprint != read(path).fingerprint


def test_cells_are_joined_to_a_table_of_experiments(tmp_path):
    experiments = (
        Experiment(id="wt", steps=(Wait(hours=48), Harvest(label="d2"), Wait(hours=24), Harvest(label="d3"))),
        Experiment(
            id="a",
            steps=(
                Edit(gene="A"),
                Wait(hours=48),
                Harvest(label="d2"),
                SetMedia(name="E6"),
                Wait(hours=24),
                Harvest(label="d3"),
            ),
        ),
    )
    write_experiments(experiments, tmp_path / "experiments.tsv")
    data = screen(perturbations=["wt", "a"])
    data.obs["harvest"] = "d" + data.obs.pop("day").astype(str)
    data.obs = data.obs.rename(columns={"perturbation": "experiment"})
    found = dataset_from_anndata(data, experiments=tmp_path / "experiments.tsv")
    assert set(found.conditions) == {c for e in experiments for c in e.conditions.values()}
    assert found.system.media == ("E6",) and found.cells.batch.max() == 1


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_a_zarr_folder_is_read_like_a_file(tmp_path, path):
    screen().write_zarr(tmp_path / "screen.zarr")
    assert read(tmp_path / "screen.zarr").fingerprint == read(path).fingerprint


def test_stem_cells_of_renge_are_read_with_their_counts(shared_data):
    found = read(shared_data("renge_hipsc/hipsc_day2-4.h5ad"))
    assert len(found.conditions) == 24 and set(found.hours) == {48, 72, 96} and found.n_cells.sum() == 2914
    assert {"POU5F1", "NANOG"} <= set(found.genes) and found.var_names[0].startswith("ENSG")
    data = ad.read_h5ad(shared_data("renge_hipsc/hipsc_day2-4.h5ad"))
    rows = ((data.obs["ko"] == "SOX2") & (data.obs["t"] == 4)).to_numpy()
    row = found.index[condition("edit SOX2 > wait 4d > harvest")]
    np.testing.assert_allclose(found.mean[row], data.X[rows].toarray().mean(axis=0), rtol=1e-5)
    assert found.scale.name != "log1p"


def test_guides_assigned_by_the_user_give_the_edits_of_papalexi(shared_data):
    data = ad.read_h5ad(shared_data("papalexi_eccite/papalexi_lowmoi.h5ad"))
    best = np.asarray(data.obsm["grna_counts"].argmax(axis=1)).ravel()
    data.obs["target"] = np.asarray(data.uns["grna_target"])[best]
    found = dataset_from_anndata(data)
    assert len(found.conditions) == 26 and found.is_control.sum() == 1 and found.cells.batch.max() == 2
    effect = found.mean[found.perturbations.index("STAT1")] - found.control_mean()
    assert effect[found.genes.index("STAT1")] < -0.3


def test_a_hundred_thousand_cells_are_pooled_in_seconds():
    rng = np.random.default_rng(0)
    n, genes, per_cell = 100_000, 500, 50
    x = sp.csr_matrix(
        (
            np.ones(n * per_cell, dtype=np.float32),
            rng.integers(0, genes, n * per_cell),
            np.arange(0, n * per_cell + 1, per_cell),
        ),
        shape=(n, genes),
    )
    obs = pd.DataFrame(
        {"gene": rng.choice(["NT", *(f"g{i}" for i in range(100))], n), "batch": rng.choice(list("abcd"), n)}
    )
    obs.index = obs.index.astype(str)
    data = ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(genes)]))
    start = time.process_time()
    found = dataset_from_anndata(data)
    assert len(found.conditions) == 101
    assert time.process_time() - start < 30


def test_compounds_of_a_table_of_experiments_become_edits_of_their_targets(tmp_path):
    texts = {
        "wt": "wait 48h > harvest d2",
        "a": "dose X 1uM > wait 48h > harvest d2 > dose X 0uM > wait 24h > harvest d3",
    }
    write_experiments([parse_experiment(text, id=id) for id, text in texts.items()], tmp_path / "experiments.tsv")
    data = screen(perturbations=["wt", "a"])
    data.obs["harvest"] = np.where((data.obs["perturbation"] == "wt") | (data.obs["day"] == 2), "d2", "d3")
    data.obs = data.obs.drop(columns="day").rename(columns={"perturbation": "experiment"})
    x = Compound(name="X", targets=("B",), ic50=1.0)
    found = dataset_from_anndata(data, experiments=tmp_path / "experiments.tsv", compounds=[x])
    assert found.system.compounds == (x,)
    assert [(c.perturbation, [(e.gene, e.efficacy) for e in c.edits]) for c in found.conditions] == [
        ("control", []),
        ("X", []),
        ("X", [("B", 0.5)]),
    ]
    with pytest.raises(DataError, match="compound 'X' is not known; known: none"):
        dataset_from_anndata(data, experiments=tmp_path / "experiments.tsv")


def test_the_system_is_declared_as_it_is_read():
    data = screen(days=(0, 2))
    found = dataset_from_anndata(data, environment="in-vivo", start="observed").system
    assert (found.genes, found.environment, found.start) == (GENES, "in-vivo", "observed")
    assert dataset_from_anndata(data).system.start_law == "settled"


def test_declarations_that_cannot_be_are_faults_of_reading():
    with pytest.raises(DataError, match="environment must be in-vitro or in-vivo, got 'abroad'"):
        dataset_from_anndata(screen(), environment="abroad")
    with pytest.raises(DataError, match="start='settled' cannot be"):
        dataset_from_anndata(screen(), differentiating=True, start="settled")
    with pytest.raises(
        DataError, match="unedited cells harvested at time 0; there are none. Add them, or say start='learned'"
    ):
        dataset_from_anndata(screen(), start="observed")


def test_the_medium_cells_are_kept_in_is_none_of_the_others():
    data = screen()
    data.obs["medium"] = np.resize(["base", "maintenance", "EPO"], data.n_obs)
    with pytest.raises(DataError, match="'maintenance' is the maintenance medium and one of the other media"):
        dataset_from_anndata(data)
    assert dataset_from_anndata(data, maintenance_medium="base").system.media == ("EPO", "maintenance")
