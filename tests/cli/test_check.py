from __future__ import annotations

import io

import pandas as pd
from small_commands import call
from small_screens import screen

from semimech.cli.display import Display
from semimech.pipeline import Source


def table(done) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(done.out), sep="\t", keep_default_na=False)


def test_a_good_file_gives_a_table_of_findings_and_exit_code_0(screen_file):
    done = call("check", screen_file)
    assert done.code == 0
    assert done.err == ""
    found = table(done)
    assert list(found.columns) == ["check", "severity", "evidence", "threatens", "mend"]
    assert set(found["severity"]) <= {"ok", "warning"}


def test_a_check_that_fails_gives_exit_code_1_and_stands_first(tmp_path):
    data = screen()
    data.X = data.X.toarray()
    data.X[0, 0] = -1
    data.write_h5ad(tmp_path / "bad.h5ad")
    done = call("check", tmp_path / "bad.h5ad")
    assert done.code == 1
    found = table(done)
    assert found["severity"].iloc[0] == "fail"
    assert "1 negative value" in found["evidence"].iloc[0]
    assert found["mend"].iloc[0]


def test_a_file_that_is_not_there_is_a_check_that_fails(tmp_path):
    done = call("check", tmp_path / "missing.h5ad")
    assert done.code == 1
    assert "no such file" in table(done)["evidence"].iloc[0]


def test_the_words_of_the_user_for_columns_are_passed_on(tmp_path):
    data = screen()
    data.obs = data.obs.rename(columns={"perturbation": "what", "day": "when"})
    data.write_h5ad(tmp_path / "own.h5ad")
    assert call("check", tmp_path / "own.h5ad").code == 1
    done = call("check", tmp_path / "own.h5ad", "--perturbation-key", "what", "--time-key", "when")
    assert done.code == 0
    assert "48 h, 72 h" in done.out
    hours = call(
        "check", tmp_path / "own.h5ad", "--perturbation-key", "what", "--time-key", "when", "--time-unit", "hours"
    )
    assert "2 h, 3 h" in hours.out


def test_fix_writes_a_copy_that_passes_and_lists_what_it_changed(tmp_path):
    data = screen(n=30)
    data.obs["perturbation"] = [None, *data.obs["perturbation"][1:]]
    data.write_h5ad(tmp_path / "bad.h5ad")
    before = (tmp_path / "bad.h5ad").read_bytes()
    assert call("check", tmp_path / "bad.h5ad").code == 1
    done = call("check", tmp_path / "bad.h5ad", "--fix", tmp_path / "good.h5ad")
    assert done.code == 0
    found = table(done)
    assert found["severity"].iloc[0] == "fixed" and "1 cell removed" in found["evidence"].iloc[0]
    assert call("check", tmp_path / "good.h5ad").code == 0
    assert (tmp_path / "bad.h5ad").read_bytes() == before


def test_fix_does_not_overwrite_the_input(tmp_path):
    screen(n=30).write_h5ad(tmp_path / "data.h5ad")
    done = call("check", tmp_path / "data.h5ad", "--fix", tmp_path / "data.h5ad")
    assert done.code == 2 and "never changed" in done.err and not done.out


def test_fix_of_a_file_that_is_not_there_writes_nothing(tmp_path):
    assert call("check", tmp_path / "missing.h5ad", "--fix", tmp_path / "copy.h5ad").code == 2
    assert not list(tmp_path.iterdir())


def test_a_file_larger_than_memory_is_checked_with_progress(screen_file, monkeypatch):
    monkeypatch.setattr("semimech.data.stream.STREAM_FROM", 0)
    done = call("check", screen_file)
    assert done.code == 0 and "reading: 624 cells" in done.err
    found = table(done)
    assert "streamed" in found.loc[found["check"] == "readable file", "evidence"].iloc[0]
    assert found["evidence"].str.contains("in a sample of 624 cells").any()


def test_a_command_says_what_is_left_out_of_a_file_larger_than_memory(screen_file, monkeypatch, capsys):
    monkeypatch.setattr("semimech.data.stream.STREAM_FROM", 0)
    with Display() as display:
        assert display.read(Source(path=screen_file)).cells is None
    said = " ".join(capsys.readouterr().err.split())
    assert "reading: 624 cells" in said and "no single cells are kept" in said
