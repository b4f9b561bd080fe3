from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semimech.evaluate import CEILING, best_simple_baseline, compare, summarise


def table(values, *, metric="mse", split="unseen_edit"):
    """Scores from an array per predictor, seed by edit by time."""
    rows = []
    for predictor, array in values.items():
        for (seed, edit, time), value in np.ndenumerate(array):
            rows.append((predictor, seed, f"G{edit}", f"G{edit}, {24 * time} h", float(value)))
    frame = pd.DataFrame(rows, columns=["predictor", "seed", "perturbation", "condition", "value"])
    return frame.assign(dataset="d", split=split, fold=0, metric=metric, scope="excl", mode="roll-out")


def test_errors_are_compared_by_the_ratio_of_their_means():
    scores = table({"a": np.array([[[1.0], [2.0], [3.0]]]), "b": np.array([[[2.0], [4.0], [2.0]]])})
    row = compare(scores, metric="mse", reference="b", rng=np.random.default_rng(0)).iloc[0]
    assert row["estimate"] == pytest.approx(6 / 8)
    assert row["won"] == pytest.approx(2 / 3)
    assert (row["unit"], row["n_conditions"], row["n_edits"]) == ("ratio", 3, 3)


def test_correlations_are_compared_by_their_difference():
    scores = table({"a": np.array([[[0.5], [0.4]]]), "b": np.array([[[0.2], [0.4]]])}, metric="pearson_control")
    row = compare(scores, metric="pearson_control", reference="b", rng=np.random.default_rng(0)).iloc[0]
    assert row["estimate"] == pytest.approx(0.15)
    assert row["won"] == pytest.approx(0.75)
    assert row["unit"] == "difference"


def test_a_constant_ratio_has_an_interval_of_no_width():
    base = np.random.default_rng(1).uniform(1, 2, size=(2, 10, 3))
    row = compare(table({"a": 0.8 * base, "b": base}), metric="mse", reference="b", rng=np.random.default_rng(0)).iloc[
        0
    ]
    assert (row["estimate"], row["lower"], row["upper"]) == pytest.approx((0.8, 0.8, 0.8))


def test_intervals_cover_the_true_difference_as_often_as_they_say():
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(300):
        # Times of one edit share most of their difference, so twelve edits are twelve observations and not 48.
        difference = 0.3 + rng.normal(size=(1, 12, 1)) + 0.2 * rng.normal(size=(1, 12, 4))
        scores = table({"a": difference, "b": np.zeros_like(difference)}, metric="rank")
        row = compare(scores, metric="rank", reference="b", level=0.9, n_boot=400, rng=rng).iloc[0]
        covered.append(row["lower"] <= 0.3 <= row["upper"])
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)


def test_intervals_cover_where_seeds_shift_all_edits_together():
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(200):
        difference = rng.normal(size=(12, 1, 1)) + rng.normal(size=(1, 12, 1)) + rng.normal(size=(12, 12, 1))
        scores = table({"a": difference, "b": np.zeros_like(difference)}, metric="rank")
        row = compare(scores, metric="rank", reference="b", level=0.9, n_boot=300, rng=rng).iloc[0]
        covered.append(row["lower"] <= 0.0 <= row["upper"])
    assert np.mean(covered) >= 0.9 - 3 * np.sqrt(0.09 / 200)


def test_only_conditions_that_both_predicted_are_compared():
    a, b = np.array([[[1.0], [5.0], [2.0]]]), np.array([[[1.0], [np.nan], [4.0]]])
    row = compare(table({"a": a, "b": b}), metric="mse", reference="b", rng=np.random.default_rng(0)).iloc[0]
    assert (row["n_conditions"], row["estimate"]) == (2, pytest.approx(3 / 5))


def test_all_pairs_are_compared_without_a_reference_and_the_ceiling_never_is():
    scores = table({name: np.ones((1, 4, 1)) for name in ("a", "b", "c", CEILING)})
    pairs = compare(scores, metric="mse", rng=np.random.default_rng(0))
    assert list(zip(pairs["predictor"], pairs["reference"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_one_edit_gives_an_estimate_without_an_interval():
    scores = table({"a": np.ones((1, 1, 3)), "b": np.full((1, 1, 3), 2.0)})
    row = compare(scores, metric="mse", reference="b", rng=np.random.default_rng(0)).iloc[0]
    assert row["estimate"] == pytest.approx(0.5)
    assert np.isnan([row["lower"], row["upper"]]).all()


def test_a_method_that_predicted_nothing_has_an_empty_comparison():
    scores = table({"a": np.full((1, 3, 1), np.nan), "b": np.ones((1, 3, 1))})
    compared = compare(scores, metric="mse", reference="b", rng=np.random.default_rng(0))
    assert compared["n_conditions"].tolist() in ([], [0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "r2"}, "no score is called 'r2'"),
        ({"metric": "mse", "reference": "z"}, "no predictor is called"),
        ({"metric": "mse", "level": 95.0}, "95 % is 0.95"),
        ({"metric": "mse", "scope": "exclude"}, "scope must be 'all' or 'excl', got 'exclude'"),
        ({"metric": "mse", "mode": "rollout"}, "mode must be"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(table({"a": np.ones((1, 2, 1))}), rng=np.random.default_rng(0), **arguments)


def test_the_best_baseline_is_chosen_split_by_split_among_those_that_predicted_everything():
    first = table({"additive": np.ones((1, 3, 1)), "ridge": np.full((1, 3, 1), 2.0), "model": np.zeros((1, 3, 1))})
    partial = np.array([[[0.1], [np.nan], [np.nan]]])
    second = table(
        {"additive": np.full((1, 3, 1), 3.0), "ridge": np.ones((1, 3, 1)), "persistence": partial}, split="s"
    )
    assert best_simple_baseline(pd.concat([first, second])) == {"unseen_edit": "additive", "s": "ridge"}


def test_the_summary_has_means_with_intervals_and_counts_what_is_missing():
    rng = np.random.default_rng(4)
    values = rng.normal(1.0, 0.1, size=(1, 40, 2))
    values[0, :3, 0] = np.nan
    scores = table({"a": values, "b": np.full_like(values, np.nan)})
    summary = summarise(scores, rng=rng).set_index("predictor")
    known = values[np.isfinite(values)]
    assert summary.loc["a", "mean"] == pytest.approx(known.mean())
    assert (summary.loc["a", "n_conditions"], summary.loc["a", "n_missing"]) == (77, 3)
    half = 2.02 * np.nanmean(values, axis=2).std(ddof=1) / np.sqrt(40)
    assert summary.loc["a", "upper"] - summary.loc["a", "lower"] == pytest.approx(2 * half, rel=0.2)
    assert (summary.loc["b", "n_conditions"], summary.loc["b", "n_missing"]) == (0, 80)
