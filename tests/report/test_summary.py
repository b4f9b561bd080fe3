"""Who is spoken of: the best baseline, the main metric, pairs turned the right way round."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import report_example as example

from semimech.evaluate import CEILING, compare
from semimech.report.summary import best_baseline, by_stratum, main_metric, main_pairs, mean_of, summarise, turned

LEVELS = {"model": 0.6, "B": 0.8, "C": 1.2, CEILING: 0.3}


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return example.scores(example.dataset(n_genes=12, n_edits=6, has_cells=False), LEVELS, splits=("unseen_edit",))


def test_the_summary_is_the_mean_inside_its_interval_and_always_the_same(scores):
    summary = summarise(scores)
    pd.testing.assert_frame_equal(summary, summarise(scores))
    part = scores[(scores["predictor"] == "B") & (scores["metric"] == "mse") & (scores["scope"] == "excl")]
    assert mean_of(summary, "B", metric="mse", scope="excl") == pytest.approx(part["value"].mean())
    assert ((summary["lower"] <= summary["mean"]) & (summary["mean"] <= summary["upper"])).all()


def test_predictors_without_any_value_are_left_out(scores):
    silent = scores[scores["predictor"] == "B"].assign(predictor="silent", value=np.nan)
    assert "silent" not in set(summarise(pd.concat([scores, silent]))["predictor"])
    assert summarise(scores.iloc[:0]).empty


def test_an_error_without_the_edited_genes_is_spoken_of_first(scores):
    assert main_metric(scores.iloc[::-1]) == ("mse", "excl")
    assert main_metric(scores[scores["scope"] == "all"]) == ("mse", "all")
    assert main_metric(scores[scores["metric"] == "rank"]) == ("rank", "excl")
    assert main_metric(scores.iloc[:0]) is None


@pytest.mark.parametrize("metric", ["mse", "pearson_control"])
def test_the_best_baseline_is_neither_the_model_nor_the_ceiling(scores, metric):
    assert best_baseline(summarise(scores), ("model",), metric=metric, scope="excl") == "B"


def test_a_baseline_that_dodged_conditions_cannot_be_the_best(scores):
    edits = scores["perturbation"].unique()
    is_dodged = (scores["predictor"] == "B") & (scores["perturbation"] == edits[0])
    summary = summarise(scores.assign(value=scores["value"].mask(is_dodged)))
    assert best_baseline(summary, ("model",), metric="mse", scope="excl") == "C"


def test_no_baseline_is_best_where_there_is_none(scores):
    assert best_baseline(summarise(scores), ("model", "B", "C"), metric="mse", scope="excl") is None


def test_pairs_stand_the_same_way_round_however_they_were_compared(scores):
    pairs = [
        compare(
            scores[scores["predictor"].isin(["model", "B"])], metric="mse", reference=name, rng=np.random.default_rng(0)
        )
        for name in ("B", "model")
    ]
    found = [main_pairs(table, ("model",), "unseen_edit").iloc[0] for table in pairs]
    for row in found:
        assert (row["predictor"], row["reference"]) == ("model", "B")
    for name in ("estimate", "lower", "upper", "won"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-3)


def test_turning_twice_changes_nothing():
    pairs = pd.concat(
        [example.comparisons(("a", "b")), example.comparisons(("c",)).assign(unit="difference", metric="rank")]
    )
    pd.testing.assert_frame_equal(turned(turned(pairs)), pairs)


def test_main_pairs_hold_the_first_model_against_baselines_from_the_start_only():
    pairs = example.comparisons(("a", "b", CEILING, "Neural ODE")).assign(mode="roll-out")
    pairs = pd.concat([pairs, pairs.assign(mode="one-step", estimate=9.0), pairs.assign(metric="rank")])
    found = main_pairs(pairs, (example.MODEL, "Neural ODE"), "unseen_edit")
    assert list(found["reference"]) == ["a", "b"]
    assert (found["estimate"] < 1).all()
    assert main_pairs(pairs, (), "unseen_edit").empty


def test_strata_go_from_no_effect_to_large_ones(scores):
    table = by_stratum(scores.iloc[::-1], ["model", "B"], metric="mse", scope="excl")
    assert list(table["predictor"]) == ["model"] * 3 + ["B"] * 3
    assert list(table["stratum"]) == ["none", "small", "large"] * 2
    rows = scores[(scores["predictor"] == "B") & (scores["stratum"] == "large") & (scores["metric"] == "mse")]
    assert table["mean"].iloc[-1] == pytest.approx(rows.loc[rows["scope"] == "excl", "value"].mean())
