"""The section on sensitivity: which assumptions the results rest on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd

from semimech.report.blocks import Block, Gallery, Paragraph, Picture, Section, Table, empty
from semimech.report.content import ReportContent
from semimech.report.plots import plot_sensitivity
from semimech.report.words import capital, percent, split_name

_TITLE = "Sensitivity"
_CHANCE = "none"


def sensitivity_section(content: ReportContent) -> Section:
    """How far errors and predictions move with each assumption, by question, with the one that matters most in words."""
    if content.sensitivity.empty:
        return Section(id="sensitivity", title=_TITLE, blocks=empty("Not made: run semimech sensitivity."))
    blocks: list[Block] = [
        Paragraph(
            text="Each assumption that the model can express was imposed or lifted, and the model fitted again. Errors are those of predicted changes from unedited cells, over "
            "genes that were not edited; the shift is how far predicted changes move, relative to these changes. The row of another seed shows what refits move by chance."
        )
    ]
    for split, part in content.sensitivity.groupby("split", sort=False):
        blocks += _blocks(part, split_name(str(split)))
    return Section(id="sensitivity", title=_TITLE, blocks=tuple(blocks))


def _blocks(table: pd.DataFrame, name: str) -> list[Block]:
    tested = table[table["change"] != _CHANCE]
    n_edits, n_conditions = (int(table[column].iloc[0]) for column in ("n_edits", "n_conditions"))
    caption = f"On {name}, {n_conditions} conditions of {n_edits} edits. {_verdict(tested, table[table['change'] == _CHANCE])}"
    ranked = table.sort_values("saved", ascending=False, kind="stable")
    blocks: list[Block] = []
    if len(tested):
        picture = Picture(
            plot_sensitivity(tested, title=f"On {name}"), f"Error that lifting each assumption takes off, on {name}."
        )
        filled = "Filled: the model makes the assumption, and it was lifted; empty: it does not, and it was imposed."
        blocks.append(Gallery(pictures=(picture,), caption=f"{caption} {filled}"))
    head = ("Assumption", "Was", "By", "Lifting saves", "interval", "Shift", "interval", "Outside")
    rows = tuple(_row(row) for row in ranked.to_dict("records"))
    note = "Shares of the error and of the predicted change, with 90% intervals from a bootstrap over edits; outside: predicted means that leave the model's own 90% interval."
    return [*blocks, Table(caption=note if len(tested) else f"{caption} {note}", head=head, rows=rows)]


def _verdict(tested: pd.DataFrame, same: pd.DataFrame) -> str:
    """The assumption that costs most, beyond what another seed does, and the one that predictions move most with."""
    if tested.empty:
        return "No assumption could be imposed or lifted."
    rows = tested.to_dict("records")
    mover = max(rows, key=lambda row: float(row["shift"]))
    moves = f"Predictions move most with {mover['assumption']}, by {percent(float(mover['shift']))} of the predicted change."
    chance = float(same["saved"].abs().max()) if len(same) else 0.0
    costs = [row for row in rows if float(row["saved_lower"]) > 0 and float(row["saved"]) > chance]
    if not costs:
        return f"No assumption costs more than chance explains. {moves}"
    first = max(costs, key=lambda row: float(row["saved"]))
    saved = percent(float(first["saved"]))
    return f"{capital(str(first['assumption']))} costs most: without it the error is {saved} lower. {moves}"


def _row(row: Mapping[Hashable, object]) -> tuple[str, ...]:
    def interval(name: str) -> str:
        lower, upper = float(str(row[f"{name}_lower"])), float(str(row[f"{name}_upper"]))
        return f"{percent(lower)} to {percent(upper)}" if lower == lower else "unknown"

    saved, shift, outside = (percent(float(str(row[name]))) for name in ("saved", "shift", "outside"))
    return (
        str(row["assumption"]),
        str(row["change"]),
        str(row["how"]),
        saved,
        interval("saved"),
        shift,
        interval("shift"),
        outside,
    )
