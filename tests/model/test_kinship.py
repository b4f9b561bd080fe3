"""Tables of genes that act alike are read as they are, and say how much genes are alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semimech._errors import ConfigError, DataError
from semimech.model import Kinship, likeness, neighbour_profile, read_complexes, read_embedding
from semimech.model.kinship import embedding_profile, membership_profile

CORUM = (
    "ComplexID,ComplexName,Organism,subunits(Gene name),subunits(Gene name syn)\n"
    '1,"AB complex, long",Human,A;B,X Y\n2,BC complex,Human, B ;C;,Z\n3,BC complex,Human,B;D,Z\n'
)


def write(tmp_path, text: str):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def pairs(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(table[["complex", "gene"]].itertuples(index=False, name=None))


def alike(profile, n: int) -> np.ndarray:
    return likeness(profile, np.arange(n), np.arange(n))


def test_complexes_are_read_one_gene_a_row_or_as_corum_publishes_them(tmp_path):
    own = read_complexes(write(tmp_path, "complex\tgene\nP\tA\nP\tB\nP\tB\nQ\tNA\n"))
    assert pairs(own) == {("P", "A"), ("P", "B"), ("Q", "NA")} and len(own) == 3
    corum = read_complexes(write(tmp_path, CORUM))
    assert pairs(corum) == {
        ("AB complex, long", "A"),
        ("AB complex, long", "B"),
        *(("BC complex", gene) for gene in "BCD"),
    }


def test_every_fault_of_a_table_of_complexes_is_listed(tmp_path):
    with pytest.raises(DataError, match=r"2 faults[\s\S]*'complex' is missing[\s\S]*'gene' is missing"):
        read_complexes(write(tmp_path, "a\tb\n1\t2\n"))
    with pytest.raises(
        DataError, match=r"2 faults[\s\S]*complex has no name, in rows 3[\s\S]*gene has no name, in rows 4"
    ):
        read_complexes(write(tmp_path, "complex\tgene\nP\tA\n\tB\nP\t\n"))
    with pytest.raises(DataError, match="gene_symbol and symbol could each be the gene"):
        read_complexes(write(tmp_path, "complex\tgene_symbol\tsymbol\nP\tA\tA\n"))
    with pytest.raises(DataError, match="holds no gene"):
        read_complexes(write(tmp_path, "complex\tgene\n"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_complexes(tmp_path / "absent.tsv")


def test_an_embedding_is_read_and_every_fault_of_it_is_listed(tmp_path):
    table = read_embedding(write(tmp_path, "gene\tx\ty\nA\t1\t2e-1\nNAN\t-1\t0\n"))
    assert table.index.tolist() == ["A", "NAN"]
    np.testing.assert_allclose(table.to_numpy(), [[1.0, 0.2], [-1.0, 0.0]])
    fault = r"3 faults[\s\S]*no name, in rows 3[\s\S]*again, in rows 4[\s\S]*no finite number, in rows 4, 5"
    with pytest.raises(DataError, match=fault):
        read_embedding(write(tmp_path, "gene\tx\ty\nA\t1\t2\n\t1\t2\nA\t\t2\nB\tinf\t1\n"))
    with pytest.raises(DataError, match="has 2 columns and 0 rows"):
        read_embedding(write(tmp_path, "gene\tx\n"))


def test_kinship_lists_every_table_that_is_none():
    with pytest.raises(DataError, match=r"2 faults[\s\S]*one: column 'gene' is missing[\s\S]*two: holds no gene"):
        Kinship(complexes={"one": pd.DataFrame({"complex": ["P"]})}, embeddings={"two": pd.DataFrame({"x": []})})
    found = Kinship(
        complexes={"one": pd.DataFrame({"complex": ["P"], "gene": ["A"]})},
        embeddings={"two": pd.DataFrame({"x": [1.0]}, index=["B"])},
    )
    assert found.genes == {"A", "B"} and list(found.profiles(["A"])) == ["one", "two"]


def test_genes_of_the_same_complexes_are_wholly_alike_and_small_complexes_count_more():
    table = pd.DataFrame({"complex": list("PPQQQQRRR"), "gene": list("ABABCDABE")})
    found = alike(membership_profile(table, list("ABCEZ")), 5)
    assert found[0, 1] == pytest.approx(1.0)
    # A is in complexes of 2, 4 and 3 genes, C and E in one of them: the root of that one's share of 1/2 + 1/4 + 1/3
    assert found[0, 2] == pytest.approx(np.sqrt((1 / 4) / (1 / 2 + 1 / 4 + 1 / 3)))
    assert found[0, 3] == pytest.approx(np.sqrt((1 / 3) / (1 / 2 + 1 / 4 + 1 / 3)))
    assert found[2, 3] == 0.0
    assert not found[4].any()


def test_genes_with_the_same_regulators_or_targets_are_alike_and_those_apart_are_not():
    edges = pd.DataFrame({"source": list("TTTUR"), "target": list("ABCDA")})
    names = ["A", "B", "C", "D", "T", "Z"]
    found = alike(neighbour_profile(edges, names), 6)
    np.testing.assert_allclose(np.diagonal(found)[:5], 1.0)
    assert found[1, 2] > found[0, 1] > 0  # A has another regulator beside T
    assert found[1, 4] > 0 and found[1, 3] == 0 and not found[5].any()
    np.testing.assert_allclose(found, found.T)


def test_embeddings_are_alike_by_the_cosine_around_their_mean():
    table = pd.DataFrame([[3.0, 0.0], [1.0, 0.0], [2.0, 1.0], [2.0, -1.0]], index=list("ABCD"))
    found = alike(embedding_profile(table, list("ABCDZ")), 5)
    np.testing.assert_allclose(found[:4, :4], [[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]], atol=1e-12)
    assert not found[4].any()
