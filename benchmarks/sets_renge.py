"""RENGE: single-cell knock-outs of human iPSC on days 2 to 4, read as any user's file is.

Ishikawa et al. 2023 (doi:10.1038/s42003-023-05594-4). Eight transcription factors, 103 genes, 22 to 391 cells per
knock-out and day; the counts are recovered exactly from the log-normalised values.

* **Controls**: none were kept, so nothing in the file is known to be stationary. ``point``, ``mean`` and ``moment``
  have no unedited cells to act on; a steady-state loss could only be put on a stand-in, such as the mean of all
  knock-outs, and would then pull to that stand-in. Effects are measured against the mean of the training knock-outs.
* **Time**: days since the transduction with guides; 48, 72 and 96 hours.
* **Edits**: nuclease knock-outs. The target's own mRNA is no read-out: that of MYC and SOX2 rises.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sets_common import read_table
from semimech.data import Dataset, Split, read


def read_renge(root: Path) -> Dataset:
    """Read days 2 to 4.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``renge_hipsc``.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    path = root / "renge_hipsc" / "hipsc_day2-4.h5ad"
    return replace(read(path, perturbation_key="ko", time_key="t", time_unit="days"), name="renge")


def read_renge_reference(root: Path) -> pd.DataFrame:
    """Edges of the reference network that StructureFlow scores RENGE's data with: columns ``source`` and ``target``.

    They come from ChIP-Atlas and tell binding, not effect: no signs, and 110 edges from six of 18 transcription
    factors (JARID2, CHD7, SOX2, POU5F1, NANOG, TCF7L1). Only three of the eight knock-outs have any: SOX2 24, POU5F1
    8, NANOG 6.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    path = root / "renge_hipsc" / "structureflow_A_ref_thresh_0.csv"
    edges = read_table(path, separator=",", index=0).rename_axis("source").melt(ignore_index=False, var_name="target")
    return edges[edges["value"] > 0].reset_index()[["source", "target"]]


def read_chip_prior(root: Path, genes: tuple[str, ...], *, least_score: float = 50.0) -> pd.DataFrame:
    """Edges by binding within 1 kb of the start of transcription: columns ``source``, ``target`` and ``score``.

    The score is ChIP-Atlas' average over experiments in all cell types, so that most edges are not specific to stem
    cells. Sixteen factors have a file, four knock-outs among them (NANOG, POU5F1, PRDM14, SOX2). No signs.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``renge_hipsc``.
    genes
        Genes to keep as targets and sources.
    least_score
        Edges of a lower average score are left out.

    Raises
    ------
    DataError
        If the files are missing or cannot be read.
    """
    edges = []
    for path in sorted((root / "renge_hipsc" / "chip_1kb").glob("*.tsv.gz")):
        source = path.name.split(".")[0]
        score = read_table(path, index=0, columns=(0, 1)).iloc[:, 0]
        edges.append(pd.DataFrame({"source": source, "target": score.index, "score": score.to_numpy(float)}))
    table = pd.concat(edges, ignore_index=True) if edges else pd.DataFrame(columns=["source", "target", "score"])
    keep = table["source"].isin(genes) & table["target"].isin(genes) & (table["source"] != table["target"])
    return table[keep & (table["score"] >= least_score)].reset_index(drop=True)


def edit_folds(dataset: Dataset) -> tuple[Split, ...]:
    """Hold out each edit in turn, at all times."""
    names = np.array(dataset.perturbations)
    return tuple(
        Split(
            name="unseen_edit",
            train=np.flatnonzero(names != name),
            test=np.flatnonzero(names == name),
            fold=fold,
            held_out=(name,),
        )
        for fold, name in enumerate(dict.fromkeys(names[~dataset.is_control].tolist()))
    )


def last_day_fold(dataset: Dataset) -> Split:
    """Hold out the last day of every edit: an extrapolation in time of edits that were seen."""
    last = dataset.hours.max()
    return Split(
        name="unseen_time",
        train=np.flatnonzero(dataset.hours < last),
        test=np.flatnonzero(dataset.hours == last),
        held_out=(f"{last:g} h",),
    )
