"""What training data say of what a model takes for granted: the audit of a sample that is small enough to go with every fit."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import scipy.sparse as sp

from semimech.assumptions.catalogue import BATCH_BALANCED, NO_SELECTION, Assumption
from semimech.assumptions.diagnostics.audit import find
from semimech.assumptions.diagnostics.evidence import LEVEL
from semimech.assumptions.diagnostics.finding import Finding, told_together
from semimech.data.annotate import Annotation
from semimech.data.dataset import Cells, Dataset
from semimech.data.matrix import Measurement
from semimech.data.screen import Screen

MOST_CONDITIONS = 24
"""Edited conditions that are looked at, evenly over all."""
MOST_CELLS = 100
"""Cells of each of them that are looked at per batch."""

_OF_NUMBERS = (NO_SELECTION, BATCH_BALANCED)
_SOURCE = "training data"


def audit_training(dataset: Dataset, asked: Collection[Assumption], *, seed: int = 0) -> tuple[Finding, ...]:
    """Hold assumptions of a model against the cells it is trained on.

    Numbers of cells are looked at whole; values in all unedited conditions, and in a sample of the edited ones.

    Parameters
    ----------
    dataset
        Training data.
    asked
        Assumptions of the model.
    seed
        Of the sample, and of the draws of noise.

    Returns
    -------
    tuple of Finding
        One for each of them that has a diagnostic; none without cells, or without unedited or edited ones.
    """
    edited = np.flatnonzero(~dataset.is_control)
    if dataset.cells is None or not len(edited) or len(edited) == len(dataset.conditions):
        return ()
    screen = screen_of(dataset, dataset.cells)
    numbers = find(screen, [a for a in asked if a in _OF_NUMBERS], seed=seed)
    sample = screen.take(_sample(screen, edited, np.random.default_rng(seed)))
    of_values = find(sample, [a for a in asked if a not in _OF_NUMBERS], seed=seed)
    return told_together((*of_values, *numbers), LEVEL)


def violation_note(finding: Finding) -> str:
    """A sentence on an assumption that fails, and what goes wrong where it does."""
    return (
        f"The training data speak against the assumption of {finding.assumption.id}: {finding.evidence}. "
        f"Where it fails, {finding.assumption.breaks}."
    )


def screen_of(dataset: Dataset, cells: Cells) -> Screen:
    """The cells of a data set as they were before they were pooled."""
    values = sp.csr_matrix(cells.values)
    is_counted = cells.unit is not None and bool(np.isfinite(cells.unit).all())
    batches = cells.batches or tuple(str(number) for number in range(int(cells.batch.max()) + 1))
    return Screen(
        annotation=Annotation(
            conditions=dataset.conditions,
            condition=cells.condition,
            batches=batches,
            batch=cells.batch,
            system=dataset.system,
            columns={"batch": "batch"} if len(batches) > 1 else {},
            genes=dataset.genes,
            findings=(),
        ),
        measurement=Measurement(
            observed=values,
            counts=cells.counts(np.arange(values.shape[0])) if is_counted else None,
            unit=cells.unit if is_counted else None,
            scale=dataset.scale,
            source=_SOURCE,
        ),
        var_names=dataset.var_names or dataset.genes,
        findings=(),
    )


def _sample(screen: Screen, edited: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells of all unedited conditions, and some cells of some edited ones."""
    annotation = screen.annotation
    some = edited[np.unique(np.linspace(0, len(edited) - 1, min(len(edited), MOST_CONDITIONS)).round().astype(int))]
    mixed = rng.permutation(np.flatnonzero(np.isin(annotation.condition, some)))
    code = annotation.condition[mixed] * len(annotation.batches) + annotation.batch[mixed]
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0])
    rank = np.arange(len(mixed)) - np.repeat(starts, np.diff(np.r_[starts, len(mixed)]))
    return np.sort(np.concatenate([np.flatnonzero(screen.is_control), mixed[order][rank < MOST_CELLS]]))
