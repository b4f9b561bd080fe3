"""The simplest predictions are exact where the data are what they assume."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import sets
from benchmarks.sets_reference import (
    combination_reference,
    describe,
    dream4_reference,
    dream4_relaxation_time,
    relaxation_time,
    time_reference,
)


@pytest.fixture(scope="module")
def case(root):
    return sets.read_hpn(root, "MCF7")


def made_of(case, effect):
    mean = np.array([effect(*row) for row in zip(case.inhibitor, case.ligand, case.minutes, strict=True)])
    return replace(case, dataset=replace(case.dataset, mean=mean))


def of_predictor(table, name, column, split):
    return table.set_index(["split", "predictor"]).loc[(split, name), column]


@pytest.mark.parametrize("tau", [4.0, 11.0])
def test_the_relaxation_time_of_an_exponential_is_its_time_constant(tau):
    hours = np.linspace(0, 50, 201)
    assert relaxation_time(hours, 3 * np.exp(-hours / tau)) == pytest.approx(tau, rel=1e-2)


def test_there_is_no_relaxation_time_without_relaxation():
    assert np.isnan(relaxation_time(np.arange(4.0), np.ones(4)))


def test_additive_is_exact_where_inhibitors_and_ligands_add_up(case):
    rng = np.random.default_rng(0)
    own = {name: rng.normal(size=len(case.dataset.genes)) for name in {*case.inhibitor, *case.ligand}}
    added = made_of(case, lambda i, ligand, minutes: np.sqrt(minutes) * (own[i] + own[ligand]))
    table = combination_reference(added)
    assert of_predictor(table, "additive", "mse", "unseen_edit_medium") < 1e-20
    assert of_predictor(table, "ligand alone", "mse", "unseen_edit_medium") > 1


def test_interpolation_is_exact_at_inner_times_where_courses_are_straight_in_root_time(case):
    rng = np.random.default_rng(0)
    slope = {pair: rng.normal(size=len(case.dataset.genes)) for pair in zip(case.inhibitor, case.ligand, strict=True)}
    straight = made_of(case, lambda i, ligand, minutes: 1 + np.sqrt(minutes) * slope[i, ligand])
    table = time_reference(straight)
    assert of_predictor(table, "interpolated", "mse", "unseen_time, inner") < 1e-20
    assert of_predictor(table, "time before", "mse", "unseen_time, inner") > 1
    assert of_predictor(table, "interpolated", "ratio", "unseen_time, last") == 1


def test_dream4_reference_reproduces_what_prototypes_saw(root):
    ratios = []
    for network in (1, 2, 3):
        table = dream4_reference(sets.read_dream4(root, 10, network))
        ratios.append(of_predictor(table, "mean of knock-outs", "ratio", "unseen_edit"))
    assert 1.05 < np.mean(ratios) < 1.3
    large = dream4_reference(sets.read_dream4(root, 100, 2))
    assert of_predictor(large, "mean of knock-outs", "ratio", "unseen_edit") == pytest.approx(1.0, abs=0.02)


def test_relaxation_lasts_hours_to_a_day(root):
    times = [dream4_relaxation_time(sets.read_dream4(root, 10, network)) for network in (1, 2, 3)]
    assert all(5 < time < 40 for time in times)


def test_a_description_counts_what_the_data_set_holds(case):
    row = describe(case.dataset)
    assert row["conditions"] == row["edited"] + int(case.dataset.is_control.sum())
    assert row["media"] == 8
    assert row["signal"] > 2 * row["noise"]
