from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semimech.data.schema import FIELDS, field, find_column, missing_values, plain, unusable_values

OBS = [f for f in FIELDS if f.place == "obs"]


def test_no_name_stands_for_two_fields_of_one_place():
    for place in {f.place for f in FIELDS}:
        names = [plain(name) for f in FIELDS if f.place == place for name in set(map(plain, f.names))]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("row", OBS, ids=lambda row: row.name)
def test_every_alias_is_recognised_in_any_case(row):
    for alias in row.names:
        for written in (alias, alias.upper(), alias.replace("_", "."), alias.replace("_", " ").title()):
            obs = pd.DataFrame({"other": ["x"], written: ["y"]})
            assert find_column(obs, row.name, None, argument="key") == (written, ())


def test_the_preferred_name_wins():
    obs = pd.DataFrame({"guide": ["A_1"], "gene": ["A"], "perturbation": ["A"]})
    assert find_column(obs, "perturbation", None, argument="perturbation_key")[0] == "perturbation"


def test_a_misspelt_key_brings_a_suggestion_and_the_columns():
    obs = pd.DataFrame({"perturbation": ["A"], "lane": ["1"]})
    column, faults = find_column(obs, "perturbation", "pertubation", argument="perturbation_key")
    assert column is None
    assert "Did you mean 'perturbation'?" in faults[0].fault and "lane" in faults[0].fault


def test_a_column_that_stands_twice_is_refused():
    obs = pd.DataFrame([["A", "B"]], columns=["gene", "gene"])
    assert "2 columns" in find_column(obs, "perturbation", None, argument="perturbation_key")[1][0].fault


def test_missing_values_are_counted_with_their_cells():
    assert "of 2 cells" in missing_values(pd.Series(["A", None, " "], index=["c1", "c2", "c3"], name="gene"))
    assert missing_values(pd.Series(["A"], name="gene")) == ""


def test_unusable_values_are_counted_by_kind():
    assert unusable_values(np.array([1.0, np.nan, np.inf, -1])) == "2 NaN or infinite values and 1 negative value"
    assert unusable_values(np.array([0.0, 1.0])) == ""


def test_an_unknown_field_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match="perturbation"):
        field("obs", "colour")
