"""The page of the steady-state study: what was run, the findings written by hand, and every table."""

from __future__ import annotations

import datetime
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.steady_state_arms import TREATMENTS
from benchmarks.steady_state_tables import (
    arm_table,
    best_baseline,
    change_of,
    contest_table,
    gain_table,
    interval,
    ratios,
    words,
)

FINDINGS = Path(__file__).with_name("steady_state_findings.md")
_PACKAGES = ("semimech", "jax", "equinox", "optax", "numpy", "pandas")


def page(scores: pd.DataFrame, chosen: pd.DataFrame, settings: dict[str, Any], *, note: str = "") -> str:
    """The whole page, in Markdown.

    Parameters
    ----------
    scores
        Scores of all finished tasks.
    chosen
        What inner validation chose in each fit.
    settings
        Settings that all fits share.
    note
        What else was special about the run.
    """
    tasks, scores = scores, with_pooled(scores)
    gains = gain_table(scores)
    parts = [
        "# Does a steady-state loss lower the error on what was not seen?",
        _circumstances(tasks, settings) + (f"\n- {note}" if note else ""),
        fill(FINDINGS.read_text().strip(), scores),
        "![Error and correlation of every arm](steady_state_loss.png)",
        _READING,
        "## Each strength against weight decay",
        f"{len(gains)} comparisons, with no correction for their number: expect one in twenty intervals to exclude 1 by chance.",
        markdown(gains),
        "## Semi-mechanistic arms against the best simple baseline",
        "Ratio of errors with interval; after the semicolon the ratio with the edited gene. The best arm of a column is "
        "picked on the test conditions, as the best baseline is; the default is not.",
        markdown(contest_table(scores)),
        "## What inner validation chose",
        markdown(choices(chosen)),
        "## All arms",
    ]
    for (group, split), part in scores.groupby(["group", "split"], sort=False):
        parts += [f"### {group}: {words(split)}", markdown(arm_table(part))]
        refused = part[part["mse"].isna() & part["predictor"].str.contains(",")]
        parts += [
            f"- {name}: {reason}" for name, reason in refused.groupby("predictor", sort=False)["reason"].first().items()
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


_READING = """\
**How to read the tables.** Errors are mean squared errors on the observed scale, without the edited genes, as a ratio to predicting
no change (the matched control). *Correlation* is that of predicted with true change, uncentred, pooled over conditions; *slope* is
that of predicted on true change; *after ideal shrinkage* is the error that would be left if all predicted changes of the arm were
multiplied by the one best number, so that pulling towards no change can neither help nor harm. An arm that only pulls has the
error of its control arm and no better correlation. Intervals are 95 %, paired, from a bootstrap over edits and seeds. The best simple
baseline (bold) was picked on the test conditions, which favours it."""


def fill(text: str, scores: pd.DataFrame) -> str:
    """Put numbers where a text asks for them.

    ``{ratio; group; split; predictor; reference}`` becomes a ratio of errors with its interval, the reference a predictor
    or ``best simple``; ``{error; group; split; predictor}`` one column of `change_of`; a dash stands for what was not run.
    """

    def number(match: re.Match[str]) -> str:
        what, group, split, predictor, *reference = match[1].split("; ")
        part = scores[(scores["group"] == group) & (scores["split"] == split)]
        if predictor not in set(part["predictor"]):
            return "–"
        if what != "ratio":
            return f"{change_of(part).loc[predictor, what]:.2f}"
        other = best_baseline(part) if reference == ["best simple"] else reference[0]
        found = ratios(part, other, [predictor])
        return interval(found.loc[predictor]) if predictor in found.index else "–"

    return re.sub(r"\{([^}]+)\}", number, text)


def with_pooled(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores, and before them those of all simulated worlds as one group."""
    simulated = scores[scores["group"].str.startswith("simulated")]
    return pd.concat([simulated.assign(group="simulated, all four kinds"), scores], ignore_index=True)


def choices(chosen: pd.DataFrame) -> pd.DataFrame:
    """How often inner validation chose each weight, per group and arm."""
    rows = []
    for (group, predictor), part in chosen.groupby(["group", "predictor"], sort=False):
        if predictor.endswith("none") and not predictor.startswith("semi"):
            continue
        rows.append(
            {
                "set": group,
                "arm": predictor,
                "strength": _counts(part["strength"]),
                "weight": _counts(part["weight"]),
                "factors": _counts(part["n_factors"]),
                "sparsity": _counts(part["sparsity"]),
                "decay": _counts(part["decay"]),
                "inner error": f"{part['error'].mean():.2f}",
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    lines += ["| " + " | ".join(str(value) for value in row) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


def _circumstances(scores: pd.DataFrame, settings: dict[str, Any]) -> str:
    """When, where and how."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    weights = "; ".join(
        f"{name} {', '.join(f'{key} {_plain(value)}' for key, value in given.items() if key != 'steady_state')}"
        for name, given in TREATMENTS.items()
        if len(given) > 1
    )
    tasks = scores.drop_duplicates(["group", "dataset", "seed"])
    counts = "; ".join(f"{group} {len(part)}" for group, part in tasks.groupby("group", sort=False))
    hours = tasks["seconds"].sum() / 3600
    return "\n".join(
        [
            f"- Date {datetime.date.today().isoformat()}; Python {platform.python_version()}, {versions}.",
            f"- Machine: 2 CPU cores, shared with other work; {hours:.1f} h of task time.",
            "- Command: `python -m benchmarks.steady_state_loss run --cache FOLDER`, then `render --cache FOLDER`.",
            f"- Data sets or hold-outs finished: {counts}.",
            f"- Every fit: {', '.join(f'{k} {v}' for k, v in settings.items())}, unless said otherwise; candidates: {weights}.",
        ]
    )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _counts(values: pd.Series) -> str:
    return ", ".join(
        f"{value:g}×{n}" if not isinstance(value, str) else f"{value}×{n}" for value, n in values.value_counts().items()
    )
