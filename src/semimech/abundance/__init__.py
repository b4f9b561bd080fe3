"""Cells that grow, die and pass bottlenecks: founders from neutral barcodes, screens from counts of guides."""

from semimech.abundance.bottleneck import Bottleneck, counted_shares, estimate_founders
from semimech.abundance.clone_states import ClonesLater, advance_clones
from semimech.abundance.clones import CloneLaw, Clones, follow_clones
from semimech.abundance.counts import GuideCounts, guide_counts, read_guide_counts
from semimech.abundance.edited_cells import EditedCells, edited_cells
from semimech.abundance.joint import correct_expression
from semimech.abundance.law import CountLaw, Shares
from semimech.abundance.null import NeutralNull
from semimech.abundance.screen import AbundanceScreen, analyse_abundance
from semimech.abundance.survivors import Survivors, correct_survivors
from semimech.abundance.tilt import Tilt

__all__ = [
    "AbundanceScreen",
    "Bottleneck",
    "CloneLaw",
    "Clones",
    "ClonesLater",
    "CountLaw",
    "EditedCells",
    "GuideCounts",
    "NeutralNull",
    "Shares",
    "Survivors",
    "Tilt",
    "advance_clones",
    "analyse_abundance",
    "correct_expression",
    "correct_survivors",
    "counted_shares",
    "edited_cells",
    "estimate_founders",
    "follow_clones",
    "guide_counts",
    "read_guide_counts",
]
