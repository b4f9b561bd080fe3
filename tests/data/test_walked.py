from __future__ import annotations

import os
from pathlib import Path

import h5py
import pytest
from small_screens import screen

from semimech._errors import DataError
from semimech.data import check, read, walked


@pytest.fixture
def own_walker(monkeypatch):
    """A walker of this test's own."""
    walker = walked._Walker()
    monkeypatch.setattr(walked, "_walker", lambda process_id: walker)
    walked._fault.cache_clear()
    yield walker
    walker.close()
    walked._fault.cache_clear()


@pytest.fixture
def endless(tmp_path) -> Path:
    """A file at which HDF5 (1.14) never ends: the first text in its heap has a size of 0 bytes, so that there is no step to the next."""
    path = tmp_path / "screen.h5ad"
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
    content = bytearray(path.read_bytes())
    heap = content.find(b"GCOL")
    content[heap + 24 : heap + 32] = bytes(8)
    path.write_bytes(content)
    return path


def test_a_file_that_cannot_be_read_to_an_end_is_refused(own_walker, monkeypatch, endless):
    monkeypatch.setattr(walked, "PATIENCE", 1.0)
    with pytest.raises(DataError, match=r"screen.h5ad: damaged, so that reading it does not end"):
        read(endless)
    row = check(endless).set_index("check").loc["readable file"]
    assert row["severity"] == "fail" and "does not end" in row["evidence"]


def test_a_file_that_kills_the_library_is_refused_and_the_next_one_is_walked(own_walker, monkeypatch, tmp_path):
    path = tmp_path / "sound.h5ad"
    screen(n=3).write_h5ad(path)
    walk = tmp_path / "walk.py"
    walk.write_text("print('ready', flush=True); input(); raise SystemExit(139)")
    monkeypatch.setattr(walked, "_WALK", walk)
    with pytest.raises(DataError, match="the library of HDF5 dies of it"):
        walked.refuse_endless(path)
    monkeypatch.undo()
    walked._fault.cache_clear()
    assert own_walker.fault(path) == ""


def test_where_no_process_can_be_had_files_are_read_without_a_walk(own_walker, monkeypatch, tmp_path):
    monkeypatch.setattr(walked, "_WALK", tmp_path / "missing.py")
    screen(n=3).write_h5ad(tmp_path / "screen.h5ad")
    assert own_walker.fault(tmp_path / "screen.h5ad") == ""
    assert (check(tmp_path / "screen.h5ad")["severity"] != "fail").all()


def test_a_walk_reads_texts_and_leaves_large_numbers(own_walker, tmp_path):
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("texts", data=["a"] * 25_000)
        file.create_dataset("numbers", shape=(1 << 40,), chunks=(1 << 20,), dtype="f8")
    assert own_walker.fault(tmp_path / "large.h5") == ""


def test_a_fork_has_a_walker_of_its_own():
    assert walked._walker(os.getpid()) is walked._walker(os.getpid())
    assert walked._walker(os.getpid()) is not walked._walker(-1)
