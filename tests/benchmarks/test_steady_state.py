from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from benchmarks import sets, steady_state_loss
from benchmarks.steady_state_arms import MECHANISTIC, NEURAL, Arm, Workshop, arms
from benchmarks.steady_state_jobs import do_task
from benchmarks.steady_state_loss import read_cache, render, restore, write_table
from benchmarks.steady_state_scores import score_task
from benchmarks.steady_state_series import with_series
from benchmarks.steady_state_tables import change_of, gain_table
from benchmarks.steady_state_tasks import Task
from small_data import condition, dataset

from semimech.data import Split
from semimech.evaluate import baseline_methods

TINY = {"n_members": 1, "n_steps": 3, "validation_steps": 3, "n_folds": 2}


def scores(errors: dict[str, float], *, n_seeds: int = 4, n_edits: int = 6) -> pd.DataFrame:
    """The same relative error on every edit; predictions share half of the true change."""
    rows = [
        {
            "group": "world",
            "dataset": "world",
            "seed": seed,
            "split": "unseen_edit",
            "predictor": name,
            "perturbation": f"G{edit}",
            "mse": error * (1 + edit),
            "mse_all": error * (1 + edit),
            "pp": 0.25 * (1 + edit),
            "pt": 0.5 * (1 + edit),
            "tt": 1.0 + edit,
        }
        for name, error in errors.items()
        for seed in range(n_seeds)
        for edit in range(n_edits)
    ]
    return pd.DataFrame(rows)


def small_task() -> Task:
    """Time courses of three edits, one held out; there are no cells, so no second moments."""
    rng = np.random.default_rng(0)
    conditions = [condition(name, hours) for name in ("control", "G0", "G1", "G2") for hours in (24.0, 48.0)]
    data = dataset(conditions, 1.0 + 0.3 * rng.random((8, 4)), name="small")
    split = Split(name="unseen_edit", train=np.arange(6), test=np.array([6, 7]))
    return Task(
        group="small",
        seed=0,
        dataset=data,
        splits=(split,),
        arms=arms(MECHANISTIC, ("none", "moment")),
        workshop=Workshop(settings=TINY),
    )


def test_halving_the_true_change_is_pulling_that_ideal_shrinkage_takes_off():
    found = change_of(scores({"Neural ODE, point": 0.25})).loc["Neural ODE, point"]
    assert found["error"] == pytest.approx(0.25)
    assert found["slope"] == pytest.approx(0.5)
    assert found["correlation"] == pytest.approx(1.0)
    assert found["ideal"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("none", "decay", "said"),
    [(0.5, 1.0, "tie"), (1.0, 0.5, "no more than weight decay"), (1.0, 1.0, "**gain ≥ 20 %**"), (0.4, 1.0, "worse")],
)
def test_a_strength_gains_only_beyond_both_of_its_control_arms(none: float, decay: float, said: str):
    table = gain_table(
        scores(
            {"Neural ODE, none": none, "Neural ODE, weight decay": decay, "Neural ODE, point": 0.5, "no change": 1.0}
        )
    )
    assert table["verdict"].tolist() == [said]


@pytest.mark.parametrize("better", ["none", "moment"])
def test_auto_is_whichever_of_none_and_moment_inner_validation_finds_better(better: str):
    train = small_task().dataset
    workshop = Workshop(settings={})
    for treatment in ("none", "moment"):
        table = pd.DataFrame({"error": [0.4 if treatment == better else 0.8], "chosen": [True]})
        model = SimpleNamespace(record=SimpleNamespace(selection=table), treatment=treatment)
        name = Arm(law=MECHANISTIC, treatment=treatment).name
        workshop.models[name, 0, hash(train.mean.tobytes())] = model
    assert workshop.fit(Arm(law=MECHANISTIC, treatment="auto"), train, 0).treatment == better


