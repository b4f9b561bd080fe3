from __future__ import annotations

import io

import pandas as pd
from small_commands import call


def test_an_assumption_is_imposed_and_what_moves_is_written(finished, screen_file, settings, tmp_path):
    """Beside the finished run, whose programs serve here too."""
    out = tmp_path / "out"
    done = call("sensitivity", screen_file, "--out", out, "--config", settings, "--assumption", "additive combinations")
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert set(table["assumption"]) == {"additive combinations"}
    assert {"unseen_combination", "new_cells"} <= set(table["split"])
    assert (out / "sensitivity.tsv").exists()
    predictions = pd.read_csv(out / "sensitivity_predictions.tsv", sep="\t")
    singles = ~predictions["perturbation"].str.contains("+", regex=False)
    assert (predictions.loc[singles, "shift"] == 0).all()


def test_an_unknown_assumption_is_an_error_that_names_the_known_ones(screen_file, tmp_path):
    done = call("sensitivity", screen_file, "--out", tmp_path / "out", "--assumption", "aditive combinations")
    assert done.code == 2
    assert "Did you mean 'additive combinations'?" in done.err
