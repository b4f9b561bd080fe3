"""The benchmark of edits in unseen media: what is held out, and what its page says of known scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.edit_medium import MODEL, page, simulated
from benchmarks.sets_yeast import DELETED, STRESS, read_yeast, stressed_mutant


def test_held_out_pairs_are_seen_apart_and_never_together():
    case = simulated(0)
    data, split = case.dataset, case.split
    pairs = {row: (c.edits, c.medium) for row, c in enumerate(data.conditions)}
    held, trained = ({pairs[int(row)] for row in rows} for rows in (split.test, split.train))
    assert held.isdisjoint(trained) and all(edits and medium for edits, medium in held)
    assert {(edits, None) for edits, _ in held} | {((), medium) for _, medium in held} <= trained


def test_the_page_tells_the_ratio_of_known_errors_and_who_wins():
    rows = [
        {"group": "simulated", "case": f"simulated-{world}", "perturbation": gene, "medium": "M1", "seconds": 1.0}
        | {"hours": 24.0, "scope": "excl", "predictor": name, "value": error * (1 + world)}
        for name, error in ((MODEL, 0.5), ("additive", 1.0), ("Neural ODE", 2.0))
        for world in range(3)
        for gene in "AB"
    ]
    written = page(pd.DataFrame(rows))
    assert "| additive | 0.50 [0.50, 0.50], 3/3 |" in written
    assert "| semi-mechanistic | 4.00 [4.00, 4.00], 0/3 |" in written


def test_the_yeast_mutant_under_stress_is_held_out_and_matched_to_the_wild_type_of_the_same_minute(shared_data):
    root: Path = shared_data("fission_yeast_stress/counts.csv.gz").parent.parent
    data = read_yeast(root, n_genes=30)
    split = stressed_mutant(data)
    assert DELETED in data.genes and len(split.test) == 5
    for row in split.test:
        condition = data.conditions[row]
        (control,) = data.control_rows(condition)
        assert data.conditions[control].medium == STRESS and data.conditions[control].is_control
        assert data.conditions[control].hours == condition.history[-1].hours
    settled = [c for c in data.conditions if not c.medium]
    assert len(settled) == 2 and all(np.isinf(c.hours) for c in settled)
