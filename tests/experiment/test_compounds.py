"""Doses, and what compounds do to their targets."""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import pytest

from semimech._errors import ExperimentError
from semimech.experiment import (
    Compound,
    Condition,
    Context,
    Dose,
    Edit,
    Experiment,
    Harvest,
    as_experiment,
    parse_experiment,
    resolve_doses,
)

TRAMETINIB = Compound(name="trametinib", targets=("MAP2K1", "MAP2K2"), ic50=0.5)
COBIMETINIB = Compound(name="cobimetinib", targets=("MAP2K1",), ic50=0.1, hill=2.0)
KNOWN = (TRAMETINIB, COBIMETINIB)
POSITIVE = st.floats(1e-6, 1e6)
HILLS = st.floats(0.2, 8)


def history(text: str) -> Condition:
    return list(parse_experiment(f"{text} > harvest").conditions.values())[-1]


def remaining(context: Context) -> dict[str, float]:
    """Activity that is left of each edited gene."""
    left: dict[str, float] = {}
    for edit in context.edits:
        left[edit.gene] = left.get(edit.gene, 1.0) * (1.0 - edit.efficacy)
    return left


@hypothesis.given(POSITIVE, HILLS)
def test_half_of_the_activity_is_left_at_the_ic50(ic50, hill):
    assert Compound(name="x", targets=("A",), ic50=ic50, hill=hill).efficacy(ic50) == 0.5


@hypothesis.given(POSITIVE, HILLS, POSITIVE, POSITIVE)
def test_more_of_a_compound_never_leaves_more_activity(ic50, hill, one, other):
    compound = Compound(name="x", targets=("A",), ic50=ic50, hill=hill)
    low, high = (compound.efficacy(c) for c in sorted((one, other)))
    assert 0.0 <= low <= high <= 1.0


@hypothesis.given(st.floats(1e-3, 1e3), st.floats(0.5, 4), st.floats(1e-3, 1e3))
def test_the_activity_left_is_the_hill_curve(ic50, hill, concentration):
    left = 1.0 - Compound(name="x", targets=("A",), ic50=ic50, hill=hill).efficacy(concentration)
    assert left == pytest.approx(1.0 / (1.0 + (concentration / ic50) ** hill), abs=1e-12)


@pytest.mark.parametrize(("concentration", "efficacy"), [(0.0, 0.0), (1e300, 1.0), (1e-300, 0.0)])
def test_extreme_concentrations_leave_all_or_nothing(concentration, efficacy):
    assert Compound(name="x", targets=("A",), ic50=1.0, hill=8.0).efficacy(concentration) == efficacy


def test_a_dose_acts_on_every_target_of_its_compound():
    found = resolve_doses(history("dose trametinib 0.5uM > wait 24h"), KNOWN)
    edits = tuple(Edit(gene=g, kind="drug", efficacy=0.5, compound="trametinib") for g in ("MAP2K1", "MAP2K2"))
    assert found.edits == edits
    assert found.perturbation == "trametinib"


@hypothesis.given(st.floats(0.01, 10), st.floats(0.01, 10))
def test_two_compounds_on_one_target_leave_the_product_of_what_each_leaves(first, second):
    steps = (Dose(compound="trametinib", concentration=first), Dose(compound="cobimetinib", concentration=second))
    condition = Experiment(id="e", steps=(*steps, Harvest())).conditions["harvest"]
    left = remaining(resolve_doses(condition, KNOWN).context)
    expected = (1 - TRAMETINIB.efficacy(first)) * (1 - COBIMETINIB.efficacy(second))
    assert left["MAP2K1"] == pytest.approx(expected, rel=1e-12)
    assert left["MAP2K2"] == 1 - TRAMETINIB.efficacy(first)


def test_a_compound_and_an_edit_of_its_target_leave_the_product():
    found = resolve_doses(history("edit MAP2K1 drug 0.5 > dose trametinib 0.5uM > wait 24h"), KNOWN)
    assert remaining(found.context)["MAP2K1"] == 0.25
    assert found.perturbation == "MAP2K1+trametinib"


