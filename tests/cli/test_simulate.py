"""The presets of the command that simulates."""

from __future__ import annotations

import anndata as ad
import pytest
from small_commands import call

from semimech.data import read


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
