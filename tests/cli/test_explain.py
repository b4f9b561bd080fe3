from __future__ import annotations

import io

import pandas as pd
import pytest
from small_commands import call

import semimech


def test_the_explanation_is_that_of_the_library_and_stands_in_the_folder(finished, tmp_path):
    model = semimech.load(finished.folder / "model")
    source = sorted({edit.gene for condition in model.training for edit in condition.edits})[0]
    gene = next(name for name in model.genes if name != source)
    protocol = f"edit {source} knockout > wait 72h > harvest d3"
    done = call("explain", finished.folder, protocol, "--gene", gene, "--out", tmp_path / "why", "--paths", "3")
    assert done.code == 0, done.err
    expected = semimech.explain(model, protocol, gene, n_paths=3)
    printed = pd.read_csv(io.StringIO(done.out), sep="\t")
    written = pd.read_csv(tmp_path / "why" / "explanation.tsv", sep="\t")
    assert printed["term"].tolist() == written["term"].tolist() == expected.table["term"].tolist()
    assert written["contribution"].sum() == pytest.approx(expected.change, abs=1e-9)
    assert f"change {expected.change:.4g}" in done.err
    assert "predicted change" in (tmp_path / "why" / "explanation.svg").read_text(encoding="utf-8")


def test_a_gene_that_is_not_measured_is_an_error_in_words_and_nothing_is_written(finished, tmp_path):
    done = call("explain", finished.folder, "wait 3d > harvest", "--gene", "NOGENE", "--out", tmp_path / "why")
    assert done.code == 2
    assert "gene 'NOGENE' is not measured" in done.err
    assert not (tmp_path / "why").exists()


def test_the_report_tells_half_lives_and_what_predictions_are_made_of(finished):
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "Mechanism and half-lives" in page
    assert "to mechanism (production along the network" in page
    assert "held with the same sign by every member" in page
