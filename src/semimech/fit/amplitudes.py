"""How much of what was borrowed was found at each time, in edits that were held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from semimech.data import Dataset
from semimech.data.conditioning import conditional_changes
from semimech.fit.donors import lone_edit

_NOISE_SHARES = (0.0, 0.3, 1.0, 3.0)


def unseen_genes(dataset: Dataset, folds: Sequence[Bool[np.ndarray, " condition"]]) -> list[frozenset[str]]:
    """For each condition, the genes that it edits or edited and that are edited nowhere outside its (last) fold."""
    carried = [frozenset(e.gene for p in c.history for e in p.context.edits) for c in dataset.conditions]
    unseen: list[frozenset[str]] = [frozenset()] * len(carried)
    for fold in folds:
        kept = frozenset().union(*(genes for genes, out in zip(carried, fold, strict=True) if not out))
        for row in np.flatnonzero(fold):
            unseen[row] = carried[row] - kept
    return unseen


def best_response(
    dataset: Dataset, unseen: Sequence[frozenset[str]], changes: np.ndarray, weight: np.ndarray
) -> Float[np.ndarray, "target gene"]:
    """Responses of unedited cells with the share of noise that suits the changes of edits best, one amplitude for each time."""
    column = {gene: i for i, gene in enumerate(dataset.genes)}
    alone = {row: lone_edit(c) for row, c in enumerate(dataset.conditions) if unseen[row]}
    made = {row: edit for row, edit in alone.items() if edit is not None and edit.gene in column}
    best, least = conditional_changes(dataset, noise_share=_NOISE_SHARES[0]), np.inf
    if dataset.control_moments is None or not made:
        return best
    rows, edits = list(made), list(made.values())
    scale = np.array([e.efficacy * (-1.0 if e.kind == "crispra" else 1.0) for e in edits])
    for share in _NOISE_SHARES:
        response = conditional_changes(dataset, noise_share=share)
        guess = scale[:, None] * response[[column[e.gene] for e in edits]]
        steps = np.stack([np.zeros_like(guess), np.zeros_like(guess), guess], axis=-1)
        hours, amplitude = amplitudes(dataset.hours[rows], steps, changes[rows], weight[rows])
        scaled = guess * amplitude[1, np.searchsorted(hours, dataset.hours[rows])][:, None]
        error = float((weight[rows] * (changes[rows] - scaled) ** 2).sum())
        if error < least:
            best, least = response, error
    return best


def amplitudes(
    hours: Float[np.ndarray, " row"],
    steps: Float[np.ndarray, "row gene 3"],
    changes: Float[np.ndarray, "row gene"],
    weight: Float[np.ndarray, "row gene"],
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, "2 time"]]:
    """How much of each step was found at each time: least squares, drawn halfway to the amplitude over all times, from 0.

    The departure from the mean is never taken further than it says.
    """
    times = np.unique(hours)
    amplitude = np.zeros((2, len(times)))
    for which, most in ((0, 1.0), (1, np.inf)):
        step = steps[..., 1 + which]
        truth = changes - steps[..., 0] if which == 0 else changes
        product = np.array([(weight * step * truth)[hours == t].sum() for t in times])
        power = np.array([(weight * step**2)[hours == t].sum() for t in times])
        if power.sum() > 0:
            prior = power.mean()
            amplitude[which] = (product + prior * product.sum() / power.sum()) / (power + prior)
        amplitude[which] = np.clip(amplitude[which], 0.0, most)
    return times, amplitude
