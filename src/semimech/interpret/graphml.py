"""Networks as GraphML, the format that NetworkX, Cytoscape, Gephi and yEd read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd

from semimech._errors import DataError
from semimech._files import replacing

_NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
_TYPES = {"b": "boolean", "i": "long", "f": "double"}


def write_graphml(edges: pd.DataFrame, path: str | Path) -> None:
    """Write a table of edges as a directed graph.

    Parameters
    ----------
    edges
        Columns ``source`` and ``target``; every other column becomes an attribute of the edges. For instance
        `semimech.signed_edges`, ``FittedModel.network()`` or `semimech.interpret.scm_table`.
    path
        Where; a file that is there is replaced. ``networkx.read_graphml(path)`` reads it.

    Raises
    ------
    DataError
        If a column of names is missing.
    ConfigError
        If the place cannot be written to.

    References
    ----------
    Brandes et al., GraphML progress report, Graph Drawing, LNCS 2265, 501 (2001).
    """
    missing = [name for name in ("source", "target") if name not in edges.columns]
    if missing:
        raise DataError(f"edges lack the columns {missing}: a network has columns source and target")
    root = ET.Element("graphml", xmlns=_NAMESPACE)
    attributes = [str(name) for name in edges.columns if name not in ("source", "target")]
    for name in attributes:
        kind = _TYPES.get(edges[name].dtype.kind, "string")
        ET.SubElement(root, "key", {"id": name, "for": "edge", "attr.name": name, "attr.type": kind})
    graph = ET.SubElement(root, "graph", edgedefault="directed")
    for gene in dict.fromkeys([*edges["source"], *edges["target"]]):
        ET.SubElement(graph, "node", id=str(gene))
    for row in edges.to_dict("records"):
        edge = ET.SubElement(graph, "edge", source=str(row["source"]), target=str(row["target"]))
        for name in attributes:
            if row[name] == row[name] and row[name] is not None:
                ET.SubElement(edge, "data", key=name).text = _written(row[name])
    ET.indent(root)
    with replacing(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)
