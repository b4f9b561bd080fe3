"""Checks of a screen that can be read: one small function each, and the tuple of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.curation.cells import check_cell_cycle, check_depth, check_mitochondria
from semimech.data.curation.copies import check_duplicated_cells
from semimech.data.curation.design import (
    check_batches_of_edits,
    check_lost_cells,
    check_medium_and_batch,
    check_time_and_batch,
)
from semimech.data.curation.doublets import check_doublets
from semimech.data.curation.edits import check_on_target
from semimech.data.curation.escapers import check_escapers
from semimech.data.curation.guides import check_guide_agreement, check_guide_labels
from semimech.data.curation.names import check_edit_names, check_gene_names
from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen, describe
from semimech.data.stationarity import check_control_movement

FEW_CELLS = 20
"""Fewer cells than this give a mean that says little at usual depths."""


def check_controls(screen: Screen) -> Iterable[CheckFinding]:
    """Whether there are unedited cells."""
    n = int(screen.is_control.sum())
    if n:
        yield passed("controls", f"{n} unedited cells of {len(screen.is_control)}")
        return
    yield warned(
        "controls",
        "no unedited cells",
        threatens="effects against control, batch correction, the steady-state loss",
        mend="say control= if a label of theirs was not recognised; otherwise effects are against the mean of all edits",
    )


def check_stationary_controls(screen: Screen) -> Iterable[CheckFinding]:
    """Whether unedited cells were kept in the maintenance medium."""
    conditions = screen.annotation.conditions
    if screen.is_control.any() and not any(c.is_control and c.media == (None,) for c in conditions):
        yield warned(
            "controls in maintenance medium",
            "no unedited cells in the maintenance medium",
            threatens="the steady-state loss, which needs them",
            mend="say maintenance_medium= if one of the media is the one cells are kept in",
        )


def check_cells_per_condition(screen: Screen) -> Iterable[CheckFinding]:
    """Whether each condition has cells enough for a mean."""
    n = np.bincount(screen.annotation.condition)
    small = np.flatnonzero(n < FEW_CELLS)
    said = f"{len(n)} conditions of {n.min()} to {n.max()} cells, median {np.median(n):.0f}"
    if not len(small):
        yield passed("cells per condition", said)
        return
    names = listed(f"{describe(screen.annotation.conditions[i])} ({n[i]})" for i in small)
    yield warned(
        "cells per condition",
        f"{said}; {len(small)} have fewer than {FEW_CELLS}: {names}",
        threatens="scores of these conditions, which are mostly noise",
        mend="leave them out with min_cells, or read their scores beside the noise ceiling",
    )


def check_controls_per_batch(screen: Screen) -> Iterable[CheckFinding]:
    """Whether each batch with edited cells has controls to match, at the same time where controls move."""
    is_control = screen.is_control
    batches = screen.annotation.batches
    if not is_control.any():
        return
    code = screen.annotation.batch * (screen.comparison.max() + 1) + screen.comparison
    n_controls = np.bincount(code[is_control], minlength=code.max() + 1)
    few = [c for c in np.unique(code[~is_control]) if n_controls[c] < MIN_CONTROLS]
    if not few:
        yield passed("controls per batch", f"every batch has at least {MIN_CONTROLS} controls ({len(batches)} batches)")
        return
    names = []
    for c in few:
        condition = screen.annotation.conditions[screen.annotation.condition[np.flatnonzero(code == c)[0]]]
        media, hours = screen.annotation.system.comparison(condition)
        place = [batches[c // (screen.comparison.max() + 1)], *([media[-1]] if media[-1] else [])]
        names.append(" ".join([*place, *([f"{sum(hours):g} h"] if hours is not None else [])]) + f" ({n_controls[c]})")
    mend = "spread controls over all batches next time; here compare with edits of the same batch only"
    yield warned(
        "controls per batch",
        f"{len(few)} groups of edited cells have fewer than {MIN_CONTROLS} matching controls in their batch: {listed(names)}",
        threatens="batch correction: a batch without controls is not corrected, and its cells give no matched minibatch",
        mend=mend,
    )


def check_confounding(screen: Screen) -> Iterable[CheckFinding]:
    """Whether some edit stands only in batches without controls, so that batch and edit cannot be told apart."""
    annotation, is_control = screen.annotation, screen.is_control
    if len(annotation.batches) < 2 or not is_control.any():
        return
    has_control = np.bincount(annotation.batch[is_control], minlength=len(annotation.batches)) > 0
    perturbation = np.array([c.perturbation for c in annotation.conditions], dtype=object)[annotation.condition]
    beside = set(perturbation[has_control[annotation.batch]])
    lost = sorted(set(perturbation[~is_control]) - beside)
    if not lost:
        yield passed("batch and edit", "every edit has cells in a batch with controls")
        return
    yield warned(
        "batch and edit",
        f"{len(lost)} edits stand only in batches without controls: {listed(lost)}",
        threatens="their effects, which cannot be told from the batch's",
        mend="leave them out, or repeat them beside controls",
    )


def check_targets(screen: Screen) -> Iterable[CheckFinding]:
    """Whether the edited genes are among the measured ones."""
    genes = screen.annotation.genes
    periods = [period for condition in screen.annotation.conditions for period in condition.history]
    targets = sorted({edit.gene for period in periods for edit in period.context.edits})
    unknown = [gene for gene in targets if gene not in set(genes)]
    if not unknown:
        yield passed("targets", f"all {len(targets)} edited genes are measured")
        return
    joined = [t for t in unknown if any(set(t.split(s)) <= set(genes) for s in ("_", "|", ",", ";", "&", "-", "/"))]
    by_case = {gene.casefold(): gene for gene in genes}
    cased = [f"{by_case[t.casefold()]} for {t}" for t in unknown if t.casefold() in by_case]
    mend = f"write combinations as A+B ({listed(joined)})" if joined else "write edits as in var_names"
    mend += f" ({listed(cased)})" if cased else ""
    yield warned(
        "targets",
        f"{len(unknown)} of {len(targets)} edited genes are not measured: {listed(unknown)}",
        threatens="predictions of these edits, whose regulator is not seen",
        mend=f"{mend}; if the gene is just not on the panel, nothing",
    )


def check_silent_genes(screen: Screen) -> Iterable[CheckFinding]:
    """Whether some genes are zero in all cells."""
    silent = np.flatnonzero(screen.measurement.observed.getnnz(axis=0) == 0)
    if not len(silent):
        yield passed("silent genes", f"all {len(screen.annotation.genes)} genes are seen in some cell")
        return
    yield warned(
        "silent genes",
        f"{len(silent)} genes are zero in all cells: {listed(screen.annotation.genes[i] for i in silent)}",
        threatens="nothing but time: they are predicted as zero",
        mend="remove them: sc.pp.filter_genes(adata, min_cells=1)",
    )


def check_duration(screen: Screen) -> Iterable[CheckFinding]:
    """Whether the times leave an edit time to act."""
    hours = np.array([c.hours for c in screen.annotation.conditions if c.edits and np.isfinite(c.hours)])
    kinds = {e.kind for c in screen.annotation.conditions for e in c.edits}
    if len(hours) and hours.max() < 12 and kinds - {"drug"}:
        yield warned(
            "duration",
            f"the last harvest is {hours.max():g} h after the edit",
            threatens="the unit of time: an edit of a gene acts over days",
            mend="say time_unit='days' if these are days",
        )


def check_doses(screen: Screen) -> Iterable[CheckFinding]:
    """Whether cells of one condition got several doses."""
    if screen.doses > 1:
        yield warned(
            "doses",
            f"{screen.doses} different doses within single conditions, which are pooled",
            threatens="means of cells that were treated differently",
            mend="say what the compounds act on with compounds=, or name each dose as a perturbation of its own",
        )


CHECKS: tuple[Callable[[Screen], Iterable[CheckFinding]], ...] = (
    check_controls,
    check_stationary_controls,
    check_control_movement,
    check_controls_per_batch,
    check_confounding,
    check_time_and_batch,
    check_medium_and_batch,
    check_batches_of_edits,
    check_cells_per_condition,
    check_lost_cells,
    check_gene_names,
    check_edit_names,
    check_targets,
    check_on_target,
    check_guide_labels,
    check_guide_agreement,
    check_escapers,
    check_duration,
    check_doses,
    check_depth,
    check_mitochondria,
    check_cell_cycle,
    check_doublets,
    check_silent_genes,
    check_duplicated_cells,
)
"""All checks, in the order in which they are told."""
CHECKS_OF_VALUES: frozenset[Callable[[Screen], Iterable[CheckFinding]]] = frozenset(
    {
        check_control_movement,
        check_on_target,
        check_guide_agreement,
        check_escapers,
        check_depth,
        check_mitochondria,
        check_cell_cycle,
        check_doublets,
        check_silent_genes,
        check_duplicated_cells,
    }
)
"""Those that look at what was measured; the others only at what was done to cells."""
