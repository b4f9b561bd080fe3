from __future__ import annotations

import pandas as pd
import pytest
from small_commands import call

from semimech._errors import DataError
from semimech.pipeline import Source, read_source


def test_several_tables_of_regulation_are_merged_and_their_contradictions_are_told(screen_file, settings, tmp_path):
    (tmp_path / "collectri.csv").write_text("source,target,weight\nTF02,G09,1\nTF02,G10,1\nTF03,G11,-1\n")
    (tmp_path / "trrust.tsv").write_text("TF02\tG09\tRepression\t1\nTF05\tG12\tUnknown\t2\n")
    paths = (tmp_path / "collectri.csv", tmp_path / "trrust.tsv")
    (tmp_path / "complexes.tsv").write_text("complex\tgene\nP\tTF02\nP\tTF03\nP\tRECEPTOR\n")
    (tmp_path / "vectors.tsv").write_text("gene\tx\ty\nTF02\t1\t0\nTF03\t0\t1\n")
    options = [word for path in paths for word in ("--prior", path)]
    options += ["--complexes", tmp_path / "complexes.tsv", "--embedding", tmp_path / "vectors.tsv"]
    done = call("fit", screen_file, "--out", tmp_path / "out", "--config", settings, *options)
    assert done.code == 0, done.err
    assert "prior: 4 edges of 2 tables; of 1 the tables state opposite signs" in done.out
    assert "(TF02-G09)" in done.out
    source = read_source(tmp_path / "out")
    assert source.prior == paths
    again = source.network()
    assert again is not None
    assert len(again.edges) == 4
    assert source.complexes == (tmp_path / "complexes.tsv",) and source.embeddings == (tmp_path / "vectors.tsv",)
    assert source.kinship().genes == {"TF02", "TF03", "RECEPTOR"}
    sources = pd.read_csv(tmp_path / "out" / "model" / "likeness.tsv", sep="\t")["source"]
    assert {str(tmp_path / "complexes.tsv"), str(tmp_path / "vectors.tsv"), "network"} < set(sources)
    asked = call(
        "predict", tmp_path / "out", "--query", "edit RECEPTOR > wait 5d > harvest", "--out", tmp_path / "p.h5ad"
    )
    assert asked.code == 0, asked.err


def test_every_table_of_genes_that_is_none_is_told_at_once(tmp_path):
    (tmp_path / "a.tsv").write_text("set\tname\nP\tTF02\n")
    (tmp_path / "b.tsv").write_text("gene\tx\nTF02\tmany\n")
    source = Source(path=tmp_path, complexes=(tmp_path / "a.tsv",), embeddings=(tmp_path / "b.tsv",))
    with pytest.raises(DataError, match=r"kinship: 2 faults[\s\S]*'gene' is missing[\s\S]*no finite number, in rows 2"):
        source.kinship()
