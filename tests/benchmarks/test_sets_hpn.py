"""HPN-DREAM8: what each row is, what each fold holds out, and how noise is taken."""

import numpy as np
import pandas as pd
import pytest
from benchmarks import sets
from benchmarks.sets_hpn import MOCK, NO_INHIBITOR, noise_from_curvature

from semimech.data import check_leakage
from semimech.experiment import Condition, parse_experiment


def condition(text: str) -> Condition:
    return parse_experiment(f"{text} > harvest").conditions["harvest"]


@pytest.fixture(scope="module", params=["BT20", "MCF7"])
def line(root, request):
    return sets.read_hpn(root, request.param)


@pytest.fixture(scope="module")
def insilico(root):
    return sets.read_hpn_insilico(root)


def test_an_hpn_row_is_inhibitor_then_ligand_then_harvest(root, line):
    name = line.dataset.name.removeprefix("hpn-")
    table = pd.read_csv(root / "hpn_dream8" / f"MD-{name}_main_for_null.csv")
    row = table[(table["TR:EGF"] == 1) & (table["TR:GSK690693_GSK1120212i"] == 1) & (table["DA:ALL"] == 15)]
    asked = condition("edit AKT drug > edit MEK drug > wait 2h > medium EGF > wait 0.25h")
    expected = np.log([row[f"DV:{gene}"].item() for gene in line.dataset.genes])
    np.testing.assert_allclose(line.dataset.mean[line.dataset.index[asked]], expected)
    np.testing.assert_allclose(line.dataset.state[line.dataset.index[asked]], np.exp(expected), rtol=1e-4)


def test_hpn_controls_are_the_uninhibited_cells_in_the_mock_ligand(line):
    expected = [i == NO_INHIBITOR and x == MOCK for i, x in zip(line.inhibitor, line.ligand, strict=True)]
    assert line.dataset.is_stationary_control.tolist() == expected
    assert sum(expected) == 7


def test_sites_of_akt_rise_and_those_of_its_substrates_fall_when_akt_is_inhibited(line):
    data, key = line.dataset, list(zip(line.inhibitor, line.ligand, line.minutes, strict=True))
    pairs = [
        (r, key.index((NO_INHIBITOR, *k[1:])))
        for r, k in enumerate(key)
        if k[0] == "GSK690693" and (NO_INHIBITOR, *k[1:]) in key
    ]
    change = dict(zip(data.genes, np.mean([data.mean[r] - data.mean[b] for r, b in pairs], axis=0), strict=True))
    assert change["AKT_pS473"] > 0.3
    assert change["AKT_pT308"] > 0.3
    assert change["S6_pS235_S236"] < -0.2


def test_time_can_be_slowed_without_changing_the_protocol(root):
    fast, slow = (sets.read_hpn(root, "MCF7", hours_per_minute=h).dataset for h in (1 / 60, 0.1))
    np.testing.assert_allclose(slow.hours, 6 * fast.hours)
    np.testing.assert_array_equal(slow.mean, fast.mean)


def test_an_inhibitor_can_be_put_on_the_measured_sites(root):
    data = sets.read_hpn(root, "BT20", targets=sets.MEASURED_TARGETS).dataset
    edited = {edit.gene for c in data.conditions for edit in c.edits}
    assert edited - {"FGFR"} == {"AKT_pS473", "AKT_pT308", "MEK1_pS217_S221"} <= set(data.genes)


def test_an_unseen_combination_leaves_inhibitor_and_ligand_alone_in_training(line):
    folds = sets.combination_folds(line)
    assert len(folds) == {"hpn-BT20": 20, "hpn-MCF7": 21}[line.dataset.name]
    for fold in folds:
        (pair,) = {(line.inhibitor[r], line.ligand[r]) for r in fold.test}
        trained = {(line.inhibitor[r], line.ligand[r]) for r in fold.train}
        assert pair not in trained
        check_leakage(line.dataset, fold)
        assert {(pair[0], MOCK), (NO_INHIBITOR, pair[1])} <= trained


def test_an_unseen_time_is_trained_on_in_no_arm(line):
    folds = sets.time_folds(line)
    assert [fold.held_out[0] for fold in folds] == ["240 min", "120 min", "60 min", "30 min", "15 min", "5 min"]
    for fold in folds:
        assert not set(line.minutes[fold.train]) & set(line.minutes[fold.test])
        assert not line.dataset.is_stationary_control[fold.test].any()
        assert len(fold.train) + len(fold.test) == len(line.minutes) - 1
        check_leakage(line.dataset, fold)


def test_noise_is_recovered_from_time_courses_that_are_straight_in_root_time():
    rng = np.random.default_rng(3)
    index = pd.MultiIndex.from_tuples(
        [("none", MOCK, 0.0)] + [("none", f"L{k}", m) for k in range(40) for m in (5.0, 15.0, 30.0, 60.0, 120.0, 240.0)]
    )
    slope = {name: rng.normal(size=20) for name in index.get_level_values(1)}
    straight = np.array([slope[name] * np.sqrt(minute) for _, name, minute in index])
    deviation = np.linspace(0.05, 0.2, 20)
    noisy = pd.DataFrame(straight + deviation * rng.normal(size=straight.shape), index=index)
    np.testing.assert_allclose(noise_from_curvature(pd.DataFrame(straight, index=index)), 0, atol=1e-12)
    np.testing.assert_allclose(noise_from_curvature(noisy), deviation, rtol=0.3)
    assert np.mean(noise_from_curvature(noisy) / deviation) == pytest.approx(1.0, abs=0.08)


def test_inhibited_and_uninhibited_arms_agree_at_time_zero_in_silico(root, insilico):
    table = pd.read_csv(root / "hpn_dream8" / "MD_insilico.csv").query("`DA:ALL` == 0")
    nodes = np.log(table[[c for c in table if c.startswith("DV:")]])
    inhibited = table[[c for c in table if c.endswith(":Inhibitors")]].any(axis=1)
    arms = nodes.groupby([table[c] for c in table if c.startswith("TR:")])
    within = arms.var(ddof=1).to_numpy().mean()
    difference = nodes[inhibited].mean() - nodes[~inhibited].mean()
    f = np.mean(difference**2) / (within * (1 / inhibited.sum() + 1 / (~inhibited).sum()))
    assert f == pytest.approx(1.0, abs=0.6)
    assert insilico.dataset.n_cells[insilico.dataset.is_stationary_control].tolist() == [60]


def test_in_silico_noise_falls_with_the_root_of_replicates_and_exceeds_theirs(insilico):
    data = insilico.dataset
    control = data.is_stationary_control
    assert set(data.n_cells[~control]) == {3}
    np.testing.assert_allclose(data.standard_error[control][0] * np.sqrt(20), data.standard_error[~control][0])
    assert 0.085 / np.sqrt(3) < data.standard_error[~control].mean() < 0.07


def test_in_silico_combinations_are_three_inhibitors_with_four_ligands(insilico):
    assert len(sets.combination_folds(insilico)) == 12


def test_the_in_silico_network_names_measured_nodes(root, insilico):
    gold = sets.read_hpn_gold(root)
    assert (gold["source"] != gold["target"]).all()
    assert set(gold["source"]) | set(gold["target"]) <= set(insilico.dataset.genes)
