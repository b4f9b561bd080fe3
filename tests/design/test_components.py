from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from semimech import ConfigError, DataError
from semimech.design import Groups, estimate_components, pool_groups

UNBALANCED = np.array([[9, 4, 0, 12], [3, 8, 5, 0], [0, 6, 2, 7], [1, 1, 10, 3]])


def cells_of(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Condition and batch of each cell."""
    k, b = np.nonzero(table)
    return np.repeat(k, table[k, b]), np.repeat(b, table[k, b])


def draw(table, rng, *, n_genes, cell=1.0, batch=0.0, interaction=0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of a world with known components, every gene drawn anew."""
    k, b = cells_of(table)
    values = 3 * np.arange(len(table))[k, None] + np.sqrt(batch) * rng.normal(size=(table.shape[1], n_genes))[b]
    values = values + (np.sqrt(interaction) * rng.normal(size=(*table.shape, n_genes)))[k, b]
    return values + np.sqrt(cell) * rng.normal(size=(len(k), n_genes)), k, b


def pooled(values, k, b, table) -> Groups:
    return pool_groups(values, condition=k, batch=b, n_conditions=table.shape[0], n_batches=table.shape[1])


def names(n: int) -> tuple[str, ...]:
    return tuple(f"g{i}" for i in range(n))


def test_balanced_estimates_are_the_mean_squares_of_the_two_way_table():
    table = np.full((4, 3), 5)
    values, k, b = draw(table, np.random.default_rng(1), n_genes=200, batch=0.5, interaction=0.3)
    found = estimate_components(pooled(values, k, b, table), names(200)).table
    cube = values.reshape(4, 3, 5, 200)
    mean = cube.mean(axis=2)
    ms_cell = cube.var(axis=2, ddof=1).mean(axis=(0, 1))
    by_batch = mean.mean(axis=0)
    left = mean - mean.mean(axis=1, keepdims=True) - by_batch + mean.mean(axis=(0, 1))
    ms_both = 5 * (left**2).sum(axis=(0, 1)) / (3 * 2)
    ms_batch = 5 * 4 * by_batch.var(axis=0, ddof=1)
    assert found["cell"].to_numpy() == pytest.approx(ms_cell)
    assert found["interaction"].to_numpy() == pytest.approx(np.maximum((ms_both - ms_cell) / 5, 0), abs=1e-9)
    assert found["batch"].to_numpy() == pytest.approx(np.maximum((ms_batch - ms_both) / 20, 0), abs=1e-9)


def test_unbalanced_sums_of_squares_are_those_of_least_squares_on_the_cells():
    table = UNBALANCED
    values, k, b = draw(table, np.random.default_rng(2), n_genes=3, batch=4.0, interaction=2.0)
    found = estimate_components(pooled(values, k, b, table), names(3)).table

    def projection(design: np.ndarray) -> np.ndarray:
        return design @ np.linalg.pinv(design)

    one_row, one_column, one_group = np.eye(4)[k], np.eye(4)[b], np.eye(16)[4 * k + b]
    additive = projection(np.hstack([one_row, one_column]))
    full, rows = projection(one_group), projection(one_row)
    identity = np.eye(len(k))
    forms = [identity - full, full - additive, additive - rows]
    parts = [identity, one_group @ one_group.T, one_column @ one_column.T]
    expected = np.array([[np.trace(form @ part) for part in parts] for form in forms])
    sums = np.array([np.einsum("ig,ij,jg->g", values, form, values) for form in forms])
    cell, interaction, batch = np.linalg.solve(expected, sums)
    assert found["cell"].to_numpy() == pytest.approx(cell)
    assert found["interaction"].to_numpy() == pytest.approx(np.maximum(interaction, 0))
    assert found["batch"].to_numpy() == pytest.approx(np.maximum(batch, 0))


@pytest.mark.parametrize(("cell", "batch", "interaction"), [(1.0, 0.2, 0.1), (1.0, 0.05, 0.02), (2.0, 1.0, 0.0)])
def test_components_are_recovered_and_intervals_cover(cell, batch, interaction):
    rng = np.random.default_rng(4)
    table = rng.integers(0, 60, size=(25, 10))
    values, k, b = draw(table, rng, n_genes=600, cell=cell, batch=batch, interaction=interaction)
    found = estimate_components(pooled(values, k, b, table), names(600))
    truth = {"cell": cell, "batch": batch, "interaction": interaction}
    assert found.typical.cell == pytest.approx(cell, rel=0.02)
    assert found.typical.batch == pytest.approx(batch, rel=0.1)
    assert found.typical.interaction == pytest.approx(interaction, rel=0.1, abs=0.003)
    for name, value in truth.items():
        covered = (found.table[f"{name}_lower"] <= value) & (value <= found.table[f"{name}_upper"])
        if value > 0:
            assert 0.85 <= covered.mean() <= 0.95
        else:
            assert covered.mean() >= 0.9


def test_the_interval_of_the_variance_of_cells_holds_for_counts_too():
    rng = np.random.default_rng(5)
    table = np.full((12, 6), 30)
    k, b = cells_of(table)
    values = rng.negative_binomial(0.5, 0.5 / (0.5 + 1.0), size=(len(k), 500)).astype(float)
    found = estimate_components(pooled(values, k, b, table), names(500)).table
    truth = 1.0 + 1.0 / 0.5
    assert 0.85 <= ((found["cell_lower"] <= truth) & (truth <= found["cell_upper"])).mean() <= 0.95


def test_sparse_and_dense_cells_in_any_order_give_the_same_and_left_out_cells_do_not_count():
    table = UNBALANCED
    values, k, b = draw(table, np.random.default_rng(6), n_genes=4)
    values[values < 1] = 0
    whole = pooled(values, k, b, table)
    order = np.random.default_rng(7).permutation(len(k))
    other = pooled(sp.csr_matrix(values[order]), k[order], b[order], table)
    assert other.mean == pytest.approx(whole.mean) and other.scatter == pytest.approx(whole.scatter)
    added = pooled(np.vstack([values, 100 + values]), np.append(k, np.full(len(k), -1)), np.append(b, b), table)
    assert added.mean == pytest.approx(whole.mean) and (added.cells == whole.cells).all()


def test_the_variance_of_cells_is_also_told_condition_by_condition():
    table = np.array([[6, 9], [1, 1], [4, 0]])
    values, k, b = draw(table, np.random.default_rng(10), n_genes=3)
    own = pooled(values, k, b, table).cell_variance()
    first = [values[(k == 0) & (b == batch)] for batch in (0, 1)]
    assert own[0] == pytest.approx(sum(len(x) * x.var(axis=0) for x in first) / 13)
    assert np.isnan(own[1]).all()
    assert own[2] == pytest.approx(values[k == 2].var(axis=0, ddof=1))


def test_what_an_allocation_cannot_tell_is_not_a_number():
    one_batch = np.array([[10], [12]])
    values, k, b = draw(one_batch, np.random.default_rng(8), n_genes=3)
    table = estimate_components(pooled(values, k, b, one_batch), names(3)).table
    assert table["cell"].notna().all()
    assert table[["batch", "batch_upper", "interaction", "interaction_lower"]].isna().all(axis=None)
    confounded = np.array([[10, 0], [0, 12]])
    values, k, b = draw(confounded, np.random.default_rng(8), n_genes=3)
    assert estimate_components(pooled(values, k, b, confounded), names(3)).table["batch"].isna().all()


def test_cells_that_tell_no_variance_are_an_error_in_words():
    single = np.array([[1, 1]])
    values, k, b = draw(single, np.random.default_rng(9), n_genes=2)
    with pytest.raises(ConfigError, match="no condition has two cells"):
        estimate_components(pooled(values, k, b, single), names(2))
    with pytest.raises(ConfigError, match="no gene varies"):
        estimate_components(pooled(np.ones((4, 2)), np.zeros(4, int), np.array([0, 0, 1, 1]), single), names(2))
    with pytest.raises(DataError, match="no cells"):
        pooled(np.ones((4, 2)), np.full(4, -1), np.zeros(4, int), single)
