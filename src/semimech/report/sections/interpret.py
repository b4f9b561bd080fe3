"""The section on what the fitted model says: half-lives, and how much of its predictions is mechanism."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.interpret import PARTS, shares
from semimech.report.blocks import Block, Fold, Gallery, Paragraph, Picture, Section, Table, empty
from semimech.report.content import ReportContent
from semimech.report.plots import plot_half_lives, plot_shares
from semimech.report.words import counted, listed, number, percent

_LISTED = 60
_PARTS_IN_WORDS = {
    "mechanism": "mechanism (production along the network, minus degradation)",
    "learned_residual": "the learned residual inside the law",
    "carried_residual": "residuals carried over from harvests of the same edits",
    "pooling": "pooling",
}


def mechanism_section(content: ReportContent) -> Section:
    """Half-lives with what the data say of them, and the share of mechanism in predictions of the training conditions."""
    title = "Mechanism and half-lives"
    blocks: list[Block] = []
    pictures: list[Picture] = []
    captions: list[str] = []
    folded: list[Block] = []
    parts = content.parts
    if not parts.empty and (parts["change"] != 0).any():
        of_edits = shares(parts, by="perturbation")
        blocks.append(Paragraph(text=_made_of(parts)))
        pictures.append(
            Picture(plot_shares(of_edits, by="perturbation"), "Share of each part in predictions, by edit.")
        )
        captions.append(
            "Shares: each part's projection on the predicted change, over all genes and harvests of an edit, largest changes "
            "first; a part that works against the change has a negative share, and the shares sum to 100%."
        )
        folded.append(Fold(title="Shares by gene as a table", blocks=(_shares(shares(parts), by="gene"),)))
    half_lives = content.half_lives
    if not half_lives.empty:
        blocks.append(Paragraph(text=_told(half_lives, content.expected_half_life_hours)))
        picture = plot_half_lives(half_lives, expected=content.expected_half_life_hours)
        pictures.append(Picture(picture, "Half-life of each gene with its range over the members of the ensemble."))
        captions.append(
            "Half-lives: geometric mean and range over members, on a logarithmic axis. A filled point passes both tests: members agree "
            "within a factor of two, and so does the error that the harvests over time leave."
        )
        folded.append(Fold(title="Half-lives as a table", blocks=(_half_lives(half_lives),)))
    if pictures:
        blocks.append(Gallery(pictures=tuple(pictures), caption=" ".join(captions)))
    reason = "The reported predictor was not taken apart, or has neither mechanism nor half-lives."
    return Section(id="mechanism", title=title, blocks=(*blocks, *folded) or empty(reason))


def _made_of(parts: pd.DataFrame) -> str:
    """The shares over all training conditions, in words."""
    whole = shares(parts.assign(all="all"), by="all").iloc[0]
    said = [f"{percent(float(whole[part]))} to {words}" for part, words in _PARTS_IN_WORDS.items() if whole[part] != 0]
    return (
        f"The predicted changes of the training conditions, against unedited cells of the same age, are due {listed(said)}: shares of the "
        "squared change. They say what the predictions rest on, not whether they are right."
    )


def _told(half_lives: pd.DataFrame, expected: float | None) -> str:
    """How many half-lives the data could tell, in words."""
    told = int(half_lives["could_tell"].sum())
    silent = int(np.isinf(half_lives["fold_error"]).sum())
    text = (
        f"The data could tell the half-life of {told:,} of {counted(len(half_lives), 'gene')} within a factor of two: members agree, "
        "and the shape of the responses in time leaves an error no larger."
    )
    if silent:
        text += f" Of {counted(silent, 'gene')} they say nothing at all."
    if expected is not None:
        text += (
            f" A half-life that is not told stays near {expected:g} hours, which was expected before the data, and the fit pulls all "
            "others towards it too: a narrow range over members is no sign of a half-life that was measured."
        )
    return text


def _shares(table: pd.DataFrame, *, by: str) -> Table:
    ranked = table.dropna(subset=list(PARTS)).nlargest(_LISTED, "size")
    rows = tuple(
        (str(row[by]), number(float(row["size"])), *(percent(float(row[part])) for part in PARTS))
        for row in ranked.to_dict("records")
    )
    head = (by.capitalize(), "Change", *(part.replace("_", " ").capitalize() for part in PARTS))
    caption = f"Shares in the predicted changes of training conditions, the {len(rows)} largest (root mean square, observed scale)."
    return Table(caption=caption, head=head, rows=rows)


def _half_lives(table: pd.DataFrame) -> Table:
    listed = table.sort_values("fold_error", kind="stable").head(_LISTED)
    rows = tuple(
        (
            str(row["gene"]),
            number(float(row["half_life_hours"])),
            f"{number(float(row['lower']))} to {number(float(row['upper']))}",
            number(float(row["time_constant_hours"])),
            f"×{number(float(row['fold_spread']))}",
            "silent" if np.isinf(row["fold_error"]) else f"×{number(float(row['fold_error']))}",
            "yes" if row["could_tell"] else "no",
        )
        for row in listed.to_dict("records")
    )
    head = ("Gene", "Half-life (h)", "Over members", "Time constant (h)", "Spread", "Error from data", "Could tell")
    caption = f"Half-lives, the {len(rows)} of which the data say most first. Spread and error are factors of one standard deviation."
    return Table(caption=caption, head=head, rows=rows)
