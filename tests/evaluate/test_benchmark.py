from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.assumptions.catalogue import SETTLED
from semimech.data.dataset import Cells
from semimech.data.split import Split, available_splits, unseen_edit, unseen_time
from semimech.evaluate import CEILING, ONE_STEP, ROLL_OUT, Method, baseline_methods, run_benchmark, write_scores
from semimech.evaluate.reference import earlier_harvests
from semimech.evaluate.score import COLUMNS
from semimech.predictor import AbstractPredictor, Prediction

N, NOISE = 20, 0.05


def screen(*, shared=0.5, n_edits=6, hours=(24.0, 48.0, 72.0), doubles=("G0+G1", "G2+G3"), seed=0):
    """Edits share a response and have one of their own; both grow linearly with time."""
    rng = np.random.default_rng(seed)
    common = shared * rng.normal(size=N)
    own = {f"G{i}": rng.normal(size=N) * np.where(np.arange(N) == i, 0, 1) for i in range(n_edits)}
    names = [("control", t) for t in hours] + [(p, t) for p in (*own, *doubles) for t in hours]
    truth = [
        10.0 + t / 72 * sum((common + own[g] for g in p.split("+")), np.zeros(N))
        if p != "control"
        else np.full(N, 10.0)
        for p, t in names
    ]
    halves = np.array(truth) + NOISE * np.sqrt(2) * rng.normal(size=(2, len(names), N))
    return dataset([condition(p, t) for p, t in names], halves.mean(axis=0), standard_error=NOISE, halves=halves)


class Oracle(AbstractPredictor):
    """Knows the measurements."""

    def __init__(self, known):
        super().__init__(name="oracle", genes=known.genes, assumptions=(SETTLED,))
        self.known = known

    def predict_conditions(self, conditions):
        return Prediction.without_interval(np.array([self.known.mean[self.known.index[c]] for c in conditions]))


@pytest.fixture(scope="module")
def data():
    return screen()


@pytest.fixture(scope="module")
def result(data):
    methods = (*baseline_methods(), Method(name="oracle", fit=lambda train, seed: Oracle(data)))
    return run_benchmark(methods, data, available_splits(data, n_folds=3), seed=7)


def mean_score(scores, predictor, split, metric, scope="excl", mode=ROLL_OUT):
    query = "predictor == @predictor and split == @split and metric == @metric and scope == @scope and mode == @mode"
    values = scores.query(query)["value"]
    assert len(values)
    return values.mean()


def test_the_table_is_tidy_and_says_what_was_scored(result, data):
    scores = result.scores
    assert list(scores.columns) == list(COLUMNS)
    keys = ["predictor", "split", "fold", "condition", "metric", "scope", "mode"]
    assert not scores.duplicated(keys).any()
    assert set(scores["seed"]) == {7}
    assert set(scores["stratum"]) <= {"none", "small", "large"}
    assert set(scores["split"]) == {"unseen_edit", "unseen_time", "unseen_edit_time", "unseen_combination"}


def test_a_perfect_prediction_scores_perfectly_everywhere(result):
    perfect = result.scores.query("predictor == 'oracle'").groupby("metric")["value"].agg(["min", "max"])
    for metric, worst in {"mse": 0, "wmse": 0, "pearson_control": 1, "pearson_perturbed": 1, "rank": 1}.items():
        assert perfect.loc[metric, ["min", "max"]].to_numpy(dtype=float) == pytest.approx([worst, worst], abs=1e-9)


def test_the_mean_of_edits_falls_into_the_pearson_trap_and_the_mean_reference_gets_it_out(result):
    assert mean_score(result.scores, "mean of edits", "unseen_edit", "pearson_control") > 0.2
    assert mean_score(result.scores, "mean of edits", "unseen_edit", "pearson_perturbed") == pytest.approx(0.0)
    assert mean_score(result.scores, "mean of edits", "unseen_edit", "rank") == pytest.approx(0.5)


def test_the_simple_truth_of_each_split_wins_it(result):
    scores = result.scores
    ceiling = mean_score(scores, CEILING, "unseen_combination", "mse")
    # Two single effects and a control, each with its own noise, add to that of the pair.
    assert ceiling < mean_score(scores, "additive", "unseen_combination", "mse") < 6 * ceiling
    assert mean_score(scores, "no change", "unseen_combination", "mse") > 50 * ceiling
    assert mean_score(scores, "time trend", "unseen_time", "mse") < 0.2 * mean_score(
        scores, "persistence", "unseen_time", "mse"
    )


def test_the_ceiling_is_near_the_noise(result):
    assert mean_score(result.scores, CEILING, "unseen_edit", "mse") == pytest.approx(NOISE**2, rel=0.2)


def test_a_method_that_cannot_predict_is_listed_with_the_reason(result):
    rows = result.scores.query("predictor == 'persistence' and split == 'unseen_edit'")
    assert len(rows)
    assert rows["value"].isna().all()
    assert rows["reason"].str.contains("training has not an earlier harvest").all()
    rows = result.scores.query("predictor == 'gaussian conditioning'")
    assert rows["reason"].str.contains("covariance").all()


