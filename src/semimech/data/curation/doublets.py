"""The check of doublets, by Scrublet where it is installed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from importlib.util import find_spec

import anndata as ad
import numpy as np
import scipy.sparse as sp

from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen

DOUBLET_SHARE = 0.1
"""Share of cells that look like two, above which attention is called for."""
DETECTABLE = 0.3
"""Share of simulated doublets that must look unlike single cells for the share of real ones to be told."""

_MOST_CELLS = 4000
_COMPONENTS = 30
_FEWEST = 50
"""Least number of cells of a batch, and of genes."""


def check_doublets(screen: Screen) -> Iterable[CheckFinding]:
    """Whether many cells look like two in one droplet, by Scrublet (Wolock et al. 2019, doi:10.1016/j.cels.2018.11.005)."""
    name, counts = "doublets", screen.measurement.counts
    if counts is None:
        yield passed(name, "not looked for: counts are not known")
        return
    if not is_available():
        yield passed(name, "not looked for: Scrublet is missing (pip install 'semimech[doublets]')")
        return
    rng, shares = np.random.default_rng(0), {}
    for b, batch in enumerate(screen.annotation.batches):
        rows = np.flatnonzero(screen.annotation.batch == b)
        if min(len(rows), counts.shape[1]) < _FEWEST:
            continue
        try:
            share = doublet_share(counts[np.sort(rng.permutation(rows)[:_MOST_CELLS])])
        except Exception as error:  # noqa: BLE001 - what its dependencies raise when their versions do not fit
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            yield passed(name, f"not looked for: Scrublet failed ({reason})")
            return
        if share is not None:
            shares[batch] = share
    if not shares:
        why = "batches are small, two cells in one would look like one, or most droplets hold two"
        yield passed(name, f"cannot tell: {why} (Scrublet)")
        return
    high = [f"{batch} ({share:.0%})" for batch, share in shares.items() if share > DOUBLET_SHARE]
    if not high:
        yield passed(
            name,
            f"at most {max(shares.values()):.1%} of the cells of a batch look like two (Scrublet, which is blind where a fifth or more do)",
        )
        return
    yield warned(
        name,
        f"many cells look like two in {len(high)} of {len(shares)} batches: {listed(high)} (Scrublet)",
        threatens="effects, diluted or mixed by the second cell, and the covariance of controls",
        mend="remove cells with two guides and those that sc.pp.scrublet marks, batch by batch",
    )


def is_available() -> bool:
    """Whether Scrublet can be run: ``pip install 'semimech[doublets]'``."""
    return find_spec("scanpy") is not None and find_spec("skimage") is not None


def doublet_share(counts: sp.csr_matrix) -> float | None:
    """Share of cells that look like two.

    Right to a few points up to 15 %, and to a fifth where cells are of many types; where doublets are a third and more each looks like its
    neighbours, real doublets too, and none is found (``benchmarks/results/doublets.md``).

    Parameters
    ----------
    counts
        Cells of one batch; genes without counts are left out.

    Returns
    -------
    float or None
        ``None`` where fewer than `DETECTABLE` of simulated doublets could be told from single cells.
    """
    import scanpy as sc

    counts = counts[:, counts.getnnz(axis=0) > 2]
    counts = counts[counts.getnnz(axis=1) > 2]
    if min(counts.shape) < _FEWEST:
        return None
    adata = ad.AnnData(counts.copy())
    logging.getLogger("scanpy").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            sc.pp.scrublet(adata, n_prin_comps=_COMPONENTS, verbose=False, random_state=0)
        except ValueError:
            # A panel of few variable genes has fewer components than Scrublet wants.
            return None
    if "predicted_doublet" not in adata.obs:
        return None
    found = adata.uns["scrublet"]
    detectable = float(np.mean(found["doublet_scores_sim"] > found["threshold"]))
    return float(adata.obs["predicted_doublet"].mean()) if detectable >= DETECTABLE else None
