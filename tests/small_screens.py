"""Small AnnData screens with known counts."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

GENES = tuple("ABCDEFGH")


def screen(
    *,
    perturbations: Sequence[str] = ("control", "A", "B", "A+B"),
    days: Sequence[object] = (2, 3),
    batches: Sequence[str] = ("b1", "b2"),
    n: int = 6,
    seed: int = 0,
    depth: float = 40.0,
) -> ad.AnnData:
    """Poisson counts of every perturbation, day and batch, ``n`` cells each; no cell is empty."""
    rng = np.random.default_rng(seed)
    rows = [(p, d, b) for p in perturbations for d in days for b in batches for _ in range(n)]
    counts = rng.poisson(depth / len(GENES), (len(rows), len(GENES)))
    counts[:, -1] += 1
    obs = pd.DataFrame(rows, columns=["perturbation", "day", "batch"], index=[f"cell{i}" for i in range(len(rows))])
    return ad.AnnData(X=sp.csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=list(GENES)))


def normalised(counts: np.ndarray, *, target_sum: float) -> np.ndarray:
    """log1p of counts scaled to a sum per cell, in single precision as files have it."""
    counts = np.asarray(counts, dtype=np.float32)
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * np.float32(target_sum))
