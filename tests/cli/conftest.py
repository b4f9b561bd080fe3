"""A tiny screen that went through every command once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import pytest
from small_commands import SETTINGS, Done, call

SHAPE = ("--genes", "25", "--edits", "6", "--doubles", "2", "--cells", "12", "--control-cells", "60")


@pytest.fixture(scope="session")
def settings(tmp_path_factory) -> Path:
    """Settings of a fit that takes seconds."""
    path = tmp_path_factory.mktemp("settings") / "quick.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="session")
def screen_file(tmp_path_factory) -> Path:
    """A simulated screen of 25 genes, 6 knockouts and 2 pairs."""
    path = tmp_path_factory.mktemp("screen") / "screen.h5ad"
    done = call("simulate", *SHAPE, "--out", path)
    assert done.code == 0, done.err
    return path


@pytest.fixture(scope="session")
def cells(screen_file) -> ad.AnnData:
    """The cells of that screen; copy before changing them."""
    return ad.read_h5ad(screen_file)


@dataclass(frozen=True)
class Finished:
    """A run, and what it printed."""

    folder: Path
    done: Done


@pytest.fixture(scope="session")
def finished(screen_file, settings, tmp_path_factory) -> Finished:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished") / "results"
    done = call("run", screen_file, "--out", folder, "--config", settings, "--folds", "2", "--error-budget")
    assert done.code == 0, done.err
    return Finished(folder=folder, done=done)
