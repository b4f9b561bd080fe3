r"""Where the edges of a law begin: sparse regressions of what edits did to each gene on what they did to its possible regulators.

Gradient steps move all possible edges at once from nothing, and with a hundred regulators a gene they end before the few that matter stand out. Around unedited cells at rest the law is linear
(`semimech.fit.linear_law`), so that the weights of each gene have a spike-and-slab posterior: an edge is absent, or its weight is normal. Its mean-field approximation by coordinate ascent (Carbonetto & Stephens
2012, doi:10.1214/12-BA703) takes seconds for some hundred edits (its cost grows with edits × regulators × genes: 33 s for 600 × 600 × 1,500); its mean is where learning begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit.linear_law import ELASTICITY, STABLE, edit_sources, relative_slope
from semimech.fit.problem import edited_genes
from semimech.model import Roster

MISFIT = 0.05
"""Squared relative change that a law linear around unedited cells misses, beside noise."""
_CHANGES, _LARGEST = (-1.0, 20.0), 3.0
_MOVED, _MOVED_VARIANCE = 0.02, 0.1
_SHARE, _VARIANCE, _SHARES, _VARIANCES = 0.2, 1.0, (1e-4, 0.5), (0.01, 4.0)
_SWEEPS, _HELD_SWEEPS, _CLOSE = 30, 6, 1e-3
_GENES_AT_ONCE, _STILL = 128, 1e-7
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
    unit
        State of unedited cells that the law takes for its unit; genes that are nearly silent have a larger one.
    """

    dataset: Dataset
    roster: Roster
    able: Bool[np.ndarray, "gene regulator"]
    unit: Float[np.ndarray, " gene"]

    def weights(self, rows: Bool[np.ndarray, " condition"]) -> Float[np.ndarray, "gene regulator"]:
        """Weights as some of the conditions tell them: the edges of edited regulators, zero for all others and where too few edits were measured.

        Cells come to rest under such a law: where the loops of the network are too strong for that, all weights are smaller.
        """
        shown = tuple(np.flatnonzero(rows).tolist())
        if shown not in self._known:
            self._known[shown] = self._regressed(shown)
        return self._known[shown]

    @cached_property
    def _known(self) -> dict[tuple[int, ...], Float[np.ndarray, "gene regulator"]]:
        return {}

    def _slope(self, part: Dataset) -> Float[np.ndarray, " gene"]:
        """How far observed means move per relative change of the state, in the unit of the law."""
        start = part.control_mean()
        is_nearly_silent = self.unit > 1.001 * part.scale.to_state(start)
        return relative_slope(part.scale, np.where(is_nearly_silent, part.scale.to_observed(self.unit), start))

    def _regressed(self, shown: Sequence[int]) -> Float[np.ndarray, "gene regulator"]:
        """From these conditions and nothing else: references and noise are found among them too."""
        weight, n_genes = np.zeros(self.able.shape), len(self.roster.genes)
        part = replace(self.dataset, cells=None, control_moments=None).subset(shown)
        rows = late_rows(part.conditions)
        reference, variance = _references(part, rows)
        rows, reference, variance = (each[np.isfinite(reference).all(axis=1)] for each in (rows, reference, variance))
        conditions = [part.conditions[row] for row in rows]
        if len({condition.edits for condition in conditions}) < _FEWEST:
            return weight
        slope = self._slope(part)
        own, source = edited_genes(part)[rows], edit_sources(self.roster, conditions)
        change = np.clip((part.mean[rows] - reference) / slope, *_CHANGES)
        noise = (part.known_variance[rows] + variance) / slope**2
        if not np.isfinite(part.standard_error).any():
            noise = noise + _typical(change, own)
        read = source.copy()
        moved = np.log2(2.0 + change) - 1.0
        read[:, :n_genes] = np.where(source[:, :n_genes] != 0.0, source[:, :n_genes], moved * _moved(change, noise))
        edited = np.flatnonzero((source != 0.0).any(axis=0))
        able = self.able[:, edited].T & (edited[:, None] != np.arange(n_genes))
        inclusion, mean = slab_regression(read[:, edited], np.where(own, 0.0, change), ~own / (noise + MISFIT), able)
        weight[:, edited] = np.clip(inclusion * mean, -_LARGEST, _LARGEST).T
        reach = float(np.abs(np.linalg.eigvals(ELASTICITY * weight[:, :n_genes])).max(initial=0.0))
        return weight * min(1.0, STABLE / max(reach, 1e-12))


def late_rows(conditions: Sequence[Condition]) -> Int[np.ndarray, " edit"]:
    """Those conditions that carry edits and were not harvested before half the longest time of the same edits in the same media: nearest to rest."""
    hours = [_since_edited(condition) for condition in conditions]
    longest: dict[object, float] = {}
    for condition, known in zip(conditions, hours, strict=True):
        key = (condition.edits, condition.media)
        longest[key] = max(longest.get(key, 0.0), known)
    late = [bool(c.edits) and h >= 0.5 * longest[c.edits, c.media] for c, h in zip(conditions, hours, strict=True)]
    return np.flatnonzero(late)


def _since_edited(condition: Condition) -> float:
    """Hours since the last of the edits that cells carry was made."""
    hours = 0.0
    for period in reversed(condition.history):
        if period.context.edits != condition.edits:
            break
        hours += period.hours
    return hours


def _references(
    part: Dataset, rows: Int[np.ndarray, " edit"]
) -> tuple[Float[np.ndarray, "edit gene"], Float[np.ndarray, "edit gene"]]:
    """What edited cells are compared with, and its squared standard error: unedited cells of the same media; without any, the mean of what was harvested beside; NaN without company."""
    reference, variance = np.full((len(rows), len(part.genes)), np.nan), np.zeros((len(rows), len(part.genes)))
    beside: dict[object, list[int]] = {}
    for row in rows:
        beside.setdefault((part.conditions[row].media, part.conditions[row].hours), []).append(int(row))
    for number, row in enumerate(rows):
        condition = part.conditions[row]
        control, company = part.control_rows(condition), beside[condition.media, condition.hours]
        if len(control) and part.conditions[control[0]].media == condition.media:
            share = part.n_cells[control] / part.n_cells[control].sum()
            reference[number] = share @ part.mean[control]
            variance[number] = share**2 @ part.known_variance[control]
        elif len({part.conditions[other].edits for other in company}) >= _FEWEST:
            reference[number] = part.mean[company].mean(axis=0)
    return reference, variance


def _typical(change: Float[np.ndarray, "edit gene"], own: Bool[np.ndarray, "edit gene"]) -> Float[np.ndarray, " gene"]:
    """Squared spread of each gene over edits, most of which move few genes: what stands for errors that nothing tells."""
    return (1.4826 * np.ma.median(np.ma.masked_array(np.abs(change), own), axis=0).filled(0.0)) ** 2


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
                step = held * found - was
                moved = np.flatnonzero(np.abs(step) > _STILL)
                if len(moved) > len(step) // 2:
                    rest -= read[:, j, None] * (weigh * step)
                elif len(moved):
                    rest[:, moved] -= read[:, j, None] * (weigh[:, moved] * step[moved])
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
