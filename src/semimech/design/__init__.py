"""Before and after the bench: how many cells of what in which batch, and what a design can tell."""

from semimech.design.components import VarianceComponents, estimate_components
from semimech.design.effects import ByEstimator, effect_variance, estimate_effects, is_connected
from semimech.design.groups import Groups, pool_groups
from semimech.design.layout import Components, Layout
from semimech.design.power import log_count_variance, single_guide_share, wanted_standard_error

__all__ = [
    "ByEstimator",
    "Components",
    "Groups",
    "Layout",
    "VarianceComponents",
    "effect_variance",
    "estimate_components",
    "estimate_effects",
    "is_connected",
    "log_count_variance",
    "pool_groups",
    "single_guide_share",
    "wanted_standard_error",
]
