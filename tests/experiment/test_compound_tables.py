"""Compounds written as a table and read back."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pandas as pd
import pytest

from semimech._errors import ConfigError, ExperimentError
from semimech.experiment import Compound, compounds_from_table, compounds_to_table, read_compounds, write_compounds

POSITIVE = st.floats(1e-9, 1e9)
GENES = st.lists(st.sampled_from(["MAP2K1", "MAP2K2", "BRAF", "nan", "NA"]), min_size=1, max_size=4, unique=True)
COMPOUNDS = st.lists(
    st.builds(
        Compound,
        name=st.sampled_from(["trametinib", "NA", "1e3", "µ-opioid", "a b"]),
        targets=GENES.map(tuple),
        ic50=POSITIVE,
        hill=POSITIVE,
    ),
    min_size=1,
    unique_by=lambda compound: compound.name,
).map(tuple)


@hypothesis.given(COMPOUNDS)
def test_what_is_written_is_read_back(tmp_path_factory, compounds):
    path = tmp_path_factory.mktemp("compounds") / "compounds.tsv"
    write_compounds(compounds, path)
    assert read_compounds(path) == compounds
    assert compounds_from_table(compounds_to_table(compounds)) == compounds


def test_units_are_converted_and_empty_cells_have_their_defaults(tmp_path):
    path = tmp_path / "compounds.tsv"
    path.write_text("compound\ttargets\tic50\tunit\thill\nx\tA + B\t250\tnM\t\ny\tC\t2\t\t1.5\n", encoding="utf-8")
    assert read_compounds(path) == (
        Compound(name="x", targets=("A", "B"), ic50=0.25),
        Compound(name="y", targets=("C",), ic50=2.0, hill=1.5),
    )
    short = pd.DataFrame({"compound": ["x"], "targets": ["A"], "ic50": [3]})
    assert compounds_from_table(short) == (Compound(name="x", targets=("A",), ic50=3.0),)


def test_every_row_that_cannot_be_read_is_named():
    rows = [
        ("x", "A", "half", "uM", "steep"),
        ("y", "", "1", "", ""),
        ("z", "A+A", "-1", "", ""),
        ("w", "A", "1", "mg", ""),
        ("v", "A", "1", "", ""),
        ("v", "B", "1", "", ""),
    ]
    table = pd.DataFrame(rows, columns=["compound", "targets", "ic50", "unit", "hill"])
    with pytest.raises(ExperimentError, match="my table: 5 faults") as error:
        compounds_from_table(table, source="my table")
    for said in (
        "row 1, compound 'x': ic50 must be a number, got 'half'; hill must be a number, got 'steep'",
        "row 2: Compound 'y': no target",
        "a target stands twice: A, A",
        "ic50 must be positive and finite, got -1",
        "row 4, compound 'w': unit must be uM, nM or mM, got 'mg'",
        "row 6: compound 'v' stands twice",
    ):
        assert said in str(error.value)


def test_columns_that_are_missing_or_unknown_are_named():
    with pytest.raises(ExperimentError, match="3 faults") as error:
        compounds_from_table(pd.DataFrame({"compound": ["x"], "target": ["A"]}))
    for said in ("unknown column 'target'", "column 'targets' is missing", "column 'ic50' is missing"):
        assert said in str(error.value)
    with pytest.raises(ExperimentError, match="no row"):
        compounds_from_table(pd.DataFrame({"compound": [], "targets": [], "ic50": []}))


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(ExperimentError, match=r"none\.tsv: cannot be read as a tab-separated table"):
        read_compounds(tmp_path / "none.tsv")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_compounds([], tmp_path / "file" / "compounds.tsv")
