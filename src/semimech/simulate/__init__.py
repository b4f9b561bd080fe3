"""Worlds with known truth."""

from semimech.simulate.co_culture import co_culture, culture_table, cultures
from semimech.simulate.fates import endoderm_differentiation, fate_world
from semimech.simulate.gillespie import exact_counts, leaping_counts
from semimech.simulate.graft import Graft
from semimech.simulate.in_vivo import InVivo, simulate_in_vivo, write_in_vivo
from semimech.simulate.kinetics import Kinetics
from semimech.simulate.measurement import Batches, Measurement
from semimech.simulate.presets import choose_edits, drug_combination, ipsc_maintenance, prior_network
from semimech.simulate.presets_in_vivo import haematopoiesis_in_vivo, tumour_in_vivo
from semimech.simulate.recipe import WorldRecipe, random_world
from semimech.simulate.rounds import next_round
from semimech.simulate.screen import ScreenDesign, screen_experiments, simulate_screen, write_screen
from semimech.simulate.stream import stream_screen
from semimech.simulate.study import STUDY_KINDS, Study, simulate_study, study_world
from semimech.simulate.truth import Truth, true_values
from semimech.simulate.world import World

PRESETS = (
    ipsc_maintenance,
    endoderm_differentiation,
    drug_combination,
    haematopoiesis_in_vivo,
    tumour_in_vivo,
    co_culture,
)
"""Functions that make a world and the design of a screen in it; they share the names of their arguments."""

__all__ = [
    "PRESETS",
    "STUDY_KINDS",
    "Batches",
    "Graft",
    "InVivo",
    "Kinetics",
    "Measurement",
    "ScreenDesign",
    "Study",
    "Truth",
    "World",
    "WorldRecipe",
    "choose_edits",
    "co_culture",
    "culture_table",
    "cultures",
    "drug_combination",
    "endoderm_differentiation",
    "exact_counts",
    "fate_world",
    "haematopoiesis_in_vivo",
    "ipsc_maintenance",
    "leaping_counts",
    "next_round",
    "prior_network",
    "random_world",
    "screen_experiments",
    "simulate_in_vivo",
    "simulate_screen",
    "simulate_study",
    "stream_screen",
    "study_world",
    "true_values",
    "tumour_in_vivo",
    "write_in_vivo",
    "write_screen",
]
