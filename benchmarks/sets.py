"""The real data sets of the studies: one import for their readers, folds and prior networks."""

from benchmarks.sets_cellbox import CellBoxSet, drug_splits, pair_split, random_split, read_cellbox
from benchmarks.sets_common import noisy_prior, shared_data
from benchmarks.sets_dream4 import Dream4, Relaxation, knockout_folds, read_dream4, training_data
from benchmarks.sets_hpn import (
    INHIBITOR_TARGETS,
    MEASURED_TARGETS,
    Hpn,
    combination_folds,
    pair_folds,
    read_hpn,
    read_hpn_gold,
    read_hpn_insilico,
    time_folds,
)
from benchmarks.sets_morphic import most_varying, oxygen_split, read_morphic
from benchmarks.sets_papalexi import most_counted, read_papalexi, target_folds
from benchmarks.sets_renge import edit_folds, last_day_fold, read_chip_prior, read_renge, read_renge_reference

__all__ = [
    "INHIBITOR_TARGETS",
    "MEASURED_TARGETS",
    "CellBoxSet",
    "Dream4",
    "Hpn",
    "Relaxation",
    "combination_folds",
    "pair_folds",
    "drug_splits",
    "edit_folds",
    "knockout_folds",
    "last_day_fold",
    "most_counted",
    "most_varying",
    "noisy_prior",
    "oxygen_split",
    "pair_split",
    "random_split",
    "read_cellbox",
    "read_chip_prior",
    "read_dream4",
    "read_hpn",
    "read_hpn_gold",
    "read_hpn_insilico",
    "read_morphic",
    "read_papalexi",
    "read_renge",
    "read_renge_reference",
    "shared_data",
    "target_folds",
    "time_folds",
    "training_data",
]