def test_time_is_scored_as_a_roll_out_and_one_step_ahead(result, data):
    scores = result.scores
    assert set(scores.query("split == 'unseen_edit'")["mode"]) == {ROLL_OUT}
    one_step = scores.query("split == 'unseen_time' and mode == @ONE_STEP and predictor == 'persistence'")
    assert set(one_step["hours"]) == {48.0, 72.0}
    held = next(
        p
        for p in result.predictions
        if p.mode == ONE_STEP and p.method == "persistence" and p.split.name == "unseen_time"
    )
    row = held.rows[0]
    before = data.conditions[row]
    earlier = data.index[condition(before.perturbation, before.hours - 24)]
    assert held.mean[0] == pytest.approx(data.mean[earlier])
    assert "oracle" not in set(scores.query("mode == @ONE_STEP")["predictor"])


def test_one_step_ahead_knows_an_unseen_edit_from_its_earlier_harvest(result):
    scores = result.scores
    rolled = mean_score(scores, "mean of edits", "unseen_edit_time", "mse")
    assert mean_score(scores, "mean of edits", "unseen_edit_time", "mse", mode=ONE_STEP) < 0.5 * rolled


def test_where_training_values_are_found_apart_nothing_else_of_the_data_set_is_gone_on_from(data):
    def raised(split):
        train = data.subset(split.train)
        return replace(train, mean=train.mean + 1.0)

    splits = available_splits(data, n_folds=3)
    held = run_benchmark(baseline_methods(), data, splits, seed=0, training=raised).predictions
    steps = [p for p in held if p.mode == ONE_STEP and p.method == "persistence"]
    assert {p.split.name for p in steps} == {"unseen_time"}  # edits that were held out have no values to go on from
    for p in steps:
        before = earlier_harvests(data, p.rows)
        np.testing.assert_allclose(p.mean, data.mean[before] + 1.0)


def test_a_leaking_split_is_refused_before_anything_is_fitted(data):
    rows = np.arange(len(data.conditions))
    leaking = Split(name="unseen_edit", train=rows, test=rows[-3:], seed=0)
    fitted = []
    method = Method(name="m", fit=lambda train, seed: fitted.append(seed))
    with pytest.raises(DataError, match="share"):
        run_benchmark([method], data, [*unseen_edit(data, n_folds=3), leaking], seed=0)
    assert not fitted


def test_predictions_that_are_not_finite_are_missing_with_a_reason(data):
    class Broken(Oracle):
        def predict_conditions(self, conditions):
            mean = super().predict_conditions(conditions).mean.copy()
            mean[0, 3] = np.inf
            return Prediction.without_interval(mean)

    method = Method(name="broken", fit=lambda train, seed: Broken(data))
    scores = run_benchmark([method], data, unseen_edit(data, n_folds=3)[:1], seed=0).scores
    broken = scores.query("predictor == 'broken' and metric == 'mse'")
    assert broken["value"].isna().sum() == broken["reason"].str.contains("not finite").sum() == 2


def test_progress_names_every_fit(data):
    lines = []
    run_benchmark(baseline_methods()[:2], data, unseen_time(data)[:1], seed=0, progress=lines.append)
    assert lines == ["unseen_time, fold 0: no change", "unseen_time, fold 0: mean of edits"]


def test_no_splits_give_an_empty_table(data):
    assert list(run_benchmark(baseline_methods(), data, [], seed=0).scores.columns) == list(COLUMNS)


def test_energy_distance_is_least_for_the_right_shift(data):
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(data.conditions)), 40)
    values = data.mean[labels] + 0.3 * rng.normal(size=(len(labels), N))
    cells = Cells(values=values, condition=labels, batch=np.zeros(len(labels), dtype=int))
    with_cells = replace(data, cells=cells)
    methods = (*baseline_methods()[:2], Method(name="oracle", fit=lambda train, seed: Oracle(data)))
    scores = run_benchmark(methods, with_cells, unseen_edit(data, n_folds=3)[:1], seed=0).scores
    energy = scores[scores["metric"] == "energy"].groupby("predictor")["value"].mean()
    assert energy["oracle"] == pytest.approx(0.0, abs=0.05)
    assert energy["no change"] > 0.3
    assert CEILING not in energy


def test_held_out_values_are_listed_gene_by_gene(result, data):
    table = result.held_out(methods=["additive"])
    row = table.query(
        "split == 'unseen_combination' and perturbation == 'G0+G1' and hours == 72 and gene == 'G0'"
    ).iloc[0]
    assert row["is_target"]
    assert row["observed"] == pytest.approx(data.mean[data.index[condition("G0+G1", 72)], 0])
    assert row["control"] == pytest.approx(data.control_mean()[0])
    assert result.held_out(methods=["nobody"]).empty


def test_data_without_controls_are_scored_against_the_training_mean():
    with_controls = screen()
    edited = with_controls.subset(~with_controls.is_control)
    scores = run_benchmark(baseline_methods()[:2], edited, unseen_edit(edited, n_folds=3), seed=0).scores
    mean = scores.query("predictor == 'mean of edits' and metric == 'mse'")["value"]
    assert np.isfinite(mean).all()


def test_scores_survive_the_disk(result, tmp_path):
    parquet, table = write_scores(result.scores, tmp_path / "out")
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), result.scores, check_dtype=False)
    read = pd.read_csv(table, sep="\t", keep_default_na=False, na_values=["nan"])
    assert read["value"].to_numpy() == pytest.approx(result.scores["value"].to_numpy(), nan_ok=True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["scores.parquet", "scores.tsv"]


def test_a_failed_write_leaves_the_old_table_and_no_litter(result, tmp_path):
    write_scores(result.scores.head(3), tmp_path)
    bad = result.scores.head(3).assign(value=[object(), object(), object()])
    with pytest.raises(Exception, match="."):
        write_scores(bad, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.parquet", "scores.tsv"]
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 3
