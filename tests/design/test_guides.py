from __future__ import annotations

import jax
import numpy as np
import pytest

from semimech import ConfigError, DataError
from semimech.data import Keys
from semimech.data.screen import read_screen
from semimech.design import (
    Components,
    Layout,
    audit,
    audit_guides,
    estimate_effects,
    guide_component,
    guide_components,
    pool_groups,
    typical_guide_variance,
)
from semimech.experiment import Edit
from semimech.simulate import ScreenDesign, WorldRecipe, random_world, screen_experiments, simulate_screen


def draw(table: np.ndarray, of_guide: np.ndarray, rng, *, n_genes: int, cell=1.0, guide=0.0):
    """Cells of guides (rows) in batches (columns) of a world with known components and any means of conditions in batches."""
    k, b = np.nonzero(table)
    k, b = np.repeat(k, table[k, b]), np.repeat(b, table[k, b])
    place = 3.0 * rng.normal(size=(int(of_guide.max()) + 1, table.shape[1], n_genes))[of_guide[k], b]
    values = place + np.sqrt(guide) * rng.normal(size=(len(table), n_genes))[k]
    values = values + np.sqrt(cell) * rng.normal(size=values.shape)
    return pool_groups(values, condition=k, batch=b, n_conditions=len(table), n_batches=table.shape[1]), values, k, b


def names(n: int) -> tuple[str, ...]:
    return tuple(f"g{i}" for i in range(n))


def test_balanced_estimates_are_the_mean_squares_of_the_nested_table():
    of_guide = np.repeat(np.arange(4), 3)
    groups, values, _, _ = draw(np.full((12, 1), 5), of_guide, np.random.default_rng(1), n_genes=100, guide=0.4)
    found = guide_component(groups, of_guide, names(100))
    cube = values.reshape(4, 3, 5, 100)
    ms_cell = cube.var(axis=2, ddof=1).mean(axis=(0, 1))
    ms_guide = 5 * cube.mean(axis=2).var(axis=1, ddof=1).mean(axis=0)
    assert found["cell"].to_numpy() == pytest.approx(ms_cell)
    assert found["guide"].to_numpy() == pytest.approx(np.maximum((ms_guide - ms_cell) / 5, 0), abs=1e-9)


def test_unbalanced_sums_of_squares_are_those_of_least_squares_on_the_cells():
    """One gene at a time: what guides take off the residual of the means of conditions in batches."""
    table = np.array([[9, 4, 0], [3, 8, 5], [0, 6, 2], [1, 1, 10], [7, 0, 3]])
    of_guide = np.array([0, 0, 0, 1, 1])
    groups, values, k, b = draw(table, of_guide, np.random.default_rng(2), n_genes=3, guide=2.0)
    found = guide_component(groups, of_guide, names(3))
    projection = lambda design: design @ np.linalg.pinv(design)
    place = projection(np.eye(6)[3 * of_guide[k] + b])
    both = projection(np.hstack([np.eye(6)[3 * of_guide[k] + b], np.eye(5)[k]]))
    group = projection(np.eye(15)[3 * k + b])
    cell = ((values - group @ values) ** 2).sum(axis=0) / (len(k) - np.linalg.matrix_rank(group))
    form = np.eye(5)[k].T @ (np.eye(len(k)) - place) @ np.eye(5)[k]
    sums, rank = np.einsum("ig,ij,jg->g", values, both - place, values), round(np.trace(both - place))
    assert found["cell"].to_numpy() == pytest.approx(cell)
    assert found["guide"].to_numpy() == pytest.approx(np.maximum((sums - rank * cell) / np.trace(form), 0))


@pytest.mark.parametrize(("guide", "least"), [(0.02, 0.25), (0.3, 0.15)])
def test_the_component_is_recovered_and_intervals_cover(guide, least):
    rng, of_guide = np.random.default_rng(3), np.repeat(np.arange(40), 3)
    groups, *_ = draw(rng.integers(10, 60, (120, 2)), of_guide, rng, n_genes=400, guide=guide)
    found = guide_component(groups, of_guide, names(400))
    error = np.abs(found["guide"] / guide - 1)
    assert error.median() < least and abs(found["guide"].mean() / guide - 1) < 0.05
    inside = (found["guide_lower"] <= guide) & (guide <= found["guide_upper"])
    assert 0.85 <= inside.mean() <= 0.95


@pytest.mark.parametrize("harvests_agree", [True, False])
def test_intervals_cover_where_the_same_guides_stand_at_three_harvests(harvests_agree):
    """What a guide does is the same at all harvests, or another at each: then intervals may only be too wide."""
    rng, n_genes, guide = np.random.default_rng(4), 400, 0.3
    same, of_guide = np.tile(np.arange(45), 3), np.repeat(np.arange(45), 3)  # 3 harvests of 15 edits of 3 guides
    does = np.sqrt(guide) * rng.normal(size=(135, n_genes))
    k = np.repeat(np.arange(135), 30)
    values = (does[same] if harvests_agree else does)[k] + rng.normal(size=(len(k), n_genes))
    groups = pool_groups(values, condition=k, batch=np.zeros(len(k), int), n_conditions=135, n_batches=1)
    found = guide_component(groups, of_guide, names(n_genes), same=same)
    assert found["guide"].mean() == pytest.approx(guide, rel=0.04)
    inside = ((found["guide_lower"] <= guide) & (guide <= found["guide_upper"])).mean()
    assert 0.86 <= inside <= 0.94 if harvests_agree else inside > 0.94


