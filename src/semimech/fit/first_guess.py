r"""Where the edges of a law begin: sparse regressions of what edits did to each gene on what they did to its possible regulators.

Gradient steps move all possible edges at once from nothing, and with a hundred regulators a gene they end before the few that matter stand out. Around unedited cells at rest the law is linear
(`semimech.fit.linear_law`), so that the weights of each gene have a spike-and-slab posterior: an edge is absent, or its weight is normal. Its mean-field approximation by coordinate ascent (Carbonetto & Stephens
2012, doi:10.1214/12-BA703) takes seconds; its mean is where learning begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from semimech.data import Dataset
from semimech.fit.linear_law import edit_sources, relative_slope
from semimech.fit.problem import edited_genes
from semimech.model import Roster

MISFIT = 0.05
"""Squared relative change that a law linear around unedited cells misses, beside noise."""
_CHANGES, _LARGEST = (-1.0, 20.0), 3.0
_MOVED, _MOVED_VARIANCE = 0.02, 0.1
_SHARE, _VARIANCE, _SHARES, _VARIANCES = 0.2, 1.0, (1e-4, 0.5), (0.01, 4.0)
_SWEEPS, _HELD_SWEEPS, _CLOSE = 30, 6, 1e-3
_GENES_AT_ONCE = 512
_FEWEST = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstGuess:
    """First weights of a law's edges from any part of a data set.

    Parameters
    ----------
    dataset
        The data.
    roster
        Names of genes and targets.
    able
        Which edges there may be.
    """

    dataset: Dataset
    roster: Roster
    able: Bool[np.ndarray, "gene regulator"]

    def weights(self, rows: Bool[np.ndarray, " condition"]) -> Float[np.ndarray, "gene regulator"]:
        """Weights as some of the conditions tell them: the edges of edited regulators, zero for all others and where too few edits were measured."""
        shown = tuple(np.flatnonzero(rows).tolist())
        if shown not in self._known:
            self._known[shown] = self._regressed(late_rows(self.dataset, np.array(shown, dtype=int)))
        return self._known[shown]

    @cached_property
    def _known(self) -> dict[tuple[int, ...], Float[np.ndarray, "gene regulator"]]:
        return {}

    def _regressed(self, rows: Int[np.ndarray, " edit"]) -> Float[np.ndarray, "gene regulator"]:
        weight = np.zeros(self.able.shape)
        if len(rows) < _FEWEST:
            return weight
        dataset, n_genes = self.dataset, len(self.roster.genes)
        conditions = [dataset.conditions[row] for row in rows]
        slope = relative_slope(dataset.scale, dataset.control_mean())
        control = np.stack([dataset.matched_control(condition) for condition in conditions])
        change = np.clip((dataset.mean[rows] - control) / slope, *_CHANGES)
        noise = (dataset.known_variance[rows] + self._control_variance(rows)) / slope**2 + MISFIT
        own, source = edited_genes(dataset)[rows], edit_sources(self.roster, conditions)
        read = source.copy()
        moved = np.log2(2.0 + change) - 1.0
        read[:, :n_genes] = np.where(
            source[:, :n_genes] != 0.0, source[:, :n_genes], moved * _moved(change, noise - MISFIT)
        )
        edited = np.flatnonzero((source != 0.0).any(axis=0))
        able = self.able[:, edited].T & (edited[:, None] != np.arange(n_genes))
        inclusion, mean = slab_regression(read[:, edited], np.where(own, 0.0, change), ~own / noise, able)
        weight[:, edited] = np.clip(inclusion * mean, -_LARGEST, _LARGEST).T
        return weight

    def _control_variance(self, rows: Int[np.ndarray, " edit"]) -> Float[np.ndarray, "edit gene"]:
        """Squared standard errors of the matched controls."""
        found = np.zeros((len(rows), len(self.dataset.genes)))
        for number, row in enumerate(rows):
            control = self.dataset.control_rows(self.dataset.conditions[row])
            if len(control):
                found[number] = self.dataset.known_variance[control].sum(axis=0) / len(control) ** 2
        return found


def late_rows(dataset: Dataset, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " edit"]:
    """Those of some conditions that carry edits and were not harvested before half the time of the last harvest of the same edits: nearest to rest."""
    last: dict[object, float] = {}
    for row in rows:
        condition = dataset.conditions[row]
        last[condition.edits] = max(last.get(condition.edits, 0.0), condition.hours)
    is_late = [bool(c.edits) and (c.hours >= 0.5 * last[c.edits]) for c in (dataset.conditions[row] for row in rows)]
    return rows[np.array(is_late, dtype=bool)]


def slab_regression(
    read: Float[np.ndarray, "edit regulator"],
    change: Float[np.ndarray, "edit gene"],
    precision: Float[np.ndarray, "edit gene"],
    able: Bool[np.ndarray, "regulator gene"],
) -> tuple[Float[np.ndarray, "regulator gene"], Float[np.ndarray, "regulator gene"]]:
    """Probability that each edge is there, and the mean of its weight if it is: a spike-and-slab regression of every gene.

    The share of edges that are there and the variance of their weights are those of all genes together, by empirical Bayes.

    Parameters
    ----------
    read
        What was read of each regulator.
    change
        What became of each gene.
    precision
        One over the variance of the noise of each change; zero where it is not to count.
    able
        Which edges there may be.
    """
    n_regulators, n_genes = able.shape
    told = (read**2).T @ precision
    inclusion, mean = np.where(able, _SHARE, 0.0), np.zeros(able.shape)
    share, variance, left = _SHARE, _VARIANCE, precision * change
    blocks = [slice(i, i + _GENES_AT_ONCE) for i in range(0, n_genes, _GENES_AT_ONCE)]
    for sweep in range(_SWEEPS):
        before = inclusion * mean
        spread = 1.0 / (told + 1.0 / variance)
        odds = np.log(share / (1.0 - share)) + 0.5 * np.log(spread / variance)
        for block in blocks:
            rest, weigh = np.ascontiguousarray(left[:, block]), np.ascontiguousarray(precision[:, block])
            for j in range(n_regulators):
                was = inclusion[j, block] * mean[j, block]
                found = spread[j, block] * (read[:, j] @ rest + told[j, block] * was)
                held = expit(odds[j, block] + found**2 / (2.0 * spread[j, block])) * able[j, block]
                rest -= read[:, j, None] * (weigh * (held * found - was))
                inclusion[j, block], mean[j, block] = held, found
            left[:, block] = rest
        if sweep > _HELD_SWEEPS and np.abs(inclusion * mean - before).max(initial=0.0) < _CLOSE:
            break
        if sweep >= _HELD_SWEEPS:
            total = max(float(inclusion.sum()), 1e-9)
            share = float(np.clip(total / max(able.sum(), 1), *_SHARES))
            variance = float(np.clip((inclusion * (mean**2 + spread)).sum() / total, *_VARIANCES))
    return inclusion, mean


def _moved(
    change: Float[np.ndarray, "edit gene"], noise: Float[np.ndarray, "edit gene"]
) -> Float[np.ndarray, "edit gene"]:
    """Probability that a gene moved at all: where most edits move few genes, what is read of the others is noise."""
    noise = noise + 1e-4
    wide = noise + _MOVED_VARIANCE
    odds = np.log(_MOVED / (1.0 - _MOVED)) + 0.5 * np.log(noise / wide) + 0.5 * change**2 * (1.0 / noise - 1.0 / wide)
    return expit(odds)
