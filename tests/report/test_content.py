"""A report refuses tables that lack columns, all at once."""

from __future__ import annotations

import pandas as pd
import pytest
import report_example as example

from semimech._errors import DataError


@pytest.fixture(scope="module")
def data():
    return example.dataset(n_genes=12, n_edits=3, has_cells=False)


def test_every_table_that_lacks_a_column_is_named(data):
    broken = {
        "history": example.history().drop(columns="term"),
        "network": example.network(data).drop(columns=["source", "weight"]),
    }
    with pytest.raises(
        DataError, match=r"2 faults[\s\S]*history lacks the columns \['term'\][\s\S]*'source', 'weight'"
    ):
        example.content(dataset=data, **broken)


def test_empty_tables_need_no_columns(data):
    assert example.content(dataset=data, network=pd.DataFrame()).network.empty


def test_the_main_model_is_the_first_of_the_comparisons_unless_named(data):
    assert example.content(dataset=data, models=()).model_names == (example.MODEL,)
    assert example.content(dataset=data).model_names == (example.MODEL, "Neural ODE")
