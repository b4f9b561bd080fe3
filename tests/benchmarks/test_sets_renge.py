"""RENGE: what each row is, what each fold holds out, and what the prior networks cover."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from benchmarks import sets

from semimech.data import check_leakage
from semimech.experiment import Condition, parse_experiment


def condition(text: str) -> Condition:
    return parse_experiment(f"{text} > harvest").conditions["harvest"]


@pytest.fixture(scope="module")
def renge(root):
    return sets.read_renge(root)


def test_renge_is_eight_knockouts_on_three_days_without_controls(renge):
    assert len(renge.conditions) == 24
    assert set(renge.hours) == {48.0, 72.0, 96.0}
    assert not renge.is_control.any()
    assert set(renge.perturbations) <= set(renge.genes)
    assert renge.index[condition("edit SOX2 knockout > wait 3d")] >= 0


def test_renge_means_are_those_of_the_values_in_the_file(root, renge):
    adata = ad.read_h5ad(root / "renge_hipsc" / "hipsc_day2-4.h5ad")
    cells = adata[(adata.obs["ko"] == "NANOG") & (adata.obs["t"] == 4)]
    values = cells.X.toarray() if sp.issparse(cells.X) else np.asarray(cells.X)
    row = renge.index[condition("edit NANOG knockout > wait 4d")]
    np.testing.assert_allclose(renge.mean[row], values.mean(axis=0), rtol=1e-4)
    assert renge.n_cells[row] == len(cells)


def test_renge_folds_hold_out_a_knockout_on_all_days_or_the_last_day_of_all(renge):
    folds = sets.edit_folds(renge)
    assert sorted(fold.held_out[0] for fold in folds) == sorted(set(renge.perturbations))
    assert all(len(fold.test) == 3 and len(fold.train) == 21 for fold in folds)
    last = sets.last_day_fold(renge)
    for fold in (*folds, last):
        check_leakage(renge, fold)
    assert set(renge.hours[last.test]) == {96.0}
    assert set(renge.hours[last.train]) == {48.0, 72.0}


def test_the_renge_reference_covers_three_of_the_eight_knockouts(root, renge):
    reference = sets.read_renge_reference(root)
    assert len(reference) == 110
    assert set(reference["source"]) & set(renge.perturbations) == {"SOX2", "POU5F1", "NANOG"}
    assert set(reference["target"]) <= set(renge.genes)


def test_a_higher_least_score_keeps_a_subset_of_the_binding_edges(root, renge):
    low, high = (
        set(
            sets.read_chip_prior(root, renge.genes, least_score=s)[["source", "target"]].itertuples(
                index=False, name=None
            )
        )
        for s in (20.0, 100.0)
    )
    assert set() < high < low
    assert all(source != target for source, target in low)
