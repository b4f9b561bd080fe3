"""The sections that lay predictions beside measurements: held-out conditions, and courses over time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.evaluate import ROLL_OUT
from semimech.experiment import CONTROL
from semimech.report.blocks import Block, Fold, Gallery, Heading, Paragraph, Picture, Section, empty
from semimech.report.content import ReportContent
from semimech.report.plots import condition_table, leading_genes, plot_held_out, plot_trajectory
from semimech.report.plots.overview import by_strength
from semimech.report.plots.response import change_limit
from semimech.report.summary import best_baseline, main_metric
from semimech.report.words import capital, counted, split_name

SHOWN_COURSES = 6
MOST_COURSES = 18


def held_out_section(content: ReportContent) -> Section:
    """Observed against predicted change of held-out conditions, model beside best baseline."""
    title = "Held-out predictions"
    if content.held_out.empty:
        return Section(id="held-out", title=title, blocks=empty("No held-out predictions were kept."))
    blocks: list[Block] = [
        Paragraph(
            text="One point per gene and held-out condition, model and best baseline on the same axes. Good predictions lie along "
            "the dashed diagonal, ‘no change’ along the horizontal line. Triangles are the edited genes themselves; points "
            "beyond the axes stand on their edge."
        )
    ]
    for split in content.held_out["split"].unique():
        blocks += _scatters(content, str(split))
    return Section(id="held-out", title=title, blocks=tuple(blocks))


def _scatters(content: ReportContent, split: str) -> list[Block]:
    """The model and the best baseline on one split."""
    part = content.held_out[content.held_out["split"] == split]
    names = _two_predictors(content, split, list(part.loc[np.isfinite(part["predicted"]), "predictor"].unique()))
    if not names:
        return [Heading(text=capital(split_name(split))), *empty("No predictor could predict these conditions.")]
    limit = change_limit(part[part["predictor"].isin(names)])
    name = split_name(split)
    pictures = tuple(
        Picture(
            plot_held_out(part[part["predictor"] == predictor], title=predictor, limit=limit),
            f"Predicted against observed change on {name} for {predictor}, one point per gene and condition.",
        )
        for predictor in names
    )
    caption = (
        f"Predicted against observed change on {name}: {counted(part['perturbation'].nunique(), 'perturbation')}, each gene at each harvest. "
        "A cloud flatter than the diagonal predicts too little change, a round one predicts none of it."
    )
    return [Heading(text=capital(name)), Gallery(pictures=pictures, caption=caption)]


def _two_predictors(content: ReportContent, split: str, available: list[str]) -> list[str]:
    """The main model and the best baseline, as far as their predictions were kept; otherwise the first two."""
    names = [name for name in content.model_names[:1] if name in available]
    part = content.summary[(content.summary["split"] == split) & content.summary["predictor"].isin(available)]
    part = part[part["mode"] == ROLL_OUT]
    chosen = main_metric(part)
    best = best_baseline(part, content.model_names, metric=chosen[0], scope=chosen[1]) if chosen else None
    names += [best] if best else []
    return list(dict.fromkeys([*names, *available]))[:2]


def trajectory_section(content: ReportContent) -> Section:
    """The predicted course of each edit with its observed points."""
    title = "Courses over time"
    names = _strongest(content)
    if not names:
        return Section(id="courses", title=title, blocks=empty("No courses were predicted for these data."))
    courses = dict(list(content.trajectories.groupby("perturbation", sort=False)))
    pictures = [_course(content, courses[name], name) for name in names[:MOST_COURSES]]
    caption = (
        "Course of each edit in the four genes that it changes most: points are observed means with standard errors, lines the "
        "model's prediction with its 90% band, from a fit to these conditions. Points far from their line over several times "
        "show what the mechanism does not hold."
    )
    has_controls = bool(content.dataset.is_control.any())
    caption += (
        " Zero is the mean of the controls."
        if has_controls
        else " Zero is the mean of all conditions, for want of controls."
    )
    if not np.isfinite(content.dataset.hours).all():
        caption += " Settled harvests stand at the right edge."
    blocks: list[Block] = [Gallery(pictures=tuple(pictures[:SHOWN_COURSES]), caption=caption)]
    if pictures[SHOWN_COURSES:]:
        rest = Gallery(pictures=tuple(pictures[SHOWN_COURSES:]), caption="Further edits, the stronger ones first.")
        blocks.append(Fold(title=f"{len(pictures) - SHOWN_COURSES} more edits", blocks=(rest,)))
    if len(names) > MOST_COURSES:
        blocks.append(Paragraph(text=f"Not drawn, with weaker effects: {', '.join(names[MOST_COURSES:])}."))
    return Section(id="courses", title=title, blocks=tuple(blocks))


def _strongest(content: ReportContent) -> list[str]:
    """Perturbations with a predicted course, the strongest first."""
    if content.trajectories.empty:
        return []
    predicted = set(content.trajectories["perturbation"].unique())
    names = by_strength(condition_table(content.dataset))
    return [name for name in names if name in predicted and name != CONTROL]


def _course(content: ReportContent, course: pd.DataFrame, name: str) -> Picture:
    """One edit's panel."""
    genes = leading_genes(content.dataset, name)
    figure = plot_trajectory(content.dataset, course, perturbation=name, genes=genes)
    return Picture(figure, f"Course of {name} in {', '.join(genes)}: observed points and predicted lines.")
