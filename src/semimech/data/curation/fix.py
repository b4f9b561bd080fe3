"""The curated copy of a data set: what can be mended without a guess, and a note of each change."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from semimech._version import __version__
from semimech.data.curation.copies import repeated_rows
from semimech.data.curation.names import without_version
from semimech.data.findings import counted, listed
from semimech.data.labels import genes_of_label, is_unassigned_label
from semimech.data.matrix import LARGEST_LOG
from semimech.data.normalisation import OTHER_SCALES, other_scale
from semimech.data.schema import Keys, field, recognise

RECORD = "semimech_curation"
"""Key of ``uns`` under which the changes are noted."""

_NAMED = (("perturbation", "perturbation_key"), ("hours", "time_key"), ("medium", "medium_key"), ("batch", "batch_key"))


def curate(adata: ad.AnnData, keys: Keys) -> ad.AnnData:
    """Mend what can be mended without a guess.

    Parameters
    ----------
    adata
        Cells by genes; it is not changed.
    keys
        How columns are to be read.

    Returns
    -------
    anndata.AnnData
        A copy, with the changes in ``uns["semimech_curation"]["changes"]``: a table with the columns ``fix`` and
        ``changed``, those of earlier curations first.
    """
    before = adata.uns.get(RECORD, {}).get("changes", None)
    made = []
    with warnings.catch_warnings():
        # anndata warns of names that stand twice, which is what is mended here.
        warnings.simplefilter("ignore", UserWarning)
        adata = adata.copy()
        for name, fix in FIXES:
            if 0 in adata.shape:
                break
            adata, changed = fix(adata, keys)
            if changed:
                made.append((name, changed))
    table = pd.DataFrame(made, columns=["fix", "changed"], dtype=object)
    if isinstance(before, pd.DataFrame) and list(before.columns) == list(table.columns):
        table = pd.concat([before, table], ignore_index=True)
    table.index = table.index.astype(str)
    adata.uns[RECORD] = {"version": __version__, "changes": table}
    return adata


def with_readable_values(adata: ad.AnnData) -> ad.AnnData:
    """A copy in which no value keeps checks from looking at the others: what is no number is 0, and counts are whole.

    It is a guess, so that nothing is written or fitted with it.
    """
    adata = adata.copy()
    layer = recognise(field("layers", "counts"), list(adata.layers))
    for name, matrix in (("", adata.X), (layer, None if layer is None else adata.layers[layer])):
        if matrix is None:
            continue
        values = sp.csr_matrix(matrix, dtype=np.float64, copy=True)
        values.data = np.nan_to_num(values.data, nan=0.0, posinf=0.0, neginf=0.0).clip(0.0)
        if name or values.data.max(initial=0.0) > LARGEST_LOG:
            values.data = np.round(values.data)
        if name:
            adata.layers[name] = values
        else:
            adata.X = values
    return adata


def changes(adata: ad.AnnData) -> pd.DataFrame:
    """The changes that `curate` noted, none for a data set that is no curated copy."""
    return adata.uns[RECORD]["changes"] if RECORD in adata.uns else pd.DataFrame(columns=["fix", "changed"])


def _unique_genes(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    names = pd.Index(adata.var_names.astype(str))
    if names.is_unique:
        return adata, ""
    repeated = list(names[names.duplicated()].unique())
    adata.var_names_make_unique()
    return adata, f"{counted(len(repeated), 'gene name')} that stood more than once got a number: {listed(repeated)}"


def _unique_cells(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    names = pd.Index(adata.obs_names.astype(str))
    if names.is_unique:
        return adata, ""
    n = int(names.duplicated().sum())
    adata.obs_names_make_unique()
    return adata, f"{counted(n, 'cell name')} that stood before got a number"


def _versions(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    old = list(map(str, adata.var_names))
    new = list(map(without_version, old))
    n = sum(a != b for a, b in zip(old, new, strict=True))
    if not n or len(set(new)) < len(new):
        return adata, ""
    adata.var_names = pd.Index(new, dtype=object)
    return adata, f"{counted(n, 'Ensembl identifier')} lost their version"


def _unlabelled_cells(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    lost = np.zeros(adata.n_obs, dtype=bool)
    reasons = []
    for name, argument in () if keys.experiments is not None else _NAMED:
        values = _column(adata, name, getattr(keys, argument))
        if values is None:
            continue
        texts = values.astype(object).astype(str).str.strip()
        missing = (values.isna() | (texts == "")).to_numpy()
        if name == "perturbation":
            missing |= np.array([t != keys.control and is_unassigned_label(t) for t in texts])
        if missing.any() and not missing.all():
            reasons.append(
                f"{int(missing.sum())} without {'an edit' if name == 'perturbation' else f'a value of {name}'}"
            )
            lost |= missing
    if not lost.any() or lost.all():
        return adata, ""
    return _keep(adata, ~lost), f"{counted(int(lost.sum()), 'cell')} removed: {listed(reasons)}"


def _empty_cells(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    empty = np.asarray(_values(adata).sum(axis=1)).ravel() == 0
    if not empty.any() or empty.all():
        return adata, ""
    return _keep(adata, ~empty), f"{counted(int(empty.sum()), 'cell')} without a single count removed"


def _copies(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    copies = repeated_rows(_values(adata))
    if not len(copies):
        return adata, ""
    keep = np.ones(adata.n_obs, dtype=bool)
    keep[copies] = False
    return _keep(adata, keep), f"{counted(len(copies), 'cell')} with the values of an earlier cell removed"


def _single_cells(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    if keys.experiments is not None or keys.min_cells is not None:
        return adata, ""
    columns = [_column(adata, name, getattr(keys, argument)) for name, argument in _NAMED[:3]]
    texts = [c.astype(object).astype(str).to_numpy() for c in columns if c is not None]
    if not texts or columns[0] is None:
        return adata, ""
    size = pd.DataFrame(dict(enumerate(texts))).groupby(list(range(len(texts))), sort=False)[0].transform("size")
    alone = size.to_numpy() == 1
    if not alone.any() or alone.all():
        return adata, ""
    names = [" at ".join(row) for row in zip(*(t[alone] for t in texts), strict=True)]
    return _keep(adata, ~alone), f"{counted(len(names), 'condition')} of a single cell removed: {listed(names)}"


def _scale(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    if adata.X is None or recognise(field("layers", "counts"), list(adata.layers)) is not None:
        return adata, ""
    x = sp.csr_matrix(adata.X)
    if not len(x.data) or not np.isfinite(x.data).all() or (x.data < 0).any() or (x.data == np.round(x.data)).all():
        return adata, ""
    scale = other_scale(x)
    if scale is None:
        return adata, ""
    state, _, back = OTHER_SCALES[scale]
    x.data = np.log1p(back(x.data.astype(np.float64))).astype(np.float32)
    adata.X = x
    adata.uns.pop("log1p", None)
    return adata, f"X was {state}; it is log1p of the same expression now"


def _silent_genes(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    silent = _values(adata).getnnz(axis=0) == 0
    perturbation = _column(adata, "perturbation", keys.perturbation_key)
    labels: list[str] = [] if perturbation is None else list(perturbation.dropna().astype(object).astype(str).unique())
    edited = {gene for label in labels for gene in genes_of_label(label, control=keys.control)}
    symbols = recognise(field("var", "gene"), [str(c) for c in adata.var.columns])
    for names in (adata.var_names, *([] if symbols is None else [adata.var[symbols]])):
        silent &= ~np.isin(np.asarray(names, dtype=object).astype(str), list(edited))
    if not silent.any() or silent.all():
        return adata, ""
    gone = listed(adata.var_names[silent])
    return adata[:, ~silent].copy(), f"{counted(int(silent.sum()), 'gene')} that no cell expresses removed: {gone}"


def _empty_categories(adata: ad.AnnData, keys: Keys) -> tuple[ad.AnnData, str]:
    named = [
        getattr(keys, argument) or recognise(field("obs", name), list(map(str, adata.obs))) for name, argument in _NAMED
    ]
    emptied = []
    for column in dict.fromkeys(c for c in named if c is not None and c in adata.obs):
        values = adata.obs[column]
        if isinstance(values, pd.Series) and isinstance(values.dtype, pd.CategoricalDtype):
            unused = set(values.cat.categories) - set(values.dropna().unique())
            if unused:
                adata.obs[column] = values.cat.remove_unused_categories()
                emptied.append(f"{column} ({listed(sorted(map(str, unused)))})")
    return adata, f"categories without a cell removed: {listed(emptied)}" if emptied else ""


FIXES: tuple[tuple[str, Callable[[ad.AnnData, Keys], tuple[ad.AnnData, str]]], ...] = (
    ("gene names", _unique_genes),
    ("cell names", _unique_cells),
    ("gene identifiers", _versions),
    ("unlabelled cells", _unlabelled_cells),
    ("depth", _empty_cells),
    ("duplicated cells", _copies),
    ("cells per condition", _single_cells),
    ("normalisation of X", _scale),
    ("silent genes", _silent_genes),
    ("empty conditions", _empty_categories),
)
"""Fixes in order: name, and a function from a data set that it may change to the mended one and what changed, if any."""


def _keep(adata: ad.AnnData, rows: np.ndarray) -> ad.AnnData:
    kept = adata[rows].copy()
    for column in kept.obs.columns:
        # Subsetting leaves categories without cells, and anndata may drop them or not; they are removed here, as a whole.
        if isinstance(kept.obs[column].dtype, pd.CategoricalDtype):
            kept.obs[column] = kept.obs[column].cat.remove_unused_categories()
    return kept


def _column(adata: ad.AnnData, name: str, key: str | None) -> pd.Series | None:
    """The column of a field, ``None`` if there is none or it is not told."""
    columns = [str(c) for c in adata.obs.columns]
    column = key if key is not None else recognise(field("obs", name), columns)
    if column is None and name == "perturbation":
        column = recognise(field("obs", "guide"), columns)
    return adata.obs[column] if column is not None and columns.count(column) == 1 else None


def _values(adata: ad.AnnData) -> sp.csr_matrix:
    """Counts, or X without them, as they stand."""
    layer = recognise(field("layers", "counts"), list(adata.layers))
    values: Any = adata.X if layer is None else adata.layers[layer]
    values = sp.csr_matrix((0, 0) if values is None else values)
    if values.shape != adata.shape:
        values = sp.csr_matrix(adata.shape)
    if not values.data.all():
        values = values.copy()  # the matrix shares its arrays with the data set, which would lose its shape
        values.eliminate_zeros()
    return values
