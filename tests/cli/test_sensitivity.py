from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from small_commands import Done, call

from semimech import pipeline
from semimech.fit import read_config


@pytest.fixture(scope="module")
def imposed(finished, screen_file, settings, tmp_path_factory) -> tuple[Done, Path]:
    """Beside the finished run, whose programs serve here too."""
    out = tmp_path_factory.mktemp("sensitivity") / "out"
    done = call("sensitivity", screen_file, "--out", out, "--config", settings, "--assumption", "additive combinations")
    assert done.code == 0, done.err
    return done, out


def test_an_assumption_is_imposed_and_what_moves_is_written(imposed):
    done, out = imposed
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert set(table["assumption"]) == {"additive combinations"}
    assert {"unseen_combination", "new_cells"} <= set(table["split"])
    assert (out / "sensitivity.tsv").exists()
    predictions = pd.read_csv(out / "sensitivity_predictions.tsv", sep="\t")
    singles = ~predictions["perturbation"].str.contains("+", regex=False)
    assert (predictions.loc[singles, "shift"] == 0).all()


def test_what_was_interrupted_goes_on_without_fitting_again_and_ends_at_the_same_table(
    imposed, screen_file, settings, tmp_path
):
    whole, _ = imposed
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("training set 2 "):
            raise KeyboardInterrupt

    dataset = pipeline.Source(path=screen_file).dataset()
    config = read_config(settings)
    with pytest.raises(KeyboardInterrupt):
        pipeline.move_assumptions(
            dataset,
            pipeline.hold_out(dataset, n_folds=2, seeds=[config.seed])[config.seed],
            tmp_path,
            config,
            assumptions=("additive combinations",),
            prior=None,
            kinship=None,
            resume=False,
            say=say,
            progress=None,
        )
    first = [line for line in said if line.startswith("training set 1 ")]
    assert first and (tmp_path / "checkpoint").exists()
    arguments = ("--out", tmp_path, "--config", settings, "--assumption", "additive combinations")
    done = call("sensitivity", screen_file, *arguments, "--resume")
    assert done.code == 0, done.err
    assert done.out == whole.out
    n_fits = len([line for line in whole.err.splitlines() if "final fit" in line])
    assert len([line for line in done.err.splitlines() if "final fit" in line]) == n_fits - len(first) > 0
    assert not (tmp_path / "checkpoint").exists()


def test_an_unknown_assumption_is_an_error_that_names_the_known_ones(screen_file, tmp_path):
    done = call("sensitivity", screen_file, "--out", tmp_path / "out", "--assumption", "aditive combinations")
    assert done.code == 2
    assert "Did you mean 'additive combinations'?" in done.err
