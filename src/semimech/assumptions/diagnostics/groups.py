"""Groups: cells of one condition in one batch, and contrasts of their means from which batch effects cancel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from semimech.assumptions.diagnostics.evidence import Draws
from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.screen import Screen
from semimech.experiment import Condition

MIN_EDITED = 4
"""Edited cells of one condition that a batch needs to count; fewer hardly tell their spread."""
MOST_CELLS = 300
"""Cells per group that are looked at, drawn at random where there are more."""
MOST_GENES = 500
"""Genes that are looked at: those seen in the most cells."""
N_DRAWS = 399
"""Draws of noise."""
_GENE_BLOCK = 50
_LEAST_DEGREES = 4.0


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Cells by condition and batch.

    Parameters
    ----------
    screen
        The cells.
    place
        Condition and batch of each group with enough cells for a mean and a spread.
    size
        Cells in each group.
    """

    screen: Screen
    place: tuple[tuple[int, int], ...]
    size: Int[np.ndarray, " group"]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Conditions of the screen."""
        return self.screen.annotation.conditions

    @cached_property
    def of(self) -> dict[int, dict[int, int]]:
        """Group of each batch of each condition."""
        found: dict[int, dict[int, int]] = {i: {} for i in range(len(self.conditions))}
        for group, (condition, batch) in enumerate(self.place):
            found[condition][batch] = group
        return found

    @cached_property
    def _unedited(self) -> dict[object, list[int]]:
        """Unedited conditions by what others must share with them."""
        found: dict[object, list[int]] = {}
        for i, condition in enumerate(self.conditions):
            if condition.is_control:
                found.setdefault(self.screen.annotation.system.comparison(condition), []).append(i)
        return found

    def controls(self, condition: int, batch: int) -> list[int]:
        """Groups of unedited cells of the batch to compare a condition with: of its time where there are any."""
        asked = self.conditions[condition]
        alike = self._unedited.get(self.screen.annotation.system.comparison(asked), [])
        alike = [i for i in alike if batch in self.of[i]]
        timely = [i for i in alike if self.conditions[i].hours == asked.hours]
        return [self.of[i][batch] for i in timely or alike]

    @cached_property
    def _effects(self) -> list[Float[np.ndarray, " group"] | None]:
        found = []
        for i in range(len(self.conditions)):
            pairs = [(g, self.controls(i, batch)) for batch, g in self.of[i].items()]
            found.append(self._within([([g], controls) for g, controls in pairs if controls]))
        return found

    def effect(self, condition: int) -> Float[np.ndarray, " group"] | None:
        """Weights of group means that give edited minus matched unedited cells, within batches; ``None`` where there are none."""
        return self._effects[condition]

    def difference(self, one: int, other: int) -> Float[np.ndarray, " group"] | None:
        """Weights that give the first condition minus the second, within batches that hold both; ``None`` without any."""
        shared = [b for b in self.of[one] if b in self.of[other]]
        return self._within([([self.of[one][b]], [self.of[other][b]]) for b in shared])

    def _within(self, pairs: Sequence[tuple[list[int], list[int]]]) -> Float[np.ndarray, " group"] | None:
        """The mean over batches of differences, each weighted by its precision."""
        if not pairs:
            return None
        precision = np.array([1.0 / (1.0 / self.size[a].sum() + 1.0 / self.size[b].sum()) for a, b in pairs])
        weights = np.zeros(len(self.place))
        for share, (plus, minus) in zip(precision / precision.sum(), pairs, strict=True):
            weights[plus] += share * self.size[plus] / self.size[plus].sum()
            weights[minus] -= share * self.size[minus] / self.size[minus].sum()
        return weights

    def rows(self, rng: np.random.Generator) -> tuple[Int[np.ndarray, " cell"], Int[np.ndarray, " cell"]]:
        """Cells of all groups, at most `MOST_CELLS` of each, and the group of each."""
        annotation = self.screen.annotation
        code = annotation.condition * len(annotation.batches) + annotation.batch
        by_code = np.argsort(code, kind="stable")
        rows, group = [], []
        for g, (condition, batch) in enumerate(self.place):
            wanted = condition * len(annotation.batches) + batch
            found = by_code[slice(*np.searchsorted(code[by_code], [wanted, wanted + 1]))]
            found = np.sort(rng.choice(found, MOST_CELLS, replace=False)) if len(found) > MOST_CELLS else found
            rows.append(found)
            group.append(np.full(len(found), g))
        return np.concatenate(rows), np.concatenate(group)


def make_groups(screen: Screen) -> Groups:
    """Group the cells of a screen by condition and batch, groups of fewer than 10 unedited or 4 edited cells left out."""
    annotation = screen.annotation
    n_batches = len(annotation.batches)
    code, size = np.unique(annotation.condition * n_batches + annotation.batch, return_counts=True)
    is_control = np.array([condition.is_control for condition in annotation.conditions])
    kept = size >= np.where(is_control[code // n_batches], MIN_CONTROLS, MIN_EDITED)
    place = tuple((int(c) // n_batches, int(c) % n_batches) for c in code[kept])
    return Groups(screen=screen, place=place, size=np.minimum(size[kept], MOST_CELLS))


def draw(
    values: Float[np.ndarray, "cell gene"],
    group: Int[np.ndarray, " cell"],
    contrasts: Float[np.ndarray, "comparison group"],
    rng: np.random.Generator,
    *,
    standardise: bool = True,
) -> Draws:
    r"""Contrasts of group means and draws of their noise, by random multiples of the cells' deviations from their group.

    With :math:`r_i` the deviation of cell :math:`i` from the mean of its group of :math:`n` cells times :math:`\sqrt{n/(n-1)}`, the noise of a contrast is
    drawn as :math:`\sum_g c_{kg} n_g^{-1} \sum_{i \in g} \xi_i r_i` with independent :math:`\xi_i`: the multiplier bootstrap (Chernozhukov,
    Chetverikov & Kato 2013, Ann. Stat. 41:2786), which keeps the dependence between genes, and between contrasts that share cells.
    Signs :math:`\xi_i` keep the variance of squares over many genes without bias; of one gene they miss the tail, which normal ones have.
    Groups may differ in spread. How well a group's spread itself is known follows from the scatter of :math:`\|r_i\|^2` over cells: its noise
    is multiplied by :math:`\sqrt{d/\chi^2_d}` with :math:`d` the degrees of freedom of the same scatter, as in Student's t, and by the root
    of :math:`\nu/(\nu-2)`, the mean of F, since genes are divided by a variance of :math:`\nu` degrees of freedom.

    Parameters
    ----------
    values
        Cells.
    group
        Index of the group of each cell; every group has two cells or more.
    contrasts
        Weights of group means.
    rng
        Draws multipliers.
    standardise
        Whether to divide genes by their standard deviation within groups; genes without any are left out.
    """
    n = np.bincount(group)
    order = np.argsort(group, kind="stable")
    values, group = values[order], group[order]
    starts = np.cumsum(n) - n
    multipliers = _multipliers(values.shape, rng)
    n_genes, total = 0, [np.zeros(len(contrasts)) for _ in range(2)]
    noise, cross = (np.zeros((N_DRAWS, len(contrasts))) for _ in range(2))
    unsure = np.sqrt(_inverse_chi_square(values, starts, group, rng)).astype(np.float32)
    light = sp.csr_matrix(contrasts.astype(np.float32))
    free = max(len(values) - len(n), 3)
    stretch = free / (free - 2.0) if standardise else 1.0
    for first in range(0, values.shape[1], _GENE_BLOCK):
        block = np.asarray(values[:, first : first + _GENE_BLOCK], np.float64)
        mean = np.add.reduceat(block, starts, axis=0) / n[:, None]
        apart = (block - mean[group]) * np.sqrt(n / (n - 1.0))[group][:, None]
        squares = np.add.reduceat(apart**2, starts, axis=0)
        sigma = np.sqrt(squares.sum(axis=0) / len(block))
        kept = sigma > 0
        sigma = sigma[kept] if standardise else np.ones(int(kept.sum()))
        if not kept.any():
            continue
        departure = contrasts @ mean[:, kept] / sigma
        total[0] += (departure**2).sum(axis=1)
        total[1] += (contrasts**2 @ (squares[:, kept] / n[:, None] ** 2) / sigma**2).sum(axis=1) * stretch
        scaled = (apart[:, kept] / sigma / n[group][:, None] * np.sqrt(stretch)).astype(np.float32)
        of_groups = np.empty((len(n), N_DRAWS, scaled.shape[1]), np.float32)
        for g, (s, k) in enumerate(zip(starts, n, strict=True)):
            np.matmul(multipliers[:, s : s + k], scaled[s : s + k], out=of_groups[g])
        of_groups *= unsure[:, :, None]
        of_contrasts = (light @ of_groups.reshape(len(n), -1)).reshape(len(contrasts), N_DRAWS, -1).swapaxes(0, 1)
        noise += np.einsum("bkj,bkj->bk", of_contrasts, of_contrasts)
        cross += np.einsum("bkj,kj->bk", of_contrasts, departure.astype(np.float32))
        n_genes += int(kept.sum())
    if not n_genes:
        raise ValueError("no gene varies within groups of cells")
    return Draws(square=total[0] / n_genes, expected=total[1] / n_genes, noise=noise / n_genes, cross=cross / n_genes)


def _inverse_chi_square(
    values: Float[np.ndarray, "cell gene"],
    starts: Int[np.ndarray, " group"],
    group: Int[np.ndarray, " cell"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "group draw"]:
    """Draws of the true over the estimated spread of each group; cells in the order of their groups.

    The scatter of cells' squared lengths is pooled over groups: a small group that by chance is short has little of it too.
    """
    n = np.diff(np.r_[starts, len(group)])
    mean = np.add.reduceat(values, starts, axis=0) / n[:, None].astype(values.dtype)
    variance = np.add.reduceat(values**2, starts, axis=0).sum(axis=0) - (mean**2 * n[:, None]).sum(axis=0)
    scale = np.where(variance > 1e-6 * max(float(variance.max()), 1e-300), variance, np.inf)
    length = np.zeros(len(values))
    for first in range(0, values.shape[1], _GENE_BLOCK):
        block = slice(first, first + _GENE_BLOCK)
        length += ((values[:, block] - mean[group][:, block]) ** 2 / scale[block]).sum(axis=1)
    average = np.add.reduceat(length, starts) / n
    scatter = np.add.reduceat((length - average[group]) ** 2, starts)
    varies = average > 0
    per_cell = float((scatter[varies] / average[varies] ** 2).sum() / max((n[varies] - 1.0).sum(), 1.0))
    per_cell = max(per_cell, 1e-6)
    degrees = np.maximum(2.0 * (n - 1.0) / per_cell, _LEAST_DEGREES)
    return (degrees / rng.chisquare(degrees, (N_DRAWS, len(n)))).T


def _multipliers(shape: tuple[int, ...], rng: np.random.Generator) -> Float[np.ndarray, "draw cell"]:
    """Multipliers of deviations, normal for one gene and signs for many."""
    if shape[1] == 1:
        return rng.standard_normal((N_DRAWS, shape[0]), np.float32)
    return rng.choice(np.array([-1.0, 1.0], np.float32), (N_DRAWS, shape[0]))
