"""Fission yeast under osmotic stress: wild type and a deletion of atf21, before and after sorbitol.

Leong et al. 2014 (doi:10.1038/ncomms4917). RNA sequencing of three cultures per strain at 0, 15, 30, 60, 120 and 180
minutes after 1 M sorbitol.

* **Edits**: the deletion is old, so mutant cells have settled without the gene before the stress; the stress is a medium.
* **Scale**: counts per million, log1p; the observed scale of bulk data.
* **Noise**: the standard error of three replicates, floored at its median over genes.
* **Genes**: those that move most in the wild type after the stress, and atf21 itself. The mutant is not looked at.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.sets_common import read_table
from semimech.data import CellSystem, Dataset, Split, dataset_from_means, log1p_scale
from semimech.experiment import Condition, parse_experiment

STRESS, DELETED = "sorbitol", "atf21"


def read_yeast(root: Path, *, n_genes: int = 200) -> Dataset:
    """Read both strains at all times.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``fission_yeast_stress``.
    n_genes
        Genes to keep.

    Raises
    ------
    DataError
        If a file is missing or cannot be read.
    """
    folder = root / "fission_yeast_stress"
    samples = read_table(folder / "samples.csv", separator=",").set_index("sample")
    counts = read_table(folder / "counts.csv.gz", separator=",").drop(columns="gene_id")
    counts = counts.groupby("symbol").sum()
    values = np.log1p(1e6 * counts / counts.sum()).T.loc[samples.index]
    groups = values.groupby([samples["strain"], samples["minute"]], sort=False)
    mean, error = groups.mean(), groups.sem()
    wild = mean.loc["wt"]
    moves = (wild - wild.loc[0]).abs().max().where(wild.mean() > np.log1p(5.0), 0.0)
    genes = sorted({DELETED, *moves.nlargest(n_genes - 1).index})
    error = error[genes].clip(lower=error[genes].median(), axis=1)
    return dataset_from_means(
        tuple(genes),
        [_condition(strain, minute) for strain, minute in mean.index],
        mean[genes].to_numpy(),
        scale=log1p_scale(),
        standard_error=error.to_numpy(),
        n=np.full(len(mean), 3),
        system=CellSystem(name="fission yeast", media=(STRESS,)),
        name="fission yeast",
    )


def stressed_mutant(dataset: Dataset) -> Split:
    """Hold out the mutant under stress, at all times; the mutant before and the wild type under stress train."""
    is_held = np.array([bool(c.edits) and c.medium == STRESS for c in dataset.conditions])
    return Split(
        name="unseen_edit_medium",
        train=np.flatnonzero(~is_held),
        test=np.flatnonzero(is_held),
        held_out=(f"{DELETED} × {STRESS}",),
    )


def _condition(strain: str, minute: float) -> Condition:
    before = f"edit {DELETED} > wait settled > " if strain == "mut" else ""
    after = f"medium {STRESS} > wait {minute / 60:.10g}h > " if minute else "wait settled > " if not before else ""
    return list(parse_experiment(f"{before}{after}harvest").conditions.values())[-1]
