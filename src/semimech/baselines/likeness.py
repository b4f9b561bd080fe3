"""Likeness: how much alike two edits are, from the company their targets keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from semimech.baselines.effects import Effects
from semimech.experiment import Edit


class Likeness:
    """Cosine between the profiles of two edits' targets, in [-1, 1].

    The profile of a gene is its correlation with every gene over unedited cells, where the data set has their
    covariance (measurement noise counts in the variances, so a gene drowned in noise is like nothing). Otherwise it is
    its change over training conditions, each gene in units of its own spread and zero where it is itself the target.
    Profiles have length one, so a matrix of likenesses is a kernel. A gene that is not measured is like no other.

    Parameters
    ----------
    effects
        What the training edits did.
    """

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def __call__(self, left: Sequence[Edit], right: Sequence[Edit]) -> Float[np.ndarray, "left right"]:
        """Likeness of each edit on the left to each on the right; an edit is wholly like itself."""
        same = np.array([[a.gene == b.gene for b in right] for a in left], dtype=float).reshape(len(left), len(right))
        return np.where(same > 0, 1.0, self._profiles(left) @ self._profiles(right).T)

    def _profiles(self, edits: Sequence[Edit]) -> np.ndarray:
        profiles, gene_index = self._effects.profiles, self._effects.gene_index
        found = np.zeros((len(edits), profiles.shape[1]))
        for row, edit in enumerate(edits):
            if edit.gene in gene_index:
                found[row] = profiles[gene_index[edit.gene]]
        return found
