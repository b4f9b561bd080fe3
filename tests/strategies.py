"""Random protocols, for property tests."""

from __future__ import annotations

import math

import hypothesis.strategies as st

from semimech.experiment import (
    CONTROL,
    EDIT_KINDS,
    Dose,
    Edit,
    Experiment,
    Harvest,
    Passage,
    SetMedia,
    Transplant,
    Wait,
)

_TEXT = st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='>"')
_WORD = st.text(_TEXT, min_size=1, max_size=6)
NAMES = st.lists(_WORD, min_size=1, max_size=3).map(" ".join)
GENES = NAMES.map(lambda name: name.replace("+", "p")).filter(lambda name: name != CONTROL)
HOURS = st.floats(0, 1e4, allow_subnormal=False) | st.integers(0, 1000) | st.just(math.inf)
DELAYS = st.just(0.0) | st.floats(0, 1e3, allow_subnormal=False)
EDITS = st.builds(
    Edit,
    gene=GENES,
    kind=st.sampled_from(EDIT_KINDS),
    efficacy=st.floats(0, 1),
    onset_hours=DELAYS,
    turnover_hours=DELAYS,
)
CELLS = st.integers(1, 10**9)
LABELS = NAMES | st.sampled_from(["2000cells", "day 5 20cells"])
OTHERS = (
    st.builds(SetMedia, name=NAMES)
    | st.builds(Passage, fraction=st.floats(0, 1, exclude_min=True))
    | st.builds(Transplant, founders=CELLS, niche=NAMES)
)


@st.composite
def _experiments(draw: st.DrawFn, *, dosed: bool) -> Experiment:
    edits = draw(st.lists(EDITS, max_size=3, unique_by=lambda edit: edit.gene))
    compounds = draw(st.lists(GENES, min_size=1, max_size=2)) if dosed else []
    doses = draw(
        st.lists(st.builds(Dose, compound=st.sampled_from(compounds), concentration=st.floats(0, 1e6)), max_size=3)
        if dosed
        else st.just([])
    )
    others = draw(st.lists(OTHERS, max_size=2))
    waits = draw(st.lists(st.builds(Wait, hours=HOURS), max_size=4))
    harvest = st.builds(Harvest, label=LABELS, cells=st.none() | CELLS)
    harvests = draw(st.lists(harvest, min_size=1, max_size=3, unique_by=lambda h: h.label))
    steps = draw(st.permutations([*edits, *doses, *others, *waits, *harvests]))
    return Experiment(id=draw(NAMES), steps=tuple(steps))


EXPERIMENTS = _experiments(dosed=True)
"""Every kind of step."""
UNDOSED = _experiments(dosed=False)
"""Every kind of step but doses, which need to be resolved before they are compiled."""
