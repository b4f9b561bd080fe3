"""Matrices of 10x Genomics as they lie in an ``.h5`` file, and the table that says what was done to their cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from semimech._errors import DataError, raise_faults
from semimech.data.findings import counted, listed

GENE = "Gene Expression"
"""Kind of the features that are genes."""


def table_beside(path: Path) -> Path | None:
    """Table of cells beside 10x output: ``NAME.cells.tsv`` or ``NAME.cells.csv``, if there is one."""
    candidates = [
        path.with_name(f"{path.stem if path.is_file() else path.name}.cells.{kind}") for kind in ("tsv", "csv")
    ]
    return next((each for each in candidates if each.exists()), None)


def cells_of(path: Path, barcodes: pd.Index) -> tuple[Int[np.ndarray, " kept"], pd.DataFrame]:
    """Which cells of 10x output the table beside it names, in the order of the output, and what it says of them.

    The first column of the table holds barcodes, the others are those of ``obs``. Cells that it does not name are left out, as
    those without a guide or with several are.

    Raises
    ------
    DataError
        If there is no table, or listing all that is wrong with it.
    """
    table = table_beside(path)
    if table is None:
        wanted = f"{path.stem}.cells.tsv"
        raise DataError(
            f"{path}: 10x output says nothing of what was done to its cells. Put a table {wanted} beside it: a column of barcodes, "
            "then those of obs, such as perturbation, day and batch"
        )
    obs = pd.read_csv(table, sep="\t" if table.suffix == ".tsv" else ",", index_col=0)
    obs.index = obs.index.astype(str)
    faults = []
    if not obs.index.is_unique:
        twice = listed(sorted(set(obs.index[obs.index.duplicated()])))
        faults.append(f"barcodes that stand more than once: {twice}. Give each cell one row")
    if not barcodes.is_unique:
        faults.append(
            f"{path.name} has barcodes that stand more than once. Write its libraries with suffixes, such as -1 and -2"
        )
    unknown = obs.index[~obs.index.isin(barcodes)]
    if len(unknown):
        said = f"{counted(len(unknown), 'barcode')} that {path.name} does not have: {listed(list(unknown))}"
        faults.append(f"{said}. Remove them, or look for suffixes such as -1")
    raise_faults(DataError, str(table), faults)
    rows = np.flatnonzero(barcodes.isin(obs.index))
    return rows, obs.loc[barcodes[rows]]


def is_tenx(root: Any) -> bool:
    """Whether an open file holds 10x output, as Cell Ranger 3 and later write it."""
    return "X" not in root and "matrix" in root and "features" in root["matrix"]


def genes_of(matrix: Any) -> Int[np.ndarray, " gene"]:
    """Features that are genes, among captures of guides and antibodies."""
    return np.flatnonzero(_texts(matrix["features"]["feature_type"]) == GENE)


def names_of(matrix: Any) -> tuple[pd.Index, pd.DataFrame]:
    """Barcodes, and a table of genes by name."""
    genes, features = genes_of(matrix), matrix["features"]
    var = pd.DataFrame({"gene_ids": _texts(features["id"])[genes]}, index=_texts(features["name"])[genes])
    return pd.Index(_texts(matrix["barcodes"])), var


def _texts(stored: Any) -> np.ndarray:
    return np.array([each.decode() for each in stored[:].tolist()], dtype=object)
