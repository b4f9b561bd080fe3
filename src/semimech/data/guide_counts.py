"""From guide UMI counts to the guide of each cell: assignment by pertpy's methods, multiplets, ambient guides."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float

from semimech._errors import ConfigError, DataError, raise_faults
from semimech.data.files import GUIDE_COUNTS, GUIDE_NAMES
from semimech.data.findings import listed

AssignmentMethod: TypeAlias = Literal["threshold", "mixture"]

_CHAIN = {"num_warmup": 500, "num_samples": 500}
"""pertpy's own chain of 50 and 100 steps often ends where every cell with one UMI of a guide carries it; longer ones cost little beside compilation."""


@dataclass(frozen=True, kw_only=True)
class GuideAssignment:
    """Which cells carry which guides.

    Parameters
    ----------
    carried
        Whether a cell carries a guide.
    guides
        Table indexed by guide: ``target``, ``n_cells`` that carry it, its ``median_umi`` and ``least_umi`` in them, ``ambient_umi`` per cell in
        all others, and ``ambient_share`` of its counts that stand in cells that do not carry it.
    n_guides
        Number of guides of each cell: none, one, or several in a multiplet.
    """

    carried: Bool[np.ndarray, "cell guide"]
    guides: pd.DataFrame
    n_guides: np.ndarray

    @property
    def multiplet_share(self) -> float:
        """Share of cells with guides that carry more than one."""
        return float((self.n_guides > 1).sum() / max((self.n_guides > 0).sum(), 1))


def assign_guides(
    adata: ad.AnnData,
    targets: Mapping[str, str],
    *,
    method: AssignmentMethod = "threshold",
    threshold: int = 5,
    counts_key: str = GUIDE_COUNTS,
    names: list[str] | None = None,
) -> GuideAssignment:
    """Assign guides to cells with pertpy (Heumos et al. 2025, doi:10.1038/s41592-025-02909-7).

    Parameters
    ----------
    adata
        Cells with guide UMI counts in ``obsm[counts_key]``; it is not changed.
    targets
        Target of each guide, a control label for control guides.
    method
        ``"threshold"``: a cell carries a guide of at least ``threshold`` UMI; ``"mixture"``: a Poisson-Gaussian mixture per guide
        tells ambient from carried. It compiles anew for nearly every guide: about half a minute each, hardly longer for many cells.
    threshold
        UMI of a guide that a cell carries.
    counts_key
        Where the counts are.
    names
        Names of the guides, where the counts are no table with names and ``uns["guide_names"]`` does not hold them.

    Raises
    ------
    DataError
        Listing what is wrong with counts, names or targets.
    ConfigError
        If pertpy is missing.
    """
    counts, names = _guide_counts(adata, counts_key, names)
    faults = _faults(counts, names, targets, place=f"obsm[{counts_key!r}]")
    if threshold < 1:
        faults.append(f"threshold must be 1 or more, got {threshold}")
    raise_faults(DataError, "guides", faults)
    if find_spec("pertpy") is None:
        raise ConfigError("assigning guides needs pertpy: pip install 'semimech[guides]'")
    return tally_guides(counts, _carried(counts, adata.obs_names, names, method, threshold), names, targets)


def _faults(
    counts: Float[np.ndarray, "cell guide"], names: list[str], targets: Mapping[str, str], *, place: str
) -> list[str]:
    """What is wrong with counts, names or targets."""
    faults = []
    if len(names) != counts.shape[1]:
        faults.append(f"{len(names)} names for {counts.shape[1]} guides: give names=, one per column of {place}")
    if unknown := [name for name in names if name not in targets]:
        faults.append(f"guides without a target: {listed(unknown)}; add them to targets, controls as 'control'")
    if counts.size and (not np.isfinite(counts).all() or (counts < 0).any() or (counts != np.round(counts)).any()):
        faults.append(f"{place} holds values that are no counts: give raw UMI counts of guides")
    return faults


