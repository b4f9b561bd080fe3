"""Tables of the benchmark of known wiring, and its page."""

from __future__ import annotations

import numpy as np
import pandas as pd
from benchmarks.wiring import NONE, VALIDATED, page, tables_of


def test_a_permuted_table_has_as_many_edges_between_other_genes_and_both_hold_both():
    genes = [f"G{i}" for i in range(12)]
    edges = pd.DataFrame({"source": genes[:8], "target": genes[4:]})
    arms = tables_of(edges, genes, np.random.default_rng(0))
    assert [len(arms[name]) for name in ("true + 20 % false", "permuted")] == [8, 8]
    pairs = {name: set(zip(table["source"], table["target"], strict=True)) for name, table in arms.items()}
    assert pairs["true + 20 % false"] == set(zip(edges["source"], edges["target"], strict=True))
    assert pairs["permuted"] != pairs["true + 20 % false"]
    assert pairs["both"] == pairs["permuted"] | pairs["true + 20 % false"]
    assert set(";".join(arms["both"]["known_from"]).split(";")) == {"true + 20 % false", "permuted"}


def test_the_page_gives_geometric_means_over_cases_and_how_often_tables_counted():
    arm = f"both, {VALIDATED}"
    rows = [
        {"group": "simulated", "world": world, "method": method, "mse": mse, "counts": counts}
        for world, ratio in (("0-0", 0.4), ("1-0", 0.1))
        for method, mse, counts in ((NONE, 2.0, ""), (arm, 2.0 * ratio, "6; 0"))
    ]
    text = page(pd.DataFrame(rows), seconds=1.0, n=1)
    assert f"| {arm} | 0.20 [0.10, 0.40], 2/2 |" in text
    assert f"| {arm} | simulated | 6; 0: 2 |" in text
