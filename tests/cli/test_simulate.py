"""The presets of the command that simulates."""

from __future__ import annotations

import importlib

import anndata as ad
import pytest
from small_commands import call

from semimech.data import read
from semimech.simulate import stream

command = importlib.import_module("semimech.cli.simulate")


@pytest.mark.parametrize("preset", ["endoderm_differentiation", "drug_combination"])
def test_a_preset_is_written_and_read(preset, tmp_path):
    out = tmp_path / "screen.h5ad"
    sizes = ("--genes", 14, "--edits", 2, "--doubles", 1, "--cells", 6, "--control-cells", 30)
    done = call("simulate", "--preset", preset, *sizes, "--out", out)
    assert done.code == 0, done.err
    table = out.with_suffix(".experiments.tsv")
    assert table.exists() == (preset == "drug_combination")
    data = read(out, experiments=table) if table.exists() else read(out)
    truth = ad.read_h5ad(out).uns["truth"]["conditions"]
    assert len(data.conditions) == len(truth)
    assert sorted(c.hours for c in data.conditions) == sorted(truth["hours"])


def test_an_unknown_preset_is_told_the_known_ones(tmp_path):
    done = call("simulate", "--preset", "somewhere", "--out", tmp_path / "s.h5ad")
    assert done.code == 2
    assert "ipsc_maintenance, endoderm_differentiation, drug_combination" in done.err


SMALL = ("--genes", 14, "--edits", 2, "--doubles", 1, "--cells", 40, "--control-cells", 300)


def test_a_screen_is_streamed_with_progress_to_a_file_that_reads_as_any_other(tmp_path):
    streamed, plain = tmp_path / "streamed.h5ad", tmp_path / "plain.h5ad"
    done = call("simulate", *SMALL, "--stream", "--states", 32, "--out", streamed)
    assert done.code == 0, done.err
    assert "the cells of a condition take the states of 32 simulated cells" in done.err
    n = ad.read_h5ad(streamed).n_obs
    assert f"writing: {n} cells" in done.err
    assert done.out == f"{streamed}\t{n} cells\t14 genes\n"
    done = call("simulate", *SMALL, "--out", plain)
    assert "streaming" not in done.err
    assert read(streamed).conditions == read(plain).conditions
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.h5ad", "streamed.h5ad"]


def test_a_screen_too_large_for_memory_is_streamed_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "STREAM_FROM", 1000)
    assert "streaming" in call("simulate", *SMALL, "--states", 8, "--out", tmp_path / "a.h5ad").err
    assert "streaming" not in call("simulate", *SMALL, "--no-stream", "--out", tmp_path / "b.h5ad").err


def test_a_stream_that_breaks_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stream, "_describe", full)
    done = call("simulate", *SMALL, "--stream", "--states", 8, "--out", tmp_path / "a.h5ad")
    assert done.code == 2 and "No space left on device" in done.err
    assert not list(tmp_path.iterdir())
