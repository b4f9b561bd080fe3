"""The sections on the fit: loss, what inner validation chose, the learned network."""

from __future__ import annotations

import pandas as pd

from semimech.report.blocks import Block, Fold, Gallery, Paragraph, Picture, Points, Section, Table, empty
from semimech.report.content import ReportContent
from semimech.report.plots import plot_counts, plot_history, plot_network, plot_selection
from semimech.report.plots.fitting import setting, setting_names
from semimech.report.words import listed, number, percent

_EDGES_DRAWN = 24
_EDGES_LISTED = 40


def fit_section(content: ReportContent) -> Section:
    """What inner validation chose and why, and how the loss fell."""
    blocks: list[Block] = []
    if content.notes:
        blocks.append(Points(items=tuple(("", note) for note in content.notes)))
    pictures, captions, folded = [], [], []
    if not content.selection.empty:
        blocks.append(Paragraph(text=_choice(content.selection)))
        alt = "Inner validation error of candidate settings; the chosen one is a star."
        pictures.append(Picture(plot_selection(content.selection), alt))
        captions.append(
            "Inner validation: the best candidates, named by the settings in which they differ; whiskers are one standard "
            "error, the star is the choice. Candidates within a whisker of it would have served as well."
        )
        folded.append(Fold(title="All candidates", blocks=(_candidates(content.selection),)))
    if not content.history.empty:
        terms = ", ".join(str(term) for term in dict.fromkeys(content.history["term"]))
        pictures.append(Picture(plot_history(content.history), f"Loss over the steps of the optimiser: {terms}."))
        captions.append(
            "Loss: by term over the steps of the optimiser, with the range over runs as a band. A curve that still falls at "
            "the end asks for more steps."
        )
    if not content.counts.empty:
        condition = content.counts["condition"].iloc[0]
        pictures.append(
            Picture(plot_counts(content.counts), f"Counts of cells of {condition}: by the fit and as counted.")
        )
        captions.append(
            f"Counts: the fit's own prediction for single cells of {condition}, the edit that changes most, in the genes it changes most, in "
            "equal steps of counts; the band holds 90 % of negative binomial draws, the last point takes larger counts together. Dots outside the band more often than one in ten are misfit."
        )
    if pictures:
        blocks.append(Gallery(pictures=tuple(pictures), caption=" ".join(captions)))
    reason = "Neither the course of the loss nor a choice among settings was kept."
    return Section(id="fit", title="Fit and choices", blocks=(*blocks, *folded) or empty(reason))


def _choice(selection: pd.DataFrame) -> str:
    """What was chosen, and why, in words."""
    rule = "Inner validation holds training conditions out in turn and never sees a test condition."
    chosen = selection[selection["chosen"].astype(bool)]
    if chosen.empty:
        return f"{rule} It chose none of the candidates."
    row = chosen.iloc[0]
    settings = [f"{name.replace('_', ' ')} {setting(row[name])}" for name in setting_names(selection)]
    others = int(selection["averaged"].astype(bool).sum()) - 1
    shared = f" The ensemble is shared with {others} that could not be told from it (☆)." if others > 0 else ""
    if float(row["error"]) <= float(selection["error"].min()):
        return (
            f"{rule} Of {len(selection)} candidates it chose the one with the lowest error: {listed(settings)}.{shared}"
        )
    return (
        f"{rule} Of {len(selection)} candidates it chose {listed(settings)}; its error of {number(float(row['error']))} is not the "
        f"lowest, which is {number(float(selection['error'].min()))}.{shared}"
    )


def _candidates(selection: pd.DataFrame) -> Table:
    """All candidates of the inner validation."""
    ranked = selection.sort_values("error", kind="stable")
    names = setting_names(selection)
    rows = tuple(
        (
            str(place),
            *(setting(row[name]) for name in names),
            number(float(row["error"])),
            "★" if row["chosen"] else "☆" if row["averaged"] else "",
        )
        for place, row in enumerate(ranked.to_dict("records"), 1)
    )
    head = ("Rank", *(name.replace("_", " ").capitalize() for name in names), "Error", "Chosen")
    return Table(caption="Inner validation error of every candidate, best first.", head=head, rows=rows)


def network_section(content: ReportContent) -> Section:
    """The strongest edges of the learned network."""
    title = "Learned network"
    network = content.network
    if network.empty or not (network["weight"] != 0).any():
        reason = "The reported predictor has no regulatory network, or every weight is zero: it stayed at its baseline."
        return Section(id="network", title=title, blocks=empty(reason))
    network = network[network["weight"] != 0]
    ranked = network.reindex(network["weight"].abs().sort_values(ascending=False, kind="stable").index)
    has_prior, has_spread = "in_prior" in ranked.columns, "spread" in ranked.columns
    has_inclusion = "inclusion" in ranked.columns
    rows = tuple(
        (
            f"{row['source']} {'→' if row['weight'] > 0 else '⊣'} {row['target']}",
            "activates" if row["weight"] > 0 else "represses",
            number(float(row["weight"])),
            *((number(float(row["spread"])),) if has_spread else ()),
            *((percent(float(row["inclusion"])),) if has_inclusion else ()),
            *((("yes" if row["in_prior"] else "no"),) if has_prior else ()),
        )
        for _, row in ranked.head(_EDGES_LISTED).iterrows()
    )
    optional = {"Spread": has_spread, "Inclusion": has_inclusion, "In prior": has_prior}
    head = ("Edge", "Sign", "Weight", *(name for name, is_there in optional.items() if is_there))
    text = f"{len(network):,} edges have a weight other than zero."
    if has_inclusion:
        text += (
            f" {int((ranked['inclusion'] == 1).sum()):,} of them are held with the same sign by every member of the ensemble. Inclusion is that "
            "share of members, not the probability that an edge is real."
        )
    if has_prior:
        top = ranked.head(_EDGES_LISTED)
        text += f" Of the {len(top)} strongest, {int(top['in_prior'].astype(bool).sum())} stand in the prior network."
    text += " Weights are effects on production in the model; a strong one is a hypothesis to test, not a finding."
    gallery = Gallery(
        pictures=(
            Picture(
                plot_network(ranked, count=_EDGES_DRAWN),
                "The strongest edges, drawn from regulators on the left to targets on the right.",
            ),
        ),
        caption=f"The {min(_EDGES_DRAWN, len(ranked))} strongest edges. Solid lines with an arrow activate, dashed lines with a bar "
        "repress; thicker is stronger.",
    )
    table = Table(caption=f"The {len(rows)} strongest edges.", head=head, rows=rows)
    return Section(
        id="network",
        title=title,
        blocks=(Paragraph(text=text), gallery, Fold(title="Edges as a table", blocks=(table,))),
    )
