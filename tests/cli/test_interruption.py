"""Fits that are stopped, and go on as if they had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_commands import call, start
from small_screens import screen

SLOW = """
steady_state = "none"
sparsities = [0.1]
n_folds = 2
n_members = 2
n_steps = 2000
validation_steps = 10
checkpoint_every = 20
"""


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Commands under test listen to Ctrl-C, also where the tests run in the background, whose processes are told not to."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A small screen in a file."""
    path = tmp_path_factory.mktemp("stopped") / "screen.h5ad"
    screen().write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Path:
    """Settings of a fit with 100 checkpoints."""
    path = tmp_path_factory.mktemp("slow") / "slow.toml"
    path.write_text(SLOW)
    return path


def stop(process: subprocess.Popen, folder: Path, number: int) -> tuple[int, str]:
    """Send a signal as soon as the final fit has left a checkpoint, newer than the one that may be there."""
    checkpoint = folder / "checkpoint" / "fit" / "final_fit-0.npz"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    deadline = time.monotonic() + 240
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.02)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def test_ctrl_c_tells_how_to_go_on_and_a_killed_fit_ends_where_an_uninterrupted_one_does(data, slow, tmp_path):
    arguments = ("fit", data, "--config", slow, "--out")
    code, err = stop(start(*arguments, tmp_path / "a"), tmp_path / "a", signal.SIGINT)
    assert code == 130
    assert "--resume goes on from the last checkpoint" in err
    assert "Traceback" not in err
    assert not (tmp_path / "a" / "model").exists()

    code, _ = stop(start(*arguments, tmp_path / "a", "--resume"), tmp_path / "a", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not (tmp_path / "a" / "model").exists()

    for done in (call(*arguments, tmp_path / "a", "--resume"), call(*arguments, tmp_path / "b")):
        assert done.code == 0, done.err
    resumed, whole = (tmp_path / name / "model" / "arrays.npz" for name in "ab")
    assert resumed.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "a" / "checkpoint").exists()


def test_a_fit_of_other_settings_does_not_go_on_from_this_one(data, settings, slow, tmp_path):
    checkpoint = tmp_path / "checkpoint" / "fit"
    checkpoint.mkdir(parents=True)
    (checkpoint / "fit.toml").write_text("n_steps = 7\n")
    done = call("fit", data, "--out", tmp_path, "--config", settings, "--resume")
    assert done.code == 2
    assert "other data or settings" in done.err
    anew = call("fit", data, "--out", tmp_path, "--config", settings)
    assert anew.code == 0, anew.err


def test_a_folder_named_checkpoint_that_is_not_ours_is_left_alone(data, settings, tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "precious.txt").write_text("precious")
    done = call("fit", data, "--out", tmp_path, "--config", settings)
    assert done.code == 0, done.err
    assert [p.name for p in (tmp_path / "checkpoint").iterdir()] == ["precious.txt"]
