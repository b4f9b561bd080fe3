from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.data import Cells
from semimech.experiment import Dose, Edit, Experiment, Harvest, SetMedia, Wait


def history(*steps):
    return Experiment(id="x", steps=(*steps, Harvest())).conditions["harvest"]


def test_cells_that_recover_from_a_compound_are_no_stationary_controls():
    dosed, removed = (Dose(compound="x", concentration=c) for c in (1.0, 0.0))
    wait = Wait(hours=24)
    data = dataset([history(wait), history(dosed, wait, removed, wait)], np.array([[0.0], [3.0]]))
    assert data.is_control.tolist() == data.is_stationary_control.tolist() == [True, False]
    assert data.control_mean() == 0.0


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


@pytest.mark.parametrize("declared", [{"is_differentiating": True}, {"environment": "in-vivo"}])
def test_moving_controls_are_matched_by_medium_and_time(declared):
    names = [("control", 24, None), ("control", 48, None), ("control", 24, "M"), ("control", 48, "M"), ("A", 48, "M")]
    conditions = [condition(p, t, medium=m) for p, t, m in names]
    data = dataset(conditions, np.array([[1.0], [2.0], [4.0], [8.0], [0.0]]), media=("M",))
    moving = replace(data, system=replace(data.system, **declared))
    wanted = {("A", 24, None): 1, ("A", 48, None): 2, ("A", 24, "M"): 4, ("A", 48, "M"): 8}
    for (p, t, m), mean in wanted.items():
        assert moving.matched_control(condition(p, t, medium=m)) == mean
    assert moving.matched_control(condition("A", 36, medium="M")) == 6  # both neighbours are as near
    pooled = [data.matched_control(condition("A", t)) for t in (24.0, 36.0, 48.0)]
    assert pooled == [1.5, 1.5, 1.5]


def test_without_controls_of_its_medium_a_moving_cell_is_compared_with_those_of_the_nearest_time():
    conditions = [condition("control", 24), condition("control", 48), condition("A", 48, medium="M")]
    data = dataset(conditions, np.array([[1.0], [2.0], [0.0]]), media=("M",), differentiating=True)
    assert data.matched_control(data.conditions[2]) == 2


def test_controls_that_changed_medium_at_the_same_moment_are_the_match():
    early = history(Wait(hours=12), SetMedia(name="M"), Wait(hours=36))
    late = history(Wait(hours=24), SetMedia(name="M"), Wait(hours=24))
    asked = history(Wait(hours=24), SetMedia(name="M"), Edit(gene="A"), Wait(hours=24))
    data = dataset([early, late, asked], np.array([[1.0], [2.0], [0.0]]), media=("M",))
    assert early.media == late.media == asked.media and early.hours == asked.hours
    assert data.matched_control(asked) == 2


def test_genes_other_than_those_declared_are_named():
    data = dataset([condition("A", 24)], np.zeros((1, 2)))
    assert replace(data, system=replace(data.system, genes=("G0", "G1"))).genes == ("G0", "G1")
    with pytest.raises(DataError, match=r"not those declared in the system \(missing: G7; new: G1\)"):
        replace(data, system=replace(data.system, genes=("G0", "G7")))
    with pytest.raises(DataError, match="in another order"):
        replace(data, system=replace(data.system, genes=("G1", "G0")))


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


def test_an_unknown_squared_error_is_the_median_of_the_genes_others_for_as_many_cells():
    error = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    data = dataset([condition(name, 24) for name in ("control", "A", "B")], np.zeros((3, 3)), standard_error=error)
    data = replace(data, n_cells=np.array([4, 2, 1]))
    # of one cell: 4 and 18 for the first gene, none for the second, 16 for the third; 16 of all
    np.testing.assert_allclose(data.known_variance, [[1.0, 4.0, 4.0], [9.0, 8.0, 8.0], [11.0, 16.0, 16.0]])
    np.testing.assert_array_equal(replace(data, standard_error=np.full((3, 3), np.nan)).known_variance, 0.0)
