"""MorPhiC: bulk contrasts of knocked-out hiPSC lines against their wild type during differentiation, one data set per lineage.

Release 6918e161 of morphic-bio/MorPhiC_bulk_RNAseq: DESeq2 log2 fold changes with standard errors, up to three alleles (CE, KO, PTC) of a
gene and several releases; reverted lines are left out.

* **Scale**: log2 ratio to the wild type of the same lineage, day, oxygen and release. A state is thus relative to unedited cells that
  differentiate beside the edited ones: unedited cells stand at one at all times by construction, and are declared
  stationary in this sense alone. A steady-state loss would say nothing about them, and there are no cells for `moment`.
* **Edits**: lines were knocked out long before, in stem cells: the edit stands before the differentiation begins.
* **Medium**: hypoxia is one; its wild type stands at zero too, being compared with itself.
* **Replicates**: alleles and releases of one knock-out, day and oxygen are averaged. The standard error is that of the
  contrasts (DESeq2's) or that of their spread over alleles, whichever is larger; two halves of the contrasts give the ceiling where
  there are two. Alleles of one release share their wild type, so both are somewhat too good.
* **Genes**: those with a mean count of 50 in every contrast of the lineage; `most_varying` takes the most variable of them in
  training, and the edited ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from benchmarks.sets_cellbox import log2_scale
from benchmarks.sets_common import leading_genes, read_table
from semimech._errors import DataError
from semimech.data import CellSystem, Dataset, Split, dataset_from_means
from semimech.experiment import Condition, parse_experiment

HYPOXIA = "hypoxia"
LEAST_MEAN = 50.0
_PLACE = re.compile(r"_(?P<lineage>[A-Za-z]+)_day_(?P<day>\d+(?:_\d+)?)_(?:(?P<oxygen>hyp|nor)_)?")
_LINE = re.compile(r"(?P<gene>.+)_(?:CE|KO|PTC)")


def read_morphic(root: Path, lineage: str, *, least_mean: float = LEAST_MEAN) -> Dataset:
    """Read all knock-outs of one lineage.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``morphic_bulk_ko``.
    lineage
        ``"PrS"``, ``"CBO"``, ``"ExM"``, ``"ENDO"`` or ``"MESO"``.
    least_mean
        Genes with a smaller mean count in some contrast are left out.

    Raises
    ------
    DataError
        If a file is missing or cannot be read, or there is no such lineage.
    """
    folder = root / "morphic_bulk_ko"
    contrasts = _contrasts(folder / "deseq2_contrasts.parquet", lineage)
    symbols = read_table(folder / "gene_symbols.csv", separator=",").dropna()
    symbol = symbols.drop_duplicates("gene_ID").drop_duplicates("hgnc_symbol").set_index("gene_ID")["hgnc_symbol"]
    table = pd.concat({arm: part.set_index("gene_ID") for arm, part in contrasts}, axis=1, join="inner")
    count, change, error = (
        table.xs(name, axis=1, level=-1).to_numpy(float) for name in ("baseMean", "log2FoldChange", "lfcSE")
    )
    keep = (count >= least_mean).all(axis=1) & np.isfinite(change + error).all(axis=1) & table.index.isin(symbol.index)
    arms = [arm[:3] for arm, _ in contrasts]
    rows = [np.flatnonzero([other == arm for other in arms]) for arm in sorted(set(arms))]
    change, error = change[keep].T, error[keep].T
    edited = [_condition(*arm) for arm in sorted(set(arms))]
    wild = list(dict.fromkeys(_condition("", *arm[1:]) for arm in sorted(set(arms))))
    nothing = np.zeros((len(wild), int(keep.sum())))
    halves = [
        np.stack([change[r[k::2]].mean(axis=0) if len(r) > 1 else nothing[0] * np.nan for r in rows]) for k in (0, 1)
    ]
    dataset = dataset_from_means(
        tuple(symbol[table.index[keep]]),
        [*wild, *edited],
        np.vstack([nothing, *(change[r].mean(axis=0) for r in rows)]),
        scale=log2_scale(),
        standard_error=np.vstack([nothing, *(_error(change[r], error[r]) for r in rows)]),
        n=[1] * len(wild) + [len(r) for r in rows],
        system=CellSystem(name=f"MorPhiC {lineage}", media=(HYPOXIA,) if any(a[2] == HYPOXIA for a in arms) else ()),
        name=f"MorPhiC {lineage}",
    )
    return replace(dataset, halves=np.stack([np.vstack([nothing * np.nan, half]) for half in halves]))


def most_varying(dataset: Dataset, rows: Sequence[int] | np.ndarray, *, n_genes: int) -> Dataset:
    """The data set with the genes that vary most over some rows, and all edited genes that it has; see `leading_genes`.

    Parameters
    ----------
    dataset
        Data set.
    rows
        Rows that may be looked at: the training conditions.
    n_genes
        Genes to keep beside the edited ones.
    """
    edited = sorted({edit.gene for condition in dataset.conditions for edit in condition.edits})
    return leading_genes(dataset, dataset.mean[rows].var(axis=0), always=edited, n_genes=n_genes)


def oxygen_split(dataset: Dataset) -> Split:
    """Hold out what was knocked out in hypoxia; the same knock-outs in normoxia train."""
    is_held = np.array([c.medium == HYPOXIA and not c.is_control for c in dataset.conditions])
    names = np.array(dataset.perturbations)
    held = sorted(set(names[is_held]) & set(names[~is_held]))
    return Split(
        name="unseen_edit_medium",
        train=np.flatnonzero(~is_held),
        test=np.flatnonzero(is_held & np.isin(names, held)),
        held_out=tuple(f"{name} × {HYPOXIA}" for name in held),
    )


def _contrasts(path: Path, lineage: str) -> list[tuple[tuple[str, float, str, str], pd.DataFrame]]:
    """Contrasts of knock-outs of the lineage by gene, day, oxygen and name."""
    columns = ["file", "column_prefix", "gene_ID", "baseMean", "log2FoldChange", "lfcSE"]
    try:
        table = pd.read_parquet(path, columns=columns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    found, lineages = [], set()
    for (file, prefix), part in table.groupby(["file", "column_prefix"], observed=True):
        place, line = _PLACE.search(str(file)), _LINE.fullmatch(str(prefix))
        if place is None or line is None:
            continue
        lineages.add(place["lineage"])
        if place["lineage"] == lineage:
            day = float(np.mean([float(number) for number in place["day"].split("_")]))
            arm = (line["gene"].replace(".", "-"), day, HYPOXIA if place["oxygen"] == "hyp" else "", f"{file} {prefix}")
            found.append((arm, part[columns[2:]]))
    if not found:
        raise DataError(f"no lineage is called {lineage!r}; there are {', '.join(sorted(lineages))}")
    return found


def _error(change: Float[np.ndarray, "contrast gene"], error: Float[np.ndarray, "contrast gene"]) -> np.ndarray:
    """Standard error of the mean over contrasts: theirs, or that of their spread, whichever is larger."""
    told = np.sqrt((error**2).mean(axis=0) / len(change))
    return told if len(change) < 2 else np.maximum(told, change.std(axis=0, ddof=1) / np.sqrt(len(change)))


def _condition(gene: str, day: float, medium: str) -> Condition:
    """A line on a day: edited in stem cells, then differentiated."""
    edit, change = f"edit {gene} > " if gene else "", f"medium {medium} > " if medium else ""
    return parse_experiment(f"{edit}{change}wait {24 * day:g}h > harvest").conditions["harvest"]
