"""Cells whose compounds were washed out are neither treated nor untreated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_data import dataset

from semimech.baselines import BASELINES, Effects, fit_baseline
from semimech.data import CellSystem
from semimech.data.split import unseen_edit, unseen_time
from semimech.evaluate.reference import measured_scene
from semimech.experiment import Compound, Condition, parse_experiment

X, Y = (Compound(name=name, targets=targets, ic50=1.0) for name, targets in (("x", ("G0",)), ("y", ("G0", "G1"))))
SYSTEM = CellSystem(compounds=(X, Y))
WANTS_MORE = ("low-rank linear", "gaussian conditioning", "time trend", "OT interpolation")
"""Baselines that want more edits, times or cells than the small screen below has."""


def history(text: str) -> Condition:
    return SYSTEM.resolve(list(parse_experiment(f"{text} > harvest").conditions.values())[-1])


ROWS = {
    "wait 24h": 10.0,
    "dose x 1uM > wait 24h": 14.0,
    "dose x 1uM > wait 24h > dose x 0uM > wait 24h": 12.0,
    "dose x 1uM > wait 24h > dose x 0uM > wait 72h": 11.0,
    "edit G2 > wait 24h": 7.0,
    "dose x 1uM > wait 24h > dose x 0uM > edit G2 > wait 24h": 99.0,
    "dose y 1uM > wait 24h": 16.0,
}


def screen(texts=tuple(ROWS)):
    mean = np.outer([ROWS[text] for text in texts], np.ones(3))
    data = dataset([history(text) for text in texts], mean)
    return replace(data, system=SYSTEM)


def test_compounds_that_are_gone_are_told_from_those_that_never_were():
    washed = history("dose y 1uM > wait 24h > medium M > wait 24h")
    assert [(e.gene, e.compound) for e in washed.washed_out] == [("G0", "y"), ("G1", "y")]
    assert washed.edits == () == history("wait 48h").washed_out
    assert history("dose x 1uM > wait 24h > dose x 2uM > wait 24h").washed_out == ()
    kept = history("dose x 1uM > wait 24h > dose x 0uM > dose y 1uM > wait 24h")
    assert [(e.gene, e.compound) for e in kept.washed_out] == [("G0", "x")]


@pytest.mark.parametrize(("hours", "change"), [(0, 4.0), (12, 3.0), (24, 2.0), (48, 1.5), (72, 1.0), (96, 1.0)])
def test_recovery_is_interpolated_between_harvests_of_the_course_from_the_wash_on(hours, change):
    asked = history(f"dose x 1uM > wait 24h > dose x 0uM > wait {hours}h")
    assert Effects(screen()).recovery(asked) == pytest.approx(np.full(3, change))


def test_a_course_of_which_nothing_was_harvested_has_no_recovery():
    assert Effects(screen()).recovery(history("dose x 2uM > wait 24h > dose x 0uM > wait 24h")) is None


@pytest.mark.parametrize("name", [b.name for b in BASELINES if b.name not in WANTS_MORE])
def test_every_baseline_but_no_change_predicts_washed_cells_by_their_course(name):
    asked = history("dose x 1uM > wait 24h > dose x 0uM > wait 24h")
    found = fit_baseline(name, screen()).predict_conditions([asked, history("wait 48h")]).mean
    assert found[0] == pytest.approx(np.full(3, 10.0 if name == "no change" else 12.0))
    assert found[1] == pytest.approx(np.full(3, 10.0))


def test_the_mark_of_a_compound_washed_out_is_not_taken_for_the_effect_of_an_edit():
    effects = Effects(screen())
    edit = history("edit G2 > wait 24h")
    assert effects.effect(edit.edits, (None,), 24.0) == pytest.approx(np.full(3, -3.0))
    assert all(condition.washed_out == () for condition in effects.conditions)


def test_washed_cells_are_not_referred_to_the_mean_of_all_edits():
    data = screen()
    scene = measured_scene(data, np.arange(len(data.conditions)), train=data)
    assert scene.perturbed[2] == pytest.approx(scene.control[2])


def test_a_last_time_of_washed_cells_is_asked_only_if_an_earlier_one_trains():
    texts = tuple(ROWS)
    (split, *_) = unseen_time(screen())
    assert split.held_out == ("96 h",) and [texts[r] for r in split.test] == [texts[3]]
    alone = tuple(text for text in texts if text != texts[2])
    assert all(split.held_out != ("96 h",) for split in unseen_time(screen(alone)))


def test_a_compound_of_two_targets_is_held_out_alone_with_all_that_act_on_its_targets():
    data = screen()
    by_name = {split.held_out: split for split in unseen_edit(data, n_folds=3)}
    assert set(by_name) == {("x",), ("y",), ("G2",)}
    names = [data.perturbations[r] for r in by_name["y",].train]
    assert set(names) == {"control", "G2"}  # x acts on G0 as y does
    assert [data.perturbations[r] for r in by_name["G2",].test] == ["G2"]
