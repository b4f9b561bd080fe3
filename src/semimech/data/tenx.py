"""Matrices of 10x Genomics as they lie in an ``.h5`` file, and the table that says what was done to their cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata.utils import make_index_unique
from jaxtyping import Int

from semimech._errors import DataError, raise_faults
from semimech.data.findings import counted, listed

GENE = "Gene Expression"
"""Kind of the features that are genes."""
IN_FILE = "name_in_file"
"""Column of ``var`` with the names that genes have in a file that gives several the same."""
_AS_TABLE = "Write it as UTF-8 text with a header, a column of barcodes and then those of obs, parted by tabs (.tsv) or commas (.csv)"


def table_beside(path: Path) -> Path | None:
    """Table of cells beside 10x output: ``NAME.cells.tsv`` or ``NAME.cells.csv``, if there is one."""
    candidates = [
        path.with_name(f"{path.stem if path.is_file() else path.name}.cells.{kind}") for kind in ("tsv", "csv")
    ]
    return next((each for each in candidates if each.exists()), None)


def cells_of(path: Path, barcodes: pd.Index) -> tuple[Int[np.ndarray, " kept"], pd.DataFrame]:
    """Which cells of 10x output the table beside it names, in the order of the output, and what it says of them.

    The first column of the table holds barcodes, the others are those of ``obs``. Cells that it does not name are left out, as
    those without a guide or with several are. Only what is left empty is missing: ``None`` and ``NA`` are labels.

    Raises
    ------
    DataError
        If there is no table, it cannot be read as one, or listing all that is wrong with it.
    """
    table = table_beside(path)
    if table is None:
        wanted = f"{path.stem}.cells.tsv"
        raise DataError(
            f"{path}: 10x output says nothing of what was done to its cells. Put a table {wanted} beside it: a column of barcodes, "
            "then those of obs, such as perturbation, day and batch"
        )
    obs = _table(table)
    faults = []
    if obs.empty:
        faults.append(f"it names no cell. {_AS_TABLE}")
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
    return pd.Index(_texts(matrix["barcodes"])), numbered(var)


def numbered(var: pd.DataFrame) -> pd.DataFrame:
    """A table of genes, symbols that stand for several (about ten in a human reference) numbered from the second on.

    They are called as `AnnData.var_names_make_unique` would; what the file calls them is kept beside.
    """
    if var.index.is_unique:
        return var
    return var.assign(**{IN_FILE: var.index}).set_axis(make_index_unique(var.index), axis=0)


def note_of(var: pd.DataFrame) -> tuple[str, ...]:
    """What `numbered` did to names, in a sentence; nothing if it had nothing to do."""
    if IN_FILE not in var:
        return ()
    names = var[IN_FILE].astype(str)
    twice = sorted(set(names[names.duplicated()]))
    of_them = counted(len(twice), "symbol")
    return (f"{of_them} of more than one gene: the second and further genes got a number (TBCE-1): {listed(twice)}",)


def _table(path: Path) -> pd.DataFrame:
    """The table beside 10x output, by barcode."""
    separator = "\t" if path.suffix == ".tsv" else ","
    try:
        obs = pd.read_csv(path, sep=separator, index_col=0, keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:  # pandas' errors of parsing and of encoding are ValueErrors
        raise DataError(f"{path}: not a readable table ({str(error).splitlines()[0]}). {_AS_TABLE}") from None
    return obs.set_axis(obs.index.astype(str), axis=0)


def _texts(stored: Any) -> np.ndarray:
    return np.array([each.decode() for each in stored[:].tolist()], dtype=object)
