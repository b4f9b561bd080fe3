"""CellBox, Papalexi and MorPhiC: what each row is, what each fold holds out, and that nothing held out chooses genes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_data
from benchmarks.sets_cellbox import N_MEASURED, drug_splits, pair_split, random_split, read_cellbox
from benchmarks.sets_common import leading_genes
from benchmarks.sets_morphic import HYPOXIA, most_varying, oxygen_split, read_morphic
from benchmarks.sets_papalexi import MEASURED_TARGETS, leading_guide, most_counted, read_papalexi, target_folds

from semimech._errors import DataError
from semimech.data import check_leakage, unseen_edit, unseen_time


@pytest.fixture(scope="module")
def cellbox(root):
    return read_cellbox(root)


@pytest.fixture(scope="module")
def papalexi(root):
    return read_papalexi(root)


@pytest.fixture(scope="module")
def primitive_syncytium(root):
    return read_morphic(root, "PrS")


def test_the_genes_that_stay_are_those_of_highest_score_and_those_named():
    data = small_data.dataset([small_data.condition("G0", 24.0)], np.arange(5.0)[None])
    kept = leading_genes(data, data.mean[0], always=("G0", "absent"), n_genes=2)
    assert kept.genes == ("G0", "G3", "G4")
    np.testing.assert_array_equal(kept.mean, [[0.0, 3.0, 4.0]])


def test_a_cell_has_its_most_counted_guide_and_that_guides_share():
    lead, share = leading_guide(np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]]))
    np.testing.assert_array_equal(lead[[0, 2]], [0, 2])
    np.testing.assert_allclose(share, [0.8, 0.0, 0.75])


def test_cellbox_rows_are_untreated_cells_single_drugs_and_pairs_of_twelve(cellbox):
    data = cellbox.dataset
    n_drugs = np.array([len(c.edits) for c in data.conditions])
    assert [int((n_drugs == n).sum()) for n in (0, 1, 2)] == [1, 22, 66]
    assert len(data.genes) == N_MEASURED and not data.mean[data.is_control].any()
    assert {e.gene for c in data.conditions for e in c.edits} == set(cellbox.inputs)
    assert data.n_cells[~data.is_control].sum() == 89


def test_a_cellbox_efficacy_is_the_activity_that_the_tabulated_input_lost(root, cellbox):
    values = pd.read_csv(root / "cellbox_melanoma" / "expr.csv", header=None).to_numpy()
    first = values[0, N_MEASURED:]
    (edit,) = cellbox.dataset.conditions[1].edits
    assert 2.0 ** first[first != 0][0] == pytest.approx(1.0 - edit.efficacy)


def test_cellbox_folds_hold_out_three_tenths_all_pairs_or_all_that_carries_a_drug(cellbox):
    data = cellbox.dataset
    random, pairs, drugs = random_split(data, seed=0), pair_split(data), drug_splits(data)
    assert len(random.test) == 26 and not set(random.test) & set(random.train)
    assert len(pairs.test) == 66 and max(len(data.conditions[r].edits) for r in pairs.train) == 1
    assert len(drugs) == 12
    for split in (pairs, *drugs):
        check_leakage(data, split)
        assert data.is_control[split.train].any()


def test_papalexi_has_non_targeting_cells_in_three_replicates_and_counts_for_moments(papalexi):
    assert papalexi.cells.batches == ("rep_1", "rep_2", "rep_3")
    control = papalexi.cells.condition == np.flatnonzero(papalexi.is_control)[0]
    assert set(papalexi.cells.batch[control]) == {0, 1, 2}
    assert papalexi.control_moments.n_cells == control.sum()
    assert set(MEASURED_TARGETS) == set(papalexi.genes) & set(papalexi.perturbations)


def test_papalexi_folds_hold_out_each_measured_target_once_and_train_on_every_other_edit(papalexi):
    folds = target_folds(papalexi, n_folds=3, seed=1)
    assert sorted(name for fold in folds for name in fold.held_out) == sorted(MEASURED_TARGETS)
    for fold in folds:
        check_leakage(papalexi, fold)
        assert len(fold.train) + len(fold.test) == len(papalexi.conditions)
    small = most_counted(papalexi, n_genes=20)
    assert len(small.genes) == 29 and small.control_moments.covariance.shape == (29, 29)


def test_morphic_changes_are_the_mean_of_the_contrasts_of_all_alleles(root, primitive_syncytium):
    path = root / "morphic_bulk_ko" / "deseq2_contrasts.parquet"
    of_fosb = pd.read_parquet(path, filters=[("column_prefix", "in", ["FOSB_CE", "FOSB_KO", "FOSB_PTC"])])
    symbols = pd.read_csv(root / "morphic_bulk_ko" / "gene_symbols.csv").set_index("hgnc_symbol")["gene_ID"]
    data = primitive_syncytium
    row = data.perturbations.index("FOSB")
    for gene in ("GATA3", "KRT7"):
        fold_change = of_fosb.loc[of_fosb["gene_ID"] == symbols[gene], "log2FoldChange"]
        assert len(fold_change) == 3
        assert data.mean[row, data.genes.index(gene)] == pytest.approx(fold_change.mean())
    assert np.isfinite(data.halves[:, row]).all()
    assert not data.mean[data.is_control].any()


def test_morphic_genes_are_chosen_by_training_rows_alone(primitive_syncytium):
    split = unseen_edit(primitive_syncytium, n_folds=5, seed=0)[0]
    check_leakage(primitive_syncytium, split)
    mean = primitive_syncytium.mean.copy()
    mean[split.test] += 1e3 * np.arange(mean.shape[1])
    changed = replace(primitive_syncytium, mean=mean)
    chosen = most_varying(primitive_syncytium, split.train, n_genes=40)
    assert most_varying(changed, split.train, n_genes=40).genes == chosen.genes
    assert {"GCM1", "OVOL1"} <= set(chosen.genes)


def test_morphic_oxygen_and_days_are_held_out_of_knockouts_seen_otherwise(root, primitive_syncytium):
    oxygen = oxygen_split(primitive_syncytium)
    assert all(primitive_syncytium.conditions[r].medium == HYPOXIA for r in oxygen.test)
    seen = {primitive_syncytium.perturbations[r] for r in oxygen.train}
    assert {primitive_syncytium.perturbations[r] for r in oxygen.test} <= seen
    organoid = read_morphic(root, "CBO")
    days = unseen_time(organoid)
    assert days
    for split in days:
        check_leakage(organoid, split)


def test_an_unknown_lineage_is_an_error_that_names_those_there_are(root):
    with pytest.raises(DataError, match=r"no lineage is called 'Heart'; there are CBO"):
        read_morphic(root, "Heart")
