"""What is done to the names of genes of a clean screen to plant a fault in them."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
from small_plants import edits, rarest

_KNOWN = {
    **dict(zip((f"MT-ND{i}" for i in range(1, 7)), (198888, 198763, 198840, 198886, 198786, 198695), strict=True)),
    **{"MCM5": 100297, "PCNA": 132646, "TYMS": 176890, "FEN1": 168496},
    **{"MCM2": 73111, "MCM4": 104738, "RRM1": 167325, "UNG": 76248},
    **{"HMGB2": 164104, "CDK1": 170312, "NUSAP1": 137804, "UBE2C": 175063},
    **{"BIRC5": 89685, "TPX2": 88325, "TOP2A": 131747, "NDC80": 80986},
}
"""Ensembl's numbers of the genes of a clean screen that a check knows by name."""


def renamed(rename: Callable[[int, str], str], *, with_edits: bool = False) -> Callable[[ad.AnnData], ad.AnnData]:
    def plant(data: ad.AnnData) -> ad.AnnData:
        fixed = set() if with_edits else set(edits(data))
        names = [g if g in fixed else rename(i, g) for i, g in enumerate(data.var_names)]
        if names == list(data.var_names):
            raise LookupError("no gene to rename")
        data.var_names = names
        return data

    return plant


def twice(data: ad.AnnData) -> ad.AnnData:
    """Six genes under one name."""
    names, columns = data.var_names.to_numpy(dtype=object).copy(), rarest(data)
    names[columns] = names[columns[0]]
    data.var_names = list(names)
    return data


def dated(data: ad.AnnData) -> ad.AnnData:
    names = data.var_names.to_numpy(dtype=object).copy()
    names[rarest(data)[0]] = "1-Mar"
    data.var_names = list(names)
    return data


def identifier(number: int, gene: str) -> str:
    """An Ensembl identifier: the gene's own if a check knows it by name, else a made-up one."""
    return f"ENSG{_KNOWN.get(gene, number):011d}"


def ensembl(data: ad.AnnData) -> ad.AnnData:
    data.var_names = [identifier(i, g) for i, g in enumerate(data.var_names)]
    return data
