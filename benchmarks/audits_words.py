"""What the six audited data sets are, and what their audits mean biologically."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Page:
    """The words of a page.

    Parameters
    ----------
    title
        Name of the data set.
    data
        What was measured, in a sentence.
    source
        The publication.
    meaning
        What the findings mean.
    is_bulk
        Whether there are means only.
    """

    title: str
    data: str
    source: str
    meaning: str
    is_bulk: bool = False


PAGES: dict[str, Page] = {
    "renge": Page(
        title="RENGE, human iPSC, days 2 to 4",
        data="Knockouts of eight transcription factors, single cells of three days, 103 genes; the public file holds no unedited cells.",
        source="[Ishikawa et al., Communications Biology 6, 1290 (2023)](https://doi.org/10.1038/s42003-023-05594-4)",
        meaning="Without unedited cells nothing can be told, however many days there are: the loss of POU5F1, NANOG or SOX2 makes stem cells leave pluripotency over these "
        "days, and whether the culture moves too cannot be separated from that. Models that take controls of one pool for granted rest here on a "
        "stand-in, such as the mean of all knockouts. Non-targeting cells of each day would answer four of the questions below at once.",
    ),
    "papalexi": Page(
        title="Papalexi, THP-1 with IFN-γ",
        data="ECCITE-seq of 20,729 THP-1 cells with guides against 26 genes, three replicates, all stimulated with IFN-γ, harvested once.",
        source="[Papalexi et al., Nature Genetics 53, 322 (2021)](https://doi.org/10.1038/s41588-021-00778-2)",
        meaning="Cells that carry a guide but respond to IFN-γ as unedited ones do are many: the authors found the same and wrote Mixscape to leave them out. Effects of every "
        "family that takes the guide for the edit are diluted by this share, and most so for the weak edits. The share of NFKBIA may be of counts that its knockout leaves unevenly, which this test cannot tell from escapers: the mixture of `semimech check` cannot tell two kinds of cells there (Mixscape sets all aside), and 13 to 22 % in IFNGR1, IFNGR2, JAK2 and STAT1. Depth falls in the knockouts of the IFN-γ receptor, as cells "
        "that do not respond make less RNA of the panel, but by less than matters. All cells saw IFN-γ, so that the obvious failure, an edit of the receptor that is inert without its "
        "ligand, is not testable: one unstimulated arm would do.",
    ),
    "morphic": Page(
        title="MorPhiC, placental lineage",
        data="Contrasts of knocked-out hiPSC lines against their wild type during differentiation to primitive syncytium (PrS), normoxia and hypoxia, bulk RNA; the 500 genes that vary most.",
        source="[MorPhiC consortium](https://morphic.bio)",
        meaning="The effect of losing EPAS1 (HIF-2α) in hypoxia is not its effect in normoxia, by more than a typical effect: the oxygen sensor's own target is what low oxygen acts through, so "
        "an additive term for the medium is wrong for this edit. Stationarity is not tested, since the file holds contrasts with the wild type of the same day; the cells differentiate by "
        "design, and controls of another day must not be used.",
        is_bulk=True,
    ),
    "hpn-dream8": Page(
        title="HPN-DREAM8, MCF7",
        data="Phosphoproteins of a breast-cancer line under inhibitors and ligands, minutes to hours, lysates; noise estimated from the curvature of the courses.",
        source="[Hill et al., Nature Methods 13, 310 (2016)](https://doi.org/10.1038/nmeth.3773)",
        meaning="Starved cells in the mock ligand are not stationary, mostly between the third and the fourth hour and by little; an inhibitor does in one ligand what it does not do in another (that of the FGF receptor "
        "needs FGF1 to have anything to inhibit), and minutes after a ligand effects are not what they are later. So methods without medium or clock are refuted on this set, and so is the additive baseline. "
        "Between two and four hours after the ligand effects have settled.",
        is_bulk=True,
    ),
    "fission-yeast": Page(
        title="Fission yeast in sorbitol",
        data="Wild type and a deletion of atf21 before and 15 to 180 minutes after 1 M sorbitol, three cultures each, bulk RNA; the 200 genes that move most in the wild type.",
        source="[Leong et al., Nature Communications 5, 4063 (2014)](https://doi.org/10.1038/ncomms5063)",
        meaning="The stress response is a pulse, and what the deletion changes in it is not the same between two and three hours as before: nothing has settled, and a map without a clock averages the early "
        "activation with the recovery. Against the effect before the stress, three cultures show no difference on average over times and genes, but could miss one of a third of a typical effect: atf21 is one of several factors of this response. "
        "The wild type has no harvests in the maintenance medium at two times, so that its stationarity stays a declaration. Harvests stand at infinite hours because the deletion had settled before the stress.",
        is_bulk=True,
    ),
    "sachs": Page(
        title="Sachs, CD4+ T cells",
        data="Eleven phosphoproteins and lipids in single cells by flow cytometry, the baseline and five interventions on single nodes (Mek, PIP2, PIP3, Akt, PKC).",
        source="[Sachs et al., Science 308, 523 (2005)](https://doi.org/10.1126/science.1105809)",
        meaning="The textbook set of acyclic causal models has one time, one medium and one tube per intervention, so that hardly anything that these models take for granted can be tested on it. What it shows speaks for "
        "feedback all the same: under the inhibitor of Mek active Erk falls (by 1.9 standard deviations of cells), and Raf and Mek, which stand above it in the consensus graph, rise (by 2.3 and 3.6), as they do where Erk "
        "no longer holds Raf down. A graph without loops cannot say that. But without unedited cells in each tube an offset of the staining would look the same, and the intervention on "
        "PKC moves nearly every node, as an activator of all cells would, so that the pair listed below is no proof. The consensus graph, drawn without loops, is a declaration.",
    ),
}
