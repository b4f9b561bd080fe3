"""Counts of guides or barcodes and the samples they were counted in, from tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from semimech._errors import DataError, raise_faults
from semimech.data.findings import listed
from semimech.data.labels import is_control_label

GUIDE_COLUMNS = ("sgrna", "guide", "guide_id", "barcode", "id", "")
GENE_COLUMNS = ("gene", "target", "gene_symbol", "symbol")
SAMPLE_COLUMNS = ("sample", "role", "hours", "animal", "tissue")
REFERENCE, SAMPLE = "reference", "sample"
ROLES = {
    **dict.fromkeys((REFERENCE, "input", "before", "control", "plasmid", "t0"), REFERENCE),
    **dict.fromkeys((SAMPLE, "after", "treatment", "output", "final"), SAMPLE),
}
"""What a sample may be called, and what it is."""
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class GuideCounts:
    """Reads of each guide in each sample.

    Parameters
    ----------
    guides, genes
        Name and target of each guide.
    is_neutral
        Guides that do nothing to their cells: non-targeting ones, or barcodes.
    is_tested
        Guides whose genes are tested: those that are not neutral; where most do nothing and all calibrate, those of any gene.
    samples
        One row per sample: ``sample``, ``role`` (reference or sample), ``hours``, ``animal``, ``tissue``.
    counts
        Reads, in the order of the samples.
    """

    guides: tuple[str, ...]
    genes: tuple[str, ...]
    is_neutral: Bool[np.ndarray, " guide"]
    is_tested: Bool[np.ndarray, " guide"]
    samples: pd.DataFrame
    counts: Float[np.ndarray, "guide sample"]


def read_guide_counts(counts: str | Path, samples: str | Path, *, neutral: tuple[str, ...] = ()) -> GuideCounts:
    """Read a table of counts, MAGeCK's (``sgRNA``, ``gene``, one column per sample) or one of barcodes, and its sample sheet.

    Parameters
    ----------
    counts
        Tab- or comma-separated, also compressed. The guide stands in the first column or in one called sgRNA, guide or barcode; without a column of
        genes all rows are neutral barcodes. Columns that are no sample of the sheet are left aside.
    samples
        Tab- or comma-separated: ``sample``, ``role`` (``reference``: the cells before; ``sample``) and, if known, ``hours`` since the start, ``animal`` and ``tissue``.
    neutral
        Genes, as the table writes them, whose guides are neutral, or ``all`` if most guides are: all of them then calibrate, and every gene is tested. Labels such as
        ``non-targeting`` and ``Negative`` are known.

    Raises
    ------
    DataError
        Listing everything that keeps the tables from being read.
    """
    return guide_counts(_table(counts), _table(samples), neutral=neutral, source=str(counts))


def guide_counts(
    table: pd.DataFrame, sheet: pd.DataFrame, *, neutral: tuple[str, ...] = (), source: str = "counts"
) -> GuideCounts:
    """Counts from tables that were read already, see `read_guide_counts`.

    Parameters
    ----------
    table
        Counts, one row per guide.
    sheet
        One row per sample.
    neutral
        Genes whose guides are neutral.
    source
        Name of the table in messages.

    Raises
    ------
    DataError
        Listing every fault.
    """
    samples = _read_sheet(sheet)
    lower = {str(c).strip().lower(): c for c in reversed(table.columns)}
    guide = next((lower[n] for n in GUIDE_COLUMNS if n in lower), table.columns[0])
    gene = next((lower[n] for n in GENE_COLUMNS if n in lower and lower[n] != guide), None)
    names = list(samples["sample"])
    absent = [name for name in names if name not in table.columns]
    faults = []
    if absent:
        rest = [str(c) for c in table.columns if c not in (guide, gene)]
        faults.append(
            f"no column for the samples {listed(absent)}; columns are {listed(rest)}: rename them in the sample sheet"
        )
    guides = table[guide].astype(str).str.strip()
    if guides.duplicated().any():
        twice = sorted(set(guides[guides.duplicated()]))
        faults.append(f"guides stand twice: {listed(twice)}; give every guide one row")
    present = [name for name in names if name in table.columns]
    values = table[present].apply(pd.to_numeric, errors="coerce").to_numpy(float).reshape(len(table), len(present))
    bad = ~np.isfinite(values) | (values < 0) | (values != np.floor(values))
    for name, column in zip(present, bad.T, strict=True):
        if column.any():
            first = list(guides[column][:3])
            faults.append(
                f"sample {name!r}: {int(column.sum())} values are no counts (guides {listed(first)}); give raw reads, whole and 0 or more"
            )
    genes = table[gene].fillna("").astype(str).str.strip() if gene is not None else pd.Series([""] * len(table))
    is_neutral = np.array([_is_neutral(g, neutral) for g in genes]) if gene is not None else np.ones(len(table), bool)
    nameless = list(guides[(genes == "").to_numpy()]) if gene is not None and ALL not in neutral else []
    if nameless:
        faults.append(
            f"{len(nameless)} guides have an empty cell of gene ({listed(nameless[:3])}); name their gene, or call them non-targeting"
        )
    unknown = [name for name in neutral if name != ALL and name not in set(genes)]
    if unknown:
        faults.append(f"no guide of the neutral genes {listed(unknown)}; write them as the table does")
    elif not is_neutral.any():
        faults.append(
            "no neutral guides found; name the label of the non-targeting ones (--neutral NAME), or say --neutral all if most guides do nothing"
        )
    raise_faults(DataError, source, faults)
    has_gene = np.array([g != "" and not _is_neutral(g, ()) for g in genes], dtype=bool)
    return GuideCounts(
        guides=tuple(guides),
        genes=tuple(genes),
        is_neutral=is_neutral,
        is_tested=has_gene if ALL in neutral else ~is_neutral,
        samples=samples,
        counts=values,
    )


def _is_neutral(gene: str, neutral: tuple[str, ...]) -> bool:
    if neutral:
        return ALL in neutral or gene in neutral
    return is_control_label(gene) or gene.lower() in ("negative", "negatives", "neutral")


def _table(path: str | Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as a table ({error}); save it tab- or comma-separated, with a header"
        ) from error


def _read_sheet(sheet: pd.DataFrame) -> pd.DataFrame:
    sheet = sheet.rename(columns=lambda c: str(c).strip().lower())
    faults = [
        f"column {c!r} is missing; known: {', '.join(SAMPLE_COLUMNS)}" for c in SAMPLE_COLUMNS[:2] if c not in sheet
    ]
    faults += [f"unknown column {c!r}; known: {', '.join(SAMPLE_COLUMNS)}" for c in sheet if c not in SAMPLE_COLUMNS]
    raise_faults(DataError, "sample sheet", faults)
    read = pd.DataFrame(
        {c: _text(sheet[c]) if c in sheet else pd.Series("", index=sheet.index) for c in SAMPLE_COLUMNS}
    )
    faults += [f"sample {name!r} stands twice" for name in sorted(set(read["sample"][read["sample"].duplicated()]))]
    roles = read["role"].str.lower().map(ROLES)
    for name, role in zip(read["sample"][roles.isna()], read["role"][roles.isna()], strict=True):
        faults.append(
            f"sample {name!r}: role {role!r} is unknown; write 'reference' for the cells before, 'sample' for the others"
        )
    for role, what in ((REFERENCE, "the cells before"), (SAMPLE, "what is compared with it")):
        if not (roles == role).any() and not roles.isna().any():
            faults.append(f"no row with the role {role!r}: {what}")
    hours = pd.to_numeric(read["hours"].replace("", "nan"), errors="coerce")
    given = read["hours"] != ""
    if given.any() and (bad := hours.isna() | ~np.isfinite(hours.fillna(0.0)) | (hours < 0)).any():
        faults.append(
            f"hours must be numbers, 0 or more, of every sample or of none; mend those of {listed(list(read['sample'][bad]))}"
        )
    raise_faults(DataError, "sample sheet", faults)
    return read.assign(role=roles, hours=hours).reset_index(drop=True)


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str).str.strip()
