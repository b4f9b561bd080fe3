from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from fuzzed import MUTATIONS, damage, outcome, structures, written
from hypothesis import HealthCheck, Phase, assume, given, settings
from small_screens import screen


@settings(max_examples=20, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=structures())
def test_a_file_of_any_structure_is_read_or_refused_with_our_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "screen.h5ad"
    assume(written(data, path))
    assert outcome(path) in ("read", "refused")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "screen.h5ad"
    screen(n=3).write_h5ad(path)
    return path


@settings(max_examples=20, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(mutation=st.sampled_from(MUTATIONS[1:3]), place=st.floats(0, 1), seed=st.integers(0, 10_000))
def test_a_damaged_file_is_read_or_refused_with_our_error(tmp_path_factory, sound, mutation, place, seed):
    path = tmp_path_factory.mktemp("fuzz") / "screen.h5ad"
    path.write_bytes(damage(sound.read_bytes(), mutation, place, seed))
    assert outcome(path) in ("read", "refused")
