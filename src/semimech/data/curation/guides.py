"""Checks of guides: whether those of one gene agree, and whether each goes with one perturbation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.stats import gamma

from semimech.data.curation.shifts import LEVEL
from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen

MIN_CELLS = 15
"""Cells of a guide from which it is compared with the others of its gene."""
LEAST_DIFFERENCE = 0.5
"""Smallest distance between guides of one gene, over all genes and in standard deviations of cells, worth a warning."""

_MOST_CELLS = 400
_MOST_GENES = 500
_PERMUTATIONS = 199


def guide_difference(
    values: Float[np.ndarray, "cell gene"],
    *,
    stratum: Int[np.ndarray, " cell"],
    guide: Int[np.ndarray, " cell"],
    rng: np.random.Generator,
) -> tuple[float, float, int]:
    r"""Test whether cells of one edit differ between guides within strata.

    The statistic is the sum over genes of the variance between guides, each gene divided by its variance within strata.
    Its law is that under permutations of guides within strata; the tail beyond them is that of the gamma
    distribution with their mean and variance (as in Larson & Owen 2015, doi:10.1186/s12859-015-0571-7).

    Parameters
    ----------
    values
        Cells of one edit, observed scale.
    stratum, guide
        Index of what cells must share, and of the guide of each.
    rng
        Draws the permutations.

    Returns
    -------
    tuple
        Root mean square distance of guides from their mean beyond chance, the root of the sum over genes of squared
        differences in standard deviations of cells; p-value; and the guide that differs most from the others.
    """
    values = np.array(values, float)
    for s in np.unique(stratum):
        values[stratum == s] -= values[stratum == s].mean(axis=0)
    spread = values.std(axis=0)
    values = values[:, spread > 0] / spread[spread > 0]
    n_guides = int(guide.max()) + 1
    sizes = np.maximum(np.bincount(guide, minlength=n_guides), 1)
    members = [np.flatnonzero(stratum == s) for s in np.unique(stratum)]

    one_each, pointers = np.ones(len(values)), np.arange(len(values) + 1)

    def distances(labels: Int[np.ndarray, " cell"]) -> Float[np.ndarray, " guide"]:
        carried = sp.csr_matrix((one_each, labels, pointers), (len(values), n_guides))
        return ((carried.T @ values) ** 2).sum(axis=1) / sizes

    found = distances(guide)
    draws = np.empty(_PERMUTATIONS)
    each = np.zeros(n_guides)
    for i in range(_PERMUTATIONS):
        shuffled = guide.copy()
        for rows in members:
            shuffled[rows] = guide[rng.permutation(rows)]
        one = distances(shuffled)
        draws[i] = one.sum()
        each += one / _PERMUTATIONS
    scale = draws.var() / draws.mean()
    p_value = float(gamma.sf(found.sum(), draws.mean() / scale, scale=scale))
    size = np.sqrt(max(found.sum() - draws.mean(), 0.0) / len(values))
    return float(size), p_value, int(np.argmax(found - each))


def check_guide_agreement(screen: Screen) -> Iterable[CheckFinding]:
    """Whether cells of one edit, or unedited ones, differ between guides."""
    name = "guides of one gene"
    if screen.guides is None:
        yield passed(name, "cannot tell: no column of guides is recognised in obs")
        return
    conditions, rng = screen.annotation.conditions, np.random.default_rng(0)
    perturbation = np.array([c.perturbation for c in conditions], dtype=object)[screen.annotation.condition]
    stratum = screen.annotation.condition * len(screen.annotation.batches) + screen.annotation.batch
    genes = np.sort(np.argsort(-screen.measurement.observed.getnnz(axis=0), kind="stable")[:_MOST_GENES])
    found: list[tuple[str, str, float, float]] = []
    for edit in dict.fromkeys(c.perturbation for c in conditions):
        rows = np.flatnonzero((perturbation == edit) & (screen.guides.code >= 0))
        rows = np.sort(rng.permutation(rows)[: _MOST_CELLS * 5])
        n = np.bincount(screen.guides.code[rows], minlength=len(screen.guides.names))
        large = np.flatnonzero(n >= MIN_CELLS)
        if len(large) < 2:
            continue
        rows = rows[np.isin(screen.guides.code[rows], large)]
        size, p_value, most = guide_difference(
            screen.measurement.observed[rows][:, genes].toarray(),
            stratum=stratum[rows],
            guide=np.searchsorted(large, screen.guides.code[rows]),
            rng=rng,
        )
        found.append((edit, screen.guides.names[large[most]], size, p_value))
    if not found:
        yield passed(name, f"cannot tell: no edit has two guides of {MIN_CELLS} cells")
        return
    differ = [f for f in found if f[3] * len(found) < LEVEL and f[2] >= LEAST_DIFFERENCE]
    if not differ:
        yield passed(name, f"in none of {len(found)} edits do cells differ between guides")
        return
    names = listed(f"{edit} (most: {guide}, {size:.2f} SD)" for edit, guide, size, _ in differ)
    yield warned(
        name,
        f"cells differ between guides in {len(differ)} of {len(found)} edits: {names}",
        threatens="effects of these edits: some guides do not work, or hit another gene",
        mend="look at effects guide by guide, and leave out those that differ; guides of controls are edits if they act",
    )


def check_guide_labels(screen: Screen) -> Iterable[CheckFinding]:
    """Whether each guide goes with one perturbation."""
    if screen.guides is None:
        return
    perturbation = np.array([c.perturbation for c in screen.annotation.conditions], dtype=object)
    cell = perturbation[screen.annotation.condition]
    rows = np.flatnonzero(screen.guides.code >= 0)
    pairs = set(zip(screen.guides.code[rows].tolist(), cell[rows].tolist(), strict=True))
    of_guide: dict[int, list[str]] = {}
    for code, edit in sorted(pairs):
        of_guide.setdefault(code, []).append(edit)
    double = [f"{screen.guides.names[code]} ({listed(edits)})" for code, edits in of_guide.items() if len(edits) > 1]
    if not double:
        yield passed("guides and edits", f"each of {len(of_guide)} guides goes with one perturbation")
        return
    yield warned(
        "guides and edits",
        f"{len(double)} guides go with several perturbations: {listed(double)}",
        threatens="labels of edits: some cells may carry another's",
        mend="look which column is right; where guides are shared between combinations, name the combination's guides",
    )
