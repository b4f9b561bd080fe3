"""Papalexi's ECCITE-seq screen: knock-outs in stimulated THP-1 cells, three replicates, guides called from their counts.

Papalexi et al. 2021 (doi:10.1038/s41588-021-00778-2). 20,729 cells, 299 genes, 25 targets and non-targeting guides.

* **Guide of a cell**: the guide with most counts, if it has at least four fifths of the guide counts of the cell; other cells are left out
  as ambiguous (two guides, or ambient ones). This is how a screen at low multiplicity is called by default in sceptre (Barry et al. 2024,
  doi:10.1186/s13059-024-03254-2). Nothing but guide counts decides, so that the effect of an edit cannot.
* **Controls**: cells with a non-targeting guide, in each replicate; replicates are batches.
* **Time**: one harvest, under stimulation by IFN-γ: taken as settled, in one medium.
* **Panel**: 299 genes and about 186 counts per cell. Nine of the targets are on it.
"""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from jaxtyping import Int

from benchmarks.sets_common import leading_genes
from semimech._errors import DataError
from semimech.data import Dataset, Split, dataset_from_anndata

LEAST_SHARE = 0.8
MEASURED_TARGETS = ("CMTM6", "IFNGR2", "JAK2", "NFKBIA", "STAT1", "STAT2", "STAT3", "TNFRSF14", "UBE2L6")


def read_papalexi(root: Path, *, least_share: float = LEAST_SHARE) -> Dataset:
    """Read the screen.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``papalexi_eccite``.
    least_share
        Least share of a cell's guide counts that its leading guide must have.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    path = root / "papalexi_eccite" / "papalexi_lowmoi.h5ad"
    try:
        data = ad.read_h5ad(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    lead, share = leading_guide(np.asarray(data.obsm["grna_counts"].todense()))
    data.obs["target"] = np.asarray(data.uns["grna_target"])[lead]
    called = data[share >= least_share].copy()
    return dataset_from_anndata(called, perturbation_key="target", batch_key="bio_rep", name="Papalexi")


def leading_guide(counts: np.ndarray) -> tuple[Int[np.ndarray, " cell"], np.ndarray]:
    """The guide with most counts in each cell, and its share of the cell's guide counts; 0 without any."""
    lead = counts.argmax(axis=1)
    total = counts.sum(axis=1)
    return lead, counts[np.arange(len(lead)), lead] / np.where(total > 0, total, 1)


def target_folds(dataset: Dataset, *, n_folds: int, seed: int) -> tuple[Split, ...]:
    """Hold out the measured targets in groups drawn by the seed; all other edits train."""
    names = pd.Series(dataset.perturbations)
    order = np.random.default_rng(seed).permutation(MEASURED_TARGETS)
    return tuple(
        Split(
            name="unseen_edit",
            train=np.flatnonzero(~names.isin(held)),
            test=np.flatnonzero(names.isin(held)),
            fold=fold,
            held_out=tuple(sorted(held)),
            seed=seed,
        )
        for fold, held in enumerate(np.array_split(order, n_folds))
    )


def most_counted(dataset: Dataset, *, n_genes: int) -> Dataset:
    """The data set with the genes that are most abundant in unedited cells, and the measured targets; see `leading_genes`."""
    level = dataset.mean[dataset.is_control][0]
    return leading_genes(dataset, level, always=MEASURED_TARGETS, n_genes=n_genes)
