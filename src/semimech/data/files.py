"""Opening files of measurements, of any kind, as AnnData."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from semimech._errors import DataError
from semimech.data.findings import listed
from semimech.data.schema import FIELDS, plain
from semimech.data.tenx import GENE, cells_of, numbered, table_beside
from semimech.data.walked import refuse_endless

GUIDE_COUNTS = "guide_counts"
"""Place of guide UMI counts in ``obsm``; the names of the guides stand in ``uns["guide_names"]``."""
GUIDE_NAMES = "guide_names"

_EXPRESSION = ("rna", "gex", "geneexpression", "expression", "mrna")
_GUIDES = ("guide", "guides", "guiderna", "grna", "sgrna", "gdo", "crispr", "crisprguidecapture")


def open_anndata(path: str | Path) -> ad.AnnData:
    """Open a file of measurements.

    Parameters
    ----------
    path
        An ``.h5ad`` file; a ``.zarr`` folder; a MuData file ``.h5mu``, whose modality of guides becomes ``obsm["guide_counts"]``; a table ``.csv`` or ``.tsv`` of bulk measurements with a row per
        replicate, whose columns known to the schema, or of text, describe it and whose others are genes; a 10x file ``.h5`` or folder with ``matrix.mtx``, through scanpy
        (``pip install 'semimech[tenx]'``), whose guide captures become ``obsm["guide_counts"]`` too, and of whose cells a table beside it says what ``obs`` would, see `semimech.data.tenx.cells_of`.

    Raises
    ------
    DataError
        If there is no such file, or it is truncated, damaged or of another format, or scanpy is needed and missing.
    """
    path = Path(path)
    kind, reader = _reader(path)
    with explained(path), warnings.catch_warnings():
        # What anndata warns of here, such as duplicated names, is a finding of ours later.
        warnings.simplefilter("ignore")
        if "h5" in kind:
            refuse_endless(path)
        adata = reader(path)
        check_indices(adata)
        return adata


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say of whatever goes wrong within the block that a file is missing, or no readable one of its kind.

    Raises
    ------
    DataError
        In place of any other error; if the file is missing, before the block.
    """
    if not path.exists():
        near = [p.name for p in sorted(path.parent.glob("*.h5ad"))] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file. Files of that kind in the folder: {listed(near) or 'none'}")
    kind = kind_of(path)
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - anndata, h5py and zarr raise many classes for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        mend = "Write it again with adata.write_h5ad(path), or fetch it again if it was downloaded"
        raise DataError(f"{path}: not a readable {kind}: truncated or of another format ({reason}). {mend}") from None


def check_indices(adata: ad.AnnData) -> None:
    """Look whether sparse matrices point within their shape; whoever follows one that does not leaves the memory that it has.

    Raises
    ------
    ValueError
        If one does not.
    """
    matrices = {"X": adata.X, **{f"layers[{k!r}]": m for k, m in adata.layers.items()}}
    matrices |= {f"obsm[{k!r}]": m for k, m in adata.obsm.items()}
    for place, matrix in matrices.items():
        if sp.issparse(matrix) and matrix.format in ("csr", "csc") and not points_inside(matrix):
            raise ValueError(f"{place} points to cells or genes that it does not have")


def points_inside(matrix: sp.csr_matrix | sp.csc_matrix) -> bool:
    """Whether pointers of a sparse matrix rise from 0 to its number of values, and its indices lie within its shape.

    ``check_format`` of scipy looks at none of it where the last pointer is 0.
    """
    pointers, indices, n = matrix.indptr, matrix.indices, matrix.shape[matrix.format == "csr"]
    is_sound = pointers[0] == 0 and (np.diff(pointers) >= 0).all() and pointers[-1] == len(indices) == len(matrix.data)
    return bool(is_sound and (not len(indices) or (indices.min() >= 0 and indices.max() < n)))


def kind_of(path: Path) -> str:
    """What a file or folder is, in words, by its name."""
    return _reader(path)[0]


