"""The fingerprint of a data set: a hash of what was read, the same however many cells are read at once."""

from __future__ import annotations

import hashlib

import numpy as np
import scipy.sparse as sp
from jaxtyping import Shaped

from semimech.data.annotate import Annotation


class Fingerprint:
    """Hash of genes, values, conditions and batches, from cells that arrive in order.

    Each cell is reduced to the sum of its values' bits times odd weights drawn once, modulo :math:`2^{64}` (multilinear hashing,
    Carter & Wegman, J. Comput. Syst. Sci. 18, 143, 1979), which costs less than reading it. It tells data apart; it is no seal.

    Parameters
    ----------
    n_genes
        Number of genes.
    """

    def __init__(self, n_genes: int) -> None:
        self._weight = np.random.default_rng(0).integers(2**63, size=n_genes, dtype=np.uint64) * np.uint64(
            2
        ) + np.uint64(1)
        self._cells = hashlib.sha256()

    def add(self, values: sp.csr_matrix) -> None:
        """Add the next cells, single precision."""
        self.add_hashes(self.hashes(values))

    def hashes(self, values: sp.csr_matrix) -> Shaped[np.ndarray, " cell"]:
        """What each cell is reduced to; values in single precision."""
        bits = values.data.view(np.uint32).astype(np.uint64)
        return sp.csr_matrix((bits, values.indices, values.indptr), shape=values.shape) @ self._weight

    def add_hashes(self, hashes: Shaped[np.ndarray, " cell"]) -> None:
        """Add the next cells, already reduced."""
        self._cells.update(np.ascontiguousarray(hashes).data)

    def of(self, annotation: Annotation) -> str:
        """The hash of the cells added, with what was done to them."""
        whole = hashlib.sha256(repr((annotation.genes, annotation.conditions)).encode())
        whole.update(self._cells.digest())
        for index in (annotation.condition, annotation.batch):
            whole.update(np.ascontiguousarray(index, np.int64).data)
        return whole.hexdigest()
