"""What was measured."""

from semimech.data.batching import Minibatch, matched_minibatches
from semimech.data.bulk import dataset_from_means
from semimech.data.curation.fix import curate
from semimech.data.curation.guide_efficacy import guide_efficacy
from semimech.data.dataset import Cells, ControlMoments, Dataset
from semimech.data.guide_counts import GuideAssignment, assign_guides, tally_guides, with_guides
from semimech.data.joint import joint_splits
from semimech.data.quality import Examination, check, examine, write_curated
from semimech.data.read import dataset_from_anndata, open_screen, pool, read
from semimech.data.scale import Scale, count_scale, identity_scale, log1p_scale, log_scale
from semimech.data.schema import Keys
from semimech.data.screen import describe
from semimech.data.split import (
    Split,
    available_splits,
    check_leakage,
    unseen_combination,
    unseen_edit,
    unseen_edit_time,
    unseen_medium,
    unseen_time,
)
from semimech.data.system import CellSystem

__all__ = [
    "CellSystem",
    "Cells",
    "ControlMoments",
    "Dataset",
    "Examination",
    "GuideAssignment",
    "Keys",
    "Minibatch",
    "Scale",
    "Split",
    "assign_guides",
    "available_splits",
    "check",
    "check_leakage",
    "count_scale",
    "curate",
    "dataset_from_anndata",
    "dataset_from_means",
    "describe",
    "examine",
    "guide_efficacy",
    "identity_scale",
    "joint_splits",
    "log1p_scale",
    "log_scale",
    "matched_minibatches",
    "open_screen",
    "pool",
    "read",
    "tally_guides",
    "unseen_combination",
    "unseen_edit",
    "unseen_edit_time",
    "unseen_medium",
    "unseen_time",
    "with_guides",
    "write_curated",
]
