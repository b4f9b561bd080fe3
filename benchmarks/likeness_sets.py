"""What the benchmark of likeness reads: MorPhiC's fold changes as a data set, and a table of pathways.

Papalexi's screen is read by `benchmarks.design_papalexi`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from semimech.data import Dataset, dataset_from_means, identity_scale
from semimech.experiment import Condition, parse_experiment

_INTERFERON = {
    "interferon gamma": "IFNGR1 IFNGR2 JAK1 JAK2 STAT1 IRF1",
    "interferon alpha and beta": "IFNAR1 IFNAR2 JAK1 TYK2 STAT1 STAT2 IRF9 IRF7",
    "interleukin 6": "IL6R IL6ST JAK1 JAK2 STAT3 STAT5A SOCS3",
    "transforming growth factor beta": "TGFBR1 TGFBR2 SMAD2 SMAD3 SMAD4",
    "ubiquitin ligases": "CUL3 MARCH8 UBE2L6 KEAP1",
}
"""Pathways as textbooks have them: the table of a user who knows what he screens. Written by hand, after the screen was published."""


def pathways() -> pd.DataFrame:
    """The table above, a row per gene."""
    return pd.DataFrame(
        [(name, gene) for name, genes in _INTERFERON.items() for gene in genes.split()], columns=["complex", "gene"]
    )


def read_morphic(root: Path, system: str, n_genes: int = 1000) -> Dataset:
    """Log2 fold changes of one lineage, normoxia, mean over alleles and releases of a gene and day, unedited cells at zero."""
    folder = root / "morphic_bulk_ko"
    index = pd.read_csv(folder / "contrast_index.csv", dtype={"day": str})
    index = index[(index["sys"] == system) & ~index["file"].str.contains("_hyp_|reverted")]
    table = pd.read_parquet(folder / "deseq2_contrasts.parquet")
    table["file"] = table["file"].astype(str).str.removesuffix("_DEseq2_raw.tsv")
    table["column_prefix"] = table["column_prefix"].astype(str)
    table = table[table["file"].isin(set(index["file"])) & (table["baseMean"] > 50)]
    symbols = pd.read_csv(folder / "gene_symbols.csv").dropna().drop_duplicates("hgnc_symbol")
    table = table.merge(symbols, on="gene_ID").dropna(subset=["log2FoldChange", "lfcSE"])
    wide = {
        what: table.pivot_table(index=["file", "column_prefix"], columns="hgnc_symbol", values=what, observed=True)
        for what in ("log2FoldChange", "lfcSE")
    }
    change = wide["log2FoldChange"].dropna(axis=1, thresh=int(0.9 * len(wide["log2FoldChange"])))
    error = wide["lfcSE"][change.columns]
    label = index.assign(day=index["day"].str.replace("3_4", "4").astype(float))
    key = label.set_index(["file", "contrast"])[["ko", "day"]].reindex(change.index)
    keep = key["ko"].notna().to_numpy()
    change, error, key = change[keep].fillna(0.0), error[keep].fillna(error.median()), key[keep]
    best = (
        (change.var() - (error**2).mean())
        .nlargest(n_genes)
        .index.union(change.columns.intersection(key["ko"].unique()))
    )
    groups = change.groupby([key["ko"], key["day"]])
    mean, size = groups.mean()[best], groups.size()
    noise = np.sqrt((error**2).groupby([key["ko"], key["day"]]).sum())[best].div(size, axis=0)
    days = sorted({day for _, day in mean.index})
    conditions = [_condition(None, day) for day in days] + [_condition(ko, day) for ko, day in mean.index]
    zero = np.zeros((len(days), len(best)))
    return dataset_from_means(
        tuple(best),
        conditions,
        np.concatenate([zero, mean.to_numpy()]),
        scale=identity_scale(),
        standard_error=np.concatenate([zero + 1e-3, noise.to_numpy()]),
        name=f"MorPhiC {system}",
    )


def _condition(gene: str | None, day: float) -> Condition:
    edit = "" if gene is None else f"edit {gene} > "
    return parse_experiment(f"{edit}wait {day}d > harvest").conditions["harvest"]
