"""Checks of cells: depth, mitochondrial share and cell cycle, in all and by edit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from semimech.data.curation.cycle_genes import G2M_PHASE, S_PHASE, is_listed
from semimech.data.curation.mitochondrial_genes import is_mitochondrial
from semimech.data.curation.shifts import compared_with, contrast, control_shifts, threshold
from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen, describe

DEPTH_RATIO = 1.5
"""Ratio of depths, edit to controls, that calls for attention."""
HIGH_MITOCHONDRIAL = 0.2
"""Mitochondrial share of a cell that is taken to be dying."""
DYING_SHARE = 0.1
"""Share of such cells that calls for attention."""
MITOCHONDRIAL_SHIFT = 0.05
"""Difference of mitochondrial shares, edit to controls, that calls for attention."""
CYCLE_SHIFT = 0.5
"""Difference of cell-cycle scores, edit to controls, in standard deviations of cells, that calls for attention."""
MIN_GENES = 5
"""Genes of a list that must be measured for a score."""


def log_depth(screen: Screen) -> Float[np.ndarray, " cell"] | None:
    """Logarithm of each cell's depth, up to a constant; ``None`` where counts are unknown."""
    unit = screen.measurement.unit
    if unit is None:
        return None
    return np.where(np.isfinite(unit), -np.log(np.where(np.isfinite(unit), unit, 1.0)), np.nan)


def mitochondrial_share(screen: Screen) -> Float[np.ndarray, " cell"] | None:
    """Share of each cell's expression that is of mitochondrial genes; ``None`` if too few of them are measured."""
    mitochondrial = np.array([is_mitochondrial(gene) for gene in screen.annotation.genes])
    if mitochondrial.sum() < MIN_GENES or mitochondrial.all():
        return None
    values = _linear(screen)
    total = np.asarray(values.sum(axis=1, dtype=np.float64)).ravel()
    part = np.asarray(values[:, np.flatnonzero(mitochondrial)].sum(axis=1, dtype=np.float64)).ravel()
    return np.where(total > 0, part / np.maximum(total, 1e-300), np.nan)


def cycle_scores(screen: Screen) -> dict[str, Float[np.ndarray, " cell"]]:
    """Scores of S and of G2 and M phase: mean of standardised expression of their genes, less that of all other genes.

    Empty if fewer than five genes of either list are measured. Edited genes do not count.
    """
    phases, weight = _phases(screen)
    if any(mask.sum() < MIN_GENES for mask in phases.values()):
        return {}
    observed = screen.measurement.observed
    mean = np.asarray(observed.mean(axis=0, dtype=np.float64)).ravel()

    def score(mask: Bool[np.ndarray, " gene"]) -> Float[np.ndarray, " cell"]:
        used = mask * weight / max(int((mask & (weight > 0)).sum()), 1)
        return np.asarray(observed @ used).ravel() - float(mean @ used)

    other = score(~(phases["S"] | phases["G2M"]))
    return {phase: score(mask) - other for phase, mask in phases.items()}


