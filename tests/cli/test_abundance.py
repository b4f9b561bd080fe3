from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from small_commands import call
from small_guides import guide_screen

from semimech.abundance import edited_cells, read_guide_counts
from semimech.data import Split
from semimech.pipeline.source import Source, read_source, write_source


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guides")
    table, sheet = guide_screen(n_genes=8, guides=3, n_neutral=40, hours=(0, 96), effects={"g1": -0.04})
    table.to_csv(folder / "counts.tsv", sep="\t", index=False)
    sheet.to_csv(folder / "samples.tsv", sep="\t", index=False)
    return folder


def test_tables_and_a_page_are_written_and_the_genes_printed(files, tmp_path):
    done = call("abundance", files / "counts.tsv", "--samples", files / "samples.tsv", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    printed = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert printed["gene"].iloc[0] == "g1"
    for name, rows in (("genes", 8), ("guides", 64), ("founders", 1)):
        assert len(pd.read_csv(tmp_path / "out" / f"{name}.tsv", sep="\t")) == rows
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml") == 3
    assert "effective founders" in page
    assert "of 8 at a false-discovery rate of 5 %" in page
    assert "effective founders" in done.err


def test_a_sample_that_is_not_in_the_table_ends_with_exit_code_2(files, tmp_path):
    sheet = tmp_path / "samples.tsv"
    sheet.write_text("sample\trole\nbefore\treference\nlater\tsample\n", encoding="utf-8")
    done = call("abundance", files / "counts.tsv", "--samples", sheet, "--out", tmp_path / "out")
    assert done.code == 2
    assert "no column for the samples later" in done.err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    out = tmp_path_factory.mktemp("host") / "tumour.h5ad"
    sizes = ("--genes", 24, "--edits", 8, "--cells", 60, "--control-cells", 60)
    done = call("simulate", "--preset", "tumour_in_vivo", *sizes, "--out", out)
    assert done.code == 0, done.err
    samples = pd.read_csv(out.with_suffix(".samples.tsv"), sep="\t")
    assert len(samples) == 1 + 3 * 3
    samples[samples["hours"].isin([0.0, 360.0])].to_csv(out.with_suffix(".samples.tsv"), sep="\t", index=False)
    return out


def test_cells_of_the_same_edits_are_freed_of_survivor_bias(host, tmp_path):
    tables = host.with_suffix(".guides.tsv"), "--samples", host.with_suffix(".samples.tsv")
    done = call("abundance", *tables, "--cells", host, "--relaxation-hours", 60, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "out" / "expression.tsv", sep="\t")
    assert list(table) == ["edit", "gene", "harvested", "corrected", "lower", "upper"]
    assert table["gene"].nunique() == 24 and (table["lower"] <= table["upper"]).all()
    assert "growth follows the expression of" in done.err
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Growth and expression" in page and "Survivors&#39; part of it" in page.replace("'", "&#39;")
    growth = pd.read_csv(tmp_path / "out" / "growth.tsv", sep="\t")
    assert list(growth) == ["edit", "measured", "standard_error", "predicted", "credence"]
    assert set(growth["edit"]) == set(table["edit"]) and growth["credence"].between(0, 1).all()
    assert pd.read_csv(tmp_path / "out" / "weights.tsv", sep="\t")["gene"].tolist() == table["gene"][:24].tolist()


def test_what_a_fit_is_trained_on_are_edited_cells_where_guides_were_counted(host, tmp_path):
    tables = {"guides": host.with_suffix(".guides.tsv"), "samples": host.with_suffix(".samples.tsv")}
    source = Source(path=host, keys={"environment": "in-vivo"}, **tables, editing=0.7)
    data, plain = source.dataset(), Source(path=host, keys={"environment": "in-vivo"}).dataset()
    assert data.fingerprint != plain.fingerprint and not plain.notes
    assert "edited cells are told from unedited ones for" in data.notes[0]
    assert "trained on cells that were weighed without what is held out" in data.notes[-1]
    write_source(source, tmp_path)
    assert read_source(tmp_path) == source


def test_cells_are_weighed_for_training_as_if_what_is_held_out_had_never_been_harvested(host, tmp_path):
    tables = {"guides": host.with_suffix(".guides.tsv"), "samples": host.with_suffix(".samples.tsv")}
    keys = {"environment": "in-vivo"}
    source = Source(path=host, keys=keys, **tables, editing=0.7)
    data, whole = source.dataset(), Source(path=host, keys=keys).dataset()
    late = data.hours == data.hours.max()
    split = Split(name="unseen_time", train=np.flatnonzero(~late), test=np.flatnonzero(late & ~data.is_control))
    found = source.training(data)(split)
    kept = set(data.subset(split.train).conditions)
    never = whole.subset([row for row, condition in enumerate(whole.conditions) if condition in kept])
    expected = edited_cells(never, read_guide_counts(tables["guides"], tables["samples"]), editing=0.7).data
    assert found.conditions == expected.conditions
    np.testing.assert_array_equal(found.mean, expected.mean)
    shared = [data.conditions.index(condition) for condition in found.conditions]
    # Later harvests had their part in the weights of earlier ones.
    assert not np.allclose(found.mean, data.mean[shared])
    assert Source(path=host, keys=keys).training(whole) is None


def test_counts_of_guides_without_a_sample_sheet_are_refused_by_a_fit(host, tmp_path):
    done = call("fit", host, "--guides", host.with_suffix(".guides.tsv"), "--out", tmp_path / "out")
    assert done.code == 2 and "--guides and --samples go together" in done.err
    assert not (tmp_path / "out").exists()


def test_cells_without_a_place_for_their_table_are_refused(host):
    tables = host.with_suffix(".guides.tsv"), "--samples", host.with_suffix(".samples.tsv")
    done = call("abundance", *tables, "--cells", host)
    assert done.code == 2 and "say where with --out" in done.err


def test_cells_that_cannot_be_read_leave_nothing_written(files, tmp_path):
    (tmp_path / "none.h5ad").write_text("no cells", encoding="utf-8")
    tables = files / "counts.tsv", "--samples", files / "samples.tsv"
    done = call("abundance", *tables, "--cells", tmp_path / "none.h5ad", "--out", tmp_path / "out")
    assert done.code == 2 and not (tmp_path / "out").exists()


def test_what_was_left_out_is_said(files, tmp_path):
    table = pd.read_csv(files / "counts.tsv", sep="\t")
    table.loc[table["gene"] == "g5", "before"] = 2
    table.to_csv(tmp_path / "counts.tsv", sep="\t", index=False)
    out = tmp_path / "out"
    done = call("abundance", tmp_path / "counts.tsv", "--samples", files / "samples.tsv", "--out", out)
    assert done.code == 0, done.err
    for said in (done.err, (out / "report.html").read_text(encoding="utf-8")):
        assert "3 guides have too few reads before and were left out, and with them all guides of 1 genes: g5" in said
