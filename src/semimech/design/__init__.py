"""Before and after the bench: how many cells of what in which batch, and what a design can tell."""

from semimech.design.allocate import FORMULA, Allocation, allocate
from semimech.design.audit import Audit, audit, gain_of_controls, groups_of, layout_of, variance_components
from semimech.design.blocks import assign_blocks
from semimech.design.components import VarianceComponents, estimate_components
from semimech.design.effects import ByEstimator, effect_variance, estimate_effects, is_connected
from semimech.design.groups import Groups, pool_groups
from semimech.design.in_silico import edit_experiments, in_silico_screen, shortlist_pairs
from semimech.design.layout import Components, Layout
from semimech.design.power import log_count_variance, single_guide_share, wanted_standard_error
from semimech.design.request import Request
from semimech.design.totals import Yields

__all__ = [
    "FORMULA",
    "Allocation",
    "Audit",
    "ByEstimator",
    "Components",
    "Groups",
    "Layout",
    "Request",
    "VarianceComponents",
    "Yields",
    "allocate",
    "assign_blocks",
    "audit",
    "edit_experiments",
    "effect_variance",
    "estimate_components",
    "estimate_effects",
    "gain_of_controls",
    "groups_of",
    "in_silico_screen",
    "is_connected",
    "layout_of",
    "log_count_variance",
    "pool_groups",
    "shortlist_pairs",
    "single_guide_share",
    "variance_components",
    "wanted_standard_error",
]
