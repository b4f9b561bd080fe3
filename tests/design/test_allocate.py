from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from semimech import ConfigError
from semimech.design import Components, Request, Yields, allocate, assign_blocks, effect_variance


def request(n_edits: int, n_batches: int, capacity, **keys) -> Request:
    keys = {"components": Components(cell=1.0)} | keys
    return Request(edits=tuple(f"e{i}" for i in range(n_edits)), n_batches=n_batches, capacity=capacity, **keys)


@pytest.mark.parametrize("n_edits", [4, 9, 16, 25, 100])
@pytest.mark.parametrize("interaction", [0.0, 0.05])
def test_controls_are_the_root_of_the_number_of_edits_times_the_cells_of_one(n_edits, interaction):
    share = 1 / (1 + np.sqrt(n_edits))
    cells = 60 * (n_edits + np.sqrt(n_edits))
    known = Components(cell=2.0, interaction=interaction)
    found = allocate(request(n_edits, 3, cells, components=known))
    assert found.layout.cells[0] == pytest.approx(share * found.layout.cells.sum(axis=0))
    assert found.rounding_loss == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("n_edits", [1, 10, 50])
def test_equal_allocation_inflates_the_variance_as_theory_says(n_edits):
    found = allocate(request(n_edits, 4, 20_000.0))
    theory = 2 * (n_edits + 1) / (1 + np.sqrt(n_edits)) ** 2
    assert found.versus_equal == pytest.approx(theory, rel=0.005)


@given(
    edits=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    room=st.lists(st.floats(20, 500), min_size=4, max_size=4),
    interaction=st.sampled_from([0.0, 0.01, 0.2]),
    edited_cell=st.sampled_from([1.0, 3.0]),
    filled=st.floats(0.1, 0.9),
)
def test_no_general_solver_finds_a_better_share_of_cells(edits, room, interaction, edited_cell, filled):
    n_batches = len(edits)
    k, capacity = np.array(edits), np.array(room[:n_batches])
    yields = Yields(
        edits=k,
        n_edits=20,
        capacity=capacity,
        edited_cell=edited_cell,
        control_cell=1.0,
        interaction=interaction,
    )
    n_cells = filled * capacity.sum()
    best = yields.for_cells(n_cells)
    assert best.sum() == pytest.approx(n_cells, rel=1e-6)

    def minus_information(cells: np.ndarray) -> float:
        x, y = np.split(np.maximum(cells, 1e-9), 2)
        return -float((k / 20 / (edited_cell / x + 1 / y + 2 * interaction)).sum())

    solved = minimize(
        minus_information,
        np.concatenate([n_cells / n_batches / (2 * k), np.full(n_batches, n_cells / n_batches / 2)]),
        method="SLSQP",
        bounds=[(1e-6, None)] * (2 * n_batches),
        constraints=[
            {"type": "ineq", "fun": lambda c: capacity - k * c[:n_batches] - c[n_batches:]},
            {"type": "ineq", "fun": lambda c: n_cells - (k * c[:n_batches] + c[n_batches:]).sum()},
        ],
        options={"maxiter": 500, "ftol": 1e-10},
    )
    assert yields.information(best) >= -solved.fun * (1 - 1e-4)
    if solved.success:
        assert yields.information(best) == pytest.approx(-solved.fun, rel=0.01)
    again = yields.for_information(yields.information(best))
    assert again.sum() == pytest.approx(n_cells, rel=1e-4)


@given(
    n_edits=st.integers(1, 40),
    n_batches=st.integers(1, 6),
    error=st.floats(0.15, 0.5),
    interaction=st.sampled_from([0.0, 0.01]),
    per_batch=st.integers(8, 40),
)
def test_every_effect_reaches_the_wanted_standard_error(n_edits, n_batches, error, interaction, per_batch):
    known = Components(cell=1.0, batch=0.2, interaction=interaction)
    asked = request(
        n_edits,
        n_batches,
        5000.0,
        components=known,
        standard_error=error,
        edits_per_batch=per_batch,
        cost_per_batch=10.0,
    )
    try:
        found = allocate(asked)
    except ConfigError as fault:
        assert "take more" in str(fault)
        return
    assert np.sqrt(effect_variance(found.layout, known).within).max() <= error * (1 + 1e-9)
    assert found.rounding_loss >= -1e-9
    assert (found.layout.cells.sum(axis=0) <= 5000).all()
    assert found.layout.cells[0].min() >= 1


@given(n_edits=st.integers(1, 30), n_batches=st.integers(1, 5), seed=st.integers(0, 99))
def test_no_design_of_as_many_cells_is_better_than_the_allocation(n_edits, n_batches, seed):
    rng = np.random.default_rng(seed)
    found = allocate(request(n_edits, n_batches, 3000.0))
    other = rng.dirichlet(np.full(n_edits + 1, 3.0), size=n_batches).T * 3000
    variance = (1 / (1 / (1 / other[1:] + 1 / other[0])).sum(axis=1)).max()
    assert found.variance.within.max() <= variance * (1 + found.rounding_loss) * (1 + 1e-9)
    assert found.rounding_loss < 0.05


