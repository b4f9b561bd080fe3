"""A network in GraphML has every gene once, every edge with its direction, and numbers to the last digit."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from semimech._errors import DataError
from semimech.interpret import write_graphml

EDGES = pd.DataFrame(
    {
        "source": ["A", "B", "A"],
        "target": ["B", "A", "C<D"],
        "weight": [1 / 3, -2.0, float("nan")],
        "in_prior": [True, False, True],
    }
)
TAG = "{http://graphml.graphdrawing.org/xmlns}"


def test_genes_edges_and_attributes_are_read_back(tmp_path):
    write_graphml(EDGES, tmp_path / "network.graphml")
    root = ET.parse(tmp_path / "network.graphml").getroot()
    assert {key.get("id"): key.get("attr.type") for key in root.iter(f"{TAG}key")} == {
        "weight": "double",
        "in_prior": "boolean",
    }
    assert root.find(f"{TAG}graph").get("edgedefault") == "directed"
    assert [node.get("id") for node in root.iter(f"{TAG}node")] == ["A", "B", "C<D"]
    edges = list(root.iter(f"{TAG}edge"))
    assert [(e.get("source"), e.get("target")) for e in edges] == [("A", "B"), ("B", "A"), ("A", "C<D")]
    held = [{data.get("key"): data.text for data in edge} for edge in edges]
    assert float(held[0]["weight"]) == 1 / 3
    assert held[1] == {"weight": "-2.0", "in_prior": "false"}
    assert held[2] == {"in_prior": "true"}  # unknown is left out


def test_networkx_reads_it(tmp_path):
    networkx = pytest.importorskip("networkx")
    write_graphml(EDGES, tmp_path / "network.graphml")
    graph = networkx.read_graphml(tmp_path / "network.graphml")
    assert graph.is_directed()
    assert graph["A"]["B"] == {"weight": 1 / 3, "in_prior": True}


def test_a_table_without_names_is_refused(tmp_path):
    with pytest.raises(DataError, match="lack the columns"):
        write_graphml(pd.DataFrame({"from": ["A"], "target": ["B"]}), tmp_path / "network.graphml")
