"""What the commands make of a system that is declared."""

from __future__ import annotations

import pytest
from small_commands import SETTINGS, call

from semimech.fit import load


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (("--differentiating",), "declared differentiating, so unedited cells are not stationary: use 'none'"),
        (("--environment", "in-vivo"), "declared in-vivo, and transplantation breaks the stationarity"),
    ],
)
def test_a_steady_state_loss_on_moving_cells_is_refused_with_the_reason(screen_file, tmp_path, declared, why):
    (tmp_path / "settings.toml").write_text(SETTINGS.replace('"none"', '"mean"'))
    done = call("fit", screen_file, "--out", tmp_path / "out", "--config", tmp_path / "settings.toml", *declared)
    assert done.code == 2
    assert why in done.err.replace("\n", " ")
    assert not (tmp_path / "out" / "model").exists()


def test_what_was_declared_is_kept_with_the_model(screen_file, settings, tmp_path):
    declared = ("--environment", "in-vivo", "--start", "learned", "--differentiating")
    done = call("fit", screen_file, "--out", tmp_path, "--config", settings, *declared)
    assert done.code == 0, done.err
    system = load(tmp_path / "model").system
    assert (system.environment, system.start, system.is_differentiating) == ("in-vivo", "learned", True)
    assert len(system.genes) == 25
    assert "note\tThe system is declared differentiating" in done.out


def test_declarations_that_cannot_be_are_findings_of_the_check(screen_file):
    done = call("check", screen_file, "--environment", "abroad")
    assert done.code == 1 and "environment must be in-vitro or in-vivo, got 'abroad'" in done.out
    done = call("check", screen_file, "--start", "observed")
    assert done.code == 1 and "unedited cells harvested at time 0; there are none" in done.out
