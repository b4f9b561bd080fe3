"""The section on the error budget: what the held-out error is made of."""

from __future__ import annotations

import pandas as pd

from semimech.evaluate import ERROR_PARTS, TOTAL
from semimech.report.blocks import Block, Gallery, Paragraph, Picture, Section, Table, empty
from semimech.report.content import ReportContent
from semimech.report.plots import plot_budget
from semimech.report.words import split_name

_TITLE = "Error budget"
_MEANING = {
    "noise": "the measured means themselves: a replicate would be off by as much",
    "finite cells": "noise of the training data that the fit carries into predictions: more cells make it less",
    "batch": "batch effects that remain, in the measured means and in training: more controls in each batch, or more batches, make it less",
    "mechanism misfit": "what the law misses of conditions that it has seen: another law, or a term that is missing",
    "extrapolation": "what seeing the condition would have saved: more edits, or known wiring",
    "interaction": "errors of cells and batches that do not simply add up",
}


def budget_section(content: ReportContent) -> Section:
    """The parts of the held-out error as waterfalls and tables, with the largest part in words."""
    if content.budget.empty:
        return Section(id="budget", title=_TITLE, blocks=empty("No error budget was made: run with --error-budget."))
    blocks: list[Block] = [
        Paragraph(
            text="What the squared error of the model on held-out conditions is made of, over genes that were not edited. Noise is told by replicate halves of the cells, what the "
            "fit makes of noise by refits on data with the same errors added once more, and misfit by a fit that saw the conditions. Parts are unbiased, so a small one can come out below 0."
        )
    ]
    for (split, coverage), part in content.budget.groupby(["split", "coverage"], sort=False):
        blocks += _blocks(part, split_name(str(split)), str(coverage))
    return Section(id="budget", title=_TITLE, blocks=tuple(blocks))


def _blocks(table: pd.DataFrame, name: str, coverage: str) -> list[Block]:
    rows = table.set_index("part")[["estimate", "lower", "upper", "share"]].astype(float)
    largest = str(rows.loc[list(ERROR_PARTS), "estimate"].idxmax())
    share = rows["share"].to_dict()[largest]
    n_edits, n_conditions = (int(table[column].iloc[0]) for column in ("n_edits", "n_conditions"))
    caption = f"Error on {name} ({coverage}), {n_conditions} conditions of {n_edits} edits. The largest part, {100 * share:.0f}%, is {largest}: {_MEANING[largest]}."
    return [
        Gallery(
            pictures=(Picture(plot_budget(table), f"Waterfall of the error on {name}: {largest} is largest."),),
            caption=caption,
        ),
        Table(
            caption="Mean squared error by source, with 90% intervals from a bootstrap over edits.",
            head=("part", "estimate", "interval", "share", "is"),
            rows=tuple(_row(rows, part) for part in (*ERROR_PARTS, TOTAL)),
        ),
    ]


def _row(rows: pd.DataFrame, part: str) -> tuple[str, ...]:
    estimate, lower, upper, share = rows.loc[part].to_numpy(dtype=float)
    interval = f"{lower:.3g} to {upper:.3g}" if lower == lower else "unknown"
    return part, f"{estimate:.3g}", interval, f"{100 * share:.0f}%", _MEANING.get(part, "")
