from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pandas as pd
import pytest

from semimech.data.labels import genes_of_label, is_control_label, read_perturbations, target_of_guide

GENE = st.from_regex(r"[A-Z][A-Z0-9]{1,6}", fullmatch=True).filter(lambda g: not is_control_label(g))


@pytest.mark.parametrize(
    "label",
    [
        *("ctrl", "Control", "NT", "ntc", "non-targeting", "Non_Targeting", "non-targeting_12", "DMSO", "unperturbed"),
        *("WT", "wild type", "control-3", "untreated", "mock", "ctrl+ctrl"),
    ],
)
def test_labels_of_the_field_mean_unedited_in_any_case(label):
    assert genes_of_label(label, control=None) == ()


@pytest.mark.parametrize("gene", ["WT1", "NT5E", "MOCS1", "CTRC", "NEGR1"])
def test_genes_whose_names_begin_like_a_control_are_genes(gene):
    assert genes_of_label(gene, control=None) == (gene,)


@hypothesis.given(first=GENE, second=GENE)
def test_the_order_of_a_combination_does_not_matter(first, second):
    assert genes_of_label(f"{first}+{second}", control=None) == genes_of_label(f"{second} + {first}", control=None)


@hypothesis.given(gene=GENE, control=st.sampled_from(["ctrl", "Control", "NT"]))
def test_a_gene_beside_control_is_that_gene_alone(gene, control):
    assert (
        genes_of_label(f"{gene}+{control}", control=None)
        == genes_of_label(f"{control}+{gene}", control="other")
        == (gene,)
    )


def test_a_named_control_is_the_only_one():
    assert genes_of_label("GFP", control="GFP") == ()
    assert genes_of_label("DMSO", control="GFP") == ("DMSO",)


@pytest.mark.parametrize(
    ("guide", "target"),
    [
        ("SOX2_g1", "SOX2"),
        ("SOX2g12", "SOX2"),
        ("SOX2-3", "SOX2"),
        ("NTg5", "NT"),
        ("ZIC9_1", "ZIC9_1"),
        ("SOX2", "SOX2"),
    ],
)
def test_a_numbered_guide_edits_its_gene_if_that_is_measured(guide, target):
    assert target_of_guide(guide, {"SOX2", "SOX"}) == target


def test_guides_of_one_gene_are_the_same_edit():
    column = pd.Series(["A_g1", "A_g2", "NTg1"], name="guide")
    found, faults = read_perturbations(column, pd.DataFrame(index=["A", "B"]), control=None)
    assert faults == () and [found.edits[c] for c in found.code] == [("A",), ("A",), ()]


def test_edits_named_by_symbol_give_the_genes_their_symbols():
    var = pd.DataFrame({"gene_symbol": ["SOX2", "MYC"]}, index=["ENSG1", "ENSG2"])
    found, _ = read_perturbations(pd.Series(["MYC", "ctrl"], name="gene"), var, control=None)
    assert found.genes == ("SOX2", "MYC")
    found, _ = read_perturbations(pd.Series(["ENSG2", "ctrl"], name="gene"), var, control=None)
    assert found.genes == ("ENSG1", "ENSG2")
