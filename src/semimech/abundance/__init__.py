"""Cells that grow, die and pass bottlenecks: founders from neutral barcodes, screens from counts of guides."""

from semimech.abundance.bottleneck import Bottleneck, counted_shares, estimate_founders
from semimech.abundance.counts import GuideCounts, guide_counts, read_guide_counts
from semimech.abundance.law import CountLaw, Shares
from semimech.abundance.null import NeutralNull
from semimech.abundance.screen import AbundanceScreen, analyse_abundance

__all__ = [
    "AbundanceScreen",
    "Bottleneck",
    "CountLaw",
    "GuideCounts",
    "NeutralNull",
    "Shares",
    "analyse_abundance",
    "counted_shares",
    "estimate_founders",
    "guide_counts",
    "read_guide_counts",
]
