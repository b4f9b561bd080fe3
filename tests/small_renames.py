"""What is done to the names of genes of a clean screen to plant a fault in them."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
from small_plants import edits, rarest

_MITOCHONDRIAL = "198888 198763 198840 198886 198786 198695".split()
"""Ensembl's numbers of MT-ND1 to MT-ND6."""


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
    """An Ensembl identifier: the gene's own if it is mitochondrial, else a made-up one."""
    if gene.startswith("MT-ND"):
        return f"ENSG{int(_MITOCHONDRIAL[int(gene[5:]) - 1]):011d}"
    return f"ENSG{number:011d}"


def ensembl(data: ad.AnnData) -> ad.AnnData:
    data.var_names = [identifier(i, g) for i, g in enumerate(data.var_names)]
    return data
