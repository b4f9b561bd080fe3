"""The result in a sentence per split: which model won against which baseline, by how much, or that it did not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.evaluate import CEILING, ROLL_OUT
from semimech.report.blocks import Block, Gallery, Paragraph, Picture, Section, Verdict
from semimech.report.content import ReportContent
from semimech.report.plots import plot_comparisons
from semimech.report.summary import best_baseline, main_pairs, mean_of
from semimech.report.words import SCOPES, capital, counted, measure, number, percent, split_name


def headline(content: ReportContent) -> Section:
    """The first section: one verdict per split, each against the best baseline of that split."""
    splits = list(
        dict.fromkeys(split for t in (content.scores, content.comparisons) if not t.empty for split in t["split"])
    )
    if not content.model_names or not splits:
        text = "No model was compared with a baseline, so there is nothing to say about who wins."
        return Section(id="result", title="Result", blocks=(Paragraph(text=text),))
    summary = content.summary[content.summary["mode"] == ROLL_OUT]
    chosen = {
        split: row
        for split in splits
        if (row := _main_row(content, summary[summary["split"] == split], split)) is not None
    }
    blocks: list[Block] = [Paragraph(text=_preamble(content))]
    for split in splits:
        blocks.append(_verdict(content, summary[summary["split"] == split], split, chosen.get(split)))
    blocks += _picture(chosen, content.model_names[0])
    return Section(id="result", title="Result", blocks=tuple(blocks))


def _preamble(content: ReportContent) -> str:
    """What is compared, and in whose favour."""
    text = (
        f"{capital(content.model_names[0])} against the best of the simple baselines, on what neither has seen. The baseline is "
        "picked on the held-out data themselves, which favours it"
    )
    return f"{text}; the model was chosen by inner validation alone." if not content.selection.empty else f"{text}."


def _main_row(content: ReportContent, summary: pd.DataFrame, split: str) -> pd.Series | None:
    """The comparison of the main model with the best baseline of a split."""
    pairs = main_pairs(content.comparisons, content.model_names, split)
    if pairs.empty:
        return None
    metric, scope = str(pairs["metric"].iloc[0]), str(pairs["scope"].iloc[0])
    best = best_baseline(summary[summary["predictor"].isin(pairs["reference"])], (), metric=metric, scope=scope)
    return pairs[pairs["reference"] == best].iloc[0] if best else pairs.iloc[0]


def _verdict(content: ReportContent, summary: pd.DataFrame, split: str, row: pd.Series | None) -> Verdict:
    """The result on one split."""
    model = content.model_names[0]
    place = capital(f"on {split_name(split)}")
    if row is None:
        return Verdict(result="open", text=f"{place} no paired comparison of {model} with a baseline could be made.")
    result, words = _compared(row)
    conditions = counted(int(row["n_conditions"]), "condition")
    scope = SCOPES.get(str(row["scope"]), str(row["scope"]))
    won = f" It is the better of the two in {percent(row['won'])} of the conditions." if np.isfinite(row["won"]) else ""
    distance = _distance_to_ceiling(summary, model, row, result)
    return Verdict(result=result, text=f"{place} ({conditions}, {scope}): {words}{won}{distance}")


def _compared(row: pd.Series) -> tuple[str, str]:
    """Who wins a paired comparison, and the sentence that says so."""
    reading = measure(str(row["metric"]))
    estimate, lower, upper = (float(row[name]) for name in ("estimate", "lower", "upper"))
    if not np.isfinite([estimate, lower, upper]).all():
        return "open", f"no interval could be formed against {row['reference']}."
    is_ratio = row["unit"] == "ratio"
    gains = 1 - np.array([estimate, upper, lower]) if is_ratio else np.array([estimate, lower, upper])
    if not is_ratio and reading.is_error:
        gains = -gains[[0, 2, 1]]
    gain, low, high = gains
    size = f"{_size(abs(gain), is_ratio)} (95% interval {_range(low, high, gain, is_ratio)})"
    verbs = ("lowers", "raises") if reading.is_error else ("raises", "lowers")
    against = f"against {row['reference']}"
    if low > 0:
        return "won", f"the model {verbs[0]} the {reading.name} by {size} {against}."
    if high < 0:
        return "lost", f"the model {verbs[1]} the {reading.name} by {size} {against}."
    lean = "lower" if (gain > 0) == reading.is_error else "higher"
    return "tie", f"the model's {reading.name} is {size} {lean} {against}: no difference that these data could show."


def _size(gain: float, is_ratio: bool) -> str:
    """A gain as a share or as a number."""
    return percent(gain) if is_ratio else number(gain)


def _range(low: float, high: float, gain: float, is_ratio: bool) -> str:
    """Ends of the interval of a gain, seen in the direction of the gain."""
    ends = (low, high) if gain >= 0 else (-high, -low)
    first, second = (_size(end, is_ratio) for end in ends)
    return f"{first} to {second}"


def _distance_to_ceiling(summary: pd.DataFrame, model: str, row: pd.Series, result: str) -> str:
    """How far model and baseline are from what a replicate of the experiment would score."""
    metric, scope = str(row["metric"]), str(row["scope"])
    names = (model, str(row["reference"]), CEILING)
    reached, start, end = (mean_of(summary, name, metric=metric, scope=scope) for name in names)
    sign = 1 if measure(metric).is_error else -1
    if not np.isfinite([reached, start, end]).all():
        return ""
    if sign * (start - end) <= 0.02 * abs(start):
        return " That baseline already scores like a replicate of the experiment: there is nothing left to win."
    if result == "won" and sign * (start - reached) > 0:
        share = percent((start - reached) / (start - end))
        return f" It goes {share} of the way from that baseline to a replicate of the experiment."
    scored = f"the baseline scores {number(start)}, the model {number(reached)}"
    return f" A replicate of the experiment would score {number(end)}; {scored}."


def _picture(chosen: dict[str, pd.Series], model: str) -> list[Block]:
    """The verdicts as a picture, where there are two or more of one kind."""
    table = pd.DataFrame(list(chosen.values()))
    if len(table) < 2 or table["unit"].nunique() > 1 or table["metric"].nunique() > 1:
        return []
    rows = [f"{split_name(split)}, against {row['reference']}" for split, row in chosen.items()]
    figure = plot_comparisons(
        table, title=f"{capital(measure(str(table['metric'].iloc[0])).name)}, model to best baseline", rows=rows
    )
    alt = f"{model} against the best baseline of each split: estimates with 95% intervals, as in the sentences above."
    caption = (
        "The same in a picture. Left of the dashed line the model errs less; an interval that holds the line is a tie."
    )
    return [Gallery(pictures=(Picture(figure, alt),), caption=caption)]
