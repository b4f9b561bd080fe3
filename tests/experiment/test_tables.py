from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from strategies import EXPERIMENTS

from semimech._errors import ConfigError, ExperimentError
from semimech.experiment import (
    experiments_from_table,
    experiments_to_table,
    parse_experiment,
    read_experiments,
    write_experiments,
)

MANY = st.lists(EXPERIMENTS, min_size=1, max_size=4, unique_by=lambda experiment: experiment.id)
ONE = parse_experiment(
    "edit GATA1 crispri 0.8 > wait 3d > harvest day3 > medium EPO > wait settled > harvest", id="one"
)


def rows(**changes):
    return experiments_to_table([ONE]).assign(**changes)


@hypothesis.given(MANY)
def test_experiments_survive_their_table(experiments):
    assert experiments_from_table(experiments_to_table(experiments)) == tuple(experiments)


@hypothesis.given(MANY)
def test_experiments_survive_their_file(tmp_path_factory, experiments):
    path = tmp_path_factory.mktemp("tables") / "experiments.tsv"
    write_experiments(experiments, path)
    assert read_experiments(path) == tuple(experiments)
    assert [p.name for p in path.parent.iterdir()] == ["experiments.tsv"]


@hypothesis.given(st.permutations(range(6)))
def test_steps_follow_their_numbers_not_their_rows(order):
    assert experiments_from_table(rows().iloc[list(order)]) == (ONE,)


def test_numbers_missing_values_and_categories_are_read_as_their_text():
    table = pd.DataFrame(
        {
            "experiment": pd.Categorical(["a", "a", "a"]),
            "step": [1, 2, 3],
            "kind": pd.Categorical(["knockout", "wait", "harvest"]),
            "target": pd.Categorical(["GATA1", None, None]),
            "hours": [np.nan, 72.0, np.nan],
        }
    )
    assert experiments_from_table(table) == (parse_experiment("edit GATA1 > wait 3d > harvest", id="a"),)


def test_a_file_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "experiments.tsv"
    text = rows().to_csv(sep="\t", index=False, lineterminator="\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_experiments(path) == (ONE,)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("kind", 0, "deletion", "step 1: unknown kind 'deletion'; known: knockout, .*, harvest"),
        ("target", 0, "", "step 1: Edit of '': gene must be a name"),
        ("value", 0, "most", "step 1: value must be a number, got 'most'"),
        ("value", 0, "80", r"step 1: .*efficacy must lie in \[0, 1\]"),
        ("unit", 0, "percent", "step 1: the unit of an edit's value is 'fraction', got 'percent'"),
        ("hours", 1, "", "step 2: hours must be a number, got ''"),
        ("hours", 1, "three", "step 2: hours must be a number, got 'three'"),
        ("hours", 2, "72", "step 3: a row of kind 'harvest' has no hours, got '72': add a row of kind 'wait'"),
        ("label", 3, "x", "step 4: a row of kind 'medium' has no label, got 'x': leave the cell empty"),
        ("step", 4, "x", "step x: step must be a number"),
        ("step", 4, "", r"step \(none\): step must be a number"),
        ("step", 4, "nan", "step nan: step must be a number"),
        ("step", 4, "4", "step 4: the number stands twice"),
    ],
)
def test_a_fault_is_reported_with_its_row_and_its_mend(column, row, value, message):
    table = rows()
    table.loc[row, column] = value
    with pytest.raises(ExperimentError, match=f"experiment 'one', {message}"):
        experiments_from_table(table)


def test_all_faults_of_a_table_are_listed_at_once():
    table = pd.concat([rows(experiment="a"), rows(experiment="b"), rows(experiment="c")[:-3]], ignore_index=True)
    table.loc[0, "kind"] = "deletion"
    table.loc[7, "hours"] = "-3"
    table = table.drop(index=14)
    with pytest.raises(ExperimentError, match=r"(?s)3 faults.*'a', step 1.*'b', step 2.*'c': no harvest"):
        experiments_from_table(table)


def test_missing_and_unknown_columns_are_listed_at_once():
    with pytest.raises(ExperimentError, match=r"(?s)unknown column 'action'.*column 'kind' is missing"):
        experiments_from_table(rows().rename(columns={"kind": "action"}))


def test_a_table_without_rows_is_refused():
    with pytest.raises(ExperimentError, match="no row"):
        experiments_from_table(rows()[:0])


def test_a_row_without_experiment_is_refused():
    with pytest.raises(ExperimentError, match="id must be a name"):
        experiments_from_table(rows(experiment=""))


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00\x81", b"a\tb\nc\td\te\n"])
def test_a_file_that_is_no_table_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "experiments.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExperimentError, match="experiments.tsv: .*cannot be read|experiments.tsv: .*faults"):
        read_experiments(path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "experiments.tsv"
    write_experiments([ONE], path)

    def broken():
        yield ONE
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_experiments(broken(), path)
    assert read_experiments(path) == (ONE,)
    assert [p.name for p in tmp_path.iterdir()] == ["experiments.tsv"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written .*; name another place"):
        write_experiments([ONE], tmp_path / "file" / "experiments.tsv")
