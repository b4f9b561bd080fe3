from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from small_screens import screen

from semimech.data import check
from semimech.data.curation import doublets


def of_three_types(share: float) -> sp.csr_matrix:
    """Cells of three types, some of them with the counts of a second cell added."""
    rng = np.random.default_rng(0)
    profile = rng.lognormal(0, 1, (3, 300))
    kind = rng.integers(0, 3, 1000)
    counts = rng.poisson(3000 * profile[kind] / profile[kind].sum(axis=1, keepdims=True))
    counts[: int(share * 1000)] += counts[rng.permutation(1000)[: int(share * 1000)]]
    return sp.csr_matrix(counts.astype(float))


def test_without_scrublet_the_check_says_that_it_did_not_look(monkeypatch):
    monkeypatch.setattr(doublets, "is_available", lambda: False)
    row = check(screen(n=30)).set_index("check").loc["doublets"]
    assert row["severity"] == "ok" and "pip install 'semimech[doublets]'" in row["evidence"]


def test_a_scrublet_that_breaks_is_no_error(monkeypatch):
    monkeypatch.setattr(doublets, "is_available", lambda: True)
    monkeypatch.setattr(doublets, "_FEWEST", 1)

    def broken(counts):
        raise AttributeError("no such attribute")

    monkeypatch.setattr(doublets, "doublet_share", broken)
    row = check(screen(n=30)).set_index("check").loc["doublets"]
    assert row["severity"] == "ok" and "failed (no such attribute)" in row["evidence"]


@pytest.mark.parametrize(("share", "severity"), [(0.05, "ok"), (0.3, "warning")])
def test_batches_of_many_doublets_are_a_warning(monkeypatch, share, severity):
    monkeypatch.setattr(doublets, "is_available", lambda: True)
    monkeypatch.setattr(doublets, "_FEWEST", 1)
    monkeypatch.setattr(doublets, "doublet_share", lambda counts: share)
    assert check(screen(n=30)).set_index("check").loc["doublets", "severity"] == severity


def test_two_in_three_doublets_of_three_types_are_told_from_single_cells():
    pytest.importorskip("scanpy", reason="needs semimech[doublets]")
    pytest.importorskip("skimage", reason="needs semimech[doublets]")
    # A second cell of the same type leaves no trace: two thirds of a tenth can be seen.
    assert doublets.doublet_share(of_three_types(0.0)) < 0.02
    assert abs(doublets.doublet_share(of_three_types(0.1)) - 0.067) < 0.03
