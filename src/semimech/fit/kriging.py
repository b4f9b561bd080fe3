r"""What an edit borrows from others: ordinary kriging over a kernel between edits, and the strengths of its sources.

With :math:`K = \sum_s w_s K_s` the likeness of the training edits by sources :math:`s`, :math:`\Lambda` the variance that an edit has
to itself with the noise of its measurement, and :math:`k` the likeness of an edit to them, its effect is predicted by
:math:`\sum_e a_e \Delta_e`, the best linear unbiased prediction under a mean that is common to all and not known
(Cressie 1993, Statistics for Spatial Data, section 3.2): shares :math:`a` that sum to one, and are equal where nothing is alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

STRENGTHS = (0.3, 1.0, 3.0)
"""What a source may weigh beside 0, relative to the variance that an edit has to itself."""
_GAIN = 0.01
_SWEEPS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Effects of some edits at one time in one medium.

    Parameters
    ----------
    rows
        Which edits.
    gram
        Products of their effects over genes, each gene weighted.
    """

    rows: Int[np.ndarray, " edit"]
    gram: Float[np.ndarray, "edit edit"]


def shares(
    towards: Float[np.ndarray, "asked edit"], kernel: Float[np.ndarray, "edit edit"], own: Float[np.ndarray, " edit"]
) -> Float[np.ndarray, "asked edit"]:
    r"""Shares in which edits borrow from others; each row sums to one.

    Parameters
    ----------
    towards
        :math:`k`, likeness of the edits asked to those that are known.
    kernel
        :math:`K`, likeness among these.
    own
        Diagonal of :math:`\Lambda`.
    """
    inverse = np.linalg.inv(kernel + np.diag(own))
    total = inverse.sum(axis=0)
    return towards @ inverse + np.outer(1.0 - towards @ total, total / total.sum())


def left_out_error(tables: Sequence[Table], kernel: np.ndarray, own: Float[np.ndarray, " edit"]) -> float:
    r"""Squared error of each edit predicted from all others, summed over edits and tables.

    In closed form: with :math:`P = M - M11^\top M / 1^\top M1` and :math:`M = (K + \Lambda)^{-1}`, the error of edit :math:`i` is
    :math:`(P\Delta)_i / P_{ii}` (Dubrule 1983, Math. Geol. 15:687).
    """
    error = 0.0
    for table in tables:
        rows = table.rows
        inverse = np.linalg.inv(kernel[np.ix_(rows, rows)] + np.diag(own[rows]))
        total = inverse.sum(axis=0)
        projected = inverse - np.outer(total, total) / total.sum()
        squared = ((projected @ table.gram) * projected).sum(axis=1)
        error += float((squared / np.diag(projected) ** 2).sum())
    return error


def choose_strengths(
    kernels: Float[np.ndarray, "source edit edit"], tables: Sequence[Table], own: Float[np.ndarray, " edit"]
) -> tuple[Float[np.ndarray, " source"], Float[np.ndarray, " source"]]:
    """Strengths of the sources that predict left-out edits best; a source must lower the error by 1 % to be used.

    Returns
    -------
    tuple
        Strengths together, and the error of each source alone at its best strength, relative to that of no source.
    """
    n = len(kernels)
    strengths, alone = np.zeros(n), np.ones(n)
    tables = [table for table in tables if len(table.rows) > 2]
    none = left_out_error(tables, np.zeros(kernels.shape[1:]), own) if tables else 0.0
    if none <= 0:
        return strengths, alone
    error = lambda weights: left_out_error(tables, np.einsum("s,sij->ij", weights, kernels), own) / none
    for source in range(n):
        alone[source] = min(error(strength * np.eye(n)[source]) for strength in STRENGTHS)
    best = 1.0
    for _ in range(_SWEEPS):
        before = best
        for source in np.argsort(alone, kind="stable"):
            for strength in (0.0, *STRENGTHS):
                tried = strengths.copy()
                tried[source] = strength
                found = error(tried)
                if found < best - _GAIN * (strengths[source] == 0 and strength > 0):
                    best, strengths = found, tried
        if best >= before:
            break
    return strengths, alone
