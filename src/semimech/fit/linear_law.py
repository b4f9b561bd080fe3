r"""A law that is linear around unedited cells at rest, and the normal posterior of its weights.

To first order the production of gene :math:`t` changes by :math:`\sum_j W_{tj} s_j`, with the signal :math:`s_j = a_j \varphi(z_j) - 1` that the network sees of regulator :math:`j`. Given
the signals in edited cells that were measured, the weights of a gene have a normal posterior: Bayesian linear regression, the Laplace approximation of the last layer before production.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from semimech.data.scale import Scale
from semimech.experiment import Condition, Edit
from semimech.model import Roster, context_arrays

_STEP = 0.05
ELASTICITY = 0.5 / np.log(2.0)
"""Of the signal in the logarithm of the abundance, at that of unedited cells."""
STABLE, RANGE, _VARIANCES = 0.9, (-4.0, 3.0), (0.01, 1.0)
MISFIT = 0.02
"""Squared logarithm that a linear law misses, beside noise."""


def signals(
    change: Float[np.ndarray, "condition gene"], source: Float[np.ndarray, "condition regulator"]
) -> Float[np.ndarray, "condition regulator"]:
    """What the network reads of each regulator where genes changed by so many logarithms, edited ones by their source alone."""
    signal = np.zeros_like(source)
    signal[:, : change.shape[1]] = np.log2(1.0 + np.exp(change)) - 1.0
    return np.where(source != 0.0, source, signal)


def relative_slope(scale: Scale, start: Float[np.ndarray, " gene"]) -> Float[np.ndarray, " gene"]:
    """How far the observed mean of unedited cells moves per relative change of the state."""
    state = np.maximum(scale.to_state(start), 1e-9)
    return np.maximum((scale.to_observed(state * (1.0 + _STEP)) - start) / _STEP, 1e-3)


def last_rows(training: Sequence[Condition]) -> Int[np.ndarray, " edit"]:
    """The last harvest of each edit."""
    rows: dict[tuple[Edit, ...], int] = {}
    for row, condition in enumerate(training):
        edits = condition.edits
        if edits and (edits not in rows or condition.hours >= training[rows[edits]].hours):
            rows[edits] = row
    return np.array(list(rows.values()), dtype=int)


def edit_sources(roster: Roster, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition regulator"]:
    """What edits themselves take from, or add to, the signals of their targets, `semimech.model.regulation.regulator_signal`; zero for all others."""
    made = context_arrays([condition.history[-1].context for condition in conditions], roster)
    level = np.ones(made.activity.shape)
    level[:, : len(roster.genes)] = np.log2(1.0 + np.asarray(made.production, np.float64))
    return np.asarray(made.activity, np.float64) * level - 1.0


def regulators_of(
    able: Bool[np.ndarray, "gene regulator"],
) -> tuple[Int[np.ndarray, "gene feature"], Bool[np.ndarray, "gene feature"]]:
    """Columns of the regulators that each gene may have, padded to the most that one has, and which of them are no padding."""
    column = np.argsort(~able, axis=1, kind="stable")[:, : max(int(able.sum(axis=1).max()), 1)]
    return column, np.take_along_axis(able, column, axis=1)


def posterior(
    read: Float[np.ndarray, "edit group feature"],
    change: Float[np.ndarray, "edit gene"],
    noise: Float[np.ndarray, " group"],
    variance: float,
) -> tuple[Float[np.ndarray, "gene feature"], Float[np.ndarray, "group feature feature"]]:
    """Mean of the weights of each gene and their covariance, of each gene or of all: Bayesian linear regression on what was read, the weights normal around zero."""
    by_group = np.ascontiguousarray(read.transpose(1, 2, 0))
    precision = by_group @ by_group.transpose(0, 2, 1) / noise[:, None, None] + np.eye(read.shape[2]) / variance
    covariance = np.linalg.inv(precision)
    moment = by_group @ change.T[..., None] if len(by_group) == change.shape[1] else change.T @ by_group[0].T
    moment = moment.reshape(change.shape[1], -1)
    return (covariance / noise[:, None, None] @ moment[..., None])[..., 0], covariance


def edge_variance(
    change: Float[np.ndarray, "edit gene"],
    source: Float[np.ndarray, "edit regulator"],
    able: Bool[np.ndarray, "gene regulator"],
    noise: Float[np.ndarray, " gene"],
) -> float:
    """Variance of the weights of possible edges: what edits did to the genes that their targets may regulate and that they did not edit."""
    edit, regulator = np.nonzero(source)
    hit = able[:, regulator].T & (source[edit, : change.shape[1]] == 0.0)
    squared = (change[edit] ** 2 - noise) / (source[edit, regulator] ** 2)[:, None]
    return float(np.clip(squared[hit].mean() if hit.any() else 0.0, *_VARIANCES))
