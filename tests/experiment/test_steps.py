from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import pytest

from semimech._errors import ExperimentError
from semimech.experiment import CONTROL, Dose, Edit, Harvest, Passage, SetMedia, Transplant, Wait


@pytest.mark.parametrize("kind", ["knockout", "crispri", "drug"])
@pytest.mark.parametrize("efficacy", [-0.1, 1.01, 70, math.nan, math.inf])
def test_an_edit_that_removes_has_an_efficacy_between_0_and_1(kind, efficacy):
    with pytest.raises(ExperimentError, match=r"Edit of 'GATA1': efficacy must lie in \[0, 1\] .*efficacy=0.7"):
        Edit(gene="GATA1", kind=kind, efficacy=efficacy)


@pytest.mark.parametrize("efficacy", [-0.1, math.nan, math.inf])
def test_activation_may_add_any_finite_amount_of_production(efficacy):
    assert Edit(gene="GATA1", kind="crispra", efficacy=7.0).efficacy == 7.0
    with pytest.raises(ExperimentError, match=r"efficacy must lie in \[0, ∞\)"):
        Edit(gene="GATA1", kind="crispra", efficacy=efficacy)


@pytest.mark.parametrize("name", ["", " A", "A ", "A>B", "A\tB", "A\nB", "A\rB", 'A"B', "A\u2028B", "A\xa0B"])
def test_a_name_holds_no_character_that_parts_fields_in_text_or_tables(name):
    steps = [lambda: Edit(gene=name), lambda: SetMedia(name=name), lambda: Harvest(label=name)]
    steps += [lambda: Dose(compound=name, concentration=1.0), lambda: Transplant(founders=1, niche=name)]
    for step in steps:
        with pytest.raises(ExperimentError, match="must be a name without"):
            step()


def test_a_combination_is_written_as_one_edit_per_gene():
    with pytest.raises(ExperimentError, match="one Edit per gene"):
        Edit(gene="GATA1+TAL1")


def test_unedited_cells_are_no_edit():
    with pytest.raises(ExperimentError, match="name of unedited cells"):
        Edit(gene=CONTROL)


def test_an_edit_lists_all_its_faults_at_once():
    with pytest.raises(ExperimentError, match=r"(?s)2 faults.*1\. gene.*2\. efficacy"):
        Edit(gene="A+B", efficacy=2)


@pytest.mark.parametrize("hours", [-1e-9, -math.inf, math.nan])
def test_time_does_not_run_backwards(hours):
    with pytest.raises(ExperimentError, match="hours must be 0 or more"):
        Wait(hours=hours)


@hypothesis.given(st.floats(0, allow_nan=False))
def test_any_time_forwards_is_a_wait(hours):
    assert Wait(hours=hours).hours == hours


@pytest.mark.usefixtures("unchecked_types")
def test_an_unknown_kind_of_edit_is_refused_with_the_known_ones():
    with pytest.raises(ExperimentError, match="kind must be one of knockout, crispri, crispra, drug, got 'deletion'"):
        Edit(gene="GATA1", kind="deletion")


@pytest.mark.parametrize("field", ["onset_hours", "turnover_hours"])
@pytest.mark.parametrize("hours", [-1e-9, math.nan, math.inf])
def test_a_delay_is_a_finite_time_forwards(field, hours):
    with pytest.raises(ExperimentError, match=f"Edit of 'A': {field} must be a finite number of hours, 0 or more"):
        Edit(gene="A", **{field: hours})


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, 4, math.nan])
def test_a_passage_keeps_a_share_of_the_cells(fraction):
    with pytest.raises(ExperimentError, match=r"fraction must lie in \(0, 1\], got .*split of 1 to 4 is fraction=0.25"):
        Passage(fraction=fraction)
    assert Passage(fraction=1.0).fraction == 1.0


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("number", [0, -3, 2.5, True, "many"])
def test_cells_are_counted_in_whole_numbers_of_at_least_1(number):
    with pytest.raises(ExperimentError, match="founders must be a whole number of cells, 1 or more"):
        Transplant(founders=number, niche="kidney")
    with pytest.raises(ExperimentError, match="cells must be a whole number of cells, 1 or more"):
        Harvest(cells=number)


@pytest.mark.parametrize("name", ["a+b", CONTROL])
def test_a_compound_is_named_as_a_gene_is(name):
    with pytest.raises(ExperimentError, match="compound must have no"):
        Dose(compound=name, concentration=1.0)
