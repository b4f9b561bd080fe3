from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_guides import guide_screen

from semimech import DataError
from semimech.abundance import guide_counts, read_guide_counts


def test_a_mageck_table_and_its_sheet_are_read_as_they_are(tmp_path):
    table, sheet = guide_screen(n_genes=3, n_neutral=10)
    table.assign(note="kept aside").to_csv(tmp_path / "counts.tsv", sep="\t", index=False)
    sheet.to_csv(tmp_path / "samples.csv", index=False)
    found = read_guide_counts(tmp_path / "counts.tsv", tmp_path / "samples.csv")
    assert found.guides == tuple(table["sgRNA"])
    assert found.genes == tuple(table["gene"])
    assert found.is_neutral.sum() == 10
    np.testing.assert_array_equal(found.counts, table[["before", "after48", "after96"]])
    assert list(found.samples["hours"]) == [0.0, 48.0, 96.0]


def test_a_table_without_genes_is_one_of_neutral_barcodes():
    table, sheet = guide_screen(n_genes=3, n_neutral=10)
    barcodes = table.drop(columns="gene").rename(columns={"sgRNA": "barcode"})
    assert guide_counts(barcodes, sheet[["sample", "role"]]).is_neutral.all()


def test_neutral_guides_are_those_that_are_named():
    table, sheet = guide_screen(n_genes=3, n_neutral=10)
    assert guide_counts(table, sheet, neutral=("g0", "g1")).is_neutral.sum() == 8
    assert guide_counts(table, sheet, neutral=("all",)).is_neutral.all()


def test_guides_of_no_gene_are_refused_unless_all_calibrate():
    table, sheet = guide_screen(n_genes=3, n_neutral=10)
    table.loc[:1, "gene"] = ""
    with pytest.raises(DataError, match=r"2 guides have an empty cell of gene \(s0, s1\)"):
        guide_counts(table, sheet)
    found = guide_counts(table, sheet, neutral=("all",))
    assert found.is_tested.sum() == 10 and not found.is_tested[:2].any()


def test_every_fault_of_a_table_is_told_at_once():
    table, sheet = guide_screen(n_genes=3, n_neutral=10)
    table["gene"] = table["gene"].replace("non-targeting", "X")
    table["after48"] = table["after48"].astype(float)
    table.loc[[0, 1], "after48"] = [-1.0, 0.5]
    table.loc[3, "sgRNA"] = "s2"
    with pytest.raises(DataError) as caught:
        guide_counts(table.drop(columns="after96"), sheet, source="counts.tsv")
    text = str(caught.value)
    for part in (
        "counts.tsv: 4 faults",
        "the samples after96",
        "guides stand twice",
        "2 values are no counts",
        "--neutral",
    ):
        assert part in text


def test_every_fault_of_a_sheet_is_told_at_once():
    table, _ = guide_screen(n_genes=3, n_neutral=10)
    sheet = pd.DataFrame(
        {"sample": ["before", "after48", "after48"], "role": ["start", "sample", "sample"], "hours": ["", "2", "-1"]}
    )
    with pytest.raises(DataError) as caught:
        guide_counts(table, sheet)
    text = str(caught.value)
    for part in ("3 faults", "stands twice", "role 'start' is unknown", "hours must be numbers"):
        assert part in text
    with pytest.raises(DataError, match="column 'role' is missing"):
        guide_counts(table, sheet[["sample"]])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_guide_counts(tmp_path / "none.tsv", tmp_path / "none.csv")
