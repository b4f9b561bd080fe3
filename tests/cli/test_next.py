"""The command that chooses the next experiments, on a finished run."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from small_commands import call

from semimech import load, read_experiments


def test_a_round_is_ranked_with_reasons_and_can_be_run(finished, tmp_path):
    done = call("design", "next", finished.folder, "--pairs", "--most", 60, "--batch", 4, "--out", tmp_path / "next")
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["reason"].str.contains("of the expected squared error").all()
    asked = {c for e in read_experiments(tmp_path / "next" / "experiments.tsv") for c in e.conditions.values()}
    assert len(asked) == 4
    assert asked.isdisjoint(load(finished.folder / "model").training)
    assert "error removed" in done.err and (tmp_path / "next" / "next.toml").exists()


def test_a_goal_is_approached_with_an_interval(finished, tmp_path):
    model = load(finished.folder / "model")
    goal = pd.DataFrame({"gene": model.genes[:5], "value": model.fit.control[:5] + 0.5})
    goal.to_csv(tmp_path / "goal.tsv", sep="\t", index=False)
    done = call("design", "next", finished.folder, "--goal", tmp_path / "goal.tsv", "--most", 60, "--batch", 3)
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert (table["lower"] <= table["closeness"]).all() and (table["closeness"] <= table["upper"]).all()
    assert table["p_best"].sum() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--criterion", "luck"), "criterion must be one of"),
        (("--budget", "0.1"), "raise the budget"),
        (("--genes", "nowhere.txt"), "no readable text file"),
        (("--goal", "nowhere.tsv"), "columns gene and value"),
        (("--goal", "nowhere.tsv", "--criterion", "information"), "leave one of them out"),
    ],
)
def test_a_round_that_cannot_be_planned_is_an_error_in_words(extra, said, finished):
    done = call("design", "next", finished.folder, "--most", 20, *extra)
    assert done.code == 2 and said in done.err
