"""The scripts in examples/ are short and do what they say."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest
from small_screens import screen

from semimech.baselines import BASELINES
from semimech.evaluate import CEILING

FOLDER = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A small screen in a file."""
    path = tmp_path_factory.mktemp("examples") / "screen.h5ad"
    screen(perturbations=("control", "A", "B", "C", "D", "A+B"), n=10).write_h5ad(path)
    return path


def run(name: str, *arguments: object) -> pd.DataFrame:
    command = [sys.executable, str(FOLDER / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(io.StringIO(done.stdout), sep="\t")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_and_run_here(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert f'"{path.name}"' in Path(__file__).read_text(encoding="utf-8")


def test_pairs_that_were_not_measured_are_predicted(data, tmp_path):
    table = run("predict_unmeasured_pairs.py", data, tmp_path / "pairs.h5ad", "--steps", 10, "--hours", 72)
    assert list(table["pair"]) == ["A+C", "A+D", "B+C", "B+D", "C+D"]
    assert (table["lower"] <= table["change"]).all()
    assert (table["change"] <= table["upper"]).all()
    assert not any(gene in pair.split("+") for pair, gene in zip(table["pair"], table["gene"], strict=True))
    assert list(ad.read_h5ad(tmp_path / "pairs.h5ad").obs["perturbation"]) == ["control", *table["pair"]]


def test_predictors_are_compared_on_the_same_edits(data):
    table = run("compare_predictors.py", data, "--steps", 10, "--folds", 2).set_index("predictor")
    names = {"semi-mechanistic", "without steady-state loss"} | {b.name for b in BASELINES} | {CEILING}
    scored = table[table["n_conditions"] > 0]
    assert {"semi-mechanistic", "without steady-state loss", "mean of edits", "no change"} <= set(scored.index) <= names
    assert set(scored["n_conditions"]) == {8}