def test_a_budget_is_kept_and_batches_that_cost_more_than_they_give_are_left_out():
    found = allocate(request(20, 10, 2000.0, budget=5000.0, cost_per_cell=0.5, cost_per_batch=700.0))
    assert found.cost <= 5000
    # Cells that are paid for and fit: 4000 in two batches, 5800 in three, 4400 in four.
    assert len(found.layout.batches) == 3
    assert 5800 - 3 <= found.layout.cells.sum() <= 5800  # whole cells in each of them
    others = [
        allocate(request(20, n, 2000.0, budget=5000.0, cost_per_cell=0.5, cost_per_batch=700.0)) for n in range(1, 8)
    ]
    assert found.standard_error <= min(other.standard_error for other in others) * (1 + 1e-9)


def test_seven_edits_in_seven_batches_of_three_form_the_projective_plane():
    stands = assign_blocks(7, [3] * 7)
    concurrence = stands.astype(int) @ stands.T.astype(int)
    assert (concurrence == 1 + 2 * np.eye(7, dtype=int)).all()


@given(n_edits=st.integers(1, 40), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_every_edit_stands_somewhere_and_no_batch_takes_more_than_it_holds(n_edits, sizes):
    room = np.minimum(sizes, n_edits)
    if room.sum() < n_edits:
        with pytest.raises(ConfigError, match="do not fit"):
            assign_blocks(n_edits, sizes)
        return
    stands = assign_blocks(n_edits, sizes)
    assert stands.any(axis=1).all()
    assert (stands.sum(axis=0) <= room).all()
    if len(set(sizes)) == 1:
        assert np.ptp(stands.sum(axis=1)) <= 1


def test_guides_put_into_every_effect_what_no_number_of_cells_takes_off():
    plain = allocate(request(9, 3, 600.0))
    found = allocate(request(9, 3, 600.0, guide=0.04, guides_per_edit=4))
    assert (found.layout.cells == plain.layout.cells).all()
    assert found.standard_error**2 == pytest.approx(plain.standard_error**2 + 0.01)
    wanted = allocate(request(9, 3, 6000.0, guide=0.04, guides_per_edit=4, standard_error=0.15))
    assert wanted.standard_error <= 0.15 and wanted.of_cells.within.max() == pytest.approx(0.15**2 - 0.01, rel=0.02)
    with pytest.raises(ConfigError, match="take 5 or more guides of each edit"):
        request(9, 3, 1e9, guide=0.04, guides_per_edit=4, standard_error=0.1)
    assert allocate(request(9, 3, 6000.0, guide=0.04, guides_per_edit=5, standard_error=0.1)).standard_error <= 0.1


def test_unusable_cells_are_paid_for_but_do_not_count():
    whole = allocate(request(9, 2, 1000.0))
    half = allocate(request(9, 2, 2000.0, usable_share=0.5))
    assert (whole.layout.cells == half.layout.cells).all()
    assert half.cost == pytest.approx(2 * whole.cost)
    assert (half.table["cells_to_load"] == 2 * half.table["cells"]).all()


def test_noisier_edited_cells_get_more_of_the_cells():
    found = allocate(request(16, 1, 10_000.0, edited_cell=4.0))
    controls, edited = found.layout.cells[0, 0], found.layout.cells[1, 0]
    assert controls / edited == pytest.approx(np.sqrt(16 / 4), rel=0.01)


def test_what_cannot_be_reached_says_what_would_do():
    with pytest.raises(ConfigError, match="all their cells give"):
        allocate(request(10, 2, 100.0, standard_error=0.01))
    with pytest.raises(ConfigError, match="places for 50 edits"):
        allocate(request(50, 2, 20.0, min_cells=10))
    with pytest.raises(ConfigError, match="budget of 5 does not pay"):
        allocate(request(5, 1, 100.0, budget=5.0, cost_per_batch=10.0))
    with pytest.raises(ConfigError, match="5 faults"):
        Request(
            edits=("a", "a", "control"),
            n_batches=2,
            capacity=(9.0,),
            components=Components(cell=1.0),
            min_cells=0,
            usable_share=2.0,
        )


def test_two_thousand_edits_in_fifty_batches_take_seconds():
    import time

    start = time.process_time()
    found = allocate(
        request(2000, 50, 10_000.0, components=Components(cell=1.0, batch=0.05, interaction=0.01), edits_per_batch=800)
    )
    assert found.standard_error < 0.1
    assert time.process_time() - start < 5
