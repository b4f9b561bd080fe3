"""Whatever compares with controls takes the same ones: of the same medium, and of the same time where they move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_data import condition, dataset

from semimech.baselines import fit_baseline
from semimech.data import Cells, Dataset, matched_minibatches
from semimech.evaluate.cells import energy_scores
from semimech.evaluate.reference import measured_scene
from semimech.fit.populations import make_populations
from semimech.fit.problem import make_problem, make_roster

PLACES = [(24, None), (48, None), (24, "M"), (48, "M")]
LEVEL = {(24, None): 10.0, (48, None): 20.0, (24, "M"): 40.0, (48, "M"): 80.0}
EFFECT = 3.0
PER_CONDITION = 12
DECLARED = [{}, {"is_differentiating": True}, {"environment": "in-vivo"}]


def screen(declared) -> Dataset:
    """Controls whose level depends on time and medium, and an edit that adds a constant to each; twelve cells of each."""
    conditions = [condition(p, t, medium=m) for t, m in PLACES for p in ("control", "G0")]
    mean = np.array([[LEVEL[t, m] + EFFECT * (p == "G0")] * 3 for t, m in PLACES for p in ("control", "G0")])
    spread = np.random.default_rng(0).normal(size=(len(mean), PER_CONDITION, 3))
    spread -= spread.mean(axis=1, keepdims=True)
    cells = Cells(
        values=(mean[:, None] + spread).reshape(-1, 3),
        condition=np.repeat(np.arange(len(mean)), PER_CONDITION),
        batch=np.zeros(len(mean) * PER_CONDITION, dtype=int),
    )
    data = dataset(conditions, mean, media=("M",), cells=cells)
    return replace(data, system=replace(data.system, **declared))


def wanted(declared) -> np.ndarray:
    """Level of the matched control of each edited row."""
    level = dict(LEVEL)
    if not declared:
        level |= dict.fromkeys([(24, None), (48, None)], 15.0)
    return np.array([level[place] for place in PLACES])


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_scores_are_against_matched_controls(declared):
    data = screen(declared)
    rows = np.flatnonzero(~data.is_control)
    assert measured_scene(data, rows).control[:, 1] == pytest.approx(wanted(declared))


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_baselines_add_to_matched_controls(declared):
    data = screen(declared)
    asked = [condition("G7", t, medium=m) for t, m in PLACES]
    unchanged = fit_baseline("no change", data).predict_conditions(asked).mean[:, 1]
    assert unchanged == pytest.approx(wanted(declared))
    added = fit_baseline("time interpolation", data)
    seen = [condition("G0", t, medium=m) for t, m in PLACES]
    assert added.predict_conditions(seen).mean[:, 1] == pytest.approx([LEVEL[place] + EFFECT for place in PLACES])


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_the_unit_of_the_loss_is_the_change_against_matched_controls(declared):
    data = screen(declared)
    problem = make_problem(data, make_roster(data), None, seed=0)
    change = np.array([LEVEL[place] + EFFECT for place in PLACES]) - wanted(declared)
    weight = np.asarray(problem.weight)[: len(data.conditions)][~data.is_control][:, 1:]
    assert float(problem.no_change) == pytest.approx(float(np.mean(weight * change[:, None] ** 2)), rel=1e-5)


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_populations_are_compared_with_matched_cells(declared):
    data = screen(declared)
    rows = np.flatnonzero(~data.is_control)
    problem = make_problem(data, make_roster(data), None, seed=0)
    populations = make_populations(data, problem.plan, n_cells=PER_CONDITION, seed=0)
    level = dict(zip(rows, wanted(declared), strict=True))
    for number, row in enumerate(populations.row[: len(rows)]):
        assert populations.control[number, 1] == pytest.approx(level[row])
    for batch in matched_minibatches(
        data, n_conditions=4, n_cells=4, n_controls=8, n_steps=5, rng=np.random.default_rng(1)
    ):
        for row, controls in zip(batch.conditions, batch.controls, strict=True):
            places = {(data.conditions[c].hours, data.conditions[c].medium) for c in data.cells.condition[controls]}
            own = data.conditions[row]
            assert {medium for _, medium in places} == {own.medium}
            if declared or own.medium:
                assert places == {(own.hours, own.medium)}


@pytest.mark.parametrize("declared", DECLARED[1:], ids=str)
def test_a_right_prediction_of_moving_cells_moves_its_own_controls_onto_the_measured_cells(declared):
    data = screen(declared)
    keep = np.ones((1, 3), dtype=bool)
    for row in np.flatnonzero(~data.is_control):
        right, unchanged = energy_scores(
            data, int(row), data.mean[row] - np.array([[0.0], [EFFECT]]), keep, rng=np.random.default_rng(0)
        )[0]
        assert right < 0.5 < unchanged
