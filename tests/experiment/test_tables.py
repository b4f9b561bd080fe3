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


ALL = parse_experiment(
    "edit A crispri 0.8 onset 12h turnover 8h > dose X 0.5uM > medium M > passage 0.25 > transplant 500 N > harvest h 9cells",
    id="all",
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


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("onset_hours", 0, "late", "step 1: onset_hours must be a number, got 'late'"),
        ("turnover_hours", 0, "-1", "step 1: .*turnover_hours must be a finite number of hours"),
        ("onset_hours", 1, "2", "step 2: a row of kind 'dose' has no onset_hours, got '2': leave the cell empty"),
        ("value", 1, "", "step 2: value must be a number, got ''"),
        ("unit", 1, "mg", "step 2: the unit of a dose's value is 'uM' or .*, got 'mg'"),
        ("value", 3, "0", r"step 4: .*fraction must lie in \(0, 1\]"),
        ("unit", 3, "cells", "step 4: the unit of a passage's value is 'fraction', got 'cells'"),
        ("value", 4, "2.5", "step 5: value must be a whole number of cells, got '2.5'"),
        ("value", 4, "", "step 5: value must be a number, got ''"),
        ("target", 4, "", "step 5: Transplant: niche must be a name"),
        ("value", 5, "0", "step 6: .*cells must be a whole number of cells, 1 or more"),
        ("unit", 5, "mg", "step 6: the unit of a harvest's value is 'cells', got 'mg'"),
    ],
)
def test_a_fault_of_a_later_kind_of_row_is_reported_with_its_row_and_its_mend(column, row, value, message):
    table = experiments_to_table([ALL])
    table.loc[row, column] = value
    with pytest.raises(ExperimentError, match=f"experiment 'all', {message}"):
        experiments_from_table(table)


def test_delays_have_columns_only_where_an_edit_has_them():
    plain = ["experiment", "step", "kind", "target", "value", "unit", "hours", "label"]
    assert list(experiments_to_table([ONE])) == plain
    assert list(experiments_to_table([ONE, ALL])) == [*plain, "onset_hours", "turnover_hours"]
    onset = parse_experiment("edit A onset 12h > wait 24h > harvest", id="onset")
    assert list(experiments_to_table([onset])) == [*plain, "onset_hours"]
    assert experiments_from_table(experiments_to_table([onset])) == (onset,)


def test_doses_and_counts_are_read_as_a_spreadsheet_writes_them():
    table = experiments_to_table([ALL])
    table.loc[1, ["value", "unit"]] = ["500", "nM"]
    table.loc[4, ["value", "unit"]] = ["500.0", ""]
    assert experiments_from_table(table) == (ALL,)


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
