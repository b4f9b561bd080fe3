"""The sections of a report, in the order in which they are read."""

from semimech.report.sections.budget import budget_section
from semimech.report.sections.data import data_section
from semimech.report.sections.fit import fit_section, network_section
from semimech.report.sections.interpret import mechanism_section
from semimech.report.sections.predictions import held_out_section, trajectory_section
from semimech.report.sections.provenance import assumption_section, provenance_section, reference_section
from semimech.report.sections.scores import score_section
from semimech.report.sections.sensitivity import sensitivity_section

__all__ = [
    "assumption_section",
    "budget_section",
    "data_section",
    "fit_section",
    "held_out_section",
    "mechanism_section",
    "network_section",
    "provenance_section",
    "reference_section",
    "score_section",
    "sensitivity_section",
    "trajectory_section",
]
