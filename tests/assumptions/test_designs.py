"""Thirty designs, written by hand: what each can tell, and that on all else the audit says that it cannot, and what would."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

from semimech.assumptions.diagnostics import audit_screen
from semimech.data import CellSystem
from semimech.data.annotate import Annotation
from semimech.data.matrix import Measurement
from semimech.data.scale import log1p_scale
from semimech.data.screen import Screen
from semimech.experiment import parse_experiment

GENES = tuple("ABCDEFGH")
STATION, SETTLED, TIME = "control stationarity", "settled at harvest", "effect independent of time"
ORDER, ADD, MEDIUM = "commuting order", "additive combinations", "medium-independent effect"
FULL, GROWTH, BATCH = "full efficacy", "no growth selection or bottleneck", "batch not confounded with edits"
DEPTH = "depth independent of edit"
LATER = {SETTLED, TIME}


def cells(*lines: str, counts: bool = True, named: bool = True) -> Screen:
    """Cells as told by lines of "batches × cells: protocol"; CRISPRi leaves a quarter of its target, a knockout all of it."""
    rng = np.random.default_rng(0)
    conditions, values, condition, batch = [], [], [], []
    names = sorted({name for line in lines for name in line.split(" × ")[0].split()})
    for line in lines:
        place, n, protocol = re.fullmatch(r"(.*) × (\d+): (.*)", line).groups()
        asked = parse_experiment(f"{protocol} > harvest").conditions["harvest"]
        if asked not in conditions:
            conditions.append(asked)
        rate = np.full(len(GENES), 40.0)
        for edit in asked.edits:
            rate[GENES.index(edit.gene)] *= 0.25 if edit.kind == "crispri" else 1.0
        for name in place.split():
            values.append(rng.poisson(rate, (int(n), len(GENES))))
            condition += [conditions.index(asked)] * int(n)
            batch += [names.index(name)] * int(n)
    raw = sp.csr_matrix(np.concatenate(values).astype(np.float32))
    unit = 1e4 / np.asarray(raw.sum(axis=1)).ravel()
    annotation = Annotation(
        conditions=tuple(conditions),
        condition=np.array(condition),
        batches=tuple(names),
        batch=np.array(batch),
        system=CellSystem(media=("M", "N")),
        columns={"batch": "batch"} if named else {},
        genes=GENES,
        findings=(),
    )
    measurement = Measurement(
        observed=sp.csr_matrix(sp.diags_array(unit) @ raw).log1p().astype(np.float32),
        counts=raw if counts else None,
        unit=unit if counts else None,
        scale=log1p_scale(),
        source="made by hand",
    )
    return Screen(annotation=annotation, measurement=measurement, var_names=GENES, findings=())


def at(hours: int, *edits: str, where: str = "b1 b2 × 25") -> tuple[str, ...]:
    """Unedited cells and those of some edits (``A``, ``A+B``), made at once, at one time."""
    said = [" > ".join(f"edit {gene}" for gene in edit.split("+")) + " > " if edit else "" for edit in ("", *edits)]
    return tuple(f"{where}: {each}wait {hours}h" for each in said)


SIX = ("A", "B", "C", "D", "E", "F")
DESIGNS = {
    "one time": (partial(cells, *at(48, "A", "B")), {BATCH, DEPTH}),
    "unedited cells of one time": (partial(cells, *at(48)), set()),
    "unedited cells of two times": (partial(cells, *at(48), *at(96)), {STATION}),
    "edits alone": (partial(cells, *at(48, "A", "B")[1:], *at(96, "A", "B")[1:]), set()),
    "nine unedited cells": (partial(cells, "b1 × 9: wait 48h", "b1 × 25: edit A > wait 48h"), {BATCH}),
    "three cells of each edit": (partial(cells, "b1 × 25: wait 48h", "b1 × 3: edit A > wait 48h"), {BATCH}),
    "four cells of each edit": (partial(cells, "b1 × 25: wait 48h", "b1 × 4: edit A > wait 48h"), {BATCH, DEPTH}),
    "two times": (partial(cells, *at(48, "A", "B"), *at(96, "A", "B")), {STATION, *LATER, BATCH, DEPTH}),
    "two times of other edits": (partial(cells, *at(48, "A"), *at(96, "B")), {STATION, BATCH, DEPTH}),
    "two times in batches of their own": (
        partial(cells, *at(48, "A", where="b1 × 25"), *at(96, "A", where="b2 × 25")),
        {*LATER, BATCH, DEPTH},
    ),
    "two times, unedited cells at the first": (partial(cells, *at(48, "A"), *at(96, "A")[1:]), {*LATER, BATCH, DEPTH}),
    "edits in batches without unedited cells": (
        partial(cells, "b1 × 25: wait 48h", "b2 × 25: edit A > wait 48h", "b2 × 25: edit B > wait 48h"),
        {BATCH},
    ),
    "settled cells at no hour": (
        partial(cells, "b1 × 25: wait settled", "b1 × 25: edit A > wait settled"),
        {BATCH, DEPTH},
    ),
    "six edits, two times": (partial(cells, *at(48, *SIX), *at(96, *SIX)), {STATION, *LATER, GROWTH, BATCH, DEPTH}),
    "six edits, two times, one batch": (
        partial(cells, *at(48, *SIX, where="b1 × 25"), *at(96, *SIX, where="b1 × 25")),
        {STATION, *LATER, BATCH, DEPTH},
    ),
    "six edits, one time": (partial(cells, *at(48, *SIX)), {BATCH, DEPTH}),
    "a pair and both single edits": (partial(cells, *at(48, "A", "B", "A+B")), {ADD, BATCH, DEPTH}),
    "a pair without one of them": (partial(cells, *at(48, "A", "A+B")), {BATCH, DEPTH}),
    "a pair at a later time than both": (partial(cells, *at(48, "A", "B"), *at(96, "A+B")), {STATION, BATCH, DEPTH}),
    "a pair and both, no unedited cells": (partial(cells, *at(48, "A", "B", "A+B")[1:]), set()),
    "a pair in a medium, both outside": (
        partial(
            cells,
            *at(48, "A", "B"),
            "b1 b2 × 25: medium M > wait 48h",
            "b1 b2 × 25: medium M > edit A > edit B > wait 48h",
        ),
        {BATCH, DEPTH},
    ),
    "two media": (
        partial(cells, *at(48, "A"), "b1 b2 × 25: medium M > wait 48h", "b1 b2 × 25: medium M > edit A > wait 48h"),
        {MEDIUM, BATCH, DEPTH},
    ),
    "two media, unedited cells in one": (
        partial(cells, *at(48, "A"), "b1 b2 × 25: medium M > edit A > wait 48h"),
        {BATCH, DEPTH},
    ),
    "two media, an edit in each": (
        partial(cells, *at(48, "A"), "b1 b2 × 25: medium M > wait 48h", "b1 b2 × 25: medium M > edit B > wait 48h"),
        {BATCH, DEPTH},
    ),
    "two media at two times": (
        partial(cells, *at(48, "A"), "b1 b2 × 25: medium M > wait 96h", "b1 b2 × 25: medium M > edit A > wait 96h"),
        {BATCH, DEPTH},
    ),
    "both orders": (
        partial(
            cells,
            "b1 × 25: edit A > wait 24h > medium M > wait 24h",
            "b1 × 25: medium M > wait 24h > edit A > wait 24h",
        ),
        {ORDER},
    ),
    "both orders in batches of their own": (
        partial(
            cells,
            "b1 × 25: edit A > wait 24h > medium M > wait 24h",
            "b2 × 25: medium M > wait 24h > edit A > wait 24h",
        ),
        set(),
    ),
    "both orders, harvested after other hours": (
        partial(
            cells,
            "b1 × 25: edit A > wait 24h > medium M > wait 24h",
            "b1 × 25: medium M > wait 24h > edit A > wait 48h",
        ),
        set(),
    ),
    "batches that are not named": (partial(cells, *at(48, "A", where="b1 × 25"), named=False), {DEPTH}),
    "values without counts": (
        partial(cells, "b1 × 25: wait 48h", "b1 × 25: edit A crispri > wait 48h", counts=False),
        {BATCH},
    ),
    "a transcript that falls": (
        partial(cells, "b1 × 60: wait 48h", "b1 × 60: edit A crispri > wait 48h"),
        {FULL, BATCH, DEPTH},
    ),
    "a transcript that falls in too few cells": (
        partial(cells, "b1 × 60: wait 48h", "b1 × 20: edit A crispri > wait 48h"),
        {BATCH, DEPTH},
    ),
}


def test_there_are_thirty_designs_at_least():
    assert len(DESIGNS) >= 30


@pytest.mark.parametrize("name", DESIGNS)
def test_what_a_design_has_no_arm_for_gets_no_verdict_and_names_the_arm(name):
    made, told = DESIGNS[name]
    found = audit_screen(made()).findings
    assert {f.assumption.id for f in found if f.comparisons > 0} == told
    for finding in found:
        if finding.assumption.id not in told:
            assert finding.verdict == "cannot tell"
            assert finding.evidence
            assert finding.would_tell
            assert np.isnan([finding.size, finding.p_value, finding.p_adjusted, finding.power]).all()
