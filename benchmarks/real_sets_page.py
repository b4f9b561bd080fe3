"""The page of the benchmark over real sets: targets line by line, findings written by hand, and every table."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from benchmarks.real_sets_tables import arms, by_stratum, coverage, groups, ranking
from benchmarks.real_sets_targets import target_table
from benchmarks.real_sets_tasks import MODEL, N_MORPHIC_GENES, N_PAPALEXI_GENES
from benchmarks.steady_state_page import markdown
from benchmarks.steady_state_tasks import FAST

FINDINGS = Path(__file__).with_name("real_sets_findings.md")
_PACKAGES = ("semimech", "jax", "numpy", "pandas")

_READING = """\
**How to read the tables.** Scores are of means, without the edited genes. *MSE* in the observed scale of the set; the best simple baseline (bold) was picked
on the test conditions, which favours it. *pearson, control*: of the change against control, the family of errors of direction and size; *pearson, perturbed*: of what sets an edit
apart from the mean of the training edits, which scores 0; *rank*: share of other held-out conditions farther from the prediction than its own, 0.5 by chance; *direction*: share of
changed genes with the right sign. Intervals are 95 %, paired, from a bootstrap over edits and seeds. The *replicate ceiling* is what a noise-free prediction would score; CellBox
has no replicates and no known noise."""


def page(scores: pd.DataFrame, *, note: str = "") -> str:
    """The whole page, in Markdown.

    Parameters
    ----------
    scores
        Scores of all finished tasks.
    note
        What else was special about the run.
    """
    parts = [
        "# The model, simple baselines and peers on real sets",
        _circumstances(scores) + (f"\n- {note}" if note else ""),
        FINDINGS.read_text(encoding="utf-8").strip(),
        "## What was to be shown, line by line",
        markdown(target_table(scores)),
        "![Error of every predictor relative to the best simple baseline](real_sets.png)",
        _READING,
        "## Ranking",
    ]
    for name, part in groups(scores):
        parts += [f"### {name}", markdown(ranking(part))]
        refused = part[part["value"].isna() & part["reason"].fillna("").astype(bool) & (part["metric"] == "mse")]
        reasons = refused.groupby("predictor", sort=False)["reason"].first()
        if len(reasons):
            parts.append(
                "Cannot predict this: " + "; ".join(f"*{name}*: {reason}" for name, reason in reasons.items()) + "."
            )
    parts += [
        "## By size of effect",
        "The model against the best simple baseline of the question; strata as in `semimech.evaluate.STRATA`.",
        markdown(by_stratum(scores)),
        "## What the 90 % intervals cover",
        markdown(coverage(scores)),
        "## What a prior, a shuffled prior and the steady-state loss change",
        markdown(arms(scores)),
    ]
    return "\n\n".join(parts) + "\n"


def _circumstances(scores: pd.DataFrame) -> str:
    """When, where and how."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    files = scores.drop_duplicates(["task", "group"])
    finished = "; ".join(f"{name} {part['task'].nunique()}" for name, part in files.groupby("group", sort=False))
    folds = "; ".join(
        f"{dataset}, {split.replace('_', ' ')}: {part['seed'].nunique()} seeds, {part['task'].nunique()} hold-outs"
        for (dataset, split), part in scores[scores["predictor"] == MODEL].groupby(["dataset", "split"], sort=False)
    )
    return "\n".join(
        [
            f"- Date {datetime.date.today().isoformat()}; Python {platform.python_version()}, {versions}.",
            f"- Machine: 2 CPU cores, shared with other work; {files['seconds'].sum() / 60:.0f} minutes of CPU.",
            "- Command: `python -m benchmarks.real_sets run --cache FOLDER`, then `render --cache FOLDER`.",
            f"- Finished tasks by group of methods: {finished}.",
            f"- Seeds and hold-outs of the model: {folds}.",
            f"- Every fit with default settings; HPN, whose signals take minutes, with {', '.join(f'{k} {v}' for k, v in FAST.items())}. "
            f"Genes: Papalexi the {N_PAPALEXI_GENES} most abundant in "
            f"controls and the nine measured targets; MorPhiC the {N_MORPHIC_GENES} most variable in training and the edited ones.",
        ]
    )