def test_a_task_is_scored_and_its_page_shows_every_arm_and_why_one_is_refused(tmp_path: Path):
    task = small_task()
    table = score_task(task, task.arms, others=baseline_methods())
    still = table[table["predictor"] == "no change"].iloc[0]
    assert still["pp"] == 0
    assert still["mse"] == pytest.approx(still["tt"])
    write_table(table.assign(seconds=1.0), tmp_path / "small.tsv")
    write_table(task.workshop.chosen().assign(group="small", task="small"), tmp_path / "small.chosen")
    assert len(read_cache(tmp_path)[0]) == len(table)
    render(tmp_path, tmp_path / "out")
    page = (tmp_path / "out" / "steady_state_loss.md").read_text()
    restore(tmp_path / "again", tmp_path / "out")
    for one, other in zip(read_cache(tmp_path), read_cache(tmp_path / "again"), strict=True):
        pd.testing.assert_frame_equal(one, other, check_like=True)
    assert "| semi-mechanistic, none |" in page
    assert "semi-mechanistic, moment: steady-state loss 'moment'" in page
    assert (tmp_path / "out" / "steady_state_loss.png").stat().st_size > 0


def test_a_run_goes_on_from_the_tasks_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []
    plans = [SimpleNamespace(name=name, make=lambda name=name: made.append(name)) for name in ("a", "b")]
    workshop = SimpleNamespace(chosen=lambda: pd.DataFrame({"x": [1]}))
    monkeypatch.setattr("benchmarks.steady_state_tasks.plans", lambda **_: plans)
    monkeypatch.setattr("benchmarks.steady_state_jobs.score_task", lambda *_, **__: pd.DataFrame({"x": [1]}))
    for plan in plans:
        plan.make = lambda name=plan.name: made.append(name) or SimpleNamespace(workshop=workshop, arms=(), group="g")
    (tmp_path / "a.tsv").write_text("x\n1\n")
    steady_state_loss.run(tmp_path, n_seeds=1, minutes=1.0, only="")
    assert made == ["b"]


def test_arms_that_were_fitted_again_stand_in_the_place_of_the_older_ones_and_nothing_else_is_touched():
    old = pd.DataFrame({"task": ["a", "a", "b"], "predictor": ["x", "y", "x"], "mse": [1.0, 2.0, 3.0]})
    new = pd.DataFrame({"task": ["a", "a"], "predictor": ["x", "x"], "mse": [7.0, 8.0]})
    found = steady_state_loss.replaced(old, new)
    assert sorted(found.itertuples(index=False, name=None)) == [
        ("a", "x", 7.0),
        ("a", "x", 8.0),
        ("a", "y", 2.0),
        ("b", "x", 3.0),
    ]


def test_only_some_treatments_are_fitted_where_they_are_named(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(
        "benchmarks.steady_state_jobs.score_task", lambda task, arms, *, others: asked.append((arms, others))
    )
    chosen = arms(MECHANISTIC, ("none", "default"))
    workshop = SimpleNamespace(chosen=lambda: pd.DataFrame({"x": [1]}))
    plan = SimpleNamespace(make=lambda: SimpleNamespace(workshop=workshop, arms=chosen, group="g"))
    do_task(plan, treatments=("default",))
    assert asked == [([chosen[1]], ())]


def test_a_dream4_perturbation_is_on_until_half_way_and_then_taken_off(root: Path):
    case = sets.read_dream4(root, 10, 1)
    data = with_series(case, root)
    n_settled = len(case.dataset.conditions)
    assert len(data.conditions) == n_settled + 50
    first = data.conditions[n_settled : n_settled + 10]
    assert [c.hours for c in first] == pytest.approx([10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
    assert [c.media for c in first] == [("perturbation 01",)] * 5 + [("perturbation 01", None)] * 5
    assert data.is_stationary_control.sum() == 1


def test_arms_of_both_laws_have_names_that_tell_law_wiring_and_treatment():
    assert Arm(law=NEURAL, treatment="point").name == "Neural ODE, point"
    assert Arm(law=MECHANISTIC, treatment="none", wiring="mask").name == "semi-mechanistic + mask prior, none"
