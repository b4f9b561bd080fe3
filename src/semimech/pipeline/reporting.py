"""Reporting on a folder: the model and tables in it, to one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.experiment import Condition, Context, Period
from semimech.fit import FittedModel, format_config, is_model, load, package_versions
from semimech.interpret import decompose, half_lives, signed_edges
from semimech.model import PriorNetwork
from semimech.pipeline.predictive import predictive_counts
from semimech.pipeline.scoring import NAMES
from semimech.pipeline.source import Source
from semimech.report import ReportContent, write_report

_TRAJECTORY_TIMES = 13


def make_report(source: Source, dataset: Dataset, out: Path, *, command: str) -> Path:
    """Write ``out/report.html`` from the model and tables in ``out``.

    Raises
    ------
    ConfigError
        If there is no model in ``out``.
    """
    if not is_model(out / "model"):
        raise ConfigError(f"{out}: no fitted model here; run 'semimech fit' or 'semimech run' first")
    model = load(out / "model")
    scores = _read_table(out / "scores.parquet")
    examination = source.examination()
    content = ReportContent(
        title=f"semimech: {dataset.name}",
        dataset=dataset,
        findings=examination.findings,
        quality=examination.conditions,
        scores=scores,
        comparisons=_read_table(out / "comparisons.tsv"),
        held_out=_read_table(out / "held_out.parquet"),
        budget=_read_table(out / "error_budget.tsv"),
        sensitivity=_read_table(out / "sensitivity.tsv"),
        history=model.record.history,
        selection=model.record.selection,
        trajectories=predict_courses(model, dataset),
        network=mark_known(signed_edges(model), source.network()),
        settings=format_config(model.record.config),
        versions=package_versions(),
        assumptions=model.assumptions,
        evidence=model.findings,
        notes=model.record.notes,
        models=tuple(name for name in NAMES.values() if name in set(scores.get("predictor", []))),
        parts=decompose(model, [c for c in model.training if not c.is_control]),
        half_lives=half_lives(model),
        expected_half_life_hours=model.record.config.half_life_hours,
        command=command,
        counts=predictive_counts(model, dataset) if model.record.config.likelihood == "counts" else pd.DataFrame(),
    )
    path = out / "report.html"
    write_report(content, path)
    return path


def predict_courses(model: FittedModel, dataset: Dataset) -> pd.DataFrame:
    """Predicted course of each edit from the start to its last harvest, in long form."""
    last: dict[tuple[str, Context], float] = {}
    for condition in dataset.conditions:
        if len(condition.history) == 1 and np.isfinite(condition.hours):
            key = (condition.perturbation, condition.context)
            last[key] = max(last.get(key, 0.0), condition.hours)
    asked: list[Condition] = [
        Condition(history=(Period(context=context, hours=float(hours)),))
        for (_, context), end in last.items()
        for hours in np.linspace(0.0, end, _TRAJECTORY_TIMES)
    ]
    if not asked:
        return pd.DataFrame()
    prediction = model.predict_conditions(asked)
    n_genes = len(model.genes)
    return pd.DataFrame(
        {
            "perturbation": np.repeat([c.perturbation for c in asked], n_genes),
            "hours": np.repeat([c.hours for c in asked], n_genes),
            "gene": np.tile(model.genes, len(asked)),
            "predicted": prediction.mean.ravel(),
            "lower": prediction.lower.ravel(),
            "upper": prediction.upper.ravel(),
        }
    )


def mark_known(edges: pd.DataFrame, prior: PriorNetwork | None) -> pd.DataFrame:
    """Edges with a column ``in_prior``, where there is a prior."""
    if prior is None:
        return edges
    known = set(zip(prior.edges["source"].astype(str), prior.edges["target"].astype(str), strict=True))
    return edges.assign(in_prior=[pair in known for pair in zip(edges["source"], edges["target"], strict=True)])


def _read_table(path: Path) -> pd.DataFrame:
    """A table, or an empty one where the step that writes it has not been run."""
    if not path.exists():
        return pd.DataFrame()
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep="\t")
