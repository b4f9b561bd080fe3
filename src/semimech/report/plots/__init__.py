"""Figures of a report, each also useful alone in a notebook."""

from semimech.report.plots.abundance import plot_abundance, plot_bottleneck, plot_drift
from semimech.report.plots.budget import plot_budget
from semimech.report.plots.campaign import plot_campaign
from semimech.report.plots.counts import plot_counts
from semimech.report.plots.design import plot_layout
from semimech.report.plots.encode import data_uri, svg
from semimech.report.plots.fitting import plot_history, plot_network, plot_selection
from semimech.report.plots.interpret import plot_explanation, plot_half_lives, plot_shares
from semimech.report.plots.levers import plot_levers
from semimech.report.plots.overview import condition_table, plot_batches, plot_conditions, plot_detection
from semimech.report.plots.quality import MEASURES, plot_quality
from semimech.report.plots.response import leading_genes, plot_held_out, plot_trajectory
from semimech.report.plots.scores import plot_comparisons, plot_scores, plot_strata
from semimech.report.plots.sensitivity import plot_sensitivity

__all__ = [
    "MEASURES",
    "condition_table",
    "data_uri",
    "leading_genes",
    "plot_abundance",
    "plot_batches",
    "plot_bottleneck",
    "plot_budget",
    "plot_campaign",
    "plot_comparisons",
    "plot_conditions",
    "plot_counts",
    "plot_detection",
    "plot_drift",
    "plot_explanation",
    "plot_half_lives",
    "plot_held_out",
    "plot_history",
    "plot_layout",
    "plot_levers",
    "plot_network",
    "plot_quality",
    "plot_scores",
    "plot_selection",
    "plot_sensitivity",
    "plot_shares",
    "plot_strata",
    "plot_trajectory",
    "svg",
]
