from __future__ import annotations

import io
import re
import shutil

import pandas as pd
import pytest
from small_commands import SETTINGS, call

import semimech
from semimech.baselines import BASELINES

WRITTEN = {
    "model",
    "run.toml",
    "scores.parquet",
    "scores.tsv",
    "comparisons.tsv",
    "held_out.parquet",
    "report.html",
    "error_budget.tsv",
}


def test_a_run_leaves_model_scores_and_report_and_nothing_else(finished):
    assert {p.name for p in finished.folder.iterdir()} == WRITTEN


def test_a_run_says_on_stdout_where_the_report_is_and_everything_else_on_stderr(finished):
    lines = [line.split("\t") for line in finished.done.out.splitlines()]
    assert lines[-1] == ["report", str(finished.folder / "report.html")]
    assert {line[0] for line in lines[:-1]} <= {"note"}
    assert "inner validation" in finished.done.err


def test_the_model_and_all_baselines_are_scored_on_the_same_conditions(finished):
    scores = pd.read_parquet(finished.folder / "scores.parquet")
    names = {"semi-mechanistic", *(b.name for b in BASELINES)}
    assert names <= set(scores["predictor"])
    rolled = scores[scores["mode"] == "roll-out"]
    asked = rolled[rolled["predictor"].isin(names)].groupby("predictor")["condition"].agg(set)
    assert all(conditions == asked.iloc[0] for conditions in asked)


def test_the_table_of_scores_is_that_of_the_parquet_file(finished):
    table = pd.read_csv(finished.folder / "scores.tsv", sep="\t")
    parquet = pd.read_parquet(finished.folder / "scores.parquet")
    assert list(table.columns) == list(parquet.columns)
    assert table["value"].to_numpy() == pytest.approx(parquet["value"].to_numpy(), nan_ok=True)


def test_all_four_questions_are_asked(finished):
    scores = pd.read_parquet(finished.folder / "scores.parquet")
    assert set(scores["split"]) == {"unseen_edit", "unseen_time", "unseen_edit_time", "unseen_combination"}


def test_each_model_is_compared_with_each_baseline_and_never_with_itself(finished):
    table = pd.read_csv(finished.folder / "comparisons.tsv", sep="\t")
    assert set(table["predictor"]) == {"semi-mechanistic"}
    assert set(table["reference"]) <= {b.name for b in BASELINES}
    assert len(set(table["reference"])) > 5


def test_the_report_is_one_file_that_fetches_nothing(finished):
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert not re.search(r"<script|<iframe|<link\b", page)
    assert not re.search(r"""\bsrc(?:set)?\s*=\s*["'](?!data:)""", page)
    assert not re.search(r"url\((?!['\"]?data:|#)", page)
    assert "@import" not in page
    assert "semi-mechanistic" in page
    assert "no change" in page


def test_the_report_can_be_written_anew_and_is_the_same_but_for_its_command(finished):
    path = finished.folder / "report.html"
    before = path.read_text(encoding="utf-8")
    done = call("report", finished.folder)
    assert done.code == 0, done.err
    assert done.out.strip() == str(path)
    assert len(path.read_text(encoding="utf-8")) == pytest.approx(len(before), abs=500)


def test_a_run_with_resume_keeps_the_model_that_is_finished(finished, screen_file, settings):
    arrays = finished.folder / "model" / "arrays.npz"
    before = arrays.stat().st_mtime_ns
    done = call("fit", screen_file, "--out", finished.folder, "--config", settings, "--resume")
    assert done.code == 0, done.err
    assert arrays.stat().st_mtime_ns == before
    assert "final fit" not in done.err


def test_a_finished_model_of_other_settings_is_not_taken_for_this_one(finished, screen_file, tmp_path):
    shutil.copytree(finished.folder / "model", tmp_path / "model")
    shutil.copy(finished.folder / "run.toml", tmp_path / "run.toml")
    (tmp_path / "neural.toml").write_text(SETTINGS + 'law = "neural"\n')
    done = call("fit", screen_file, "--out", tmp_path, "--config", tmp_path / "neural.toml", "--resume")
    assert done.code == 0, done.err
    assert "final fit" in done.err
    model = semimech.load(tmp_path / "model")
    assert model.name == "Neural ODE"
    assert model.network().empty


def test_scores_of_a_second_evaluation_replace_those_of_the_first(finished, screen_file, settings, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "again")
    options = ("--config", settings, "--folds", "2", "--seed", "1")
    done = call("evaluate", screen_file, "--out", tmp_path / "again", *options)
    assert done.code == 0, done.err
    assert set(pd.read_parquet(finished.folder / "scores.parquet")["seed"]) == {0}
    assert set(pd.read_parquet(tmp_path / "again" / "scores.parquet")["seed"]) == {1}
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert list(table.columns) == list(pd.read_csv(tmp_path / "again" / "comparisons.tsv", sep="\t").columns)
    assert {p.name for p in (tmp_path / "again").iterdir()} == WRITTEN - {"error_budget.tsv"}  # that of other scores


def test_the_version_is_printed():
    done = call("--version")
    assert (done.code, done.out.strip()) == (0, f"semimech {semimech.__version__}")


def test_no_command_and_help_tell_what_there_is():
    for arguments in ([], ["--help"]):
        done = call(*arguments)
        for command in ("check", "simulate", "fit", "predict", "evaluate", "report", "run"):
            assert command in done.out + done.err


def test_a_run_says_what_its_held_out_error_is_made_of(finished):
    table = pd.read_csv(finished.folder / "error_budget.tsv", sep="\t").set_index("part")["estimate"]
    assert table.drop("held-out error").sum() == pytest.approx(table["held-out error"])
    assert table["noise"] > 0
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert 'id="budget"' in page and "Waterfall of the error on unseen edits" in page
