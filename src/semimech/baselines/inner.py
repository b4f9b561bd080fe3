"""Choice of a penalty by leaving edits out, inside the training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from semimech.baselines.baseline import AbstractBaseline
from semimech.baselines.effects import Effects

Candidate = TypeVar("Candidate")


def choose_by_left_out_edits(
    effects: Effects,
    candidates: Sequence[Candidate],
    fit: Callable[[Effects, Candidate], AbstractBaseline],
    *,
    n_folds: int = 6,
) -> Candidate:
    """The candidate that predicts left-out training edits best: mean squared error without the edits' own targets.

    Parameters
    ----------
    effects
        What the training edits did.
    candidates
        Settings to choose among, the simplest first: it is kept on a tie, or with nothing to leave out.
    fit
        Fits a baseline with one setting.
    n_folds
        Most groups of edits to leave out; up to this number of edits, each is left out alone.
    """
    error = np.zeros(len(candidates))
    for train_rows, test_rows in _folds(effects, n_folds):
        inner = effects.without(train_rows)
        conditions = [effects.conditions[row] for row in test_rows]
        measured = effects.dataset.mean[effects.rows[test_rows]]
        keep = ~effects.target_mask([c.edits for c in conditions])
        for number, candidate in enumerate(candidates):
            baseline = fit(inner, candidate)
            miss = baseline.predict_conditions(conditions).mean - measured
            error[number] += float(((miss * keep) ** 2).sum())
    return candidates[int(np.argmin(np.where(error <= error.min() * (1 + 1e-9), 0.0, 1.0)))]


def _folds(effects: Effects, n_folds: int) -> list[tuple[Int[np.ndarray, " out"], Int[np.ndarray, " test"]]]:
    """Rows to leave out and rows to predict: the singles of each group of genes, and each group of combinations and of doses."""
    rows = np.arange(len(effects.conditions))
    folds = []
    genes = sorted({edit.gene for edit in effects.singles})
    n_genes = min(n_folds, len(genes))
    for fold in range(n_genes if len(genes) > 1 else 0):
        held = set(genes[fold::n_genes])
        carries = np.array([any(e.gene in held for e in c.edits) for c in effects.conditions])
        alone = np.array([len(c.edits) == 1 for c in effects.conditions])
        if not carries.all():
            folds.append((rows[carries], rows[carries & alone]))
    doses = Counter(edit.gene for edit in effects.singles)
    many = [edits for edits in effects.perturbations if len(edits) > 1 or doses[edits[0].gene] > 1]
    n_many = min(n_folds, len(many))
    for fold in range(n_many):
        held_edits = set(many[fold::n_many])
        out = np.array([c.edits in held_edits for c in effects.conditions])
        if not out.all():
            folds.append((rows[out], rows[out]))
    return folds
