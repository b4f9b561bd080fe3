from __future__ import annotations

import io

import pandas as pd
import pytest
from small_commands import call

import semimech


def test_the_table_of_the_order_effect_is_that_of_the_library(finished):
    model = semimech.load(finished.folder / "model")
    gene, other = sorted({edit.gene for condition in model.training for edit in condition.edits})[:2]
    asked = f"edit {gene} > wait 2d", f"edit {other} crispri 0.5 > wait 1d"
    done = call("order", finished.folder, "--first", asked[0], "--second", asked[1])
    assert done.code == 0, done.err
    effect = semimech.order_effect(model, *asked)
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert table["gene"].tolist() == effect.table["gene"].tolist()
    assert table["difference"].to_numpy() == pytest.approx(effect.table["difference"].to_numpy(), rel=1e-3, abs=1e-12)
    assert done.err.strip() == f"size {effect.size:.4g}, standard error {effect.standard_error:.4g}"


def test_a_gene_edited_in_both_protocols_is_an_error_in_words(finished):
    gene = semimech.load(finished.folder / "model").genes[0]
    done = call("order", finished.folder, "--first", f"edit {gene} > wait 1d", "--second", f"edit {gene} > wait 2d")
    assert done.code == 2
    assert f"gene '{gene}' is edited twice" in done.err
    assert not done.out
