"""The end of a fit: what its intervals and the line between two harvests rest on."""

import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset

from semimech.fit.finish import line_share, with_known_edges
from semimech.fit.select import edit_folds
from semimech.fit.weights import KnownWeights
from semimech.model import PriorNetwork


def test_the_folds_of_a_fit_are_told_by_posteriors_that_have_not_seen_them(fitted, data, monkeypatch):
    """Each posterior is of the conditions outside its fold, and is asked of those inside."""
    folds = edit_folds(data, 2, seed=0)
    held_out = np.where(np.any(folds, axis=0)[:, None], data.mean + 1.0, np.nan)
    seen = []

    def left_open(self, conditions, change):
        seen.append((set(self.training), set(conditions)))
        return np.full_like(change, 4.0)

    monkeypatch.setattr(KnownWeights, "left_open", left_open)
    prior = PriorNetwork(edges=pd.DataFrame({"source": ["G0"], "target": ["G5"]}))
    found = with_known_edges(fitted.fit, data, fitted.roster, held_out, folds, prior)
    assert found.edges.tolist() == [[5], [0]]
    assert len(seen) == 2 and all(not training & asked and asked for training, asked in seen)
    assert set().union(*(asked for _, asked in seen)) == {
        data.conditions[r] for r in np.flatnonzero(np.any(folds, axis=0))
    }
    assert found.unseen.doubt <= 0.5 + 1e-6  # errors are 1 where 4 is open
    same = with_known_edges(fitted.fit, data, fitted.roster, held_out, folds, None)
    assert same is fitted.fit


@pytest.mark.parametrize(("noise", "share"), [(0.0, 0.0), (1.0, 0.5), (1e9, 1.0)])
def test_the_line_between_two_harvests_counts_as_means_err_beyond_what_the_law_bends(noise, share):
    """A law of sqrt(t) at 4 and 16 h says sqrt(10) half way, the line 3; noise is told in squares of that bend."""
    conditions = [condition("control", 4.0), condition("A", 4.0), condition("A", 16.0)]
    bend = (np.sqrt(10.0) - 3.0) ** 2
    law = lambda asked: np.array([[np.sqrt(c.hours)] * 2 for c in asked])
    found = line_share(dataset(conditions, np.zeros((3, 2))), np.full(2, noise * bend), law, most=0.3)
    assert found == pytest.approx(0.3 * share, abs=1e-6)
    assert line_share(dataset(conditions[:2], np.zeros((2, 2))), np.ones(2), law, most=0.3) == 0.3
