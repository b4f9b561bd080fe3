from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semimech import DataError
from semimech.design import Components, Layout, effect_variance, estimate_effects

ESTIMATORS = ("naive", "within", "gls")
DESIGNS = {
    "balanced": [[20, 20, 20], [20, 20, 20], [20, 20, 20]],
    "unbalanced": [[40, 5, 60], [30, 1, 0], [0, 10, 50]],
    "batch without controls": [[30, 0, 40], [20, 25, 5], [10, 30, 0]],
}


def layout_of(cells) -> Layout:
    """The first row are the controls of all others."""
    cells = np.asarray(cells)
    names = ("control", *(f"edit {i}" for i in range(1, len(cells))))
    return Layout(
        conditions=names,
        batches=tuple(map(str, range(cells.shape[1]))),
        cells=cells,
        control=np.zeros(len(cells), dtype=int),
    )


def dense_gls(layout: Layout, components: Components) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of the conditions and their estimator's weights, from the whole covariance matrix of the means."""
    condition, batch = np.nonzero(layout.cells)
    n = layout.cells[condition, batch]
    design = np.eye(len(layout.conditions))[condition]
    same_batch = batch[:, None] == batch[None, :]
    covariance = np.diag(components.cell / n + components.interaction) + components.batch * same_batch
    precision = np.linalg.inv(covariance)
    of_conditions = np.linalg.inv(design.T @ precision @ design)
    return of_conditions, of_conditions @ design.T @ precision


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("components", [(1.0, 0.2, 0.0), (1.0, 0.05, 0.03), (2.0, 0.0, 0.1)])
def test_standard_errors_are_those_of_simulated_screens(design, components):
    layout = layout_of(DESIGNS[design])
    known = Components(cell=components[0], batch=components[1], interaction=components[2])
    rng = np.random.default_rng(3)
    n_worlds = 20_000
    shape = (*layout.cells.shape, n_worlds)
    means = rng.normal(size=(1, shape[1], n_worlds)) * np.sqrt(known.batch)
    means = means + rng.normal(size=shape) * np.sqrt(known.interaction)
    means += rng.normal(size=shape) * np.sqrt(known.cell / np.maximum(layout.cells, 1))[:, :, None]
    truth = np.arange(len(layout.conditions), dtype=float)
    found = estimate_effects(means + truth[:, None, None], layout, known)
    predicted = effect_variance(layout, known)
    for name in ESTIMATORS:
        effects = getattr(found, name)
        se = np.sqrt(getattr(predicted, name))
        assert effects.std(axis=1) == pytest.approx(se, rel=0.025)
        assert effects.mean(axis=1) == pytest.approx(truth[1:], abs=0.02)


@given(
    cells=st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=5),
    batch=st.floats(0, 5),
    interaction=st.floats(0, 1),
)
def test_generalised_least_squares_agree_with_the_whole_covariance_matrix(cells, batch, interaction):
    cells = np.array(cells)
    cells[:, 0] += 1
    layout = layout_of(cells)
    known = Components(cell=1.3, batch=batch, interaction=interaction)
    covariance, weights = dense_gls(layout, known)
    contrast = np.eye(len(cells))[1:] - np.eye(len(cells))[0]
    variance = effect_variance(layout, known)
    assert variance.gls == pytest.approx(np.einsum("ek,kl,el->e", contrast, covariance, contrast), rel=1e-8)
    means = np.random.default_rng(0).normal(size=(*cells.shape, 2))
    found = estimate_effects(means, layout, known)
    assert found.gls == pytest.approx(contrast @ weights @ means[cells > 0], rel=1e-6, abs=1e-8)
    assert (variance.gls <= variance.naive * (1 + 1e-9)).all()
    assert (variance.gls <= variance.within * (1 + 1e-9)).all()


