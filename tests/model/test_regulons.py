"""Published tables of regulation are read as they are, and their contradictions are told."""

from __future__ import annotations

import pandas as pd
import pytest

from semimech._errors import ConfigError, DataError
from semimech.model import merge_regulons, read_regulon


def read(tmp_path, text: str) -> pd.DataFrame:
    path = tmp_path / "table.tsv"
    path.write_text(text)
    return read_regulon(path)


def rows(table: pd.DataFrame) -> list[tuple]:
    return list(table[["source", "target", "sign"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    "text",
    [
        'source,target,weight\n"A","B",1\n"A","C",-1\n',
        "tf,confidence,target,mor\nA,B,B,1.0\nA,A,C,-0.5\n",
        "Gene1\tGene2\tMode_of_Regulation\tPMID\nA\tB\tActivation\t1;2\nA\tC\tRepression\t3\n",
        "A\tB\tActivation\t1;2\nA\tC\tRepression\t3\n",
        "source\ttarget\tsign\nA\tB\t+\nA\tC\t-\n",
        "sign\tweight\tsource\ttarget\n1\t-0.5\tA\tB\n-1\t0.5\tA\tC\n",
    ],
    ids=["CollecTRI", "DoRothEA", "TRRUST", "TRRUST without header", "signs as characters", "own names win"],
)
def test_each_source_is_read_in_its_own_format(tmp_path, text):
    assert rows(read(tmp_path, text)) == [("A", "B", 1), ("A", "C", -1)]


def test_a_table_without_signs_knows_none_and_names_that_look_missing_stay_names(tmp_path):
    assert rows(read(tmp_path, "source\ttarget\nNA\tNAN\n")) == [("NA", "NAN", 0)]


def test_an_edge_that_a_table_lists_with_both_signs_has_none_and_unknown_adds_nothing(tmp_path):
    table = read(tmp_path, "source\ttarget\tsign\nA\tB\t1\nA\tB\t-1\nA\tC\t0\nA\tC\t-1\n")
    assert rows(table) == [("A", "B", 0), ("A", "C", -1)]


def test_the_best_confidence_of_an_edge_is_kept(tmp_path):
    table = read(tmp_path, "tf,target,mor,confidence\nA,B,1,C\nA,B,1,A\n")
    assert table["confidence"].tolist() == ["A"]


def test_every_fault_of_a_table_is_listed_with_its_rows(tmp_path):
    with pytest.raises(DataError, match=r"2 faults[\s\S]*rows 3: remove[\s\S]*rows 2, 4 \('up', 'down'\)"):
        read(tmp_path, "source\ttarget\tsign\nA\tB\tup\n\tC\t1\nA\tD\tdown\n")
    with pytest.raises(DataError, match=r"2 faults[\s\S]*'source' is missing[\s\S]*'target' is missing"):
        read(tmp_path, "a\tb\n1\t2\n")
    with pytest.raises(DataError, match=r"columns mor and weight could each be the sign"):
        read(tmp_path, "source\ttarget\tmor\tweight\nA\tB\t1\t1\n")
    with pytest.raises(DataError, match="in rows 2: remove"):
        read(tmp_path, "A\tB\tActivation\t1\nA\t\tUnknown\t2\n")
    with pytest.raises(ConfigError, match="cannot be read as a table of edges"):
        read_regulon(tmp_path / "absent.tsv")


def test_tables_are_merged_and_where_they_contradict_each_other_the_sign_is_unknown():
    def table(*edges):
        return pd.DataFrame(edges, columns=["source", "target", "sign"])

    merged = merge_regulons(
        {
            "one": table(("A", "B", 1), ("A", "C", 1), ("A", "D", 0)),
            "two": table(("A", "B", -1), ("A", "C", 0), ("A", "D", 0), ("B", "D", -1)),
        }
    )
    assert rows(merged) == [("A", "B", 0), ("A", "C", 1), ("A", "D", 0), ("B", "D", -1)]
    assert merged["is_contradicted"].tolist() == [True, False, False, False]
    assert merged["known_from"].tolist() == ["one;two", "one;two", "one;two", "two"]
    with pytest.raises(DataError, match="no table"):
        merge_regulons({})


@pytest.mark.parametrize("name", ["collectri.csv", "dorothea_hs_ABC.csv", "trrust_rawdata.human.tsv"])
def test_the_tables_that_people_have_are_read_whole(shared_data, name):
    path = shared_data(f"priors/{name}")
    table = read_regulon(path)
    lines = {tuple(line.split("\t" if name.endswith("tsv") else ",")) for line in path.read_text().splitlines()[1:]}
    source, target = {"collectri.csv": (0, 1), "dorothea_hs_ABC.csv": (0, 2)}.get(name, (0, 1))
    assert len(table) == len({(line[source], line[target]) for line in lines})
    assert table["sign"].isin([-1, 0, 1]).all()
    assert (table["sign"] != 0).mean() > 0.3