def _phases(screen: Screen) -> tuple[dict[str, Bool[np.ndarray, " gene"]], Float[np.ndarray, " gene"]]:
    """Genes of each phase, and one over the standard deviation of each gene, zero for edited and silent ones."""
    genes = screen.annotation.genes
    observed = screen.measurement.observed
    mean = np.asarray(observed.mean(axis=0, dtype=np.float64)).ravel()
    square = np.asarray(observed.power(2).mean(axis=0, dtype=np.float64)).ravel()
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    edited = {edit.gene for condition in screen.annotation.conditions for edit in condition.edits}
    kept = (spread > 0) & ~np.isin(np.array(genes), list(edited))
    weight = np.where(kept, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    return {"S": is_listed(genes, S_PHASE) & kept, "G2M": is_listed(genes, G2M_PHASE) & kept}, weight


def check_depth(screen: Screen) -> Iterable[CheckFinding]:
    """Whether depth depends on the edit, within batches."""
    depth = log_depth(screen)
    if depth is None:
        return
    shifts = control_shifts(screen, depth)
    if not np.isfinite(shifts.shift).any():
        return
    found = np.flatnonzero(shifts.beyond(np.log(DEPTH_RATIO)))
    if not len(found):
        yield passed("depth by edit", f"no edit changes the depth by more than ×{DEPTH_RATIO}")
        return
    names = listed(f"{describe(screen.annotation.conditions[c])} (×{np.exp(shifts.shift[c]):.2f})" for c in found)
    yield warned(
        "depth by edit",
        f"depth differs from {compared_with(screen)} of the batch in {len(found)} conditions: {names}",
        threatens="means of log-normalised values, which depend on depth where counts are low",
        mend="look whether the edit changes cell size or kills cells; compare at equal depth",
    )


def check_mitochondria(screen: Screen) -> Iterable[CheckFinding]:
    """Whether many cells, or those of some edit, are rich in mitochondrial RNA, as dying cells are."""
    name, share = "mitochondrial share", mitochondrial_share(screen)
    if share is None:
        yield passed(
            name,
            f"cannot tell: fewer than {MIN_GENES} mitochondrial genes are measured, by the names MT-… or their Ensembl identifiers",
        )
        return
    high = float(np.mean(share[np.isfinite(share)] > HIGH_MITOCHONDRIAL))
    said = f"median {np.nanmedian(share):.1%}; {high:.1%} of cells above {HIGH_MITOCHONDRIAL:.0%}"
    shifts = control_shifts(screen, share)
    found = np.flatnonzero(shifts.beyond(MITOCHONDRIAL_SHIFT))
    if high <= DYING_SHARE and not len(found):
        yield passed(name, said)
        return
    names = [f"{describe(screen.annotation.conditions[c])} ({shifts.shift[c]:+.1%})" for c in found]
    yield warned(
        name,
        f"{said}; {len(found)} conditions differ from {compared_with(screen)} of the batch: {listed(names)}"
        if names
        else said,
        threatens="effects, where dying or broken cells stand for the edit",
        mend=f"remove cells above {HIGH_MITOCHONDRIAL:.0%}, unless the cells are of a kind that is rich in mitochondria",
    )


def check_cell_cycle(screen: Screen) -> Iterable[CheckFinding]:
    """Whether edited cells stand in other phases of the cell cycle than their controls."""
    name, scores = "cell cycle", cycle_scores(screen)
    if not scores:
        yield passed(name, f"cannot tell: fewer than {MIN_GENES} genes of the S or of the G2M phase are measured")
        return
    every = {phase: control_shifts(screen, score) for phase, score in scores.items()}
    if not any(np.isfinite(shifts.shift).any() for shifts in every.values()):
        return
    names = []
    phases, weight = _phases(screen)
    rest = (weight > 0) & ~(phases["S"] | phases["G2M"])
    for phase, shifts in every.items():
        n_tests = len(scores) * int(np.isfinite(shifts.shift).sum())
        for c in np.flatnonzero(shifts.beyond(CYCLE_SHIFT * shifts.spread, n_tests=n_tests)):
            each = (contrast(screen, int(c)) @ screen.measurement.observed) * weight
            genes = each[phases[phase]]
            if abs(_standing_out(genes, each[rest])) < threshold(n_tests) or np.median(genes) / genes.mean() < 0.5:
                continue
            size = shifts.shift[c] / shifts.spread
            names.append(f"{describe(screen.annotation.conditions[c])} ({phase} {size:+.1f} SD)")
    if not names:
        yield passed(
            name, f"no edit shifts the scores of S and G2M phase by {CYCLE_SHIFT} standard deviations of cells"
        )
        return
    yield warned(
        name,
        f"scores differ from {compared_with(screen)} of the batch in {len(names)} cases: {listed(names)}",
        threatens="which genes an edit regulates: many follow the cycle and not the edit",
        mend="compare cells of the same phase, or read effects on cell-cycle genes as effects on growth",
    )


def _standing_out(shifts: Float[np.ndarray, " gene"], others: Float[np.ndarray, " other"]) -> float:
    """Difference of the mean shift of some genes from that of the others, in its standard error over genes.

    An edit that moves many genes moves some of a phase too; the cycle moves most of a phase together.
    """
    if len(others) < 2 or others.std() == 0:
        return np.inf
    return float((shifts.mean() - others.mean()) / (others.std(ddof=1) * np.sqrt(1 / len(shifts) + 1 / len(others))))


def _linear(screen: Screen) -> sp.csr_matrix:
    """Counts, or normalised expression where they are unknown."""
    if screen.measurement.counts is not None:
        return screen.measurement.counts
    values = screen.measurement.observed.copy()
    values.data = np.expm1(values.data)
    return values
