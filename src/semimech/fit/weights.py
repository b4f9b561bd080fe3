"""What the data leave open in the weights of known edges, and in predictions of edits that were not measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    relative_slope,
    signals,
)
from semimech.model import Roster

_NUMBERS_AT_ONCE, _NUMBERS_KEPT = 2**23, 2**25


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """Genes of equally many known regulators: their columns, and mean and covariance of their weights."""

    genes: Int[np.ndarray, " gene"]
    column: Int[np.ndarray, "gene known"]
    mean: Float[np.ndarray, "gene known"]
    covariance: Float[np.ndarray, "gene known known"]


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
        Variance of a measured condition around the law, observed scale.
    edges
        Rows and columns of the known edges.
    """

    roster: Roster
    scale: Scale
    control: Float[np.ndarray, " gene"]
    training: Sequence[Condition]
    change: Float[np.ndarray, "condition gene"]
    noise: Float[np.ndarray, " gene"]
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
        for block in self._blocks():
            read = seen[:, block.column].transpose(1, 0, 2)
            direct[:, block.genes] = ((read @ block.covariance) * read).sum(axis=-1).T
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

    def _blocks(self) -> Iterable[_Block]:
        """Genes that have known regulators; kept where memory allows."""
        numbers = (self._able.sum(axis=1).astype(float) ** 2).sum()
        return self._kept if numbers <= _NUMBERS_KEPT else self._made()

    @cached_property
    def _kept(self) -> list[_Block]:
        return list(self._made())

    def _made(self) -> Iterator[_Block]:
        rows = last_rows(self.training)
        source = edit_sources(self.roster, [self.training[row] for row in rows])
        change = np.clip(np.asarray(self.change, np.float64)[rows] / self._slope, *RANGE)
        told = np.asarray(self.noise, np.float64) / self._slope**2
        variance = edge_variance(change, source, self._able, told)
        seen, own = signals(change, source), source[:, : len(self._able)] != 0.0
        n_known = self._able.sum(axis=1)
        for degree in np.unique(n_known[n_known > 0]):
            alike = np.flatnonzero(n_known == degree)
            at_once = max(int(_NUMBERS_AT_ONCE // (degree * (degree + len(rows)))), 1)
            for genes in np.split(alike, range(at_once, len(alike), at_once)):
                column = np.nonzero(self._able[genes])[1].reshape(len(genes), -1)
                read = seen[:, column] * ~own[:, genes, None]
                mean, covariance = posterior(read, change[:, genes], told[genes] + MISFIT, variance)
                yield _Block(genes=genes, column=column, mean=mean, covariance=covariance)

    @cached_property
    def _mean(self) -> Float[np.ndarray, "gene regulator"]:
        weight = np.zeros(self._able.shape)
        for block in self._blocks():
            weight[block.genes[:, None], block.column] = block.mean
        return weight

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
