from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from small_data import condition, dataset

from semimech._errors import DataError, ExperimentError
from semimech.data import Cells, CellSystem
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


def test_cells_that_recover_from_a_compound_are_no_stationary_controls():
    dosed, removed = (Dose(compound="x", concentration=c) for c in (1.0, 0.0))
    wait = Wait(hours=24)
    data = dataset([history(wait), history(dosed, wait, removed, wait)], np.array([[0.0], [3.0]]))
    assert data.is_control.tolist() == data.is_stationary_control.tolist() == [True, False]
    assert data.control_mean() == 0.0


def test_stationary_controls_match_all_times_and_others_their_own():
    still, moved = history(Wait(hours=24)), history(SetMedia(name="M"), Wait(hours=24))
    assert SYSTEM.comparison(still) == ((None,), None)
    assert SYSTEM.comparison(moved) == (("M",), 24)
    assert CellSystem(is_differentiating=True).comparison(still) == ((None,), 24)


def test_controls_of_all_times_are_one_reference_weighted_by_their_cells():
    conditions = [condition("control", 24), condition("control", 48), condition("A", 48)]
    data = replace(dataset(conditions, np.array([[0.0], [3.0], [9.0]])), n_cells=np.array([2, 1, 5]))
    assert data.control_mean() == 1 and data.matched_control(data.conditions[2]) == 1


def test_differentiating_cells_are_compared_with_controls_of_the_nearest_time():
    data = dataset(
        [condition("control", 24), condition("control", 48), condition("A", 40)],
        np.array([[0.0], [3.0], [9.0]]),
        differentiating=True,
    )
    assert data.matched_control(data.conditions[2]) == 3


def test_without_controls_the_reference_is_the_mean_of_all_rows():
    data = dataset([condition("A", 24), condition("B", 24)], np.array([[1.0], [3.0]]))
    assert data.control_mean() == 2 == data.matched_control(data.conditions[0])


def test_controls_of_another_medium_give_way_to_the_mean_of_controls():
    data = dataset([condition("control", 24), condition("A", 24, medium="M")], np.array([[1.0], [3.0]]), media=("M",))
    assert data.matched_control(data.conditions[1]) == 1


@pytest.mark.parametrize("values", [np.eye(3), sp.csr_matrix(np.eye(3))])
def test_a_subset_keeps_its_cells_and_their_batches(values):
    cells = Cells(values=values, condition=np.array([0, 1, 1]), batch=np.array([0, 0, 1]), batch_offset=np.ones((2, 3)))
    data = dataset([condition("control", 24), condition("A", 24)], np.zeros((2, 3)), cells=cells)
    kept = data.subset(np.array([False, True]))
    assert kept.perturbations == ("A",) and kept.cells.condition.tolist() == [0, 0]
    np.testing.assert_array_equal(kept.cells.take(np.arange(2)), np.eye(3)[1:] - 1)


def test_all_inconsistencies_are_listed():
    same = condition("A", 24, medium="M")
    with pytest.raises(DataError, match="3 faults"):
        dataset([same, same], np.full((2, 2), np.nan))
