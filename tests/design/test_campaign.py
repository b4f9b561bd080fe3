"""Campaigns on small screens: what rounds see, what strategies take, and that an interruption loses no round."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset
from small_fits import QUICK

from semimech import ConfigError, DataError
from semimech.design import STRATEGIES, Campaign, Prices, campaign, learning_curves, run_campaign, savings, strategies
from semimech.fit import fit
from semimech.model import Kinship, PriorNetwork

PLAYED = ("error", "targeted", "random")
NAMES = [f"G{i}" for i in range(12)]
RNG = np.random.default_rng(0)
SETTINGS = replace(QUICK, n_members=1, n_steps=2, validation_steps=2, n_folds=2, steady_state="none")


@pytest.fixture(scope="module")
def screen():
    """Twelve edits and a pair at two times, with twelve genes of the same names."""
    conditions = [condition(name, hours) for name in ("control", *NAMES, "G0+G1") for hours in (24.0, 48.0)]
    return dataset(conditions, RNG.normal(5.0, 0.1, (len(conditions), 12)))


def test_points_are_taken_farthest_first():
    """On a line with a centre at 0: 10 is farthest, then -6, then 4 (6 from 10, 4 from 0)."""
    points = np.array([[1.0], [4.0], [10.0], [-6.0]])
    assert strategies.farthest(points, np.zeros((1, 1)), 3) == [2, 3, 1]
    assert strategies.farthest(points, np.zeros((1, 1)), 9) == [2, 3, 1, 0]


def test_the_same_round_of_a_campaign_draws_the_same_and_others_draw_otherwise():
    draw = lambda *where: strategies.stream(*where).integers(1 << 40)
    assert draw(0, "random", 1) == draw(0, "random", 1)
    assert len({draw(*where) for where in ((0, "random", 1), (1, "random", 1), (0, "error", 1), (0, "random", 2))}) == 4


@pytest.fixture(scope="module")
def replayed(screen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    plan = Campaign(strategies=PLAYED, start=3, batch=2, rounds=1, seeds=(0,))
    errors = run_campaign(screen, plan, SETTINGS, folder=folder)
    return SimpleNamespace(plan=plan, errors=errors, folder=folder)


def test_rounds_begin_alike_grow_by_a_batch_and_never_make_what_is_held_out(replayed):
    made = {
        (name, number): json.loads((replayed.folder / "rounds" / f"{name}-0-{number}.json").read_text())["made"]
        for name in PLAYED
        for number in range(2)
    }
    held = set(replayed.errors["perturbation"])
    assert len(held) == 3
    for name in PLAYED:
        assert made[name, 0] == made["random", 0]
        for number in range(2):
            names = made[name, number]
            assert len(names) == len(set(names)) == 3 + 2 * number
            assert names[:3] == made[name, 0] and held.isdisjoint(names) and set(names) <= set(NAMES)
    start = replayed.errors[replayed.errors["round"] == 0].groupby("strategy")["error"].sum()
    assert start.nunique() == 1


def test_no_change_is_scored_against_the_matched_control_without_the_edited_gene(screen, replayed):
    name = str(replayed.errors["perturbation"].iloc[0])
    squared = []
    for hours in (24.0, 48.0):
        row, control = (screen.index[condition(what, hours)] for what in (name, "control"))
        change = np.delete(screen.mean[row] - screen.matched_control(screen.conditions[row]), NAMES.index(name))
        assert screen.is_control[control]
        squared.append((change**2).mean())
    found = replayed.errors.set_index("perturbation").loc[name, "no_change"]
    np.testing.assert_allclose(found, np.mean(squared), rtol=1e-9)


def test_a_campaign_goes_on_from_the_rounds_that_are_done(screen, replayed, monkeypatch):
    """With the last round of one strategy lost, its model is fitted again, and nothing else."""
    fits = []
    fitted = campaign.fit
    monkeypatch.setattr(
        campaign, "fit", lambda data, *args, **kwargs: fits.append(data) or fitted(data, *args, **kwargs)
    )
    again = run_campaign(screen, replayed.plan, SETTINGS, folder=replayed.folder)
    assert not fits
    pd.testing.assert_frame_equal(again, replayed.errors)
    (replayed.folder / "rounds" / "error-0-1.json").unlink()
    again = run_campaign(screen, replayed.plan, SETTINGS, folder=replayed.folder)
    assert len(fits) == 2  # of the round before, to choose, and of the one that was lost
    pd.testing.assert_frame_equal(again, replayed.errors)


def test_rounds_begin_where_the_first_one_ended_unless_they_are_cold(screen, monkeypatch):
    begun = []
    fitted = campaign.fit
    monkeypatch.setattr(
        campaign, "fit", lambda *args, **kwargs: begun.append(kwargs["warm"]) or fitted(*args, **kwargs)
    )
    plan = Campaign(strategies=("random",), start=3, batch=2, rounds=2)
    run_campaign(screen, plan, SETTINGS)
    assert begun[0] is None and begun[1] is begun[2] and len(begun[1].training) == 2 * (1 + 3)
    begun.clear()
    run_campaign(screen, replace(plan, warm=False, rounds=1), SETTINGS)
    assert begun == [None, None]


def test_combinations_are_edits_too_where_the_campaign_says_so(screen):
    alone, all_of_them = (campaign._edits(screen, combinations=also) for also in (False, True))
    assert set(alone) == set(NAMES) and set(all_of_them) - set(alone) == {"G0+G1"}


def test_every_strategy_takes_a_batch_of_what_can_be_made(screen):
    made = screen.subset(screen.is_control | np.isin(screen.perturbations, NAMES[:4]))
    edges = pd.DataFrame({"source": NAMES[:6], "target": NAMES[6:]})
    table = pd.DataFrame({"complex": ["a"] * 6 + ["b"] * 6, "gene": NAMES})
    pool = {n: [condition(n, hours) for hours in (24.0, 48.0)] for n in NAMES[4:9]}
    stand = strategies.Stand(
        model=fit(made, SETTINGS),
        made=made,
        pool=pool,
        batch=3,
        noise=0.01,
        rng=np.random.default_rng(0),
        asked=[condition(n, 48.0) for n in NAMES[9:]],
        prior=PriorNetwork(edges=edges),
        kinship=Kinship(complexes={"table": table}),
    )
    for name in STRATEGIES:
        taken = strategies.pick(name, stand)
        assert len(set(taken)) == 3 and set(taken) <= set(pool)


def test_a_folder_of_another_campaign_is_refused(screen, replayed):
    with pytest.raises(ConfigError, match="holds a campaign of other data, sizes or settings"):
        run_campaign(screen, replace(replayed.plan, batch=3), SETTINGS, folder=replayed.folder)
    file = replayed.folder / "rounds" / "random-0-1.json"
    text = file.read_text()
    file.write_text(text[:10])
    with pytest.raises(ConfigError, match=r"random-0-1.json: not a round of a campaign"):
        run_campaign(screen, replayed.plan, SETTINGS, folder=replayed.folder)
    file.write_text(text)


def test_a_campaign_that_cannot_be_run_is_told_all_that_is_wrong(screen):
    with pytest.raises(ConfigError) as found:
        Campaign(strategies=("luck",), start=1, batch=0, held_out=1.0, seeds=())
    for said in ("'luck' is unknown", "seeds is empty", "start must be 2", "batch must be 1", "held_out must lie"):
        assert said in str(found.value)
    with pytest.raises(DataError, match="12 edits made alone, and the campaign needs 34"):
        run_campaign(screen, Campaign(), SETTINGS)
    with pytest.raises(DataError, match="no unedited cells"):
        run_campaign(screen.subset(~screen.is_control), Campaign(start=3, batch=2, rounds=1), SETTINGS)


def test_a_curve_is_the_error_over_that_of_no_change_and_a_saving_is_that_of_power_laws():
    """Errors n^-.7 against n^-1/2: the error of 16 edits is reached by the other at 16^1.4, as three points nearly tell."""
    rows = [
        {"seed": 0, "strategy": name, "round": i, "n_edits": n, "perturbation": edit, "error": size * n**power}
        for name, power in (("error", -0.7), ("random", -0.5))
        for i, n in enumerate((4, 8, 16))
        for edit, size in (("A", 1.0), ("B", 3.0), ("C", 2.0))
    ]
    errors = pd.DataFrame(rows).assign(no_change=2.0)
    curves = learning_curves(errors).set_index(["strategy", "n_edits"])
    assert curves.loc[("error", 4), "error"] == pytest.approx(4**-0.7)
    assert (curves["lower"] <= curves["error"]).all() and (curves["error"] <= curves["upper"]).all()
    assert curves.loc[("error", 16), "saved"] == pytest.approx(1.0 - 16**-0.4, abs=0.03)
    assert curves["saved"].notna().sum() == 1
    value = savings(errors, Prices(edit=2.0, harvest=0.0)).set_index("price")
    assert value["share"].to_numpy() == pytest.approx(curves["saved"].max()) and set(value["strategy"]) == {"error"}
    saved = 16 * value["share"] / (1.0 - value["share"])
    np.testing.assert_allclose(value["half"]["edit"], saved["edit"], rtol=1e-6)  # at 1 each
    np.testing.assert_allclose(value["double"]["week"], 2.0 * saved["week"], rtol=1e-6)
    assert not len(savings(errors[errors["strategy"] == "error"], Prices()))
