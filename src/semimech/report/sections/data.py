"""The section on what was measured, and what the checks found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.data import Dataset
from semimech.report.blocks import Block, Fold, Gallery, Heading, Paragraph, Picture, Section, Table
from semimech.report.content import ReportContent
from semimech.report.plots import MEASURES, plot_batches, plot_conditions, plot_detection, plot_quality
from semimech.report.words import counted, listed, time_name

_COLUMNS = ("evidence", "threatens", "mend")
_SEVERITIES = {"fail": "✕ fails", "warning": "! warning", "ok": "✓ ok"}


def data_section(content: ReportContent) -> Section:
    """What was measured: conditions, cells, batches, depth, findings of the checks."""
    dataset = content.dataset
    pictures = [
        Picture(figure, f"Map of conditions, part {part}: harvests of each edit, with their numbers of cells.")
        for part, figure in enumerate(plot_conditions(dataset), 1)
    ]
    blocks: list[Block] = [
        Paragraph(text=_what(dataset)),
        Gallery(
            pictures=tuple(pictures),
            caption="What was harvested when. A dot is a condition: its area is the number of cells, its darkness the number "
            "of genes, besides the edited ones, that differ from the matched control (5% false discoveries). Look for gaps, and for "
            "edits that stay white at all times: there is little in them to predict.",
        ),
    ]
    if dataset.cells is not None:
        blocks.append(_cells_gallery(dataset))
    blocks += _findings(content.findings)
    blocks += _quality(content.quality)
    return Section(id="data", title="Data", blocks=tuple(blocks))


def _what(dataset: Dataset) -> str:
    """The data set in three sentences."""
    edits = {c.perturbation: len(c.agents) for c in dataset.conditions if not c.is_control}
    singles = sum(1 for size in edits.values() if size == 1)
    multiple = len(edits) - singles
    counts = counted(singles, "edit") + (f" and {counted(multiple, 'combination')}" if multiple else "")
    unit = "cells" if dataset.cells is not None else "cells or replicates"
    controls = int(dataset.n_cells[dataset.is_control].sum())
    unedited = f", of which {controls:,} carry no edit" if controls else "; none of them unedited"
    text = (
        f"The data set ‘{dataset.name}’ holds {len(dataset.genes):,} genes, {counts}, harvested {_when(sorted(set(dataset.hours)))}: "
        f"{int(dataset.n_cells.sum()):,} {unit} in {len(dataset.conditions):,} conditions{unedited}. "
        f"Values are {dataset.scale.name}."
    )
    if dataset.system.media:
        text += f" Media besides {dataset.system.maintenance_medium}: {listed(list(dataset.system.media))}."
    system = dataset.system
    kind = f"{system.environment.replace('-', ' ')} and {'' if system.is_differentiating else 'non-'}differentiating"
    if system.is_stationary:
        so = "controls of all times serve every edit in the maintenance medium"
    else:
        so = "edits are compared with controls of the same time and medium"
    starts = {
        "settled": "as unedited cells settled in the maintenance medium",
        "observed": "as the unedited cells harvested at time 0",
        "learned": "in a state that is learned",
    }
    return f"{text} The cells are declared {kind}, so {so}; experiments start {starts[system.start_law]}."


def _when(hours: list[float]) -> str:
    """Times of harvest in a sentence."""
    if np.isinf(hours).all():
        return "once, taken as settled"
    times = [time_name(h) for h in hours]
    if len(times) > 8:
        return f"at {len(times)} times from {times[0]} to {times[-1]}"
    if all(name.startswith("day ") for name in times):
        days = [name.removeprefix("day ") for name in times]
        return f"on day{'s' if len(days) > 1 else ''} {listed(days)}"
    return f"at {listed(times)}"


def _cells_gallery(dataset: Dataset) -> Gallery:
    """Batches and depth."""
    return Gallery(
        pictures=(
            Picture(plot_batches(dataset), "Bars: cells per batch, unedited and edited."),
            Picture(plot_detection(dataset), "Intervals: genes detected per cell in each batch."),
        ),
        caption="Batches. One without controls cannot be corrected. Genes detected per cell are drawn as median, middle half and "
        "5–95% range: batches that differ much here differ in depth.",
    )


def _quality(conditions: pd.DataFrame) -> list[Block]:
    """What the checks measured of each condition, drawn."""
    pictures = []
    for measure, title, axis, _ in MEASURES:
        figure = plot_quality(conditions, measure)
        if figure is not None:
            pictures.append(Picture(figure, f"Points with intervals: {title.lower()} of each condition, {axis}."))
    if not pictures:
        return []
    caption = (
        "What the checks measured, condition by condition, with 95% intervals; those that differ most stand first, squares where the "
        "interval leaves out no difference. A knockout leaves its mRNA as often as not; interference and activation must move it. "
        "Cells that look unedited are told only where an edit moves cells far enough."
    )
    return [Heading(text="Edits against their controls"), Gallery(pictures=tuple(pictures), caption=caption)]


def _findings(findings: pd.DataFrame | None) -> list[Block]:
    """The findings of the checks, the grave ones first."""
    if findings is None or findings.empty:
        return [Paragraph(text="No checks of the data were handed to this report.")]
    severity = findings["severity"].astype(str)
    is_ok = (severity == "ok").to_numpy()
    rank = severity.map({name: place for place, name in enumerate(_SEVERITIES)}).fillna(len(_SEVERITIES)).to_numpy()
    grave = findings.iloc[np.argsort(rank, kind="stable")[: int((~is_ok).sum())]]
    blocks: list[Block] = []
    if len(grave):
        tally = ", ".join(f"{int((severity == name).sum())} {name}" for name in _SEVERITIES)
        blocks.append(_findings_table(grave, f"Checks of the data ({tally}): what should be looked at.", _COLUMNS))
    else:
        blocks.append(Paragraph(text=f"All {len(findings)} checks of the data passed."))
    if is_ok.any():
        passed = _findings_table(findings[is_ok], "Checks without a finding.", _COLUMNS[:1])
        blocks.append(Fold(title=f"{int(is_ok.sum())} checks that passed", blocks=(passed,)))
    return blocks


def _findings_table(findings: pd.DataFrame, caption: str, columns: tuple[str, ...]) -> Table:
    """Findings as a table, with these of their columns."""
    rows = tuple(
        (
            str(row["check"]),
            _SEVERITIES.get(str(row["severity"]), str(row["severity"])),
            *(_text(row[name]) for name in columns),
        )
        for row in findings.to_dict("records")
    )
    head = ("Check", "Finding", *(name.capitalize() for name in columns))
    return Table(caption=caption, head=head, rows=rows, is_numeric=False)


def _text(value: object) -> str:
    """A cell of a table, empty where there is nothing to say."""
    return "" if value is None or (isinstance(value, float) and np.isnan(value)) else str(value)
