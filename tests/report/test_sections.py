"""Sections say what the data are, and what they are not, in words that follow from the tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_example as example

from semimech.assumptions.catalogue import STATIONARY_CONTROLS
from semimech.data import CellSystem, Dataset
from semimech.evaluate import ERROR_PARTS, TOTAL
from semimech.experiment import Experiment, Harvest, SetMedia, Wait
from semimech.report.blocks import Block, Code, Fold, Gallery, Paragraph, Points, Section, Table
from semimech.report.sections import (
    assumption_section,
    budget_section,
    data_section,
    fit_section,
    held_out_section,
    network_section,
    provenance_section,
    score_section,
    sensitivity_section,
    trajectory_section,
)


@pytest.fixture(scope="module")
def content():
    return example.content(size={"n_genes": 16, "n_edits": 5})


def blocks(section: Section) -> list[Block]:
    """All blocks, the folded ones too."""
    found = []
    for block in section.blocks:
        found += [block, *block.blocks] if isinstance(block, Fold) else [block]
    return found


def words(section: Section) -> str:
    """All paragraphs."""
    return " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))


def of(kind: type, section: Section) -> list:
    """Blocks of one kind, the folded ones too."""
    return [block for block in blocks(section) if isinstance(block, kind)]


def with_hypoxia() -> Dataset:
    """A screen with unedited cells in a second medium."""
    data = example.dataset(n_genes=12, n_edits=3, days=(2.0,), has_cells=False)
    steps = (SetMedia(name="hypoxia"), Wait(hours=48), Harvest(label="end"))
    moved = Experiment(id="x", steps=steps).conditions["end"]
    return replace(
        data,
        system=CellSystem(name="iPSC", media=("hypoxia",)),
        conditions=(*data.conditions, moved),
        mean=np.vstack([data.mean, data.mean[:1]]),
        standard_error=np.vstack([data.standard_error, data.standard_error[:1]]),
        n_cells=np.append(data.n_cells, 7),
    )


def test_the_data_are_counted_in_the_first_sentence(content):
    data = content.dataset
    said = words(data_section(content))
    assert "16 genes, 5 edits and 1 combination, harvested on days 1, 2, 3 and 4" in said
    assert f"{data.n_cells.sum():,} cells in {len(data.conditions)} conditions" in said
    assert f"of which {data.n_cells[data.is_control].sum():,} carry no edit" in said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"has_controls": False}, "none of them unedited"),
        ({"days": (2.0,)}, "harvested on day 2:"),
        ({"days": (float("inf"),), "has_cells": False}, "harvested once, taken as settled"),
        ({"days": (0.25, 1.0), "has_cells": False}, "harvested at 6 h and day 1"),
        ({"days": tuple(range(1, 11)), "has_cells": False}, "at 10 times from day 1 to day 10"),
    ],
)
def test_screens_without_controls_or_series_are_described_as_such(kind, said):
    content = example.content(dataset=example.dataset(n_genes=12, n_edits=3, **kind))
    assert said in words(data_section(content))
    for section in (held_out_section(content), trajectory_section(content)):
        assert of(Gallery, section)


def test_differentiating_cells_are_compared_at_the_same_time(content):
    data = replace(content.dataset, system=CellSystem(is_differentiating=True))
    assert "controls of the same time and medium" in words(data_section(replace(content, dataset=data)))


def test_each_medium_has_its_own_map():
    section = data_section(example.content(dataset=with_hypoxia()))
    assert "Media besides maintenance: hypoxia." in words(section)
    assert len(of(Gallery, section)[0].pictures) == 2


def test_failed_checks_come_first_and_passed_ones_fold_away(content):
    section = data_section(content)
    grave, passed = of(Table, section)
    assert [row[1].split()[-1] for row in grave.rows] == ["fails", "warning"]
    assert "1 fail, 1 warning, 2 ok" in grave.caption
    assert [row[0] for row in passed.rows] == ["controls", "unit of time"]


def test_data_without_findings_passed_all_checks(content):
    findings = content.findings[content.findings["severity"] == "ok"]
    assert "All 2 checks of the data passed." in words(data_section(replace(content, findings=findings)))


def test_scores_are_sorted_with_the_ceiling_last_and_the_best_in_bold(content):
    table = of(Table, score_section(content))[0]
    first = [float(row[1].split("\n")[0]) for row in table.rows]
    assert first[:-1] == sorted(first[:-1])
    assert table.rows[-1][0] == "replicate ceiling"
    assert (0, 1) in table.emphasised
    assert all(row < len(table.rows) - 1 for row, _ in table.emphasised)


def test_equal_scores_have_no_best(content):
    table = of(Table, score_section(replace(content, scores=content.scores.assign(value=1.0))))[0]
    assert not table.emphasised


def test_without_a_model_the_baselines_are_still_shown(content):
    section = score_section(replace(content, models=(), comparisons=pd.DataFrame()))
    assert of(Table, section)
    assert not [table for table in of(Table, section) if table.head[0] == "Condition"]


def test_scores_on_all_genes_alone_are_shown_as_such(content):
    section = score_section(replace(content, scores=content.scores[content.scores["scope"] == "all"]))
    assert "on all genes" in of(Table, section)[0].caption


def test_condition_by_condition_the_better_one_is_named(content):
    tables = [table for table in of(Table, score_section(content)) if table.head[0] == "Condition"]
    for row in tables[0].rows:
        assert row[3] == ("model" if float(row[1]) < float(row[2]) else "baseline")


def test_one_step_scores_stand_apart(content):
    headings = [block.text for block in score_section(content).blocks if block.kind == "heading"]
    assert headings == ["Unseen edits", "Unseen times", "Unseen times, one step ahead", "Unseen combinations"]


def test_a_predictor_that_could_not_predict_is_named_with_its_reason(content):
    row = content.scores.iloc[[0]].assign(predictor="time interpolation", value=np.nan, reason="one time only")
    section = score_section(replace(content, scores=pd.concat([content.scores, row])))
    assert "Not able to predict unseen edits: time interpolation." in words(section)
    assert ("time interpolation", "one time only") in [item for points in of(Points, section) for item in points.items]


def test_a_split_that_nobody_predicted_says_so(content):
    section = score_section(replace(content, scores=content.scores.assign(value=np.nan)))
    assert "No predictor could predict unseen edits." in words(section)


def test_held_out_predictions_show_the_model_and_the_best_baseline(content):
    galleries = of(Gallery, held_out_section(content))
    assert len(galleries) == len(example.SPLITS)
    assert [example.MODEL in galleries[0].pictures[0].alt, "low-rank linear" in galleries[0].pictures[1].alt] == [
        True,
        True,
    ]


def test_many_courses_fold_away_and_the_rest_are_named():
    data = example.dataset(n_genes=30, n_edits=20, days=(1.0, 2.0), has_cells=False)
    section = trajectory_section(example.content(dataset=data))
    shown = [len(gallery.pictures) for gallery in of(Gallery, section)]
    left_out = words(section).split(": ")[1].count(",") + 1 if "Not drawn" in words(section) else 0
    assert sum(shown) + left_out == len(set(data.perturbations)) - 1
    assert shown[0] == 6


def test_the_choice_is_told_with_its_settings(content):
    section = fit_section(content)
    assert "the one with the lowest error: steady state moment, steady state weight 1.5, sparsity 0.01" in words(
        section
    )
    assert "shared with 2 that could not be told from it" in words(section)
    assert of(Points, section)[0].items == (("", content.notes[0]),)


def test_a_choice_that_is_not_the_lowest_error_says_so(content):
    table = content.selection.assign(chosen=content.selection["error"] == content.selection["error"].max())
    assert "is not the lowest, which is 0.0220" in words(fit_section(replace(content, selection=table)))
    none = content.selection.assign(chosen=False)
    assert "chose none" in words(fit_section(replace(content, selection=none)))


def test_edges_are_listed_by_size_with_their_sign(content):
    (table,) = of(Table, network_section(content))
    sizes = [abs(float(row[2].replace("−", "-"))) for row in table.rows]
    assert sizes == sorted(sizes, reverse=True)
    assert all(("→" in row[0]) == (row[1] == "activates") == (not row[2].startswith("−")) for row in table.rows)


def test_a_network_of_zeros_stayed_at_its_baseline(content):
    section = network_section(replace(content, network=content.network.assign(weight=0.0)))
    assert "it stayed at its baseline" in words(section)


def test_a_network_without_a_prior_has_no_column_for_it(content):
    (table,) = of(Table, network_section(replace(content, network=content.network.drop(columns="in_prior"))))
    assert table.head == ("Edge", "Sign", "Weight", "Inclusion")


def test_assumptions_are_stated_in_full(content):
    (table,) = of(Table, assumption_section(content))
    assert table.rows[0][:3] == (
        STATIONARY_CONTROLS.id,
        STATIONARY_CONTROLS.statement,
        STATIONARY_CONTROLS.equation,
    )
    assert table.rows[0][3:] == ("–", STATIONARY_CONTROLS.breaks, STATIONARY_CONTROLS.arm)


def test_what_is_needed_to_do_it_again_is_there(content):
    section = provenance_section(content)
    assert "fingerprint 0123456789abcdef. Seeds: 0." in words(section)
    assert [block.text for block in of(Code, section)] == [content.command, content.settings.strip()]
    assert of(Table, section)[0].rows == (("jax", "0.6"), ("semimech", "0.1.0"))


def test_a_fit_on_counts_shows_what_it_says_of_single_counts(content):
    columns = ("observed", "negative binomial", "Poisson", "lower", "upper")
    counts = pd.DataFrame({name: [0.6, 0.4] for name in columns} | {"gene": "G", "count": [0, 1], "condition": "SOX2"})
    said = [b.caption for b in fit_section(replace(content, counts=counts)).blocks if isinstance(b, Gallery)]
    assert any("single cells of SOX2" in caption for caption in said)
    assert not any("single cells" in b.caption for b in fit_section(content).blocks if isinstance(b, Gallery))


def test_an_error_budget_is_drawn_as_a_waterfall_that_ends_at_the_held_out_error(content):
    assert "run with --error-budget" in blocks(budget_section(content))[0].text
    parts = dict(zip((*ERROR_PARTS, TOTAL), (0.1, 0.2, 0.3, -0.1, 0.4, 0.0, 0.9), strict=True))
    rows = [
        {
            "split": "unseen_edit",
            "coverage": "extrapolated: edit",
            "part": part,
            "estimate": value,
            "lower": value - 0.05,
        }
        | {"upper": value + 0.05, "share": value / 0.9, "n_conditions": 8, "n_edits": 4}
        for part, value in parts.items()
    ]
    found = blocks(budget_section(replace(content, budget=pd.DataFrame(rows))))
    (gallery,) = [b for b in found if isinstance(b, Gallery)]
    assert "The largest part, 44%, is extrapolation" in gallery.caption
    bars = gallery.pictures[0].figure.axes[0].patches
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert ends == pytest.approx([0.1, 0.3, 0.6, 0.5, 0.9, 0.9, 0.9]) and bars[-1].get_x() == 0
    (table,) = [b for b in found if isinstance(b, Table)]
    assert table.rows[-1][:2] == (TOTAL, "0.9")


def test_sensitivity_names_what_costs_most_and_what_moves_predictions_most(content):
    assert "run semimech sensitivity" in blocks(sensitivity_section(content))[0].text
    rows = [
        ("additive combinations", "imposed", 0.4, 0.2, 0.5, 0.1),
        ("settled at harvest", "lifted", 0.1, -0.1, 0.2, 0.6),
    ]
    rows += [("another seed", "none", 0.0, -0.1, 0.1, 0.05)]
    table = pd.DataFrame(rows, columns=["assumption", "change", "saved", "saved_lower", "saved_upper", "shift"])
    table = table.assign(
        split="unseen_edit", how="by hand", shift_lower=0.0, shift_upper=1.0, outside=0.25, n_conditions=4, n_edits=2
    )
    section = sensitivity_section(replace(content, sensitivity=table))
    (gallery,) = of(Gallery, section)
    assert "Additive combinations costs most: without it the error is 40% lower." in gallery.caption
    assert "Predictions move most with settled at harvest, by 60% of the predicted change." in gallery.caption
    assert [row[0] for row in of(Table, section)[0].rows] == [
        "additive combinations",
        "settled at harvest",
        "another seed",
    ]
    assert of(Table, section)[0].rows[1][4] == "−10% to 20%"
    even = sensitivity_section(replace(content, sensitivity=table.assign(saved_lower=-0.1)))
    assert "No assumption costs more than chance explains." in of(Gallery, even)[0].caption
    unsteady = table.assign(saved=table["saved"].where(table["change"] != "none", -0.5))
    noisy = sensitivity_section(replace(content, sensitivity=unsteady))  # another seed does as much
    assert "No assumption costs more than chance explains." in of(Gallery, noisy)[0].caption
