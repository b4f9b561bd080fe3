from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from small_data import condition, dataset
from small_screens import screen

from semimech._errors import DataError
from semimech.data import dataset_from_anndata, matched_minibatches
from semimech.design import Components, Request, allocate


def draw(data, *, n_steps=3, n_conditions=2, n_cells=7, n_controls=5, seed=0):
    return list(
        matched_minibatches(
            data,
            n_conditions=n_conditions,
            n_cells=n_cells,
            n_controls=n_controls,
            n_steps=n_steps,
            rng=np.random.default_rng(seed),
        )
    )


@hypothesis.given(
    seed=st.integers(0, 10_000),
    n_batch=st.integers(1, 4),
    differentiating=st.booleans(),
    n_cells=st.integers(1, 20),
    n_controls=st.integers(1, 20),
)
@hypothesis.settings(max_examples=25)
def test_every_allocated_control_is_a_control_of_the_same_batch(seed, n_batch, differentiating, n_cells, n_controls):
    adata = screen(batches=[f"b{i}" for i in range(n_batch)], n=4, seed=seed)
    data = dataset_from_anndata(adata, differentiating=differentiating)
    cells = data.cells
    for minibatch in draw(data, n_cells=n_cells, n_controls=n_controls, seed=seed):
        assert minibatch.cells.shape == (2, n_cells) and minibatch.controls.shape == (2, n_controls)
        for row, own, controls in zip(minibatch.conditions, minibatch.cells, minibatch.controls, strict=True):
            assert (cells.condition[own] == row).all() and not data.is_control[row]
            assert data.is_control[cells.condition[controls]].all()
            assert set(cells.batch[controls]) <= set(cells.batch[own])
            if differentiating:
                assert (data.hours[cells.condition[controls]] == data.hours[row]).all()


def test_controls_stand_in_the_batch_shares_of_the_cells_so_that_a_batch_effect_cancels():
    data = dataset_from_anndata(screen(batches=("b1", "b2", "b3"), n=30))
    effect = np.array([0.0, 10.0, -4.0])
    for minibatch in draw(data, n_cells=12, n_controls=12, n_conditions=6):
        difference = effect[data.cells.batch[minibatch.cells]].mean(1) - effect[
            data.cells.batch[minibatch.controls]
        ].mean(1)
        np.testing.assert_allclose(difference, 0, atol=1e-12)


def test_controls_that_are_not_asked_for_are_the_share_that_a_design_gives_an_edit_with_controls_of_its_own():
    data = dataset_from_anndata(screen(batches=("b1", "b2"), n=30))
    planned = allocate(Request(edits=("A",), n_batches=1, capacity=24.0, components=Components(cell=1.0))).layout.cells
    for minibatch in draw(data, n_cells=int(planned[1, 0]), n_controls=None):
        assert minibatch.controls.shape[1] == planned[0, 0]


def test_controls_of_a_changed_medium_are_matched_by_medium_and_time():
    adata = screen(batches=("base", "E6"), n=8)
    adata.obs = adata.obs.rename(columns={"batch": "medium"})
    data = dataset_from_anndata(adata)
    for minibatch in draw(data, n_conditions=6):
        for row, controls in zip(minibatch.conditions, minibatch.controls, strict=True):
            matched = [data.conditions[c] for c in data.cells.condition[controls]]
            assert {c.media for c in matched} == {data.conditions[row].media}
            if data.conditions[row].medium == "E6":
                assert {c.hours for c in matched} == {data.conditions[row].hours}


def test_each_condition_comes_once_before_any_comes_again():
    data = dataset_from_anndata(screen())
    seen = np.concatenate([m.conditions for m in draw(data, n_conditions=4, n_steps=3)])
    assert sorted(seen[:6]) == sorted(np.flatnonzero(~data.is_control)) == sorted(seen[6:])
    for minibatch in draw(data, n_conditions=4, n_steps=9):
        assert len(set(minibatch.conditions)) == 4


def test_cells_are_drawn_without_replacement_where_there_are_enough():
    data = dataset_from_anndata(screen(n=10))
    for minibatch in draw(data, n_cells=20):
        assert all(len(set(cells)) == 20 for cells in minibatch.cells)
    assert draw(data, n_cells=50)[0].cells.shape == (2, 50)


def test_the_same_generator_gives_the_same_minibatches():
    data = dataset_from_anndata(screen())
    for one, other in zip(draw(data, seed=5), draw(data, seed=5), strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
        np.testing.assert_array_equal(one.controls, other.controls)


def test_every_batch_without_controls_is_named_instead_of_guessed():
    adata = screen(batches=("b1", "b2", "b3"))
    keep = (adata.obs["batch"] == "b1") | (adata.obs["perturbation"] != "control")
    data = dataset_from_anndata(adata[keep.to_numpy()].copy())
    with pytest.raises(DataError, match="2 faults") as error:
        draw(data)
    assert "batch 1 has 36 edited cells" in str(error.value) and "batch 2" in str(error.value)


def test_a_data_set_of_means_has_no_minibatches():
    data = dataset([condition("control", 48), condition("A", 48)], np.zeros((2, 2)))
    with pytest.raises(DataError, match="has no cells"):
        draw(data)


@pytest.mark.parametrize("name", ["n_cells", "n_controls", "n_conditions"])
def test_sizes_below_one_are_wrong_arguments(name):
    with pytest.raises(ValueError, match=name):
        draw(dataset_from_anndata(screen()), **{name: 0})
