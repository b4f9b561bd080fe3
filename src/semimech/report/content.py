"""ReportContent: everything that a report shows, as tidy tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from semimech._errors import DataError, raise_faults
from semimech.assumptions import Assumption
from semimech.assumptions.diagnostics import Finding
from semimech.data import Dataset
from semimech.interpret import PARTS
from semimech.report.summary import summarise

_COLUMNS: dict[str, tuple[str, ...]] = {
    "findings": ("check", "severity", "evidence", "threatens", "mend"),
    "quality": ("perturbation", "hours", "medium"),
    "scores": ("predictor", "split", "perturbation", "metric", "scope", "value", "seed", "stratum", "mode"),
    "comparisons": (
        "predictor",
        "reference",
        "split",
        "metric",
        "scope",
        "estimate",
        "lower",
        "upper",
        "n_conditions",
        "won",
        "unit",
    ),
    "held_out": (
        "split",
        "predictor",
        "perturbation",
        "hours",
        "gene",
        "observed",
        "predicted",
        "control",
        "is_target",
    ),
    "history": ("step", "run", "term", "value"),
    "selection": ("error", "averaged", "chosen"),
    "trajectories": ("perturbation", "hours", "gene", "predicted", "lower", "upper"),
    "network": ("source", "target", "weight"),
    "budget": ("split", "coverage", "part", "estimate", "lower", "upper", "share", "n_conditions", "n_edits"),
    "sensitivity": (
        *("split", "assumption", "change", "how", "saved", "saved_lower", "saved_upper"),
        *("shift", "shift_lower", "shift_upper", "outside", "n_conditions", "n_edits"),
    ),
    "counts": ("condition", "gene", "count", "observed", "negative binomial", "Poisson", "lower", "upper"),
    "parts": ("perturbation", "gene", "change", *PARTS),
    "half_lives": (
        "gene",
        "half_life_hours",
        "lower",
        "upper",
        "time_constant_hours",
        "fold_spread",
        "fold_error",
        "could_tell",
    ),
}


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """What a report tells, in tidy tables; an empty table leaves its section with a sentence that says so.

    Parameters
    ----------
    title
        Heading of the report.
    dataset
        What was measured.
    findings
        Checks of the data: ``check``, ``severity`` (``ok``, ``warning`` or ``fail``), ``evidence``, ``threatens``, ``mend``.
    scores
        One row per predictor, split, condition, metric, scope (``all`` genes or ``excl`` the edited ones), seed and mode
        (``roll-out`` or ``one-step``), with ``perturbation``, ``stratum`` and ``value``. The predictor
        ``"replicate ceiling"`` holds what a replicate of the experiment would score.
    comparisons
        Paired comparisons: ``predictor``, ``reference``, ``split``, ``metric``, ``scope``, ``estimate`` with ``lower`` and
        ``upper``, ``n_conditions``, ``won`` (share of conditions in which the predictor is better), ``unit`` (``ratio`` of
        errors, or ``difference``).
    held_out
        Held-out conditions in long form: ``split``, ``predictor``, ``perturbation``, ``hours``, ``gene``, ``observed``,
        ``predicted`` and ``control`` in the observed scale, ``is_target`` where the gene is edited.
    history
        Loss by ``step``, ``run``, ``term`` and ``value``.
    selection
        Candidate settings with their inner validation ``error`` relative to no change, a ``chosen`` flag, an optional ``standard_error``; every
        other column is a setting.
    trajectories
        Predicted course of each edit: ``perturbation``, ``hours``, ``gene``, ``predicted``, ``lower``, ``upper``.
    network
        Learned edges: ``source``, ``target``, ``weight`` and optionally ``spread`` over members, ``inclusion`` (share of members) and ``in_prior``.
    parts
        What predictions of training conditions are made of, from `semimech.decompose`.
    half_lives
        From `semimech.half_lives`.
    expected_half_life_hours
        Half-life that was expected before the data.
    settings
        The settings of the fit as TOML.
    versions
        Package versions.
    assumptions
        What the reported model takes for granted.
    evidence
        What the data say of assumptions.
    notes
        Plain sentences: what was chosen, and why.
    models
        Predictors with mechanism; the first is the one that the headline is about. Empty means those that stand first in
        ``comparisons``.
    command
        The command or call that made the report; empty if unknown.
    quality
        What the checks measured of each condition, from `semimech.data.examine`.

    counts
        What the fit says of single counts, from `semimech.pipeline.predictive`; empty for fits on pseudobulks.
    budget
        What the held-out error is made of, the table of `semimech.evaluate.ErrorBudget`.
    sensitivity
        What moves with each assumption, the table of `semimech.evaluate.Sensitivity`.

    Raises
    ------
    DataError
        Listing every table that lacks a column.
    """

    title: str
    dataset: Dataset
    findings: pd.DataFrame | None
    scores: pd.DataFrame
    comparisons: pd.DataFrame
    held_out: pd.DataFrame
    history: pd.DataFrame
    selection: pd.DataFrame
    trajectories: pd.DataFrame
    network: pd.DataFrame
    settings: str
    versions: dict[str, str]
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]
    models: tuple[str, ...] = ()
    parts: pd.DataFrame = field(default_factory=pd.DataFrame)
    half_lives: pd.DataFrame = field(default_factory=pd.DataFrame)
    expected_half_life_hours: float | None = None
    command: str = ""
    quality: pd.DataFrame = field(default_factory=pd.DataFrame)
    counts: pd.DataFrame = field(default_factory=pd.DataFrame)
    budget: pd.DataFrame = field(default_factory=pd.DataFrame)
    evidence: tuple[Finding, ...] = ()
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        faults = []
        for name, wanted in _COLUMNS.items():
            table = getattr(self, name)
            if table is None or table.empty:
                continue
            missing = [column for column in wanted if column not in table.columns]
            if missing:
                faults.append(f"{name} lacks the columns {missing}: it has {list(table.columns)}")
        raise_faults(DataError, f"Report {self.title!r}", faults)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean of every score with its interval, see `semimech.report.summary.summarise`."""
        return summarise(self.scores)

    @property
    def model_names(self) -> tuple[str, ...]:
        """Predictors with mechanism, the main one first."""
        if self.models or self.comparisons.empty:
            return self.models
        return (str(self.comparisons["predictor"].iloc[0]),)