def with_guides(adata: ad.AnnData, assignment: GuideAssignment) -> ad.AnnData:
    """A copy with only the cells of one guide, its name in ``obs["guide"]`` and its target in ``obs["perturbation"]``.

    ``uns["semimech_guides"]`` holds the table of guides and how many cells of none and of several guides were left out.

    Raises
    ------
    DataError
        If no cell has exactly one guide.
    """
    kept = np.flatnonzero(assignment.n_guides == 1)
    if not len(kept):
        raise DataError("guides: no cell carries exactly one; lower threshold, or look at the counts of guides")
    one = assignment.carried[kept].argmax(axis=1)
    single = adata[kept].copy()
    single.obs["guide"] = assignment.guides.index.to_numpy()[one]
    single.obs["perturbation"] = assignment.guides["target"].to_numpy()[one]
    single.uns["semimech_guides"] = {
        "guides": assignment.guides,
        "cells_without_guide": int((assignment.n_guides == 0).sum()),
        "multiplets": int((assignment.n_guides > 1).sum()),
    }
    return single


def _guide_counts(
    adata: ad.AnnData, key: str, names: list[str] | None
) -> tuple[Float[np.ndarray, "cell guide"], list[str]]:
    if key not in adata.obsm:
        raise DataError(f"guides: obsm has no {key!r}; it has {listed(map(str, adata.obsm)) or 'nothing'}")
    counts = adata.obsm[key]
    if isinstance(counts, pd.DataFrame):
        names = list(map(str, counts.columns)) if names is None else names
        counts = counts.to_numpy()
    if names is None:
        names = list(map(str, adata.uns.get(GUIDE_NAMES, ())))
    counts = counts.toarray() if sp.issparse(counts) else np.asarray(counts)
    return counts.astype(np.float64), names


def _carried(
    counts: Float[np.ndarray, "cell guide"], cells: pd.Index, names: list[str], method: AssignmentMethod, threshold: int
) -> Bool[np.ndarray, "cell guide"]:
    """What pertpy says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pertpy.preprocessing import GuideAssignment as Assigner

        columns = [f"g{i}" for i in range(len(names))]  # pertpy joins names of multiplets by '+', which names may hold
        guides = ad.AnnData(sp.csr_matrix(counts), obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=columns))
        if method == "threshold":
            Assigner().assign_by_threshold(guides, assignment_threshold=threshold, output_layer="carried")
            return np.asarray(guides.layers["carried"].todense()) > 0
        said = Assigner().assign_mixture_model(
            guides, max_assignments_per_cell=len(names), no_grna_assigned_key="", only_return_results=True, **_CHAIN
        )
    place = {name: i for i, name in enumerate(columns)}
    carried = np.zeros(counts.shape, dtype=bool)
    for row, text in enumerate(said):
        carried[row, [place[name] for name in text.split("+") if name]] = True
    return carried


def tally_guides(
    counts: Float[np.ndarray, "cell guide"],
    carried: Bool[np.ndarray, "cell guide"],
    names: list[str],
    targets: Mapping[str, str],
) -> GuideAssignment:
    """Count multiplets and ambient guides, given which cells carry which guides: also where another program has told.

    Parameters
    ----------
    counts
        UMI of each guide.
    carried
        Whether a cell carries a guide.
    names
        Names of the guides.
    targets
        Target of each guide, a control label for control guides.

    Returns
    -------
    GuideAssignment
        ``carried`` as given, with the table of guides and the number of guides of each cell.

    Raises
    ------
    DataError
        Listing what is wrong with counts, names or targets, or if ``carried`` does not say of each count whether its guide is carried.
    """
    faults = _faults(counts, names, targets, place="counts")
    if carried.shape != counts.shape:
        faults.append(f"carried is {carried.shape} and counts {counts.shape}: give both as cells × guides")
    if carried.dtype != bool:
        faults.append(f"carried holds {carried.dtype} values: give True where a cell carries a guide, as carried > 0")
    raise_faults(DataError, "guides", faults)
    n, total = carried.sum(axis=0), counts.sum(axis=0)
    outside = np.where(carried, 0.0, counts).sum(axis=0)
    of_carriers = [counts[carried[:, g], g] for g in range(len(names))]
    table = pd.DataFrame(
        {
            "target": [targets[name] for name in names],
            "n_cells": n,
            "median_umi": [float(np.median(umi)) if len(umi) else np.nan for umi in of_carriers],
            "least_umi": [float(umi.min()) if len(umi) else np.nan for umi in of_carriers],
            "ambient_umi": outside / np.maximum(len(counts) - n, 1),
            "ambient_share": outside / np.maximum(total, 1.0),
        },
        index=pd.Index(names, name="guide"),
    )
    return GuideAssignment(carried=carried, guides=table, n_guides=carried.sum(axis=1))
