"""What a declaration of a cell system implies, and which declarations cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semimech._errors import DataError, ExperimentError
from semimech.data import CellSystem
from semimech.experiment import Compound, Dose, Edit, Experiment, Harvest, SetMedia, Wait

SYSTEM = CellSystem(maintenance_medium="base", media=("M",))


def history(*steps):
    return Experiment(id="x", steps=(*steps, Harvest())).conditions["harvest"]


def test_naming_the_maintenance_medium_changes_nothing():
    edit, wait = Edit(gene="A"), Wait(hours=24)
    assert SYSTEM.resolve(history(SetMedia(name="base"), edit, wait)) == history(edit, wait)
    back = history(SetMedia(name="M"), wait, SetMedia(name="base"), wait)
    assert SYSTEM.resolve(back).media == ("M", None)
    assert SYSTEM.resolve(history(wait, SetMedia(name="base"), wait)) == history(Wait(hours=48))
    assert SYSTEM.resolve(history(wait, SetMedia(name="base"))) == history(wait)


def test_doses_are_resolved_with_the_compounds_of_the_system():
    x = Compound(name="x", targets=("A",), ic50=2.0)
    system = replace(SYSTEM, compounds=(x,))
    found = system.resolve(history(SetMedia(name="base"), Dose(compound="x", concentration=2.0), Wait(hours=24)))
    assert found.edits == (Edit(gene="A", kind="drug", efficacy=0.5, compound="x"),)
    assert found.medium is None and system.resolve(found) == found
    with pytest.raises(ExperimentError, match="compound 'y' is not known; known: x"):
        system.resolve(history(Dose(compound="y", concentration=2.0), Wait(hours=24)))


def test_stationary_controls_match_all_times_and_others_their_own():
    still, moved = history(Wait(hours=24)), history(SetMedia(name="M"), Wait(hours=24))
    assert SYSTEM.comparison(still) == ((None,), None)
    assert SYSTEM.comparison(moved) == (("M",), (24,))
    assert CellSystem(is_differentiating=True).comparison(still) == ((None,), (24,))
    assert CellSystem(environment="in-vivo").comparison(still) == ((None,), (24,))


def test_an_edit_made_on_the_way_changes_no_comparison():
    edited = history(Wait(hours=24), SetMedia(name="M"), Wait(hours=10), Edit(gene="A"), Wait(hours=14))
    assert SYSTEM.comparison(edited) == (("M",), (24,))
    assert replace(SYSTEM, environment="in-vivo").comparison(edited) == ((None, "M"), (24, 24))


@pytest.mark.parametrize(
    ("declared", "start", "why"),
    [
        ({}, "settled", ""),
        ({"is_differentiating": True}, "learned", "declared differentiating"),
        ({"environment": "in-vivo"}, "learned", "transplantation breaks the stationarity"),
        ({"start": "observed"}, "observed", ""),
        ({"is_differentiating": True, "start": "observed"}, "observed", "declared differentiating"),
    ],
)
def test_where_unedited_cells_move_they_do_not_start_settled(declared, start, why):
    system = replace(SYSTEM, **declared)
    assert system.start_law == start
    assert system.is_stationary == (why == "")
    assert why in system.movement


def test_every_declaration_that_cannot_be_is_listed():
    with pytest.raises(DataError, match="6 faults") as error:
        CellSystem(
            genes=("A", "A"),
            maintenance_medium="M",
            media=("M", "N", "N"),
            environment="in-silico",
            start="somewhere",
            compounds=(Compound(name="x", targets=("A",), ic50=1.0), Compound(name="x", targets=("B",), ic50=1.0)),
        )
    for said in ("a gene stands twice", "M, N, N", "in-vitro or in-vivo", "settled, observed, learned", "one name: x"):
        assert said in str(error.value)


@pytest.mark.parametrize("declared", [{"is_differentiating": True}, {"environment": "in-vivo"}])
def test_moving_cells_cannot_be_declared_settled_at_the_start(declared):
    with pytest.raises(
        DataError, match="start='settled' cannot be: the system is declared.*Say 'observed' or 'learned'"
    ):
        CellSystem(start="settled", **declared)


def test_a_start_declared_observed_needs_unedited_cells_at_time_zero():
    system = replace(SYSTEM, start="observed")
    later, edited = history(Wait(hours=24)), history(Edit(gene="A"), Wait(hours=0))
    assert "needs unedited cells harvested at time 0" in system.start_fault([later, edited])
    assert system.start_fault([later, history(Wait(hours=0))]) == ""
    assert system.start_fault([later, history(SetMedia(name="M"))]) == ""
    assert SYSTEM.start_fault([later]) == ""


def test_further_compounds_are_known_unless_the_system_knows_them_otherwise():
    x, y = (Compound(name=name, targets=("A",), ic50=1.0) for name in "xy")
    system = replace(SYSTEM, compounds=(x,))
    assert system.with_compounds([x, y]).compounds == (x, y)
    with pytest.raises(ExperimentError, match="compound 'x' is known to act otherwise"):
        system.with_compounds([replace(x, ic50=2.0), y])