@pytest.mark.parametrize("guide", [0.0, 0.05])
def test_the_typical_gene_has_the_variance_between_guides_that_all_genes_have_even_if_there_is_none(guide):
    rng, of_guide = np.random.default_rng(6), np.repeat(np.arange(20), 3)
    groups, *_ = draw(np.full((60, 2), 20), of_guide, rng, n_genes=400, cell=2.0, guide=guide)
    found = guide_component(groups, of_guide, names(400))
    assert typical_guide_variance(found) == pytest.approx(guide, abs=0.003)


def test_effects_err_by_their_guides_as_much_as_the_audit_adds():
    """Edits of three guides alike, and of two of unlike shares; genes stand for repetitions."""
    rng, n_genes, between, n = np.random.default_rng(7), 4000, 0.3, (20, 20, 20, 45, 15)
    row, guide = np.repeat([0, 1, 1, 1, 2, 2], (300, *n)), np.repeat([-1, 0, 1, 2, 0, 1], (300, *n))
    does = np.sqrt(between) * rng.normal(size=(6, n_genes))  # those of one name are others in another edit
    does[0] = 0.0
    values = does[np.repeat(np.arange(6), (300, *n))] + rng.normal(size=(len(row), n_genes))
    layout = Layout(
        conditions=("control", "a", "b"),
        batches=("x",),
        cells=np.array([[300], [60], [60]]),
        control=np.zeros(3, dtype=int),
    )
    variances = Components(cell=1.0)
    found = audit_guides(audit(layout, variances), row=row, guide=guide, between=between).effects
    assert found["guides"].to_list() == [3, 2]
    means = np.stack([values[row == k].mean(axis=0) for k in range(3)])[:, None]
    told = found["se_within"] ** 2 + found["se_guides"] ** 2
    assert estimate_effects(means, layout, variances).within.var(axis=1) == pytest.approx(told, rel=0.08)


@pytest.fixture(scope="module")
def data():
    """A small screen whose guides work alike."""
    world = random_world(WorldRecipe(n_genes=20, n_regulators=8), key=jax.random.key(0))
    experiments = screen_experiments([(Edit(gene=g, kind="crispri"),) for g in world.genes[:5]], (4,))
    design = ScreenDesign(experiments=experiments, cells=90, control_cells=60)
    return simulate_screen(world, design, n_truth_cells=8, key=jax.random.key(1))


def test_guides_of_a_screen_whose_guides_work_alike_differ_in_nothing_and_others_do(data):
    data = data.copy()
    screen = lambda: read_screen(data, Keys(edit_kind="crispri"))[0]
    alike = guide_components(screen())
    assert (alike["guide_lower"] == 0).mean() >= 0.85
    edit = next(e for e in sorted(set(data.obs["perturbation"])) if e != "control")
    rows = np.flatnonzero((data.obs["guide"] == f"{edit}_g1").to_numpy())
    for place in ("X", "counts"):  # one guide of an edit changes another gene
        values = (data.X if place == "X" else data.layers["counts"]).tolil()
        values[rows, 15] = 40 * (values[rows, 15].toarray() + 1)
        if place == "X":
            data.X = values.tocsr()
        else:
            data.layers["counts"] = values.tocsr()
    assert guide_components(screen()).loc[15, "guide_lower"] > 0


def test_a_guide_of_one_edit_is_one_guide_at_two_harvests_and_one_of_another_edit_of_the_same_name_is_another(data):
    data, rng = data.copy(), np.random.default_rng(5)
    data.obs["day"] = np.where(rng.random(data.n_obs) < 0.5, 4, 6)
    data.obs["guide"] = [name[-2:] for name in data.obs["guide"]]  # g1, g2, g3 of every edit
    found = guide_components(read_screen(data, Keys(edit_kind="crispri"))[0])
    cells = data[data.obs["perturbation"] != "control"]
    labels = [
        cells.obs["perturbation"].astype(str) + cells.obs["guide"],
        cells.obs["day"].astype(str),
        cells.obs["batch"],
    ]
    (edit_guide, day, batch), keys = zip(*[np.unique(x, return_inverse=True)[::-1] for x in labels], strict=True)
    place = 2 * edit_guide + day  # guides of one edit follow each other in the order of names
    groups = pool_groups(
        read_screen(cells.copy(), Keys(edit_kind="crispri"))[0].measurement.observed,
        condition=place,
        batch=batch,
        n_conditions=2 * len(keys[0]),
        n_batches=3,
    )
    row = np.arange(2 * len(keys[0]))
    expected = guide_component(groups, 2 * (row // 6) + row % 2, tuple(found["gene"]), same=row // 2)
    for column in ("guide", "guide_lower", "guide_upper"):
        assert found[column].to_numpy() == pytest.approx(expected[column].to_numpy(), abs=1e-6)


def test_what_guides_cannot_tell_is_an_error_in_words(data):
    of_guide = np.array([0, 1])
    groups, *_ = draw(np.array([[4], [4]]), of_guide, np.random.default_rng(0), n_genes=2)
    with pytest.raises(ConfigError, match="no batch has cells of two guides of one condition"):
        guide_component(groups, of_guide, names(2))
    data = data.copy()
    del data.obs["guide"]
    screen, _ = read_screen(data, Keys(edit_kind="crispri"))
    with pytest.raises(DataError, match=r"put their names into obs\['guide'\]"):
        guide_components(screen)
