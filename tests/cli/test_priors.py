from __future__ import annotations

from small_commands import call

from semimech.pipeline import read_source


def test_several_tables_of_regulation_are_merged_and_their_contradictions_are_told(screen_file, settings, tmp_path):
    (tmp_path / "collectri.csv").write_text("source,target,weight\nTF02,G09,1\nTF02,G10,1\nTF03,G11,-1\n")
    (tmp_path / "trrust.tsv").write_text("TF02\tG09\tRepression\t1\nTF05\tG12\tUnknown\t2\n")
    paths = (tmp_path / "collectri.csv", tmp_path / "trrust.tsv")
    options = [word for path in paths for word in ("--prior", path)]
    done = call("fit", screen_file, "--out", tmp_path / "out", "--config", settings, *options)
    assert done.code == 0, done.err
    assert "prior: 4 edges of 2 tables; of 1 the tables state opposite signs" in done.out
    assert "(TF02-G09)" in done.out
    source = read_source(tmp_path / "out")
    assert source.prior == paths
    again = source.network()
    assert again is not None
    assert len(again.edges) == 4
