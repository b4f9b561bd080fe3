"""TargetLoss: how much of an edit's own target is left, learned from the training edits of its kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from semimech.baselines.interpolate import time_weights
from semimech.data.scale import Scale
from semimech.experiment import EDIT_KINDS, Edit

_ENOUGH = 3
_CLEAR = 3.0


class TargetLoss:
    """The fraction of its target's abundance that an edit removes, per unit of efficacy.

    For each kind of edit, ``1 - state/control`` on the state scale, divided by the efficacy, is pooled by its median
    over training edits made alone whose target stands clear of zero in controls (3 standard errors); time by
    time where at least three edits were harvested, over all times otherwise. An edit that raises its target has a
    negative loss. Without training edits of a kind, CRISPRi is taken at its word (loss 1) and the others are taken
    to leave their target's mRNA as it is: a knockout removes the activity of the product, not its mRNA.

    Parameters
    ----------
    scale
        Map between the observed scale and the state.
    gene_index
        Column of each gene.
    edits
        Training edits made alone, one for each harvest, of measured targets.
    hours
        Time since the edit.
    control, edited
        Observed mean of the target in matched controls and in edited cells.
    standard_error
        Standard error of ``edited``.
    """

    def __init__(
        self,
        *,
        scale: Scale,
        gene_index: dict[str, int],
        edits: Sequence[Edit],
        hours: Float[np.ndarray, " harvest"],
        control: Float[np.ndarray, " harvest"],
        edited: Float[np.ndarray, " harvest"],
        standard_error: Float[np.ndarray, " harvest"],
    ) -> None:
        self._scale = scale
        self._gene_index = gene_index
        before, after = scale.to_state(control), np.maximum(scale.to_state(edited), 0.0)
        efficacy = np.array([edit.efficacy for edit in edits], dtype=float)
        usable = (before > 0) & (efficacy > 0)
        losses = (1.0 - after / np.where(usable, before, 1.0)) / np.where(usable, efficacy, 1.0)
        is_clear = control - scale.to_observed(np.zeros(1)) > _CLEAR * np.nan_to_num(standard_error)
        self._losses: dict[tuple[str, float], float] = {}
        self._curves = {}
        for kind in EDIT_KINDS:
            keep = usable & np.array([edit.kind == kind for edit in edits], dtype=bool)
            keep = keep & is_clear if (keep & is_clear).any() else keep
            self._curves[kind] = _medians(hours[keep], losses[keep], default=float(kind == "crispri"))

    def remaining(self, edit: Edit, hours: float) -> float:
        """Fraction of its target's abundance that an edit leaves after some hours, at least 0."""
        key = (edit.kind, hours)
        if key not in self._losses:
            times, losses = self._curves[edit.kind]
            self._losses[key] = float(time_weights(times, hours, from_zero=True) @ losses)
        return max(1.0 - self._losses[key] * edit.efficacy, 0.0)

    def set_targets(
        self,
        changes: Float[np.ndarray, "perturbation gene"],
        edits: Sequence[Sequence[Edit]],
        hours: float,
        control: Float[np.ndarray, " gene"],
    ) -> Float[np.ndarray, "perturbation gene"]:
        """Predicted changes, with the change of each edit's measured target replaced by its loss, observed scale."""
        targets = [
            (row, self._gene_index[edit.gene], self.remaining(edit, hours))
            for row, made in enumerate(edits)
            for edit in made
            if edit.gene in self._gene_index
        ]
        if not targets:
            return changes
        rows, columns = np.array([t[0] for t in targets]), np.array([t[1] for t in targets])
        state = np.maximum(self._scale.to_state(control[columns]), 0.0)
        changes = changes.copy()
        changes[rows, columns] = self._scale.to_observed(state * [t[2] for t in targets]) - control[columns]
        return changes


def _medians(hours: np.ndarray, losses: np.ndarray, *, default: float) -> tuple[np.ndarray, np.ndarray]:
    """Median loss at each time, one for all times where some time has few edits, the default without any."""
    if not len(losses):
        return np.array([np.inf]), np.array([default])
    times, count = np.unique(hours, return_counts=True)
    if count.min() < _ENOUGH:
        return np.array([np.inf]), np.array([np.median(losses)])
    return times, np.array([np.median(losses[hours == time]) for time in times])
