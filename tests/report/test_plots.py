"""Figures draw what the tables hold, and can be told apart without colour."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import report_example as example

from semimech._errors import DataError
from semimech.report.plots import (
    condition_table,
    data_uri,
    leading_genes,
    plot_batches,
    plot_comparisons,
    plot_conditions,
    plot_detection,
    plot_held_out,
    plot_history,
    plot_network,
    plot_quality,
    plot_scores,
    plot_selection,
    plot_strata,
    plot_trajectory,
)
from semimech.report.plots.overview import by_strength
from semimech.report.plots.response import change_limit
from semimech.report.plots.style import LOOKS
from semimech.report.summary import summarise


@pytest.fixture(scope="module")
def data():
    return example.dataset(n_genes=16, n_edits=5)


@pytest.fixture(scope="module")
def summary(data):
    table = summarise(
        example.scores(data, {example.MODEL: 0.8, "ridge": 1.0, "replicate ceiling": 0.5}, splits=("unseen_edit",))
    )
    return table[table["mode"] == "roll-out"]


def texts(figure) -> set[str]:
    """All words in a figure's first axes and above it."""
    axes = figure.axes[0]
    return {t.get_text() for t in [*axes.get_yticklabels(), *axes.get_xticklabels(), *axes.texts, *figure.texts]}


def test_series_differ_in_marker_and_in_dashes_and_not_only_in_colour():
    assert len({look.marker for look in LOOKS}) == len({str(look.dashes) for look in LOOKS}) == len(LOOKS)


def test_a_figure_is_the_same_image_each_time_it_is_drawn(data):
    first, second = (data_uri(plot_batches(data)) for _ in range(2))
    assert first == second
    ET.fromstring(base64.b64decode(first.removeprefix("data:image/svg+xml;base64,")))


def test_the_strength_of_an_edit_is_the_change_of_the_other_genes_in_standard_errors(data):
    table = condition_table(data)
    row = next(r for r, c in enumerate(data.conditions) if not c.is_control)
    change = (data.mean[row] - data.matched_control(data.conditions[row])) / data.standard_error[row]
    others = np.array([gene != data.conditions[row].edits[0].gene for gene in data.genes])
    assert table["strength"][row] == pytest.approx(np.sqrt(np.mean(change[others] ** 2)))
    assert table["changed"][row] >= (np.abs(change[others]) > 10).sum()


def test_controls_have_no_change_and_stand_first(data):
    table = condition_table(data)
    is_control = table["perturbation"] == "control"
    assert (table.loc[is_control, ["changed", "strength"]] == 0).all(axis=None)
    names = by_strength(table)
    assert names[0] == "control"
    largest = table.groupby("perturbation")["changed"].max()
    assert list(largest[names[1:]]) == sorted(largest[names[1:]], reverse=True)


def test_every_condition_has_its_dot(data):
    dots = sum(len(figure.axes[0].collections[0].get_offsets()) for figure in plot_conditions(data))
    assert dots == len(data.conditions)


def test_long_screens_are_parted_evenly():
    wide = example.dataset(n_genes=40, n_edits=33, days=(1.0,), has_cells=False)
    rows = [len(figure.axes[0].get_yticks()) for figure in plot_conditions(wide)]
    assert sum(rows) == len(set(wide.perturbations))
    assert max(rows) - min(rows) <= 1


def test_batches_count_their_cells(data):
    words = texts(plot_batches(data))
    for batch in range(3):
        is_edited = ~data.is_control[data.cells.condition[data.cells.batch == batch]]
        assert f"{is_edited.sum():,}" in words


def test_detection_shows_the_median(data):
    axes = plot_detection(data).axes[0]
    medians = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    detected = (data.cells.values != 0).sum(axis=1)
    assert medians == [np.median(detected[data.cells.batch == batch]) for batch in range(3)]


@pytest.mark.parametrize("plot", [plot_batches, plot_detection])
def test_bulk_data_have_no_batches_of_cells_to_draw(plot):
    with pytest.raises(DataError, match="no single cells"):
        plot(example.dataset(n_genes=12, n_edits=2, has_cells=False))


def test_scores_stand_best_first_with_the_ceiling_as_a_line(summary):
    for metric, best in (("mse", example.MODEL), ("pearson_control", example.MODEL)):
        figure = plot_scores(summary, metric=metric, models=(example.MODEL,))
        assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == [best, "ridge"]
    means = summary.set_index(["predictor", "metric", "scope"])["mean"]
    drawn = [line.get_xdata()[0] for line in plot_scores(summary, metric="mse").axes[0].lines]
    for name in (example.MODEL, "ridge", "replicate ceiling"):
        assert means[name, "mse", "excl"] in drawn


