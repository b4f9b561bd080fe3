"""Checks of edits: whether they hit their target, and how many cells escaped them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.curation.shifts import references, strata, threshold
from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen, describe

FEW_CELLS = 20
"""Fewer cells than this say little of the target of their edit."""


@dataclass(frozen=True, kw_only=True)
class OnTarget:
    """Expression of the edited gene in one condition, as a multiple of that in its references of the same batches.

    Parameters
    ----------
    condition
        Index of the condition, of one edit.
    gene, kind, efficacy
        Of the edit.
    fold
        Ratio of mean expressions.
    standard_error
        Its standard error.
    """

    condition: int
    gene: str
    kind: str
    efficacy: float
    fold: float
    standard_error: float


def on_target_effects(screen: Screen) -> tuple[OnTarget, ...]:
    """Measure the edited gene in each condition of one edit, at the last harvest of that edit in its medium that has cells enough.

    These are 20 beside controls. Genes that controls do not express are left out.
    """
    conditions, stratum = screen.annotation.conditions, strata(screen)
    place = {gene: i for i, gene in enumerate(screen.annotation.genes)}
    found: dict[tuple[str, str, object], OnTarget] = {}
    of = references(screen)
    for i in sorted(range(len(conditions)), key=lambda i: -conditions[i].hours):
        if len(conditions[i].edits) != 1 or conditions[i].edits[0].gene not in place or conditions[i].washed_out:
            continue
        edit, is_control = conditions[i].edits[0], of(i)
        key = (edit.gene, edit.kind, conditions[i].medium)
        if key in found:
            continue
        n_controls = np.bincount(stratum[is_control], minlength=int(stratum.max()) + 1)
        rows = np.flatnonzero((screen.annotation.condition == i) & (n_controls[stratum] >= MIN_CONTROLS))
        if len(rows) < FEW_CELLS:
            continue
        values = np.expm1(screen.measurement.observed[:, [place[edit.gene]]].toarray().ravel().astype(float))
        fold, error = _fold(values, rows, is_control, stratum)
        if np.isfinite(fold):
            found[key] = OnTarget(
                condition=i,
                gene=edit.gene,
                kind=edit.kind,
                efficacy=edit.efficacy,
                fold=fold,
                standard_error=error,
            )
    return tuple(sorted(found.values(), key=lambda each: each.condition))


def _fold(
    values: Float[np.ndarray, " cell"],
    rows: Int[np.ndarray, " edited"],
    is_control: np.ndarray,
    stratum: Int[np.ndarray, " cell"],
) -> tuple[float, float]:
    """Ratio of means, controls weighted as the edited cells lie in strata, and its standard error (delta method)."""
    centre, variance = 0.0, 0.0
    for s, n in zip(*np.unique(stratum[rows], return_counts=True), strict=True):
        controls = values[is_control & (stratum == s)]
        centre += n / len(rows) * controls.mean()
        variance += (n / len(rows)) ** 2 * controls.var(ddof=1) / len(controls)
    if centre <= 0:
        return np.nan, np.nan
    edited = values[rows]
    fold = edited.mean() / centre
    # The variance of cells without a single count is that of one cell with an average one.
    floor = centre**2 / len(rows) if edited.max() == 0 else 0.0
    return float(fold), float(np.sqrt(max(edited.var(ddof=1), floor) / len(rows) + fold**2 * variance) / centre)


def check_on_target(screen: Screen) -> Iterable[CheckFinding]:
    """Whether expression of the edited genes moves as the kind of edit says.

    Interference and activation act on production, so that less than half of the declared change is a fault. A knockout
    removes activity, while its mRNA may stay, fall or rise: only a rise in most edits is one.
    """
    name, effects = "on-target effect", on_target_effects(screen)
    effects = tuple(e for e in effects if e.kind != "drug")
    if not effects:
        yield passed(
            name, f"cannot tell: no edit of a measured gene with {FEW_CELLS} cells beside controls of their batch"
        )
        return
    z = threshold(len(effects))
    weak, told = [], 0
    for e in effects:
        wanted = {"crispri": -e.efficacy, "crispra": e.efficacy}.get(e.kind, 0.0)
        missed = (e.fold - (1 + wanted / 2)) * np.sign(-wanted)
        told += bool(z * e.standard_error < 0.5 * abs(wanted))
        if wanted and missed > z * e.standard_error:
            weak.append(e)
    rises = [e for e in effects if e.kind != "crispra" and e.fold - 1.5 > z * e.standard_error]
    falls = [e for e in effects if e.fold < 0.67 and 1 - e.fold > z * e.standard_error]
    said = (
        f"mRNA of {len(effects)} edited genes: {len(falls)} fall by a third or more, {len(rises)} rise by half or more"
    )
    if len(rises) >= 3 and len(rises) > len(effects) / 2:
        kind = effects[0].kind
        yield warned(
            "kind of edit",
            f"{said}, which {kind} does not do: {_named(screen, rises)}",
            threatens="the model of the edit: activation is taken for its contrary",
            mend="say edit_kind='crispra' if the edits activate",
        )
    if not weak:
        n_blind = sum(e.kind != "knockout" for e in effects) - told
        yield passed(name, said + (f"; {n_blind} are too weakly expressed or seen to tell" if n_blind > 0 else ""))
        return
    yield warned(
        name,
        f"{len(weak)} of {len(effects)} edits move their target by less than half of what is declared: {_named(screen, weak)}",
        threatens="effects of these edits: the guide may not work, or cells and labels may be exchanged",
        mend="check guides and labels; leave the edits out, or declare their efficacy in experiments.tsv",
    )


def _named(screen: Screen, effects: Iterable[OnTarget]) -> str:
    conditions = screen.annotation.conditions
    return listed(f"{describe(conditions[e.condition])} (×{e.fold:.2f} ± {e.standard_error:.2f})" for e in effects)
