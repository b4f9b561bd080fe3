"""The report says what predictions are made of, and which half-lives the data could tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_example as example

from semimech.interpret import Explanation, shares
from semimech.report.blocks import Fold, Gallery, Paragraph, Table
from semimech.report.plots import plot_explanation, plot_half_lives, plot_shares, svg
from semimech.report.sections import mechanism_section, network_section

NOTHING = pd.DataFrame()


@pytest.fixture(scope="module")
def content():
    return example.content(size={"n_genes": 16, "n_edits": 4})


def words(section) -> str:
    return " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))


def tables(section) -> list[Table]:
    return [b for fold in section.blocks if isinstance(fold, Fold) for b in fold.blocks if isinstance(b, Table)]


def test_the_shares_of_the_parts_are_told_and_sum_to_the_whole(content):
    said = words(mechanism_section(content))
    parts = content.parts
    share = (parts["mechanism"] * parts["change"]).sum() / (parts["change"] ** 2).sum()
    assert f"{round(100 * share)}% to mechanism" in said
    whole = shares(parts.assign(all="all"), by="all").iloc[0]
    assert whole[["mechanism", "learned_residual", "carried_residual", "pooling"]].sum() == pytest.approx(1)


def test_half_lives_that_the_data_could_tell_are_counted_and_silence_is_named(content):
    section = mechanism_section(content)
    said = words(section)
    assert "the half-life of 5 of 16 genes" in said
    assert "Of 1 gene they say nothing at all" in said
    assert "stays near 8 hours" in said
    table = tables(section)[-1]
    assert [row[5] for row in table.rows].count("silent") == 1
    assert [row[6] for row in table.rows].count("yes") == 5


def test_a_neural_ode_has_parts_but_no_half_lives_and_without_either_the_section_says_so(content):
    section = mechanism_section(replace(content, half_lives=NOTHING))
    assert "half-life" not in words(section)
    (gallery,) = (block for block in section.blocks if isinstance(block, Gallery))
    assert len(gallery.pictures) == 1
    empty = mechanism_section(replace(content, half_lives=NOTHING, parts=NOTHING))
    assert "has neither mechanism nor half-lives" in words(empty)


def test_inclusion_stands_beside_each_edge_and_is_called_no_probability(content):
    section = network_section(content)
    (table,) = tables(section)
    assert "Inclusion" in table.head
    held = int((content.network["inclusion"] == 1).sum())
    assert f"{held} of them are held with the same sign by every member" in words(section)
    assert "not the probability that an edge is real" in words(section)


def bars(figure) -> list[float]:
    return [patch.get_width() for patch in figure.axes[0].patches]


def explanation(n_paths: int) -> Explanation:
    rows = [(f"A → G{n}", "path", "A", 1, 2.0**-n, 0.1, 1.0) for n in range(n_paths)]
    rows += [("all other paths", "other paths", "", pd.NA, 0.25, 0.1, 1.0)]
    rows += [
        (name, name, "", pd.NA, value, np.nan, np.nan) for name, value in (("carried residual", 0.5), ("pooling", 0.0))
    ]
    names = ["term", "kind", "source", "n_edges", "contribution", "spread", "agreement"]
    table = pd.DataFrame(rows, columns=names)
    predicted = 1.0 + table["contribution"].sum()
    return Explanation(gene="B", perturbation="A", hours=72.0, control=1.0, predicted=predicted, table=table)


@pytest.mark.parametrize("n_paths", [0, 3, 14])
def test_the_bars_of_an_explanation_sum_to_the_bar_of_the_change(n_paths):
    found = explanation(n_paths)
    *terms, change = bars(plot_explanation(found, count=6))
    assert sum(terms) == pytest.approx(change) == pytest.approx(found.change)
    assert len(terms) == min(n_paths, 6) + 2


def test_half_lives_are_drawn_with_the_range_of_members(content):
    figure = plot_half_lives(content.half_lives, expected=8.0)
    drawn = svg(figure)
    assert all(gene in drawn for gene in content.half_lives["gene"])
    assert "expected before the data" in drawn
    assert "expected" not in svg(plot_half_lives(content.half_lives))


def test_stacked_shares_end_at_their_sum(content):
    table = shares(content.parts, by="perturbation")
    figure = plot_shares(table, by="perturbation")
    assert sum(bars(figure)) == pytest.approx(len(table))