def test_the_side_of_the_interval_decides_the_marker():
    pairs = example.comparisons(("a", "b", "c"), splits=("unseen_edit",)).assign(
        estimate=[1.2, 1.0, 0.8], lower=[1.1, 0.9, 0.7], upper=[1.3, 1.1, 0.9]
    )
    markers = [
        line.get_marker() for line in plot_comparisons(pairs).axes[0].lines if line.get_marker() not in ("None", "")
    ]
    assert markers == ["X", "s", "o"]
    higher_is_better = pairs.assign(metric="pearson_control", unit="difference", estimate=0.1, lower=0.05, upper=0.2)
    axes = plot_comparisons(higher_is_better).axes[0]
    assert {line.get_marker() for line in axes.lines} - {"None", ""} == {"o"}


def test_strata_keep_their_order():
    strata = pd.DataFrame({"predictor": ["m"] * 3, "stratum": ["small", "medium", "large"], "mean": [1.0, 2.0, 4.0]})
    (line,) = plot_strata(strata, metric="mse").axes[0].lines
    assert list(line.get_ydata()) == [1.0, 2.0, 4.0]


def test_held_out_points_are_changes_against_control_and_stay_on_the_axes(data):
    table = example.held_out(data, (example.MODEL,))
    part = table[table["split"] == "unseen_edit"]
    limit = change_limit(part)
    figure = plot_held_out(part, title=example.MODEL)
    rest, targets = figure.axes[0].collections
    assert len(targets.get_offsets()) == part["is_target"].sum()
    assert len(rest.get_offsets()) + len(targets.get_offsets()) == len(part)
    assert np.abs(np.vstack([rest.get_offsets(), targets.get_offsets()])).max() <= limit


def test_a_predictor_of_no_change_has_no_correlation(data):
    table = example.held_out(data, (example.MODEL,))
    figure = plot_held_out(table.assign(predicted=table["control"]), title="no change")
    assert "the predictor states no change" in texts(figure)


def test_a_course_shows_observed_means_and_the_predicted_line(data):
    gene = leading_genes(data, data.genes[1], count=1)
    figure = plot_trajectory(data, example.trajectories(data), perturbation=data.genes[1], genes=gene)
    rows = [r for r, name in enumerate(data.perturbations) if name == data.genes[1]]
    column = data.genes.index(gene[0])
    points = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert points.get_ydata() == pytest.approx(data.mean[rows, column] - data.control_mean()[column])


def test_short_courses_are_told_in_hours():
    data = example.dataset(n_genes=12, n_edits=2, days=(0.25, 0.5), has_cells=False)
    course = example.trajectories(data)
    figure = plot_trajectory(data, course[course["hours"] <= 12], perturbation=data.genes[0])
    assert figure.axes[0].get_xlabel() == "time since the start (hours)"


def test_the_genes_that_change_most_lead(data):
    edit = data.genes[2]
    rows = [r for r, name in enumerate(data.perturbations) if name == edit]
    change = np.abs(data.mean[rows] - data.control_mean()).max(axis=0)
    assert leading_genes(data, edit, count=3) == [data.genes[g] for g in np.argsort(-change)[:3]]
    assert leading_genes(data, "nothing") == []


def test_loss_is_the_median_over_runs():
    history = example.history()
    line = next(line for line in plot_history(history).axes[0].lines if line.get_label() == "data")
    expected = history[history["term"] == "data"].groupby("step")["value"].median()
    assert line.get_ydata() == pytest.approx(expected.to_numpy())


def test_the_chosen_candidate_is_a_star_even_when_it_ranks_low():
    table = example.selection()
    table["chosen"] = table["error"] == table["error"].max()
    markers = [line.get_marker() for line in plot_selection(table, count=3).axes[0].lines]
    assert markers.count("*") == table["chosen"].sum()
    assert markers.count("o") == 3


def test_the_network_draws_its_strongest_edges_and_dashes_repression(data):
    network = example.network(data)
    figure = plot_network(network, count=10)
    arrows = figure.axes[0].patches
    strongest = network.reindex(network["weight"].abs().sort_values(ascending=False).index).head(10)
    assert len(arrows) == 10
    assert [arrow.get_linestyle() == "-" for arrow in arrows] == list(strongest["weight"] > 0)


def test_a_quality_that_nobody_measured_is_not_drawn_and_others_stand_most_different_first():
    conditions = pd.DataFrame(
        {
            "perturbation": ["A", "B", "C"],
            "hours": [48.0, 48.0, 48.0],
            "medium": ["maintenance"] * 3,
            "depth": [1.05, 0.4, np.nan],
            "depth_error": [0.05, 0.05, np.nan],
            "escapers": [np.nan] * 3,
            "escapers_error": [np.nan] * 3,
        }
    )
    figure = plot_quality(conditions, "depth")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["B", "A"]
    assert plot_quality(conditions, "escapers") is None and plot_quality(pd.DataFrame(), "depth") is None
    with pytest.raises(ValueError, match="depth"):
        plot_quality(conditions, "colour")
