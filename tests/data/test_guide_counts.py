from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from semimech._errors import ConfigError, DataError
from semimech.data import assign_guides, guide_counts, tally_guides, with_guides

NAMES = ["A_1", "A_2", "NT_1"]
TARGETS = {"A_1": "A", "A_2": "A", "NT_1": "control"}
COUNTS = np.array([[20, 0, 1], [1, 9, 0], [0, 1, 30], [12, 14, 0], [2, 1, 0], [0, 0, 8]])


def cells(counts: np.ndarray = COUNTS) -> ad.AnnData:
    data = ad.AnnData(np.ones((len(counts), 2)), obs=pd.DataFrame(index=[f"c{i}" for i in range(len(counts))]))
    data.obsm["guide_counts"] = counts
    data.uns["guide_names"] = NAMES
    return data


def told(counts: np.ndarray = COUNTS, *, threshold: int = 5):
    """Which cells carry which guides, by a threshold written out: pertpy need not be installed."""
    return tally_guides(counts.astype(float), counts >= threshold, NAMES, TARGETS)


def test_multiplets_and_ambient_guides_are_counted():
    found = told()
    assert found.n_guides.tolist() == [1, 1, 1, 2, 0, 1]
    assert found.multiplet_share == pytest.approx(1 / 5)
    guide = found.guides.loc["A_1"]
    assert guide["n_cells"] == 2 and guide["median_umi"] == 16 and guide["least_umi"] == 12
    assert guide["ambient_umi"] == pytest.approx(3 / 4)  # 1 + 2 UMI in the four cells that do not carry it
    assert guide["ambient_share"] == pytest.approx(3 / 35)


def test_a_copy_keeps_the_cells_of_one_guide_and_says_what_was_left_out():
    raw = cells()
    copy = with_guides(raw, told())
    assert copy.obs["guide"].tolist() == ["A_1", "A_2", "NT_1", "NT_1"]
    assert copy.obs["perturbation"].tolist() == ["A", "A", "control", "control"]
    assert copy.uns["semimech_guides"]["multiplets"] == 1
    assert copy.uns["semimech_guides"]["cells_without_guide"] == 1
    assert raw.n_obs == 6 and "guide" not in raw.obs


def test_every_fault_of_guide_counts_is_named():
    with pytest.raises(DataError, match=r"(?s)without a target: A_2.*no counts.*threshold must be 1"):
        assign_guides(cells(COUNTS - 0.5), {"A_1": "A", "NT_1": "control"}, threshold=0)
    with pytest.raises(DataError, match="2 names for 3 guides"):
        assign_guides(cells(), TARGETS, names=["A_1", "A_2"])
    with pytest.raises(DataError, match=r"obsm has no 'gdo'; it has guide_counts"):
        assign_guides(cells(), TARGETS, counts_key="gdo")
    with pytest.raises(DataError, match="no cell carries exactly one"):
        with_guides(cells(), told(threshold=99))


@pytest.mark.usefixtures("unchecked_types")
def test_every_fault_of_an_assignment_by_another_program_is_named():
    counts, carried = COUNTS.astype(float), COUNTS >= 5
    with pytest.raises(
        DataError, match=r"(?s)2 names for 3 guides.*without a target: B_1.*carried is \(3, 6\) and counts \(6, 3\)"
    ):
        tally_guides(counts, carried.T, ["A_1", "B_1"], TARGETS)
    with pytest.raises(DataError, match=r"(?s)counts holds values that are no counts.*carried > 0"):
        tally_guides(counts - 0.5, carried.astype(int), NAMES, TARGETS)


def test_without_pertpy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(guide_counts, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'semimech\[guides\]'"):
        assign_guides(cells(), TARGETS)


def test_pertpy_assigns_by_threshold_as_written_out():
    pytest.importorskip("pertpy", reason="needs semimech[guides]")
    np.testing.assert_array_equal(assign_guides(cells(), TARGETS).carried, COUNTS >= 5)


def test_pertpy_tells_ambient_guides_from_carried_ones_by_its_mixture():
    """Ambient guides of one UMI each: pertpy's own chain of 150 steps gives the guide to every cell that has one."""
    pytest.importorskip("pertpy", reason="needs semimech[guides]")
    rng = np.random.default_rng(0)
    counts = np.zeros((100, 3), dtype=int)
    counts[:40, 0] = rng.poisson(40 * rng.lognormal(0, 0.5, 40)) + 1
    counts[40:80, 0] = 1
    found = assign_guides(cells(counts), TARGETS, method="mixture")
    np.testing.assert_array_equal(found.carried[:, 0], np.arange(100) < 40)
    assert not found.carried[:, 1:].any()
    assert found.guides.loc["A_1", "least_umi"] > 1
