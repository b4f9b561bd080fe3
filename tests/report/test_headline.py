"""The verdict says what the interval says, whoever wins."""

from __future__ import annotations

import pandas as pd
import pytest
import report_example as example

from semimech.evaluate import CEILING
from semimech.report.blocks import Gallery, Verdict
from semimech.report.headline import headline

COLUMNS = (
    "predictor",
    "reference",
    "split",
    "metric",
    "scope",
    "estimate",
    "lower",
    "upper",
    "n_conditions",
    "won",
    "unit",
)


@pytest.fixture(scope="module")
def data():
    return example.dataset(n_genes=12, n_edits=4, has_cells=False)


def verdicts(data, row: tuple, *, levels: dict[str, float] | None = None) -> list[Verdict]:
    """Verdicts for one comparison of the model with ridge."""
    levels = {example.MODEL: 0.8, "ridge": 1.0, CEILING: 0.5} if levels is None else levels
    content = example.content(
        dataset=data,
        scores=example.scores(data, levels, splits=("unseen_edit",)),
        comparisons=pd.DataFrame([(example.MODEL, "ridge", "unseen_edit", *row)], columns=COLUMNS),
        models=(example.MODEL,),
    )
    return [block for block in headline(content).blocks if isinstance(block, Verdict)]


@pytest.mark.parametrize(
    ("row", "result", "words"),
    [
        (
            ("mse", "excl", 0.77, 0.67, 0.88, 30, 0.8, "ratio"),
            "won",
            "lowers the mean squared error by 23% (95% interval 12% to 33%)",
        ),
        (
            ("mse", "excl", 1.15, 1.05, 1.3, 30, 0.3, "ratio"),
            "lost",
            "raises the mean squared error by 15% (95% interval 5% to 30%)",
        ),
        (
            ("mse", "excl", 0.97, 0.88, 1.08, 30, 0.5, "ratio"),
            "tie",
            "is 3% (95% interval −8% to 12%) lower against ridge",
        ),
        (
            ("pearson_control", "all", 0.1, 0.05, 0.2, 30, 0.8, "difference"),
            "won",
            "by 0.100 (95% interval 0.0500 to 0.200)",
        ),
        (
            ("pearson_control", "all", -0.1, -0.2, -0.05, 30, 0.1, "difference"),
            "lost",
            "the model lowers the correlation of change against control by 0.100",
        ),
        (("mse", "excl", -0.2, -0.3, -0.1, 30, 0.9, "difference"), "won", "by 0.200 (95% interval 0.100 to 0.300)"),
        (("mse", "excl", 0.9, float("nan"), float("nan"), 1, 1.0, "ratio"), "open", "no interval"),
    ],
)
def test_the_verdict_follows_the_interval(data, row, result, words):
    (verdict,) = verdicts(data, row)
    assert verdict.result == result
    assert words in verdict.text


def test_a_win_says_how_much_of_the_way_to_a_replicate_it_goes(data):
    (verdict,) = verdicts(data, ("mse", "excl", 0.8, 0.7, 0.9, 30, 0.8, "ratio"))
    assert "of the way from that baseline to a replicate" in verdict.text


def test_a_baseline_at_the_ceiling_leaves_nothing_to_win(data):
    levels = {example.MODEL: 1.0, "ridge": 0.1, CEILING: 5.0}
    (verdict,) = verdicts(data, ("mse", "excl", 1.0, 0.9, 1.1, 30, 0.5, "ratio"), levels=levels)
    assert "nothing left to win" in verdict.text


def test_the_model_is_held_against_the_best_baseline_and_not_the_weakest(data):
    content = example.content(dataset=data, models=(example.MODEL,))
    sentences = [block.text for block in headline(content).blocks if isinstance(block, Verdict)]
    assert len(sentences) == len(example.SPLITS)
    assert all("against low-rank linear" in sentence for sentence in sentences)


def test_several_splits_are_also_drawn(data):
    assert any(isinstance(block, Gallery) for block in headline(example.content(dataset=data)).blocks)


def test_a_split_that_was_not_compared_stays_open(data):
    content = example.content(
        dataset=data, comparisons=example.comparisons(("low-rank linear",), splits=("unseen_edit",))
    )
    results = [block.result for block in headline(content).blocks if isinstance(block, Verdict)]
    assert results == ["won", "open", "open"]


def test_without_comparisons_no_winner_is_named(data):
    empty = pd.DataFrame()
    blocks = headline(example.content(dataset=data, comparisons=empty, scores=empty)).blocks
    assert not any(isinstance(block, Verdict) for block in blocks)
