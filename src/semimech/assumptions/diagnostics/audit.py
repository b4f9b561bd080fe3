"""Audit: every assumption held against a data set, and which families of models may be used on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import anndata as ad
import numpy as np
import pandas as pd

from semimech._errors import ConfigError, DataError, raise_faults
from semimech.assumptions.catalogue import (
    ADDITIVE,
    ASSUMPTIONS,
    BATCH_BALANCED,
    COMMUTING,
    DEPTH_INDEPENDENT,
    FULL_EFFICACY,
    MEDIUM_INDEPENDENT,
    NO_SELECTION,
    SETTLED,
    STATIONARY_CONTROLS,
    TIME_INDEPENDENT,
    Assumption,
)
from semimech.assumptions.diagnostics import responses
from semimech.assumptions.diagnostics.efficacy import full_efficacy
from semimech.assumptions.diagnostics.evidence import LEVEL, Evidence, weigh
from semimech.assumptions.diagnostics.finding import FINDING_COLUMNS, Finding, Verdict, told_together, untested
from semimech.assumptions.diagnostics.groups import MOST_GENES, Groups, draw, make_groups
from semimech.assumptions.diagnostics.numbers import batch_balanced, shares
from semimech.assumptions.families import FAMILIES, Family
from semimech.data.files import open_anndata
from semimech.data.findings import listed, suggestion
from semimech.data.schema import Keys
from semimech.data.screen import Screen, read_screen

LEAST_MARGIN = 0.05
"""Departure, in standard deviations of cells, that never matters."""
EFFECT_SHARE = 1 / 3
"""Departure that does not matter, as a share of a typical effect: squared, a ninth of it."""
FOLD_MARGIN = float(np.log(1.25))
"""Change of depth or of numbers of cells that does not matter, natural logarithm."""

Contrast: TypeAlias = Callable[[Groups], responses.Comparisons | str]

CONTRASTS: tuple[tuple[Assumption, Contrast], ...] = (
    (STATIONARY_CONTROLS, responses.stationary_controls),
    (SETTLED, responses.settled),
    (TIME_INDEPENDENT, responses.independent_of_time),
    (COMMUTING, responses.commuting),
    (ADDITIVE, responses.additive),
    (MEDIUM_INDEPENDENT, responses.independent_of_medium),
)
"""Assumptions on responses, and the contrasts that vanish where they hold."""

_SD = "standard deviations of cells"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What a data set says of each assumption.

    Parameters
    ----------
    findings
        One for each assumption, in the order of the catalogue.
    """

    findings: tuple[Finding, ...]

    def of(self, assumption: Assumption) -> Finding:
        """The finding on one assumption."""
        return next(finding for finding in self.findings if finding.assumption == assumption)

    def table(self) -> pd.DataFrame:
        """One row per assumption: verdict, size, bound, margin, test, power, evidence and what would tell."""
        return pd.DataFrame([f.row() for f in self.findings], columns=list(FINDING_COLUMNS))

    def families(self) -> pd.DataFrame:
        """Families × assumptions: the verdict where a family relies on an assumption, empty elsewhere; and the conclusion."""
        rows = []
        for family in FAMILIES:
            head = {"family": family.id, "verdict": self.verdict(family), "conclusion": self.conclusion(family)}
            mine = {f.assumption.id: f.verdict if f.assumption in family.assumptions else "" for f in self.findings}
            rows.append(head | mine)
        return pd.DataFrame(rows)

    def verdict(self, family: Family) -> Verdict:
        """``"fails"`` if an assumption of the family does, ``"holds"`` if all hold, else ``"cannot tell"``."""
        found = {f.verdict for f in self.findings if f.assumption in family.assumptions}
        return "fails" if "fails" in found else "cannot tell" if "cannot tell" in found else "holds"

    def conclusion(self, family: Family) -> str:
        """Whether a family may be used on these data, in a sentence."""
        mine = [f for f in self.findings if f.assumption in family.assumptions]
        failed = [f.assumption.id for f in mine if f.verdict == "fails"]
        held = [f.assumption.id for f in mine if f.verdict == "holds"]
        is_open = [f.assumption.id for f in mine if f.verdict == "cannot tell"]
        if failed:
            return f"not without care: {listed(failed)} {'fails' if len(failed) == 1 else 'fail'}"
        if is_open:
            return f"not refuted: {len(held)} of {len(mine)} assumptions hold, these data cannot tell {listed(is_open, limit=4)}"
        return f"may be used: all {len(mine)} assumptions hold"


