"""Random protocols, for property tests."""

from __future__ import annotations

import math

import hypothesis.strategies as st

from semimech.experiment import CONTROL, EDIT_KINDS, Edit, Experiment, Harvest, SetMedia, Wait

_TEXT = st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='>"')
_WORD = st.text(_TEXT, min_size=1, max_size=6)
NAMES = st.lists(_WORD, min_size=1, max_size=3).map(" ".join)
GENES = NAMES.map(lambda name: name.replace("+", "p")).filter(lambda name: name != CONTROL)
HOURS = st.floats(0, 1e4, allow_subnormal=False) | st.integers(0, 1000) | st.just(math.inf)
EDITS = st.builds(Edit, gene=GENES, kind=st.sampled_from(EDIT_KINDS), efficacy=st.floats(0, 1))


@st.composite
def _experiments(draw: st.DrawFn) -> Experiment:
    edits = draw(st.lists(EDITS, max_size=3, unique_by=lambda edit: edit.gene))
    media = draw(st.lists(st.builds(SetMedia, name=NAMES), max_size=2))
    waits = draw(st.lists(st.builds(Wait, hours=HOURS), max_size=4))
    harvests = draw(st.lists(st.builds(Harvest, label=NAMES), min_size=1, max_size=3, unique_by=lambda h: h.label))
    return Experiment(id=draw(NAMES), steps=tuple(draw(st.permutations([*edits, *media, *waits, *harvests]))))


EXPERIMENTS = _experiments()
