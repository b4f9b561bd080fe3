"""Before and after the bench: how many cells of what in which batch, what a design can tell, and which experiment next."""

from semimech.design.allocate import FORMULA, Allocation, allocate
from semimech.design.apart import Rivals, Telling, choose_apart, independent_genes
from semimech.design.audit import Audit, audit, gain_of_controls, groups_of, layout_of, variance_components
from semimech.design.blocks import assign_blocks
from semimech.design.campaign import Campaign, run_campaign
from semimech.design.candidates import CandidateSpace, as_experiments
from semimech.design.choose import Criterion, Pick, choose
from semimech.design.components import VarianceComponents, estimate_components
from semimech.design.curves import learning_curves, savings
from semimech.design.effects import ByEstimator, effect_variance, estimate_effects, is_connected
from semimech.design.goal import Attempt, Goal, choose_for_goal, make_goal
from semimech.design.groups import Groups, pool_groups
from semimech.design.guides import audit_guides, guide_component, guide_components, typical_guide_variance
from semimech.design.harvest import Response, best_harvest, half_life_harvests, harvest_table, harvest_window
from semimech.design.in_silico import edit_experiments, in_silico_screen, shortlist_pairs
from semimech.design.layout import Components, Layout
from semimech.design.levers import LEVERS, Levers, levers
from semimech.design.own_world import OwnWorld, Screening
from semimech.design.pool import Pool, make_pool
from semimech.design.power import log_count_curvature, log_count_variance, single_guide_share, wanted_standard_error
from semimech.design.prices import Limits, Prices
from semimech.design.purchases import Costs, Purchase, purchases
from semimech.design.request import Request
from semimech.design.round import Round, plan_round
from semimech.design.strategies import STRATEGIES
from semimech.design.totals import Yields
from semimech.design.value import Saving, edits_needed, saving, sensitivity

__all__ = [
    "FORMULA",
    "LEVERS",
    "STRATEGIES",
    "Allocation",
    "Attempt",
    "Audit",
    "ByEstimator",
    "Campaign",
    "CandidateSpace",
    "Components",
    "Costs",
    "Criterion",
    "Goal",
    "Groups",
    "Layout",
    "Levers",
    "Limits",
    "OwnWorld",
    "Pick",
    "Pool",
    "Prices",
    "Purchase",
    "Request",
    "Response",
    "Rivals",
    "Round",
    "Saving",
    "Screening",
    "Telling",
    "VarianceComponents",
    "Yields",
    "allocate",
    "as_experiments",
    "assign_blocks",
    "audit",
    "audit_guides",
    "best_harvest",
    "choose",
    "choose_apart",
    "choose_for_goal",
    "edit_experiments",
    "edits_needed",
    "effect_variance",
    "estimate_components",
    "estimate_effects",
    "gain_of_controls",
    "groups_of",
    "guide_component",
    "guide_components",
    "half_life_harvests",
    "harvest_table",
    "harvest_window",
    "in_silico_screen",
    "independent_genes",
    "is_connected",
    "layout_of",
    "learning_curves",
    "levers",
    "log_count_curvature",
    "log_count_variance",
    "make_goal",
    "make_pool",
    "plan_round",
    "pool_groups",
    "purchases",
    "run_campaign",
    "saving",
    "savings",
    "sensitivity",
    "shortlist_pairs",
    "single_guide_share",
    "typical_guide_variance",
    "variance_components",
    "wanted_standard_error",
]