@hypothesis.given(
    st.lists(
        st.sampled_from(
            [
                "edit A",
                "wait 24h",
                "medium M",
                "dose trametinib 0.5uM",
                "dose trametinib 0uM",
                "dose cobimetinib 20nM",
                "wait settled",
            ]
        ),
        unique_by=lambda step: "edit A" if step == "edit A" else object(),
        max_size=8,
    )
)
def test_a_resolved_condition_stays_as_it_is_and_leads_back_to_its_doses(steps):
    condition = history(" > ".join([*steps, "wait 1h"]))
    found = resolve_doses(condition, KNOWN)
    assert resolve_doses(found, KNOWN) == found
    assert as_experiment(found, id="again").conditions["harvest"] == condition
    assert [p.context.unresolved for p in found.history] == [()] * len(found.history)
    assert (found.perturbation, found.is_control) == (condition.perturbation, condition.is_control)


def test_a_condition_without_doses_is_resolved_already():
    condition = history("edit A > wait 24h")
    assert resolve_doses(condition, ()) is condition


def test_a_dose_lasts_until_the_next_one_of_the_same_compound():
    condition = history("dose x 1uM > wait 1h > dose y 2uM > wait 2h > dose x 0uM > wait 3h")
    assert [[(d.compound, d.concentration) for d in p.context.doses] for p in condition.history] == [
        [("x", 1.0)],
        [("x", 1.0), ("y", 2.0)],
        [("y", 2.0)],
    ]


@pytest.mark.parametrize("change", ["medium M", "transplant 500 M"])
def test_a_new_medium_washes_compounds_out(change):
    condition = history(f"dose x 1uM > wait 1h > {change} > wait 2h")
    assert condition.context == Context(medium="M")


def test_a_compound_washed_out_stays_in_the_name_and_its_cells_are_no_controls():
    condition = history("dose x 1uM > wait 24h > dose x 0uM > wait 24h")
    assert (condition.edits, condition.perturbation, condition.is_control) == ((), "x", False)
    never = history("dose x 0uM > wait 24h")
    assert (never.perturbation, never.is_control) == ("control", True)


def test_an_unknown_compound_is_named_with_the_known_ones():
    message = r"'aspirin' is not known; known: cobimetinib, trametinib\. Declare it as a Compound"
    with pytest.raises(ExperimentError, match=message):
        resolve_doses(history("dose aspirin 1uM > wait 24h"), KNOWN)
    with pytest.raises(ExperimentError, match="known: none"):
        resolve_doses(history("dose aspirin 1uM > wait 24h"), ())


def test_two_compounds_of_one_name_are_refused():
    with pytest.raises(ExperimentError, match="two compounds have one name"):
        resolve_doses(history("dose trametinib 1uM > wait 24h"), (TRAMETINIB, TRAMETINIB))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"targets": ()}, "no target"),
        ({"targets": ("A", "A")}, "a target stands twice"),
        ({"targets": ("A+B",)}, "one Edit per gene"),
        ({"ic50": 0.0}, "ic50 must be positive and finite, got 0"),
        ({"ic50": math.nan}, "ic50 must be positive"),
        ({"hill": -1.0}, "hill must be positive and finite, got -1"),
        ({"name": "a+b"}, r"must have no '\+'"),
        ({"name": "control"}, "not be 'control'"),
        ({"name": ""}, "must be a name"),
    ],
)
def test_a_compound_that_makes_no_sense_is_refused(bad, message):
    with pytest.raises(ExperimentError, match=message):
        Compound(**{"name": "x", "targets": ("A",), "ic50": 1.0} | bad)


@pytest.mark.parametrize("concentration", [-1.0, math.nan, math.inf])
def test_a_concentration_is_a_finite_number_of_at_least_0(concentration):
    with pytest.raises(ExperimentError, match="Dose of 'x': concentration must be a finite number of µM, 0 or more"):
        Dose(compound="x", concentration=concentration)


def test_a_context_has_one_concentration_of_each_compound():
    with pytest.raises(ExperimentError, match="compound 'x' has two concentrations"):
        Context(doses=(Dose(compound="x", concentration=1.0), Dose(compound="x", concentration=2.0)))


def test_an_experiment_doses_compounds_instead_of_naming_their_edits():
    edit = Edit(gene="A", kind="drug", compound="x")
    with pytest.raises(ExperimentError, match="acts through 'x': write a Dose of it instead"):
        Experiment(id="e", steps=(edit, Harvest()))
    with pytest.raises(ExperimentError, match="an edit of kind 'knockout' acts through no compound"):
        Edit(gene="A", compound="x")
