"""Kinship of genes: tables that say which genes act together, read, checked and made into profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float

from semimech._errors import DataError, raise_faults
from semimech.model.text_table import columns_by_name, read_text_table, rows_in_words

_COMPLEX_NAMES = {
    "complex": ("complex", "complexname", "complex_name", "pathway", "gene_set", "set"),
    "gene": ("gene", "subunits(gene_name)", "gene_symbol", "symbol"),
}


@dataclass(frozen=True, kw_only=True)
class Kinship:
    """What tables say of which genes act alike, whether these genes are measured or not.

    Parameters
    ----------
    complexes
        Tables of complexes, pathways or other sets of genes by the name of their source: columns ``complex`` and ``gene``.
    embeddings
        Vectors of genes by the name of their source: one row per gene, indexed by its symbol.

    Raises
    ------
    DataError
        Listing every table without the columns or without a single gene.
    """

    complexes: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    embeddings: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [
            f"{name}: column {column!r} is missing; a table of complexes has columns complex and gene"
            for name, table in self.complexes.items()
            for column in ("complex", "gene")
            if column not in table.columns
        ]
        tables = {**self.complexes, **self.embeddings}
        faults += [f"{name}: holds no gene: leave it out, or mend it" for name, t in tables.items() if not len(t)]
        faults += [f"{name}: a source of complexes and of an embedding: rename one" for name in self._shared_names()]
        raise_faults(DataError, "kinship", faults)

    @property
    def genes(self) -> frozenset[str]:
        """Every gene that stands in a table."""
        names = [*(table["gene"] for table in self.complexes.values()), *(t.index for t in self.embeddings.values())]
        return frozenset(str(gene) for each in names for gene in each)

    def profiles(self, genes: Sequence[str]) -> dict[str, sp.csr_array]:
        """Profiles of genes by source, rows of length one, zero for a gene that the source does not hold."""
        found = {name: membership_profile(table, genes) for name, table in self.complexes.items()}
        return found | {name: embedding_profile(table, genes) for name, table in self.embeddings.items()}

    def _shared_names(self) -> list[str]:
        return sorted(set(self.complexes) & set(self.embeddings))


def membership_profile(table: pd.DataFrame, genes: Sequence[str]) -> sp.csr_array:
    """In which complexes each gene is, a small complex counting more: one over the root of its size, rows of length one.

    Products of two rows are one for genes of the same complexes, and zero for genes that share none.
    """
    pairs = table[["complex", "gene"]].drop_duplicates()
    size = pairs["complex"].map(pairs["complex"].value_counts()).to_numpy(float)
    column, _ = pd.factorize(pairs["complex"])
    row = pd.Index(genes).get_indexer(pd.Index(pairs["gene"].astype(str)))
    here = row >= 0
    weight = (1.0 / np.sqrt(size))[here]
    shape = (len(genes), int(column.max(initial=-1)) + 1)
    return _unit_rows(sp.csr_array((weight, (row[here], column[here])), shape=shape))


def neighbour_profile(edges: pd.DataFrame, genes: Sequence[str]) -> sp.csr_array:
    """Each gene with its neighbours in a network of regulation, whatever the sign; a hub says less, by the root of its degree.

    Genes are alike that regulate the same genes, are regulated by the same ones, or regulate each other. Rows of length one.
    """
    source, target = (edges[c].astype(str).to_numpy() for c in ("source", "target"))
    names = pd.Index(pd.unique(np.concatenate([source, target])))
    if not len(names):
        return sp.csr_array((len(genes), 0))
    a, b = names.get_indexer(pd.Index(source)), names.get_indexer(pd.Index(target))
    links = sp.coo_array((np.ones(len(a)), (a, b)), shape=(len(names), len(names)))
    near = ((links + links.T + sp.eye_array(len(names))) > 0).astype(float)
    near = sp.csr_array(near @ sp.diags_array(1.0 / np.sqrt(near.sum(axis=0))))
    row = names.get_indexer(pd.Index(list(genes)))
    here = np.flatnonzero(row >= 0)
    pick = sp.csr_array((np.ones(len(here)), (here, row[here])), shape=(len(genes), len(names)))
    return _unit_rows(sp.csr_array(pick @ near))


def embedding_profile(table: pd.DataFrame, genes: Sequence[str]) -> sp.csr_array:
    """Vectors of genes around the mean of all vectors in the table, of length one: products are cosines."""
    values = table.to_numpy(float) - table.to_numpy(float).mean(axis=0)
    row = pd.Index(table.index.astype(str)).get_indexer(pd.Index(list(genes)))
    return _unit_rows(sp.csr_array(np.where((row >= 0)[:, None], values[row], 0.0)))


def likeness(
    profile: sp.csr_array | Float[np.ndarray, "gene feature"], rows: np.ndarray, columns: np.ndarray
) -> Float[np.ndarray, "row column"]:
    """Products of profiles: how much genes are alike by one source."""
    product = profile[rows] @ profile[columns].T
    return product.toarray() if sp.issparse(product) else np.asarray(product)


def read_complexes(path: str | Path) -> pd.DataFrame:
    """Read a table of complexes, pathways or any other sets of genes that act together.

    Either one row per gene, with columns ``complex`` and ``gene``, or CORUM's table as it is published, one row per complex with its
    ``ComplexName`` and its ``subunits(Gene name)``, which are parted by semicolons.

    Parameters
    ----------
    path
        Text with a header and any separator that Python's `csv` can tell; compressed if its name says so.

    Returns
    -------
    pandas.DataFrame
        Columns ``complex`` and ``gene``, each pair once.

    Raises
    ------
    ConfigError
        If the file cannot be read as a table.
    DataError
        Listing every fault: columns that are missing or stand there twice, complexes or genes without a name.
    """
    raw = read_text_table(path, "complexes")
    wanted = "a table of complexes has columns complex and gene, or is CORUM's"
    found, faults = columns_by_name(raw.columns, _COMPLEX_NAMES, required=_COMPLEX_NAMES, wanted=wanted)
    raise_faults(DataError, str(path), faults)
    is_joined = str(raw.columns[found["gene"][0]]).strip().casefold().startswith("subunits")
    names, genes = raw.iloc[:, found["complex"][0]].str.strip(), raw.iloc[:, found["gene"][0]].str.strip()
    faults = [
        f"a {key} has no name, in rows {rows_in_words(is_bad)}: remove such rows"
        for key, is_bad in (("complex", names == ""), ("gene", (genes == "") & (not is_joined)))
        if is_bad.any()
    ]
    table = pd.DataFrame({"complex": names, "gene": genes.str.split(";") if is_joined else genes})
    if is_joined:
        table = table.explode("gene").assign(gene=lambda t: t["gene"].str.strip())
        table = table[table["gene"] != ""]
    if not len(table):
        faults.append("holds no gene: leave the table out, or mend it")
    raise_faults(DataError, str(path), faults)
    return table.drop_duplicates(ignore_index=True)


def read_embedding(path: str | Path) -> pd.DataFrame:
    """Read vectors of genes, as a foundation model or any other source gives them.

    Parameters
    ----------
    path
        Text with a header, the gene's symbol in the first column and one column per dimension; any separator that
        Python's `csv` can tell; compressed if its name says so.

    Returns
    -------
    pandas.DataFrame
        One row per gene, indexed by its symbol.

    Raises
    ------
    ConfigError
        If the file cannot be read as a table.
    DataError
        Listing every fault: no dimension or no gene, nameless or repeated genes, and what is no finite number.
    """
    raw = read_text_table(path, "an embedding")
    if raw.shape[1] < 2 or not len(raw):
        fault = f"has {raw.shape[1]} columns and {len(raw)} rows; an embedding has the gene first, then one column per dimension"
        raise_faults(DataError, str(path), [fault])
    genes = raw.iloc[:, 0].str.strip()
    values = raw.iloc[:, 1:].apply(lambda column: pd.to_numeric(column, errors="coerce"))
    is_bad = ~np.isfinite(values.to_numpy(float)).all(axis=1)
    faults = [
        f"{what}, in rows {rows_in_words(bad)}: {mend}"
        for what, bad, mend in (
            ("a gene has no name", genes == "", "remove such rows"),
            ("a gene stands there again", genes.duplicated() & (genes != ""), "keep one row per gene"),
            ("a value is no finite number", pd.Series(is_bad, index=raw.index), "mend it, or remove the gene"),
        )
        if bad.any()
    ]
    raise_faults(DataError, str(path), faults)
    return pd.DataFrame(dict(values.astype(float).items())).set_index(pd.Index(genes, name="gene"))


def _unit_rows(profile: sp.csr_array) -> sp.csr_array:
    length = np.sqrt(np.asarray(profile.multiply(profile).sum(axis=1)).ravel())
    return sp.csr_array(sp.diags_array(1.0 / np.where(length > 1e-12, length, 1.0)) @ profile)
