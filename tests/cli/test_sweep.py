from __future__ import annotations

import io

import pandas as pd
import pytest
from small_commands import SETTINGS, call

from semimech.baselines import fit_baseline
from semimech.evaluate import Method, run_benchmark


@pytest.fixture
def fitted_by_a_baseline(monkeypatch):
    """Fits that take no time: each arm is the mean of the edits."""

    def score(known, job):
        method = Method(name=job.arm, fit=lambda train, seed: fit_baseline("mean of edits", train))
        return run_benchmark([method], known.dataset, job.splits, seed=job.config.seed).scores

    monkeypatch.setattr("semimech.evaluate.many_fits.fit_and_score", score)


def test_each_file_of_settings_is_an_arm_and_the_command_again_fits_nothing(
    fitted_by_a_baseline, screen_file, tmp_path
):
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(SETTINGS)
    arms = [word for name in ("one", "two") for word in ("--config", tmp_path / f"{name}.toml")]
    command = ("sweep", screen_file, "--out", tmp_path / "out", *arms, "--folds", "2", "--seeds", "2")
    done = call(*command)
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert {"one", "two"} <= set(table["predictor"])
    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    assert set(scores["seed"]) == {0, 1}
    n_fits = len(list((tmp_path / "out" / "fits").iterdir()))
    assert f"{n_fits} of {n_fits} fits" in done.err
    again = call(*command)
    assert again.out == done.out and "of" not in again.err.replace("out of", "")


def test_settings_that_cannot_be_told_apart_are_refused(screen_file, settings, tmp_path):
    (tmp_path / settings.name).write_text(SETTINGS)
    done = call("sweep", screen_file, "--out", tmp_path, "--config", settings, "--config", tmp_path / settings.name)
    assert done.code == 2 and "rename" in done.err
