"""The real data sets of the studies: one import for their readers, folds and prior networks."""

from benchmarks.sets_common import noisy_prior, shared_data
from benchmarks.sets_dream4 import Dream4, Relaxation, knockout_folds, read_dream4, training_data
from benchmarks.sets_hpn import (
    INHIBITOR_TARGETS,
    MEASURED_TARGETS,
    Hpn,
    combination_folds,
    read_hpn,
    read_hpn_gold,
    read_hpn_insilico,
    time_folds,
)
from benchmarks.sets_renge import edit_folds, last_day_fold, read_chip_prior, read_renge, read_renge_reference

__all__ = [
    "INHIBITOR_TARGETS",
    "MEASURED_TARGETS",
    "Dream4",
    "Hpn",
    "Relaxation",
    "combination_folds",
    "edit_folds",
    "knockout_folds",
    "last_day_fold",
    "noisy_prior",
    "read_chip_prior",
    "read_dream4",
    "read_hpn",
    "read_hpn_gold",
    "read_hpn_insilico",
    "read_renge",
    "read_renge_reference",
    "shared_data",
    "time_folds",
    "training_data",
]
