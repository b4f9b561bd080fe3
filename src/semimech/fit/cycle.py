"""The cell cycle as a part of the state: phases told by marker genes, and a law for what an edit does within them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from sklearn.mixture import GaussianMixture

from semimech._errors import DataError, raise_faults
from semimech.assumptions.catalogue import NO_CELL_CYCLE
from semimech.data import Dataset
from semimech.data.curation.cycle_genes import G2M_PHASE, S_PHASE, is_listed
from semimech.fit.branching import BranchingModel
from semimech.fit.fates import Fates, cells_of
from semimech.fit.shares import Shares
from semimech.predictor import AbstractDynamicPredictor

MIN_MARKERS, MIN_CELLS = 5, 30
"""Marker genes of each phase on the panel, and unedited cells of a time, at the least."""


def with_cycle(
    dataset: Dataset,
    fit_law: Callable[[Dataset], AbstractDynamicPredictor],
    *,
    s_genes: Sequence[str] = S_PHASE,
    g2m_genes: Sequence[str] = G2M_PHASE,
    seed: int = 0,
) -> BranchingModel:
    r"""Fit a law within phases of the cell cycle, and the shares of cells in each phase.

    A mean is that of its phases by their shares, :math:`\mu_p = \sum_\phi \pi_{p\phi} m_{p\phi}`. The law is fitted to the mean that a condition would have with the phases of unedited cells; the shift of the shares, additive in
    logarithms of odds over edits, is added to its prediction. An edit that arrests the cycle then moves every periodic gene by its shares alone.

    Parameters
    ----------
    dataset
        Training data with single cells.
    fit_law
        Fits the law to means, for instance `semimech.fit`; its loss should be one on means.
    s_genes, g2m_genes
        Markers, in upper case; by default those of Tirosh et al. (Science 352, 189, 2016), which scanpy's ``score_genes_cell_cycle`` is given too.
    seed
        Starts of the mixtures.

    Raises
    ------
    DataError
        If there are no cells, or too few markers or unedited cells.
    """
    known = phases_by_time(dataset, s_genes=s_genes, g2m_genes=g2m_genes, seed=seed)
    shares = Shares(dataset, seed=seed, known=known)
    law = fit_law(replace(dataset, mean=dataset.mean - shares.found))
    return BranchingModel(law, shares, parts="cell cycle", lifted=(NO_CELL_CYCLE,))


def phases_by_time(
    dataset: Dataset, *, s_genes: Sequence[str] = S_PHASE, g2m_genes: Sequence[str] = G2M_PHASE, seed: int = 0
) -> dict[float, Fates]:
    """Phases of unedited cells at each time of harvest: G1, S, and G2 with M.

    Cells are scored by the mean of standardised expression of each list less that of all other genes, and called as scanpy does (S if that score is above 0 and the larger, G2M likewise, else G1); a mixture of three normal laws of one
    covariance in the two scores starts from those calls, so that a phase is a probability.

    Parameters
    ----------
    dataset
        With single cells.
    s_genes, g2m_genes
        Markers, in upper case.
    seed
        Of the mixture.

    Raises
    ------
    DataError
        If there are no cells, or too few markers or unedited cells.
    """
    edited = is_listed(dataset.genes, {edit.gene.upper() for c in dataset.conditions for edit in c.edits})
    markers = [is_listed(dataset.genes, names) & ~edited for names in (s_genes, g2m_genes)]
    faults = [
        f"{int(mask.sum())} markers of {phase} that are not edited, at least {MIN_MARKERS} are needed"
        for phase, mask in zip(("S", "G2M"), markers, strict=True)
        if mask.sum() < MIN_MARKERS
    ]
    faults += [] if dataset.cells is not None else ["there are no single cells to tell phases by"]
    times = np.unique(dataset.hours[dataset.is_control])
    few = [f"{h:g} h" for h in times if len(_unedited(dataset, h)) < MIN_CELLS]
    faults += [f"fewer than {MIN_CELLS} unedited cells at {', '.join(few)}"] if few and not faults else []
    faults += [] if len(times) else ["no unedited cells"]
    raise_faults(DataError, f"{dataset.name}: cell cycle", faults)
    return {float(h): _phases(_unedited(dataset, h), markers, seed) for h in times}


def _unedited(dataset: Dataset, hours: float) -> Float[np.ndarray, "cell gene"]:
    return cells_of(dataset, np.flatnonzero(dataset.is_control & (dataset.hours == hours)))


def _phases(cells: Float[np.ndarray, "cell gene"], markers: Sequence[np.ndarray], seed: int) -> Fates:
    mean, sd = cells.mean(axis=0), cells.std(axis=0)
    scale = np.where(sd > 0, 1.0 / np.where(sd > 0, sd, 1.0), 0.0)
    other = ~(markers[0] | markers[1])
    axes = np.array([scale * (mask / mask.sum() - other / max(other.sum(), 1)) for mask in markers])
    scores = (cells - mean) @ axes.T
    called = np.where((scores > 0).any(axis=1), scores.argmax(axis=1) + 1, 0)
    starts = np.array([scores[called == n].mean(axis=0) if (called == n).any() else np.zeros(2) for n in range(3)])
    mixture = GaussianMixture(3, covariance_type="tied", means_init=starts, random_state=seed).fit(scores)
    pull = mixture.means_ @ mixture.precisions_
    weight = pull @ axes
    offset = -0.5 * (pull * mixture.means_).sum(axis=1) - weight @ mean
    belongs = mixture.predict_proba(scores)
    return Fates(centre=belongs.T @ cells / belongs.sum(axis=0)[:, None], weight=weight, offset=offset)
