"""The section on scores: every predictor on every split, beside the noise ceiling."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.evaluate import CEILING, ROLL_OUT
from semimech.report.blocks import Block, Fold, Gallery, Heading, Paragraph, Picture, Points, Section, empty
from semimech.report.content import ReportContent
from semimech.report.plots import plot_comparisons, plot_scores, plot_strata
from semimech.report.sections.score_tables import conditions_table, scores_table
from semimech.report.summary import best_baseline, by_stratum, main_metric, main_pairs
from semimech.report.words import SCOPES, capital, listed, measure, split_name

MOST_PANELS = 4
_DRAWN_FIRST = ("mse", "pearson_control", "pearson_perturbed", "rank", "direction", "energy", "wmse")
_MODES = {"roll-out": "predicted from the start of the experiment", "one-step": "predicted from the harvest before"}


def score_section(content: ReportContent) -> Section:
    """Scores of all predictors on all splits, with intervals, strata and paired comparisons."""
    if content.scores.empty:
        return Section(id="scores", title="Scores", blocks=empty("No split could be scored with these data."))
    blocks: list[Block] = [
        Paragraph(
            text="Each predictor saw only the training side of a split. Scores are means over conditions, with 95% intervals from a bootstrap over edits and seeds. "
            "Read those without the edited genes first: to know which gene was edited is no prediction. "
            "The dashed lines say what a replicate of the experiment would score; for the rank that is a lower bound."
        )
    ]
    for split in dict.fromkeys(content.scores["split"]):
        part = content.scores[content.scores["split"] == split]
        for mode in sorted(set(part["mode"]), key=lambda mode: mode != ROLL_OUT):
            blocks += _split_blocks(content, part[part["mode"] == mode], str(split), str(mode))
    return Section(id="scores", title="Scores", blocks=tuple(blocks))


def _split_blocks(content: ReportContent, scores: pd.DataFrame, split: str, mode: str) -> list[Block]:
    """Figures and tables of one split and mode."""
    name = split_name(split)
    heading = Heading(text=capital(name) + ("" if mode == ROLL_OUT else f", {mode.replace('-', ' ')} ahead"))
    summary = content.summary[(content.summary["split"] == split) & (content.summary["mode"] == mode)]
    if summary.empty:
        return [heading, Paragraph(text=f"No predictor could predict {name}.")]
    models = content.model_names
    metrics = sorted(dict.fromkeys(summary["metric"]), key=lambda m: (*_DRAWN_FIRST, m).index(m))
    metrics = metrics[: MOST_PANELS if mode == ROLL_OUT else 1]
    pictures = [
        Picture(
            plot_scores(summary, metric=metric, models=models),
            f"{capital(measure(metric).name)} of every predictor on {name}; the numbers are in the table below.",
        )
        for metric in metrics
    ]
    caption = f"Scores on {name}, {_MODES.get(mode, mode)}: best on top, whiskers are 95% intervals."
    pairs = main_pairs(content.comparisons, models, split)
    if mode == ROLL_OUT and not pairs.empty:
        alt = f"{models[0]} against each baseline on {name}: paired estimates with intervals."
        pictures.insert(0, Picture(plot_comparisons(pairs), alt))
        caption += (
            f" The first panel pairs {models[0]} with each baseline, condition by condition, "
            f"{SCOPES.get(str(pairs['scope'].iloc[0]), '')}: an interval that holds the dashed line is a tie."
        )
    strata = _strata(scores, summary, models, name)
    if mode == ROLL_OUT and strata is not None:
        pictures.append(strata)
        caption += " The last panel parts edits by the size of their effect: where edits do nothing, no model can show its worth."
    blocks: list[Block] = [heading, Gallery(pictures=tuple(pictures), caption=caption)]
    blocks += _tables(content, scores, summary, name)
    return blocks + _unable(scores, name)


def _tables(content: ReportContent, scores: pd.DataFrame, summary: pd.DataFrame, name: str) -> list[Block]:
    """The numbers: the scores without the edited genes, and what folds away."""
    blocks: list[Block] = []
    for scope, words in SCOPES.items():
        part = summary[summary["scope"] == scope]
        if part.empty:
            continue
        table = scores_table(part, f"Scores on {name} {words}: mean over conditions and its 95% interval.")
        blocks.append(table if not blocks else Fold(title=f"The same {words}", blocks=(table,)))
    chosen = main_metric(summary)
    if chosen is None or not content.model_names:
        return blocks
    best = best_baseline(summary, content.model_names, metric=chosen[0], scope=chosen[1])
    model = content.model_names[0]
    if best is None or model not in set(summary["predictor"]):
        return blocks
    table = conditions_table(scores, model, best, metric=chosen[0], scope=chosen[1])
    return [*blocks, Fold(title="Condition by condition", blocks=(table,))]


def _strata(scores: pd.DataFrame, summary: pd.DataFrame, models: tuple[str, ...], name: str) -> Picture | None:
    """The main metric by size of the effect, for the model, the best baseline, no change and the ceiling."""
    scores = scores[scores["stratum"].notna() & (scores["stratum"].astype(str) != "")]
    chosen = main_metric(summary)
    if chosen is None or scores["stratum"].nunique() < 2:
        return None
    metric, scope = chosen
    best = best_baseline(summary, models, metric=metric, scope=scope)
    available = set(summary["predictor"])
    wanted = [n for n in dict.fromkeys([*models[:1], best or "no change", "no change", CEILING]) if n in available]
    strata = by_stratum(scores, wanted, metric=metric, scope=scope)
    alt = f"{capital(measure(metric).name)} on {name} by size of the edit's effect, for {', '.join(wanted)}."
    return Picture(plot_strata(strata, metric=metric), alt)


def _unable(scores: pd.DataFrame, name: str) -> list[Block]:
    """Predictors that could not predict a split, with their reasons where they are known."""
    is_finite = np.isfinite(scores["value"].to_numpy(dtype=float))
    missing = [p for p in dict.fromkeys(scores["predictor"]) if p not in set(scores.loc[is_finite, "predictor"])]
    if not missing:
        return []
    reasons = scores.drop_duplicates("predictor").set_index("predictor").get("reason", pd.Series(dtype=str))
    items = tuple((p, str(reasons[p])) for p in missing if isinstance(reasons.get(p), str) and reasons[p])
    blocks: list[Block] = [Paragraph(text=f"Not able to predict {name}: {listed(missing)}.")]
    return [*blocks, Fold(title="Reasons", blocks=(Points(items=items),))] if items else blocks
