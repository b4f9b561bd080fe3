"""Labels of queries against one small screen, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semimech.assumptions import Harvested
from semimech.assumptions.catalogue import (
    ADDITIVE,
    COMMUTING,
    KNOWN_WIRING,
    MEDIUM_INDEPENDENT,
    SETTLED,
    SMOOTH,
    START_INDEPENDENT,
    STATIONARY_CONTROLS,
)
from semimech.data import CellSystem
from semimech.experiment import Compound, Condition, parse_experiment

COMPOUNDS = (
    Compound(name="inhibitor", targets=("A", "K"), ic50=1.0),
    Compound(name="blocker", targets=("K",), ic50=1.0),
)
STEM = CellSystem(maintenance_medium="mTeSR", media=("BMP4", "FGF2"), compounds=COMPOUNDS)
EMBRYO = CellSystem(maintenance_medium="mTeSR", media=("BMP4", "FGF2"), is_differentiating=True, compounds=COMPOUNDS)


def history(text: str) -> Condition:
    (condition,) = parse_experiment(f"{text} > harvest").conditions.values()
    return condition


HARVESTED = tuple(
    history(text)
    for text in (
        "wait 48h",
        "edit A > wait 24h",
        "edit A > wait 72h",
        "edit B > wait 24h",
        "edit B > wait 72h",
        "edit C > wait 24h",
        "edit A > edit B > wait 72h",
        "edit D crispri 0.4 > wait 48h",
        "edit D crispri 0.9 > wait 48h",
        "medium BMP4 > wait 24h",
        "edit A > medium BMP4 > wait 24h",
        "edit A > wait 24h > medium BMP4 > wait 48h",
        "medium BMP4 > wait 24h > edit C > wait 48h",
        "dose inhibitor 0.5uM > wait 24h",
        "dose inhibitor 4uM > wait 24h",
        "dose inhibitor 4uM > wait 24h > dose inhibitor 0uM > wait 48h",
        "edit E onset 6h turnover 4h > wait 48h",
        "edit E onset 12h turnover 4h > wait 48h",
    )
)
SCREEN = Harvested(conditions=HARVESTED, system=STEM)

CASES = [
    # exactly what was done, however it is written
    ("edit A > wait 24h", "observed", (), ()),
    ("edit A > wait 12h > wait 12h", "observed", (), ()),
    ("edit B > edit A > wait 72h", "observed", (), ()),
    ("medium mTeSR > edit A > wait 24h", "observed", (), ()),
    ("edit A > wait 24h > medium BMP4 > wait 48h", "observed", (), ()),
    ("wait 48h", "observed", (), ()),
    # stationary cells lose nothing by waiting before anything is done
    ("wait 120h", "composed", (), (STATIONARY_CONTROLS,)),
    ("wait 24h > edit A > wait 24h", "composed", (), (STATIONARY_CONTROLS,)),
    ("wait 5h > medium BMP4 > wait 24h", "composed", (), (STATIONARY_CONTROLS,)),
    ("edit Z knockout 0 > wait 24h", "composed", (), (STATIONARY_CONTROLS,)),
    ("edit A > edit Z knockout 0 > wait 72h", "composed", (), ()),
    # steps that were harvested one by one
    ("edit A > wait 72h > medium BMP4 > wait 24h", "composed", (), (START_INDEPENDENT,)),
    ("edit A > wait 72h > medium BMP4 > wait 48h", "composed", (), (START_INDEPENDENT,)),
    ("edit C > wait 24h > medium BMP4 > wait 48h", "composed", (), (START_INDEPENDENT,)),
    ("medium BMP4 > wait 24h > edit A > wait 48h", "composed", (), (START_INDEPENDENT,)),
    ("edit B > wait 24h > edit A > wait 72h", "composed", (), (START_INDEPENDENT,)),
    ("medium BMP4 > wait 24h > medium mTeSR > edit A > wait 24h", "composed", (), (START_INDEPENDENT,)),
    # between harvested times and doses
    ("edit A > wait 48h", "interpolated", ("time",), (SMOOTH,)),
    ("edit C > wait 6h", "interpolated", ("time",), (SMOOTH,)),
    ("edit D crispri 0.6 > wait 48h", "interpolated", ("dose",), (SMOOTH,)),
    ("edit D crispri 0.6 > wait 24h", "interpolated", ("time", "dose"), (SMOOTH,)),
    ("edit A > wait 24h > medium BMP4 > wait 30h", "interpolated", ("time",), (SMOOTH,)),
    # beyond them
    ("edit A > wait 96h", "extrapolated", ("time",), (SETTLED,)),
    ("edit A > wait settled", "extrapolated", ("time",), (SETTLED,)),
    ("edit D crispri 1.0 > wait 48h", "extrapolated", ("dose",), (SMOOTH,)),
    ("medium BMP4 > wait 48h", "extrapolated", ("time",), (SETTLED,)),
    # doses of compounds
    ("dose inhibitor 500nM > wait 24h", "observed", (), ()),
    ("wait 5h > dose inhibitor 4uM > wait 24h", "composed", (), (STATIONARY_CONTROLS,)),
    ("dose inhibitor 2uM > wait 24h", "interpolated", ("dose",), (SMOOTH,)),
    ("dose inhibitor 2uM > wait 12h", "interpolated", ("time", "dose"), (SMOOTH,)),
    ("dose inhibitor 9uM > wait 24h", "extrapolated", ("dose",), (SMOOTH,)),
    ("dose inhibitor 0.1uM > wait 24h", "extrapolated", ("dose",), (SMOOTH,)),
    ("dose inhibitor 0uM > wait 120h", "composed", (), (STATIONARY_CONTROLS,)),
    ("dose inhibitor 4uM > wait 24h > medium mTeSR > wait 48h", "observed", (), ()),
    ("dose inhibitor 4uM > wait 24h > dose inhibitor 0uM > wait 24h", "interpolated", ("time",), (SMOOTH,)),
    ("dose inhibitor 2uM > wait 24h > dose inhibitor 0uM > wait 48h", "extrapolated", ("dose",), (SMOOTH,)),
    ("dose blocker 2uM > wait 24h", "extrapolated", ("kind",), (KNOWN_WIRING,)),
    ("edit B > dose inhibitor 4uM > wait 24h", "extrapolated", ("combination",), (ADDITIVE,)),
    # delays of an edit
    ("edit E onset 12h turnover 4h > wait 48h", "observed", (), ()),
    ("edit E onset 9h turnover 4h > wait 48h", "interpolated", ("onset",), (SMOOTH,)),
    ("edit E onset 9h turnover 8h > wait 48h", "extrapolated", ("onset",), (SMOOTH,)),
    ("edit E > wait 48h", "extrapolated", ("onset",), (SMOOTH,)),
    # passages and transplants
    ("edit A > passage 0.5 > wait 24h", "observed", (), ()),
    ("edit A > wait 24h > transplant 500 BMP4 > wait 48h", "observed", (), ()),
    # new edits, kinds, combinations, media
    ("edit Z > wait 24h", "extrapolated", ("edit",), (KNOWN_WIRING,)),
    ("edit A crispri 0.5 > wait 24h", "extrapolated", ("kind",), (KNOWN_WIRING,)),
    ("edit A > edit C > wait 24h", "extrapolated", ("combination",), (ADDITIVE,)),
    ("edit A > edit Z > wait 24h", "extrapolated", ("edit",), (KNOWN_WIRING,)),
    ("medium FGF2 > wait 24h", "extrapolated", ("medium",), (MEDIUM_INDEPENDENT,)),
    ("edit A > medium FGF2 > wait 24h", "extrapolated", ("medium",), (MEDIUM_INDEPENDENT,)),
    ("edit Z > medium FGF2 > wait 24h", "extrapolated", ("edit", "medium"), (KNOWN_WIRING, MEDIUM_INDEPENDENT)),
    ("edit B > medium BMP4 > wait 24h", "extrapolated", ("edit × medium",), (MEDIUM_INDEPENDENT,)),
    # the same changes in another order
    ("edit C > wait 24h > medium BMP4 > wait 24h", "extrapolated", ("order",), (COMMUTING,)),
    ("medium BMP4 > wait 24h > edit A > wait 72h", "extrapolated", ("order",), (COMMUTING,)),
]


@pytest.mark.parametrize(("query", "label", "axes", "assumptions"), CASES)
def test_a_query_is_labelled_by_what_was_harvested(query, label, axes, assumptions):
    found = SCREEN.coverage(history(query))
    assert (found.label, found.axes, found.assumptions) == (label, axes, assumptions)


@pytest.mark.parametrize(
    ("query", "support"),
    [
        ("edit A > wait 24h", ["edit A > wait 24h"]),
        ("edit A > wait 48h", ["edit A > wait 24h", "edit A > wait 72h"]),
        ("edit A > edit C > wait 24h", ["edit A > wait 24h", "edit A > wait 72h", "edit C > wait 24h"]),
        ("edit Z > wait 24h", []),
    ],
)
def test_the_conditions_that_an_answer_rests_on_are_named(query, support):
    found = SCREEN.coverage(history(query)).support
    assert [c for c in found if c.media == (None,)] == [history(text) for text in support]


def test_harvesting_what_is_missing_makes_a_query_observed():
    for query, *_ in CASES:
        found = SCREEN.coverage(history(query))
        assert (found.missing is None) == (found.label == "observed")
        if found.missing is not None:
            assert (
                Harvested(conditions=(*HARVESTED, found.missing), system=STEM).coverage(history(query)).label
                == "observed"
            )


def test_waiting_counts_where_cells_differentiate():
    embryo = Harvested(conditions=HARVESTED, system=EMBRYO)
    assert embryo.coverage(history("wait 120h")).axes == ("time",)
    late = embryo.coverage(history("wait 48h > edit A > wait 24h"))
    assert (late.label, late.assumptions) == ("composed", (START_INDEPENDENT,))
    early = embryo.coverage(history("wait 24h > edit Z > wait 24h"))
    assert (early.label, early.axes) == ("extrapolated", ("edit",))


def test_cells_that_were_treated_and_washed_are_not_cells_that_were_never_treated():
    texts = ("wait 48h", "wait 72h", "dose blocker 2uM > wait 24h", "dose blocker 2uM > wait 72h")
    washed = history("dose blocker 2uM > wait 24h > dose blocker 0uM > wait 48h")
    never = history("wait 72h")
    for system, label, axes in ((STEM, "extrapolated", ("protocol",)), (EMBRYO, "composed", ())):
        harvested = Harvested(conditions=tuple(map(history, texts)), system=system)
        assert harvested.coverage(never).label == "observed"
        found = harvested.coverage(washed)
        assert (found.label, found.axes, found.assumptions) == (label, axes, (START_INDEPENDENT,))
    only_washed = Harvested(conditions=(washed,), system=STEM)
    assert only_washed.coverage(washed).label == "observed"
    assert only_washed.coverage(never).label == "extrapolated"


def test_a_compound_washed_out_long_ago_is_no_combination_with_an_edit_made_alone():
    screen = Harvested(
        conditions=tuple(map(history, ("dose blocker 2uM > wait 24h", "edit B > wait 24h"))), system=STEM
    )
    asked = history("dose blocker 2uM > wait 24h > dose blocker 0uM > edit B > wait 24h")
    found = screen.coverage(asked)
    assert (found.label, found.assumptions) == ("composed", (START_INDEPENDENT,))


def test_cells_in_vivo_do_not_wait_for_nothing():
    harvested = Harvested(conditions=HARVESTED, system=replace(STEM, environment="in-vivo"))
    assert harvested.coverage(history("wait 120h")).axes == ("time",)
