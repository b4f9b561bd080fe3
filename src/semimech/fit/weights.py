"""What the data leave open in the weights of known edges, and in predictions of edits that were not measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from semimech.data.scale import Scale
from semimech.experiment import Condition
from semimech.fit.linear_law import (
    ELASTICITY,
    MISFIT,
    RANGE,
    STABLE,
    edge_variance,
    edit_sources,
    last_rows,
    posterior,
    regulators_of,
    relative_slope,
    signals,
)
from semimech.model import Roster

_NUMBERS_AT_ONCE = 2**23


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownWeights:
    r"""Posterior of the weights of known edges, linear around unedited cells (`semimech.fit.linear_law`).

    Parameters
    ----------
    roster
        Names of genes and targets.
    scale
        Scale of the observed means.
    control
        Observed mean of unedited cells.
    training
        Conditions that were measured.
    change
        Their observed change against matched controls.
    noise
        Variance of one measured condition, mean over genes, observed scale.
    edges
        Rows and columns of the known edges.
    """

    roster: Roster
    scale: Scale
    control: Float[np.ndarray, " gene"]
    training: Sequence[Condition]
    change: Float[np.ndarray, "condition gene"]
    noise: float
    edges: Int[np.ndarray, "2 edge"]

    def left_open(
        self, conditions: Sequence[Condition], change: Float[np.ndarray, "condition gene"]
    ) -> Float[np.ndarray, "condition gene"]:
        r"""Variance that the weights leave open in predicted changes, observed scale; none where no edge is known.

        With :math:`s` the signals in the predicted state, :math:`\Sigma_t` the covariance of the weights of gene :math:`t` and :math:`T` the response of all genes to a push on
        each, the loops through edited genes cut: :math:`\sum_k T_{tk}^2\, s^\top \Sigma_k s`. Errors of different genes are taken as independent.

        Parameters
        ----------
        conditions
            What is predicted.
        change
            Predicted changes against unedited cells, observed scale.
        """
        source = edit_sources(self.roster, conditions)
        seen = signals(np.clip(change / self._slope, *RANGE), source)
        own = source[:, : len(self.roster.genes)] != 0.0
        direct = np.zeros_like(change, dtype=float)
        for genes, column, there, _, covariance in self._blocks():
            read = seen[:, column] * there
            direct[:, genes] = np.einsum("cgf,gfk,cgk->cg", read, covariance, read, optimize=True)
        direct[own] = 0.0
        return self._carried(direct, own) * self._slope**2

    @cached_property
    def _slope(self) -> Float[np.ndarray, " gene"]:
        return relative_slope(self.scale, np.asarray(self.control, np.float64))

    @cached_property
    def _able(self) -> Bool[np.ndarray, "gene regulator"]:
        able = np.zeros((len(self.roster.genes), len(self.roster.regulators)), bool)
        able[self.edges[0], self.edges[1]] = True
        np.fill_diagonal(able[:, : len(able)], False)
        return able

    def _blocks(
        self,
    ) -> Iterator[
        tuple[
            slice,
            Int[np.ndarray, "gene feature"],
            Bool[np.ndarray, "gene feature"],
            Float[np.ndarray, "gene feature"],
            Float[np.ndarray, "gene feature feature"],
        ]
    ]:
        """Genes with the columns of their regulators, and means and covariances of their weights, as many at a time as fit."""
        rows = last_rows(self.training)
        source = edit_sources(self.roster, [self.training[row] for row in rows])
        change = np.clip(np.asarray(self.change, np.float64)[rows] / self._slope, *RANGE)
        told = self.noise / self._slope**2
        variance = edge_variance(change, source, self._able, told)
        column, there = regulators_of(self._able)
        seen, own = signals(change, source), source[:, : len(self._able)] != 0.0
        at_once = max(_NUMBERS_AT_ONCE // column.shape[1] ** 2, 1)
        for start in range(0, len(column), at_once):
            genes = slice(start, start + at_once)
            read = seen[:, column[genes]] * there[genes] * ~own[:, genes, None]
            mean, covariance = posterior(read, change[:, genes], told[genes] + MISFIT, variance)
            yield genes, column[genes], there[genes], mean, covariance

    @cached_property
    def _mean(self) -> Float[np.ndarray, "gene regulator"]:
        weight = np.zeros(self._able.shape)
        for genes, column, there, mean, _ in self._blocks():
            np.put_along_axis(weight[genes], column, mean * there, axis=1)
        return weight * self._able

    def _carried(
        self, direct: Float[np.ndarray, "condition gene"], own: Bool[np.ndarray, "condition gene"]
    ) -> Float[np.ndarray, "condition gene"]:
        """Variances of pushes on all genes, carried through the network to all genes: by Woodbury's identity where edited genes answer nothing."""
        n = len(self.roster.genes)
        active = np.flatnonzero(self._mean[:, :n].any(axis=0))  # genes that regulate none carry nothing on
        inner = ELASTICITY * self._mean[:, active]
        reach = float(np.abs(np.linalg.eigvals(inner[active])).max(initial=0.0))
        inner = inner * min(1.0, STABLE / max(reach, 1e-12))
        among = np.linalg.inv(np.eye(len(active)) - inner[active])
        through = inner @ among
        through[active] = among
        rest = direct.copy()
        rest[:, active] = 0.0
        carried = rest + direct[:, active] @ (through**2).T
        for row in np.flatnonzero(own[:, active].any(axis=1)):
            cut, pushed = np.flatnonzero(own[row, active]), direct[row, active]
            lost = np.linalg.solve(among[np.ix_(cut, cut)], among[cut] - np.eye(len(active))[cut])
            left = through[:, cut]
            carried[row] -= 2.0 * (left * (through @ (lost * pushed).T)).sum(axis=1)
            carried[row] += np.einsum("gr,rs,gs->g", left, (lost * pushed) @ lost.T, left)
        return np.maximum(carried, 0.0)
