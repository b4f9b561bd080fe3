from __future__ import annotations

import io

import pandas as pd
import pytest
from small_commands import call
from small_screens import screen

from semimech.assumptions import ASSUMPTIONS, FAMILIES


@pytest.fixture(scope="module")
def confounded(tmp_path_factory):
    """A screen with an edit in a batch of its own."""
    data = screen(n=15, depth=200.0)
    data.obs.loc[data.obs["perturbation"] == "A", "batch"] = "alone"
    path = tmp_path_factory.mktemp("audit") / "confounded.h5ad"
    data.write_h5ad(path)
    return path


def test_families_stand_against_assumptions_and_findings_are_written(screen_file, tmp_path):
    done = call("audit", screen_file, "--out", tmp_path / "audit")
    assert done.code == 0
    table = pd.read_csv(io.StringIO(done.out), sep="\t", keep_default_na=False)
    assert list(table.columns) == ["family", "verdict", "conclusion", *(a.id for a in ASSUMPTIONS)]
    assert list(table["family"]) == [family.id for family in FAMILIES]
    findings = pd.read_csv(tmp_path / "audit" / "findings.tsv", sep="\t")
    assert list(findings["assumption"]) == [a.id for a in ASSUMPTIONS]
    assert set(findings["verdict"]) <= {"holds", "fails", "cannot tell"}
    assert (tmp_path / "audit" / "families.tsv").exists()


def test_a_required_family_whose_assumption_fails_gives_exit_code_1(confounded):
    assert call("audit", confounded).code == 0
    done = call("audit", confounded, "--require", "additive")
    assert done.code == 1
    assert "additive baseline not without care: batch not confounded with edits" in done.err


def test_an_unknown_family_is_an_error_in_words(confounded):
    done = call("audit", confounded, "--require", "gears")
    assert done.code == 2
    assert done.err.startswith("semimech: family 'gears' is unknown")
    assert done.out == ""
