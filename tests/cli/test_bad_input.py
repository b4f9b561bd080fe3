"""Wrong input to commands: exit code 2, one message that says what and how to mend it, and nothing written."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from small_commands import call, call_apart
from small_screens import screen

from semimech.experiment import parse_experiment, write_experiments


@pytest.fixture
def good(tmp_path):
    """A small screen in a file."""
    path = tmp_path / "good.h5ad"
    screen().write_h5ad(path)
    return path


def refused(done, *said: str) -> None:
    """Exit code 2, nothing on stdout, one message without a traceback that says these words."""
    assert done.code == 2, done.out + done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "unexpected" not in done.err
    assert done.err.startswith("semimech: ")
    missing = [words for words in said if words.casefold() not in done.err.casefold()]
    assert not missing, f"not said: {missing}\n{done.err}"


def dense(data: ad.AnnData) -> ad.AnnData:
    data.X = data.X.toarray()
    return data


def with_nan(data):
    dense(data).X[3, 2] = np.nan
    return data


def with_negative(data):
    dense(data).X[0, 0] = -4
    return data


def with_one_cell(data):
    label = data.obs["perturbation"].astype(object)
    label.iloc[-1] = "F"
    data.obs["perturbation"] = label
    return data


def with_same_genes(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.var_names = ["A", "A", *data.var_names[2:]]
    return data


def with_empty_labels(data):
    label = data.obs["perturbation"].astype(object)
    label.iloc[:5] = None
    data.obs["perturbation"] = label
    return data


def with_empty_cell(data):
    dense(data).X[4] = 0
    return data


def with_words_as_times(data):
    data.obs["day"] = "soon"
    return data


def without_labels(data):
    return ad.AnnData(X=data.X, obs=data.obs[["batch"]], var=data.var)


def with_scaled_values(data):
    data.X = (data.X.toarray() - 3.0) / 2.0
    return data


def without_cells(data):
    return data[:0].copy()


CELLS = [
    (with_nan, "NaN or infinite value", "1 cell"),
    (with_negative, "negative value", "raw counts"),
    (with_one_cell, "F", "min_cells"),
    (with_same_genes, "A", "unique"),
    (with_empty_labels, "no value in obs['perturbation'] of 5 cells", "remove these cells"),
    (with_empty_cell, "1 cell without a single count", "remove"),
    (with_words_as_times, "day", "soon"),
    (without_labels, "no column of perturbations", "perturbation_key"),
    (with_scaled_values, "negative values", "without scaling"),
    (without_cells, "empty", "at least one cell"),
]


@pytest.mark.parametrize(("change", "what", "mend"), CELLS, ids=lambda x: getattr(x, "__name__", None))
def test_cells_that_cannot_be_used_are_refused(change, what, mend, tmp_path):
    path = tmp_path / "bad.h5ad"
    change(screen()).write_h5ad(path)
    refused(call("run", path, "--out", tmp_path / "out"), what, mend)
    assert not (tmp_path / "out").exists()


OPTIONS = [
    (("--perturbation-key", "perturbatoin"), "perturbatoin", "Did you mean 'perturbation'"),
    (("--time-key", "hour"), "hour", "obs has"),
    (("--batch-key", "lanes"), "lanes", "obs has"),
    (("--medium-key", "niche"), "niche", "obs has"),
    (("--control", "untouched"), "untouched", "control"),
    (("--time-unit", "fortnights"), "fortnights", "days"),
    (("--edit-kind", "knockuot"), "knockuot", "knockout"),
    (("--experiments", "nowhere.tsv"), "nowhere.tsv", ""),
]


@pytest.mark.parametrize(("options", "what", "mend"), OPTIONS, ids=lambda x: x[0] if isinstance(x, tuple) else None)
def test_options_that_do_not_fit_the_file_are_refused(options, what, mend, good, tmp_path):
    refused(call("run", good, "--out", tmp_path / "out", *options), what, mend)
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named_with_its_neighbours(good, tmp_path):
    refused(call("fit", tmp_path / "god.h5ad", "--out", tmp_path / "out"), "god.h5ad: no such file", "good.h5ad")


def test_a_truncated_file_is_refused(good, tmp_path):
    (tmp_path / "cut.h5ad").write_bytes(good.read_bytes()[:4000])
    refused(call("run", tmp_path / "cut.h5ad", "--out", tmp_path / "out"), "truncated or of another format", "again")


def test_a_text_named_h5ad_is_refused(tmp_path):
    (tmp_path / "text.h5ad").write_text("gene\tvalue\n")
    refused(call("run", tmp_path / "text.h5ad", "--out", tmp_path / "out"), "not a readable .h5ad file")


def test_all_faults_are_told_at_once(tmp_path):
    path = tmp_path / "bad.h5ad"
    with_nan(with_same_genes(screen())).write_h5ad(path)
    refused(call("run", path, "--out", tmp_path / "out", "--time-unit", "fortnights"), "3 faults", "1. ", "2. ", "3. ")


SETTINGS = [
    ("n_stpes = 10", "unknown setting 'n_stpes'", "did you mean 'n_steps'"),
    ("n_steps = ", "cannot be read as TOML", "quick.toml"),
    ("n_steps = 0\nlearning_rate = -1", "2 faults", "must be above 0"),
    ("steady_state = 'sometimes'", "steady_state must be one of", "moment"),
    ("n_steps = 'many'", "a whole number", "many"),
]


@pytest.mark.parametrize(("text", "what", "mend"), SETTINGS)
def test_settings_that_cannot_be_used_are_refused(text, what, mend, good, tmp_path):
    (tmp_path / "quick.toml").write_text(text)
    refused(call("run", good, "--out", tmp_path / "out", "--config", tmp_path / "quick.toml"), what, mend)
    assert not (tmp_path / "out").exists()


PRIORS = [
    ("from\tto\nA\tB\n", "source", "columns source, target"),
    ("source\ttarget\nA\t\n", "no target", "remove such rows"),
    ("", "prior.tsv", "table of edges"),
]


@pytest.mark.parametrize(("text", "what", "mend"), PRIORS)
def test_a_prior_that_is_no_table_of_edges_is_refused(text, what, mend, good, tmp_path):
    (tmp_path / "prior.tsv").write_text(text)
    refused(call("run", good, "--out", tmp_path / "out", "--prior", tmp_path / "prior.tsv"), what, mend)
    assert not (tmp_path / "out").exists()


def test_faults_of_several_priors_are_told_at_once(good, tmp_path):
    (tmp_path / "one.tsv").write_text("from\tto\nA\tB\n")
    (tmp_path / "two.tsv").write_text("source\ttarget\tsign\nA\tB\tsideways\n")
    options = ("--prior", tmp_path / "one.tsv", "--prior", tmp_path / "two.tsv")
    refused(call("fit", good, "--out", tmp_path / "out", *options), "one.tsv", "two.tsv", "'sideways'")


def test_a_prior_of_unknown_use_is_refused(good, tmp_path, unchecked_types):
    (tmp_path / "prior.tsv").write_text("source\ttarget\nA\tB\n")
    options = ("--prior", tmp_path / "prior.tsv", "--prior-use", "hard")
    refused(call("fit", good, "--out", tmp_path / "out", *options), "'soft' or 'mask'", "'hard'")


def test_a_steady_state_loss_without_steady_cells_is_refused(tmp_path):
    path = tmp_path / "edited.h5ad"
    screen(perturbations=("A", "B", "C")).write_h5ad(path)
    (tmp_path / "quick.toml").write_text("steady_state = 'moment'")
    refused(call("fit", path, "--out", tmp_path / "out", "--config", tmp_path / "quick.toml"), "control")
    assert not (tmp_path / "out").exists()


def test_an_out_folder_that_is_a_file_is_refused(good, tmp_path):
    (tmp_path / "out").write_text("precious")
    done = call("run", good, "--out", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert "is a file" in done.err
    assert (tmp_path / "out").read_text() == "precious"


def test_a_model_folder_that_holds_something_else_is_left_alone(good, settings, tmp_path):
    (tmp_path / "out" / "model").mkdir(parents=True)
    (tmp_path / "out" / "model" / "precious.txt").write_text("precious")
    refused(call("fit", good, "--out", tmp_path / "out", "--config", settings), "not a saved model", "another place")
    assert [p.name for p in (tmp_path / "out" / "model").iterdir()] == ["precious.txt"]


def test_one_edit_at_one_time_cannot_be_held_out(tmp_path):
    path = tmp_path / "one.h5ad"
    screen(perturbations=("control", "A"), days=(2,)).write_h5ad(path)
    refused(call("run", path, "--out", tmp_path / "out"), "too few conditions", "semimech fit")
    assert not (tmp_path / "out").exists()


QUERIES = [
    ("edit NOBODY > wait 5d > harvest", "gene 'NOBODY' is neither measured nor edited", ""),
    ("edit A 70 > wait 3 > harvest", "2 faults", "^"),
    ("edit A crispri 70 > wait 3d > harvest", "efficacy must lie in [0, 1]", "0.7"),
    ("edit A > wait 3d", "harvest", ""),
    ("", "Query", ""),
]


@pytest.mark.parametrize(("query", "what", "mend"), QUERIES)
def test_queries_that_cannot_be_answered_are_refused(query, what, mend, finished, tmp_path):
    refused(call("predict", finished.folder, "--query", query, "--out", tmp_path / "p.h5ad"), what, mend)
    assert not list(tmp_path.iterdir())


def test_nothing_asked_is_an_error(finished, tmp_path):
    refused(call("predict", finished.folder, "--out", tmp_path / "p.h5ad"), "--query", "--experiments")


def test_experiments_that_cannot_be_read_are_refused_row_by_row(finished, tmp_path):
    write_experiments([parse_experiment("edit A > wait 5d > harvest", id="a")], tmp_path / "e.tsv")
    table = pd.read_csv(tmp_path / "e.tsv", sep="\t", dtype=str).replace({"knockout": "knockuot", "120.0": "long"})
    table.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    done = call("predict", finished.folder, "--experiments", tmp_path / "e.tsv", "--out", tmp_path / "p.h5ad")
    refused(done, "2 faults", "step 1", "knockuot", "step 2", "long")


@pytest.mark.parametrize("command", ["predict", "report"])
def test_a_folder_without_a_model_is_refused(command, tmp_path):
    options = ("--query", "wait 1d > harvest", "--out", tmp_path / "p.h5ad") if command == "predict" else ()
    refused(call(command, tmp_path, *options), str(tmp_path), "semimech run")


def test_a_damaged_model_is_refused(finished, tmp_path):
    for file in (finished.folder / "model").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "arrays.npz").write_bytes(b"PK\x03\x04 no archive")
    done = call("predict", tmp_path, "--query", "wait 1d > harvest", "--out", tmp_path / "p.h5ad")
    refused(done, "arrays.npz", "damaged")


@pytest.mark.parametrize(
    "options", [("--edits", "30"), ("--doubles", "99"), ("--preset", "somewhere")], ids=lambda options: options[0]
)
def test_a_screen_that_cannot_be_made_is_refused(options, tmp_path):
    done = call("simulate", "--genes", "20", *options, "--out", tmp_path / "s.h5ad")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments", [("fly",), ("run",), ("run", "x.h5ad", "--out", "y", "--folds", "1"), ("predict", "x", "--quer", "y")]
)
def test_a_command_that_is_no_command_tells_its_usage(arguments):
    done = call(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Usage" in done.err


def test_what_the_shell_sees_is_a_code_and_a_message(tmp_path):
    done = call_apart("run", "missing.h5ad", "--out", "out", folder=tmp_path)
    refused(done, "missing.h5ad: no such file")
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_error_that_is_ours_is_told_without_a_traceback_unless_wanted(good, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("semimech.data.examine", broken)
    done = call("check", good)
    assert (done.code, done.out) == (2, "")
    assert "unexpected RuntimeError: a bug" in done.err
    monkeypatch.setenv("SEMIMECH_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="a bug"):
        call("check", good)