def test_without_batch_effects_the_naive_estimator_is_the_best_one():
    layout = layout_of(DESIGNS["unbalanced"])
    variance = effect_variance(layout, Components(cell=1.0))
    n = layout.cells.sum(axis=1)
    assert variance.naive == pytest.approx(1 / n[1:] + 1 / n[0])
    assert variance.gls == pytest.approx(variance.naive)


def test_with_two_conditions_and_unknown_batch_effects_least_squares_compare_within_batches():
    layout = layout_of([[30, 5, 0, 7], [4, 9, 12, 0]])
    for interaction in (0.0, 0.1):
        variance = effect_variance(layout, Components(cell=1.0, batch=np.inf, interaction=interaction))
        assert variance.gls == pytest.approx(variance.within)
    large = effect_variance(layout, Components(cell=1.0, batch=1e7))
    assert large.gls == pytest.approx(large.within, rel=1e-4)


def test_the_limit_of_large_batch_effects_is_that_of_fixed_ones_in_incomplete_designs():
    layout = layout_of([[10, 10, 0, 0], [5, 0, 5, 0], [0, 6, 6, 0], [0, 0, 7, 7]])
    fixed = effect_variance(layout, Components(cell=1.0, batch=np.inf)).gls
    assert np.isfinite(fixed).all()
    assert effect_variance(layout, Components(cell=1.0, batch=1e6)).gls == pytest.approx(fixed, rel=1e-4)


def test_an_edit_in_batches_of_its_own_cannot_be_told_from_an_unknown_batch_effect():
    layout = layout_of([[30, 30, 0], [10, 10, 0], [0, 0, 20]])
    unknown = effect_variance(layout, Components(cell=1.0, batch=np.inf))
    assert np.isfinite(unknown.gls[0]) and np.isinf(unknown.gls[1])
    assert np.isinf(unknown.within[1]) and np.isinf(unknown.naive[1])
    known = effect_variance(layout, Components(cell=1.0, batch=0.5))
    assert known.gls[1] == pytest.approx(known.naive[1])
    assert known.naive[1] == pytest.approx(1 / 20 + 1 / 60 + 0.5 * (1 + 0.25 + 0.25))


def test_an_edit_that_shares_no_batch_with_controls_is_told_through_other_edits():
    layout = layout_of([[40, 0], [20, 20], [0, 30]])
    variance = effect_variance(layout, Components(cell=1.0, batch=np.inf))
    assert np.isinf(variance.within[1])
    # edit 2 - control = (edit 2 - edit 1 in the second batch) + (edit 1 - control in the first)
    assert variance.gls[1] == pytest.approx(1 / 30 + 1 / 20 + 1 / 20 + 1 / 40)


def test_an_edit_without_controls_or_cells_has_no_effect_to_tell():
    cells = np.array([[20, 20], [10, 10], [0, 0]])
    layout = Layout(
        conditions=("control", "lost", "empty"), batches=("1", "2"), cells=cells, control=np.array([0, -1, 0])
    )
    variance = effect_variance(layout, Components(cell=1.0, batch=0.1))
    found = estimate_effects(np.ones((3, 2, 1)), layout, Components(cell=1.0, batch=0.1))
    for name in ESTIMATORS:
        assert np.isinf(getattr(variance, name)).all()
        assert np.isnan(getattr(found, name)).all()


def test_conditions_may_differ_in_the_variance_of_their_cells():
    layout = layout_of([[25, 25], [10, 10]])
    variance = effect_variance(layout, Components(cell=np.array([1.0, 4.0]), batch=0.3))
    assert variance.within == pytest.approx(4 / 20 + 1 / 50)
    assert variance.naive == pytest.approx(4 / 20 + 1 / 50)


def test_a_layout_that_contradicts_itself_lists_every_fault():
    with pytest.raises(DataError, match="3 faults") as raised:
        Layout(conditions=("a", "b"), batches=("1", "2"), cells=np.array([[1], [-1]]), control=np.array([0, 7]))
    assert "negative" in str(raised.value) and "not there" in str(raised.value)
    with pytest.raises(DataError, match="above 0"):
        Components(cell=0.0)
