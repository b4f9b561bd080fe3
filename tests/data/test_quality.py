from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from small_screens import screen

from semimech.data import check
from semimech.data.findings import FINDING_COLUMNS, counted, listed, suggestion


def warnings(data, **keys):
    table = check(data, **keys)
    assert tuple(table.columns) == FINDING_COLUMNS and "fail" not in set(table["severity"])
    return table[table["severity"] == "warning"].set_index("check")["evidence"].to_dict()


def good(**kwargs):
    return screen(n=30, **kwargs)


def test_a_good_screen_has_nothing_to_warn_of(tmp_path):
    good().write_h5ad(tmp_path / "good.h5ad")
    assert warnings(tmp_path / "good.h5ad") == {}
    table = check(good())
    assert {"controls", "targets", "controls per batch", "scale of X", "time unit"} <= set(table["check"])
    assert "day" in table.set_index("check").loc["time unit", "evidence"]


def test_warnings_say_what_they_threaten_and_how_to_mend():
    table = check(screen(perturbations=["A", "Q"], n=4))
    risky = table[table["severity"] == "warning"]
    assert len(risky) and risky["threatens"].str.len().all() and risky["mend"].str.len().all()


def test_faults_come_first():
    data = good()
    data.X.data[0] = np.nan
    assert check(data)["severity"].iloc[0] == "fail"


def test_missing_controls_are_a_warning():
    assert "no unedited" in warnings(good(perturbations=["A", "B"]))["controls"]


def test_batches_without_enough_controls_are_named():
    data = good(batches=("b1", "b2", "b3"))
    keep = ~((data.obs["batch"] == "b2") & (data.obs["perturbation"] == "control"))
    assert "b2 (0)" in warnings(data[keep.to_numpy()].copy())["controls per batch"]
    few = good()
    assert "b1 48 h (5)" in warnings(few[5:].copy()[20:].copy(), differentiating=True)["controls per batch"]


def test_an_edit_in_batches_without_controls_is_confounded_with_them():
    data = good(batches=("b1", "b2"))
    data = data[~((data.obs["batch"] == "b2") & data.obs["perturbation"].isin(["control", "A"])).to_numpy()]
    data = data[~((data.obs["batch"] == "b1") & (data.obs["perturbation"] == "B")).to_numpy()].copy()
    assert "1 edits" in warnings(data)["batch and edit"] and "B" in warnings(data)["batch and edit"]


def test_small_conditions_are_named_with_their_size():
    assert "A at 48 h (12)" in warnings(screen())["cells per condition"]


def test_edits_of_unmeasured_genes_are_named_and_spelling_is_suggested():
    data = good(perturbations=["control", "A", "b", "C_D", "ZZZ"])
    table = check(data).set_index("check").loc["targets"]
    assert table["severity"] == "warning" and "C_D, ZZZ, b" in table["evidence"]
    assert "A+B (C_D)" in table["mend"] and "B for b" in table["mend"]


def test_silent_genes_are_named():
    data = good()
    x = data.X.toarray()
    x[:, 2] = 0
    data.X = sp.csr_matrix(x)
    assert warnings(data)["silent genes"].endswith("C")


def wide(n=60, genes=80):
    counts = np.random.default_rng(0).poisson(3.0, (n, genes)) + 0.0
    obs = pd.DataFrame({"gene": np.resize(["NT", "g1"], n)}, index=[f"c{i}" for i in range(n)])
    return ad.AnnData(X=sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(genes)]))


def test_copies_of_cells_are_counted():
    data = wide()
    x = data.X.toarray()
    x[[10, 12]] = x[[0, 0]]
    data.X = sp.csr_matrix(x)
    assert warnings(data)["duplicated cells"].startswith("2 cells")


def test_an_edit_that_changes_depth_is_named():
    data = wide()
    x = data.X.toarray()
    x[1::2] *= 3
    data.X = sp.csr_matrix(x)
    assert "g1 (×2.9" in warnings(data)["depth by edit"]


def test_a_duration_of_hours_is_too_short_for_an_edit_of_a_gene():
    data = good()
    data.obs = data.obs.rename(columns={"day": "t"})
    assert "3 h" in warnings(data, time_unit="hours")["duration"]
    assert "duration" not in warnings(data, time_unit="hours", edit_kind="drug")


def test_pooled_doses_are_a_warning():
    data = good()
    data.obs["dose_value"] = np.resize([1.0, 10.0], data.n_obs)
    assert "2 different doses" in warnings(data)["doses"]


def test_media_of_unknown_rank_are_a_warning():
    data = good(batches=("X", "Y"))
    data.obs = data.obs.rename(columns={"batch": "medium"})
    assert {"maintenance medium", "controls in maintenance medium"} <= set(warnings(data))


def test_conditions_left_out_are_reported():
    table = check(screen(n=5, perturbations=["control", "A", "B"])[:-7].copy(), min_cells=9).set_index("check")
    assert "B at 72 h" in table.loc["small conditions", "evidence"]


def test_words_of_messages():
    assert listed("abc", limit=2) == "a, b and 1 more"
    assert counted(1, "cell") == "1 cell" and counted(0, "cell") == "0 cells"
    assert suggestion("GATA", ["gata1", "SOX2"]) == "Did you mean 'gata1'? " and suggestion("x", ["SOX2"]) == ""
