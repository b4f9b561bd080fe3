"""Doses in a column of obs, and compounds in a table beside it."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from small_screens import screen

from semimech._errors import DataError
from semimech.data import check, dataset_from_anndata
from semimech.data.doses import parse_dose
from semimech.experiment import Compound, parse_experiment, write_compounds

INHIBITOR = Compound(name="inhibitor", targets=("A", "B"), ic50=2.0)


def condition(text):
    return next(iter(parse_experiment(text).conditions.values()))


def treated(doses, perturbations=("control", "inhibitor", "C")):
    """A screen whose cells take the given doses in turn; those of controls are left empty."""
    data = screen(perturbations=perturbations)
    data.obs["dose_value"] = np.resize(doses, data.n_obs)
    data.obs.loc[data.obs["perturbation"] == "control", "dose_value"] = np.nan
    return data


@hypothesis.given(st.floats(0, 1e6), st.sampled_from([("", 1.0), ("uM", 1.0), (" nM", 1e-3), ("mM", 1e3)]))
def test_a_dose_is_a_number_of_micromoles_per_litre_or_has_its_unit(number, unit):
    assert parse_dose(f"{number!r}{unit[0]}") == pytest.approx(number * unit[1])


@pytest.mark.parametrize("text", ["", "high", "nM", "-1", "1 mg", "nan", "inf"])
def test_other_texts_are_no_doses(text):
    with pytest.raises(ValueError, match="is no dose"):
        parse_dose(text)


@pytest.mark.parametrize("as_text", [False, True])
def test_each_dose_of_a_compound_is_a_condition_in_which_its_targets_are_inhibited(as_text):
    data = treated(["2", "500nM"] if as_text else [2.0, 0.5])
    found = dataset_from_anndata(data, compounds=[INHIBITOR])
    half = found.system.resolve(condition("dose inhibitor 2uM > wait 2d > harvest"))
    weak = found.system.resolve(condition("dose inhibitor 0.5uM > wait 2d > harvest"))
    assert found.n_cells[found.index[half]] == found.n_cells[found.index[weak]] == 6
    assert [(e.gene, e.efficacy, e.compound) for e in half.edits] == [("A", 0.5, "inhibitor"), ("B", 0.5, "inhibitor")]
    assert [e.efficacy for e in weak.edits] == [pytest.approx(0.2)] * 2
    assert found.n_cells[found.index[condition("edit C > wait 2d > harvest")]] == 12
    assert found.n_cells[found.index[condition("wait 2d > harvest")]] == 12
    assert found.system.compounds == (INHIBITOR,)


def test_a_dose_of_zero_is_no_treatment():
    found = dataset_from_anndata(treated([0.0, 2.0]), compounds=[INHIBITOR])
    assert found.n_cells[found.index[condition("wait 2d > harvest")]] == 18


def test_a_compound_beside_an_edit_takes_the_dose():
    found = dataset_from_anndata(treated([2.0], ("control", "C+inhibitor")), compounds=[INHIBITOR])
    both = found.system.resolve(condition("edit C > dose inhibitor 2uM > wait 2d > harvest"))
    assert both in found.index and both.perturbation == "C+inhibitor"


def test_a_table_of_compounds_is_read_from_its_path(tmp_path):
    write_compounds([INHIBITOR], tmp_path / "compounds.tsv")
    found = dataset_from_anndata(treated([2.0]), compounds=tmp_path / "compounds.tsv")
    assert found.conditions == dataset_from_anndata(treated([2.0]), compounds=[INHIBITOR]).conditions


def test_what_is_wrong_with_doses_and_compounds_is_told(tmp_path):
    def fault(data, compounds=(INHIBITOR,)):
        with pytest.raises(DataError) as error:
            dataset_from_anndata(data, compounds=compounds)
        return str(error.value)

    other = Compound(name="other", targets=("C",), ic50=1.0)
    assert "no label of a perturbation names one of the compounds" in fault(screen())
    assert "obs has no column of doses" in fault(screen(perturbations=("control", "inhibitor")))
    assert "values that are no doses: high" in fault(treated(["high", "2"]))
    pair = treated([1.0], ("control", "inhibitor+other"))
    assert "cannot tell those of several compounds: inhibitor+other" in fault(pair, (INHIBITOR, other))
    assert "two compounds have one name: inhibitor" in fault(treated([2.0]), (INHIBITOR, INHIBITOR))
    (tmp_path / "compounds.tsv").write_text("compound\ttargets\tic50\ninhibitor\tA\thalf\n")
    assert "row 1, compound 'inhibitor': ic50 must be a number" in fault(treated([2.0]), tmp_path / "compounds.tsv")
    table = check(treated([2.0]), compounds=tmp_path / "compounds.tsv")
    assert table.loc[table["severity"] == "fail", "check"].tolist() == ["compounds table"]
