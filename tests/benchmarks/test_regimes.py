"""What the regimes benchmark holds out, and what its page says of known errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks import regimes
from benchmarks.regimes_page import is_baseline, page, ratios, verdict
from benchmarks.regimes_populations import MIXTURE, UNMOVED, energy, population_errors
from small_data import condition, dataset
from small_fates import MEDIUM, screen

from semimech import FitConfig
from semimech.baselines import fit_baseline
from semimech.data import Split
from semimech.simulate.fates import FATES

TASK = {"task": "held-out edits", "perturbation": "A", "hours": 24.0, "medium": "m", "reason": "", "fold": 0}


def scores(errors: dict[str, tuple[float, ...]], regime: str = "differentiating") -> pd.DataFrame:
    """Errors of each method in each world, the same with and without the edited gene."""
    rows = [
        {**TASK, "regime": regime, "world": world, "predictor": name, "scope": scope, "value": value, "seconds": 60.0}
        for name, values in errors.items()
        for world, value in enumerate(values)
        for scope in ("excl", "all")
    ]
    return pd.DataFrame(rows)


def test_three_genes_are_held_out_and_of_each_course_one_later_harvest():
    data = screen(dict.fromkeys(("control", "G0", "G1", "G2", "G3", "G4"), 0.5), n=20, hours=(24.0, 48.0, 96.0))
    edits, harvests = regimes.held_out(data, 7)
    trained, tested = ({data.perturbations[r] for r in rows} for rows in (edits.train, edits.test))
    assert len(tested) == 3 and not tested & trained
    assert sorted(data.perturbations[r] for r in harvests.test) == ["G0", "G1", "G2", "G3", "G4"]
    assert set(data.hours[harvests.test]) == {48.0, 96.0}
    assert not set(harvests.train) & set(harvests.test)
    hours = pd.Series([96.0, 48.0])
    assert regimes.task_names(hours, harvests, data).tolist() == ["held-out last time", "held-out inner time"]


@pytest.mark.parametrize("number", [4, 5])
def test_one_regulator_of_fate_is_held_out_and_the_other_trains(number: int):
    names = ("control", *FATES, "A", "B", "C", "D")
    data = dataset([condition(name, t) for name in names for t in (24.0, 48.0)], np.ones((14, 2)))
    edits = regimes.held_out(data, number)[0]
    assert set(edits.held_out) & set(FATES) == {FATES[number % 2]}
    assert len(edits.held_out) == 3


def test_ratios_are_geometric_means_over_worlds_and_leave_out_who_cannot_predict():
    table = ratios(
        scores({"semi-mechanistic": (0.1, 0.2), "ridge": (0.2, 1.6), "persistence": (np.nan, 0.1)})
    ).set_index("reference")
    assert table.loc["ridge", "ratio"] == pytest.approx(0.25)
    assert table.loc["ridge", "won"] == 2
    assert "persistence" not in table.index


@pytest.mark.parametrize(("error", "said"), [(0.5, "wins"), (2.0, "loses")])
def test_the_page_says_who_wins_and_who_loses(error: float, said: str):
    table = ratios(scores({"semi-mechanistic": (error,) * 3, "ridge": (1.0,) * 3, "no change": (3.0,) * 3}))
    line = verdict(table)[0]
    assert f"semi-mechanistic {said} against the best other, ridge" in line
    assert ("loses to ridge." in line) == (said == "loses")


def test_a_method_inside_fates_is_no_baseline():
    names = pd.Series(["ridge", "OT interpolation", "Neural ODE", "no change + fates", "semi-mechanistic"])
    assert is_baseline(names).tolist() == [True, True, False, False, False]


def test_the_energy_distance_of_two_draws_of_one_law_is_nothing_and_of_shifted_ones_their_shift():
    """Between far points it tends to twice the distance less what is within."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 400, 3))
    assert abs(energy(first, second)) < 0.03
    assert energy(first, second + 1000.0) == pytest.approx(2000.0 * np.sqrt(3), rel=0.01)


def test_populations_of_two_fates_are_better_mixed_than_moved_by_their_mean():
    """The mean of the knockout of a fate's regulator moves every cell between the fates."""
    data = screen({"control": 0.5, "G0": 0.02}, hours=(24.0, 48.0, 96.0), n=100)
    row = data.index[condition("G0", 48.0, medium=MEDIUM)]
    split = Split(name="unseen_time", train=np.delete(np.arange(len(data.conditions)), row), test=np.array([row]))
    train = data.subset(split.train)
    predictors = {name: fit_baseline(name, train) for name in ("OT interpolation", "time interpolation")}
    found = population_errors(predictors, data, split, rng=np.random.default_rng(0)).set_index("predictor")["distance"]
    assert found[MIXTURE] < 0.2 * found["time interpolation"]
    assert found["OT interpolation"] < 0.2 * found["time interpolation"] < found[UNMOVED]


def test_a_run_goes_on_from_the_worlds_that_are_there_and_writes_its_page(tmp_path: Path, monkeypatch):
    made = []

    def one_world(regime: str, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        made.append((regime, number))
        table = scores({"semi-mechanistic": (0.5,), "semi-mechanistic + fates": (0.4,), "no change": (1.0,)}, regime)
        populations = {"regime": regime, "world": number, "task": "held-out last time", "predictor": "x"}
        return table.drop(columns="seconds").assign(world=number), pd.DataFrame([populations | {"distance": 0.5}])

    monkeypatch.setattr(regimes, "one_world", one_world)
    for _ in range(2):
        regimes.run(tmp_path / "cache", tmp_path / "results", n_worlds=2)
    assert len(made) == len(set(made)) == 4
    text = (tmp_path / "results" / "regimes.md").read_text()
    assert "0.50 [0.50, 0.50]" in text
    assert text.count("semi-mechanistic wins") == 2


def test_one_small_world_is_scored_against_its_truth_by_every_method(monkeypatch):
    sizes = {"n_genes": 10, "n_edits": 3, "n_doubles": 0, "days": (1, 2, 3), "cells": 8, "control_cells": 40}
    monkeypatch.setattr(regimes, "SIZES", sizes)
    monkeypatch.setattr(regimes, "N_TRUTH_CELLS", 16)
    quick = {"n_steps": 2, "validation_steps": 2, "n_members": 1, "n_folds": 2, "steady_state": "none"}
    monkeypatch.setattr(regimes, "FitConfig", lambda **given: FitConfig(**given, **quick))
    found, populations = regimes.one_world(
        "differentiating", 3, splits=lambda data, number: regimes.held_out(data, number)[-1:]
    )
    names = {m.name for m in regimes.Workshop(seed=0, wiring=pd.DataFrame()).methods()}
    assert set(found["predictor"]) == names
    data, truth, _ = regimes.simulated("differentiating", 3)
    split = regimes.held_out(data, 3)[-1]
    nothing = found[(found["predictor"] == "persistence") & (found["scope"] == "all")]["value"].mean()
    persistence = fit_baseline("persistence", data.subset(split.train))
    predicted = persistence.predict_conditions([data.conditions[r] for r in split.test]).mean
    assert nothing == pytest.approx(((predicted - truth[split.test]) ** 2).mean())
    assert {*regimes.POPULATIONS, MIXTURE, UNMOVED} == set(populations["predictor"])
    assert "Whole populations" in page(found.assign(seconds=1.0), populations, sizes=sizes, n_held_out=3)