def _reader(path: Path) -> tuple[str, Callable[[Path], ad.AnnData]]:
    """What a path is, in words, and how to read it."""
    if path.is_dir():
        if any(path.glob("matrix.mtx*")):
            return "10x folder", _read_tenx
        return ".zarr folder", ad.read_zarr
    kinds: dict[str, tuple[str, Callable[[Path], ad.AnnData]]] = {
        ".h5mu": (".h5mu file", _read_mudata),
        ".h5": ("10x .h5 file", _read_tenx),
        ".csv": (".csv table", _read_table),
        ".tsv": (".tsv table", _read_table),
    }
    return kinds.get(path.suffix.lower(), (".h5ad file", ad.read_h5ad))


def _read_mudata(path: Path) -> ad.AnnData:
    """Genes of a MuData file, with what is said of cells in any place, and the counts of guides if it has them."""
    with h5py.File(path) as file:
        names = list(file["mod"])
        by_plain = {plain(name): name for name in names}
        genes = next((by_plain[n] for n in _EXPRESSION if n in by_plain), None)
        guides = next((by_plain[n] for n in _GUIDES if n in by_plain), None)
        if genes is None:
            raise DataError(f"{path}: no modality of genes among {listed(names)}: name it 'rna'")
        adata = ad.io.read_elem(file["mod"][genes])
        whole = ad.io.read_elem(file["obs"]) if "obs" in file else pd.DataFrame(index=adata.obs_names)
        counts = None if guides is None else ad.io.read_elem(file["mod"][guides])
    for column in whole.columns:
        name = str(column).split(":", 1)[-1]
        if name not in adata.obs:
            adata.obs[name] = whole[column].reindex(adata.obs_names)
    return adata if counts is None else _with_guides(adata, counts)


def _read_tenx(path: Path) -> ad.AnnData:
    """Genes of 10x output, with the counts of guides if it has them."""
    if find_spec("scanpy") is None:
        raise DataError(f"{path}: reading 10x files needs scanpy: pip install 'semimech[tenx]', or convert it to .h5ad")
    import scanpy as sc

    folder = path.is_dir()
    both = sc.read_10x_mtx(path, make_unique=False, gex_only=False) if folder else sc.read_10x_h5(path, gex_only=False)
    kind = both.var.get("feature_types", pd.Series("Gene Expression", index=both.var_names)).astype(str)
    is_guide = kind.map(plain).isin(_GUIDES).to_numpy()
    genes = both[:, (kind == GENE).to_numpy()].copy()
    genes.var = numbered(genes.var)
    if table_beside(path) is not None:
        cells, obs = cells_of(path, genes.obs_names)
        genes = genes[cells].copy()
        genes.obs = obs
    if not is_guide.any():
        return genes
    guides = both[:, is_guide].copy()
    guides.var_names_make_unique()
    return _with_guides(genes, guides)


def _with_guides(adata: ad.AnnData, guides: ad.AnnData) -> ad.AnnData:
    """Cells with the counts of their guides; cells that were not looked at for guides have none."""
    place = guides.obs_names.get_indexer(adata.obs_names)
    counts = guides.X[np.maximum(place, 0)].copy()
    counts = counts.toarray() if hasattr(counts, "toarray") else np.asarray(counts)
    counts[place < 0] = 0
    adata.obsm[GUIDE_COUNTS] = counts
    adata.uns[GUIDE_NAMES] = list(map(str, guides.var_names))
    return adata


def _read_table(path: Path) -> ad.AnnData:
    """A table of bulk measurements: a row per replicate; what the schema knows, or is no number, describes it."""
    table = pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",")
    known = {plain(name) for row in FIELDS if row.place == "obs" for name in row.names}
    is_text = [not pd.api.types.is_numeric_dtype(table[c]) for c in table.columns]
    described = [c for c, text in zip(table.columns, is_text, strict=True) if text or plain(str(c)) in known]
    genes = [c for c in table.columns if c not in described]
    if not genes or not described:
        lack = (
            "columns of numbers, one per gene"
            if not genes
            else "column that says what was done, such as 'perturbation'"
        )
        raise DataError(f"{path}: the table has no {lack}; it has {listed(map(str, table.columns), limit=15)}")
    obs = table[described].set_axis([f"row{i}" for i in range(len(table))])
    return ad.AnnData(table[genes].to_numpy(np.float64), obs=obs, var=pd.DataFrame(index=list(map(str, genes))))