def find_family(id: str) -> Family:
    """A family by its id.

    Raises
    ------
    ConfigError
        If there is none of that id.
    """
    for family in FAMILIES:
        if family.id == id:
            return family
    known = [family.id for family in FAMILIES]
    raise ConfigError(f"family {id!r} is unknown. {suggestion(id, known)}Write one of {', '.join(known)}")


def audit(
    data: ad.AnnData | str | Path,
    keys: Keys | None = None,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Hold every assumption of the catalogue against a data set.

    Parameters
    ----------
    data
        An ``.h5ad`` file, a ``.zarr`` folder, or the object itself.
    keys
        How columns are to be read, as the arguments of `semimech.read`.
    seed
        Of the draws of noise, and of the cells and genes that are looked at where there are many.
    progress
        Called with what is looked at next.

    Raises
    ------
    DataError
        Listing every fault of the data, each with its mend.
    """
    adata = data if isinstance(data, ad.AnnData) else open_anndata(data)
    screen, faults = read_screen(adata, keys or Keys())
    name = "data" if isinstance(data, ad.AnnData) else str(data)
    raise_faults(DataError, name, [fault.fault for fault in faults])
    if screen is None:
        raise DataError(f"{name}: cannot be read")
    return audit_screen(screen, seed=seed, progress=progress)


def audit_screen(screen: Screen, *, seed: int = 0, progress: Callable[[str], None] | None = None) -> Audit:
    """Hold every assumption of the catalogue against cells that are read already; see `audit`."""
    found = told_together(find(screen, ASSUMPTIONS, seed=seed, progress=progress), LEVEL)
    by_assumption = {finding.assumption: finding for finding in found}
    untestable = "no diagnostic here: means over cells of one screen do not show it"
    return Audit(findings=tuple(by_assumption.get(a) or untested(a, untestable) for a in ASSUMPTIONS))


def find(
    screen: Screen,
    asked: Collection[Assumption],
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> tuple[Finding, ...]:
    """Findings on those of some assumptions that have a diagnostic, each by itself; see `told_together`."""
    say = progress or (lambda text: None)
    rng = np.random.default_rng(seed)
    groups = make_groups(screen)
    single: dict[Assumption, Callable[[], Finding]] = {
        DEPTH_INDEPENDENT: lambda: _depth(groups, rng),
        NO_SELECTION: lambda: _selection(screen, rng),
        FULL_EFFICACY: lambda: full_efficacy(groups),
        BATCH_BALANCED: lambda: batch_balanced(groups),
    }
    say(f"effects of {len(groups.place)} groups of cells")
    found = _responses(groups, rng, [contrast for contrast in CONTRASTS if contrast[0] in asked])
    for assumption, look in single.items():
        if assumption in asked:
            say(assumption.id)
            found.append(look())
    return tuple(found)


def _responses(
    groups: Groups, rng: np.random.Generator, contrasts: Sequence[tuple[Assumption, Contrast]]
) -> list[Finding]:
    """Findings on responses, of all contrasts measured in one pass over the cells."""
    planned = [(assumption, design(groups)) for assumption, design in contrasts]
    made = [plan for _, plan in planned if isinstance(plan, responses.Comparisons)]
    if not made:
        return [untested(assumption, str(plan)) for assumption, plan in planned]
    effects = responses.effects(groups)
    stacked = [*made, *([effects] if isinstance(effects, responses.Comparisons) else [])]
    rows, group = groups.rows(rng)
    observed = groups.screen.measurement.observed[rows]
    genes = np.sort(np.argsort(-observed.getnnz(axis=0), kind="stable")[:MOST_GENES])
    drawn = draw(observed[:, genes].toarray(), group, np.concatenate([c.weights for c in stacked]), rng)
    ends = np.cumsum([len(c.names) for c in stacked])
    parts = [drawn.take(slice(end - len(c.names), end)) for end, c in zip(ends, stacked, strict=True)]
    typical = weigh(parts[-1], LEAST_MARGIN).size if isinstance(effects, responses.Comparisons) else 0.0
    margin = max(LEAST_MARGIN, EFFECT_SHARE * typical)
    found = []
    for assumption, plan in planned:
        if isinstance(plan, str):
            found.append(untested(assumption, plan))
            continue
        part = parts[next(i for i, c in enumerate(stacked) if c is plan)]
        evidence = weigh(part, margin)
        said = f"departs by {evidence.size:.2f} {_SD}"
        if typical > 0:
            said += f", {evidence.size / typical:.0%} of a typical effect ({typical:.2f})"
        found.append(_judged(assumption, plan.names, evidence, margin, _SD, said))
    return found


def _depth(groups: Groups, rng: np.random.Generator) -> Finding:
    """Whether depth differs between edited and unedited cells of a batch."""
    unit, effects = groups.screen.measurement.unit, responses.effects(groups)
    if unit is None:
        return untested(DEPTH_INDEPENDENT, "there are no counts", "counts (layers['counts'])")
    if isinstance(effects, str):
        return untested(DEPTH_INDEPENDENT, effects)
    rows, group = groups.rows(rng)
    depth = -np.log(unit[rows])[:, None]
    if not np.isfinite(depth).all():
        return untested(DEPTH_INDEPENDENT, "some cells have no counts", "the cells without counts removed")
    evidence = weigh(draw(depth, group, effects.weights, rng, standardise=False), FOLD_MARGIN)
    said = f"depth changes ×{np.exp(evidence.size):.2f} or ÷{np.exp(evidence.size):.2f}"
    return _judged(DEPTH_INDEPENDENT, effects.names, evidence, FOLD_MARGIN, "natural logarithm of depth", said)


def _selection(screen: Screen, rng: np.random.Generator) -> Finding:
    """Whether shares of edits among the cells change with time."""
    found = shares(screen, rng)
    if isinstance(found, str):
        return untested(NO_SELECTION, found)
    names, draws, over = found
    evidence = weigh(draws, FOLD_MARGIN)
    said = f"numbers against unedited cells change ×{np.exp(evidence.size):.2f} or ÷{np.exp(evidence.size):.2f}; {over}"
    return _judged(NO_SELECTION, names, evidence, FOLD_MARGIN, "natural logarithm of numbers", said)


def _judged(
    assumption: Assumption, names: tuple[str, ...], evidence: Evidence, margin: float, unit: str, said: str
) -> Finding:
    """The verdict: fails, holds within the margin, or more cells are needed."""
    verdict: Verdict = "cannot tell"
    if evidence.is_departure(margin):
        verdict = "fails"
    elif evidence.upper <= margin:
        verdict = "holds"
    times = max((evidence.detectable / margin) ** 2, (evidence.upper / margin) ** 2)
    said += f" over {len(names)} comparison{'s' if len(names) > 1 else ''}, largest in {responses.worst(names, evidence.sizes)} ({evidence.sizes.max():.2f})"
    return Finding(
        assumption=assumption,
        verdict=verdict,
        evidence=said,
        would_tell="" if verdict != "cannot tell" else f"the same design with about {times:.1f} times the cells",
        size=evidence.size,
        upper=evidence.upper,
        margin=margin,
        unit=unit,
        p_value=evidence.p_value,
        power=evidence.power,
        comparisons=len(names),
    )
