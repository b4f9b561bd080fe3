"""What a signal between cells adds to each gene, from contrasts between cultures of one edit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import f, false_discovery_control, t

from semimech.data import Dataset

_FALSE_DISCOVERIES = 0.1
_QUANTILE = 0.95
"""Of what the law's intervals end at."""
_ENOUGH = 0.05
"""Range of a signal over the cultures of one edit below which they do not tell what it does."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    r"""What a unit of each signal adds to each gene at one time of harvest.

    Parameters
    ----------
    slope
        :math:`B`; 0 where a gene does not answer, or cultures do not tell.
    inverse
        Inverse of the squares of signals inside edits, weighted by cells; 0 where cultures do not tell. Times ``residual`` it is the covariance of least-squares slopes.
    residual
        Variance of a mean of one cell.
    left
        Degrees of freedom behind it.
    """

    slope: Float[np.ndarray, "pair gene"]
    inverse: Float[np.ndarray, "pair pair"]
    residual: Float[np.ndarray, " gene"]
    left: int

    def half_width(self, lack: Float[np.ndarray, " pair"]) -> Float[np.ndarray, " gene"]:
        """Half of the 90 % interval of what signals add that differ by ``lack`` from those of unedited cells, genes that do not answer too."""
        if self.left < 1:
            return np.zeros_like(self.residual)
        return float(t.ppf(_QUANTILE, self.left)) * np.sqrt(max(lack @ self.inverse @ lack, 0.0) * self.residual)


def answer_of(
    data: Dataset,
    signals: Float[np.ndarray, "condition pair"],
    group: Int[np.ndarray, " condition"],
    rows: Int[np.ndarray, " row"],
) -> Answer:
    """Least squares inside edits, weighted by cells.

    Genes at a false-discovery rate of 10 % (F test) answer, shrunk by their variance ratio (James and Stein).

    Parameters
    ----------
    data
        Means.
    signals
        Of each condition.
    group
        Which condition each would be without its culture.
    rows
        Of one time of harvest.
    """
    group = np.unique(group[rows], return_inverse=True)[1]
    weight = data.n_cells[rows].astype(float)
    total = np.bincount(group, weight)

    def centred(values: np.ndarray) -> np.ndarray:
        mean = np.array([np.bincount(group, weight * v) / total for v in values.T]).T
        return values - mean[group]

    x, y = centred(signals[rows]), centred(data.mean[rows])
    told = np.ptp(x, axis=0) >= _ENOUGH
    n_pairs, n_genes = signals.shape[1], len(data.genes)
    found, inverse = np.zeros((n_pairs, n_genes)), np.zeros((n_pairs, n_pairs))
    left = len(rows) - len(total) - int(told.sum())
    if not told.any() or left < 1:
        return Answer(slope=found, inverse=inverse, residual=np.zeros(n_genes), left=0)
    gram = (x[:, told] * weight[:, None]).T @ x[:, told]
    inverse[np.ix_(told, told)] = np.linalg.pinv(gram, rcond=1e-6, hermitian=True)
    slope = inverse[np.ix_(told, told)] @ (x[:, told] * weight[:, None]).T @ y
    residual = (weight[:, None] * (y - x[:, told] @ slope) ** 2).sum(axis=0) / left
    ratio = np.einsum("kg,kl,lg->g", slope, gram, slope) / told.sum() / np.maximum(residual, 1e-12)
    answering = false_discovery_control(f.sf(ratio, int(told.sum()), left)) <= _FALSE_DISCOVERIES
    found[told] = slope * answering * np.maximum(0.0, 1.0 - 1.0 / np.maximum(ratio, 1e-12))
    return Answer(slope=found, inverse=inverse, residual=residual, left=left)
