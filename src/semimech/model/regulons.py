"""Tables of known regulation as their sources publish them: recognised, checked, and merged with their conflicts told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from semimech._errors import DataError, raise_faults
from semimech.model.text_table import SHOWN, columns_by_name, read_text_table, rows_in_words

_NAMES: dict[str, tuple[str, ...]] = {
    "source": ("source", "tf", "regulator", "gene1", "source_genesymbol"),
    "target": ("target", "gene2", "target_gene", "target_genesymbol", "gene"),
    "sign": ("sign", "mor", "weight", "mode_of_regulation", "mode", "effect"),
    "confidence": ("confidence", "level"),
}
_SIGNS = {"activation": 1, "activates": 1, "stimulation": 1, "+": 1}
_SIGNS |= {"repression": -1, "represses": -1, "inhibition": -1, "-": -1, "−": -1}
_SIGNS |= {"unknown": 0, "?": 0, "": 0}
_TRRUST = ("source", "target", "sign", "pmid")


def read_regulon(path: str | Path) -> pd.DataFrame:
    """Read one table of regulation.

    Columns are known by the names that CollecTRI, DoRothEA and TRRUST give them, in any case: the regulator as ``source``, ``tf`` or
    ``Gene1``; the target as ``target`` or ``Gene2``; the sign as ``sign``, ``mor``, ``weight`` or ``Mode_of_Regulation``; and
    ``confidence``. TRRUST's file without a header is known by its third column.

    Parameters
    ----------
    path
        Text with a header and any separator that Python's `csv` can tell; compressed if its name says so.

    Returns
    -------
    pandas.DataFrame
        One row per edge: ``source``, ``target``; ``sign``, 1, -1, or 0 where it is unknown or the table itself says both;
        and ``confidence``, if the table has it, the best one of an edge that stands in it more than once.

    Raises
    ------
    ConfigError
        If the file cannot be read as a table.
    DataError
        Listing every fault: columns that are missing or stand there twice, nameless edges, signs that cannot be read.
    """
    raw = read_text_table(path, "edges")
    if raw.shape[1] >= 3 and str(raw.columns[2]).casefold() in ("activation", "repression", "unknown"):
        first = pd.DataFrame([raw.columns], columns=raw.columns)
        raw = pd.concat([first, raw], ignore_index=True)
        raw.columns = pd.Index([*_TRRUST, *map(str, range(raw.shape[1]))][: raw.shape[1]])
        raw.index = pd.RangeIndex(1, len(raw) + 1)
    wanted = "a network has columns source, target and, if known, sign"
    found, faults = columns_by_name(raw.columns, _NAMES, required=("source", "target"), wanted=wanted)
    raise_faults(DataError, str(path), faults)
    table = pd.DataFrame({field: raw.iloc[:, columns[0]].str.strip() for field, columns in found.items() if columns})
    is_nameless = (table[["source", "target"]] == "").any(axis=1)
    if is_nameless.any():
        faults.append(f"an edge has no source or no target, in rows {rows_in_words(is_nameless)}: remove such rows")
    if "sign" in table.columns:
        sign = table["sign"].map(_sign)
        if sign.isna().any():
            words = ", ".join(map(repr, dict.fromkeys(table.loc[sign.isna(), "sign"].head(SHOWN))))
            faults.append(
                f"the sign cannot be read in rows {rows_in_words(sign.isna())} ({words}): write a number (1 activates, -1 represses, "
                "0 unknown), or Activation, Repression or Unknown"
            )
        table["sign"] = sign
    raise_faults(DataError, str(path), faults)
    return _one_row_per_edge(table.assign(sign=table.get("sign", 0)))


def merge_regulons(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Merge tables of regulation; where they contradict each other, the sign is unknown and the edge stays.

    Parameters
    ----------
    tables
        From `read_regulon`, by the name of their source.

    Returns
    -------
    pandas.DataFrame
        One row per edge: ``source``, ``target``; ``sign``, 1 or -1 if every table that knows it agrees, else 0; ``known_from``, the names
        of the tables that hold the edge, joined by ``;``; and ``is_contradicted``, whether two of them state opposite
        signs.

    Raises
    ------
    DataError
        If there is no table.
    """
    if not tables:
        raise DataError("merging of networks: no table was given; name at least one")
    every = pd.concat([table.assign(known_from=name) for name, table in tables.items()], ignore_index=True)
    edges = every.groupby(["source", "target"], sort=False)
    found = edges["sign"].agg(["min", "max"])
    is_contradicted = (found["min"] < 0) & (found["max"] > 0)
    return pd.DataFrame(
        {
            "sign": np.where(is_contradicted, 0, found["min"] + found["max"]).clip(-1, 1).astype(int),
            "known_from": edges["known_from"].agg(lambda names: ";".join(dict.fromkeys(names))),
            "is_contradicted": is_contradicted,
        }
    ).reset_index()


def _sign(text: str) -> float:
    """The sign that a word or a number states; NaN if it states none."""
    word = text.casefold()
    if word in _SIGNS:
        return _SIGNS[word]
    try:
        return float(np.sign(float(word)))
    except ValueError:
        return float("nan")


def _one_row_per_edge(table: pd.DataFrame) -> pd.DataFrame:
    edges = table.groupby(["source", "target"], sort=False)
    found = edges["sign"].agg(["min", "max"])
    merged = (found["min"] + found["max"]).clip(-1, 1).astype(int).rename("sign").to_frame()
    if "confidence" in table.columns:
        merged["confidence"] = edges["confidence"].min()
    return merged.reset_index()
