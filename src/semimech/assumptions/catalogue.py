"""What models take for granted: each assumption a record, and the tuple of all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A statement about the cell operator or the measurement that a method needs to be right.

    In the equations ``F(c, t) x`` is the state after time t in context c of cells that start in x, ``p`` an edit, ``m`` a medium,
    ``∅`` no edit, ``b`` a batch and ``ℓ`` the depth of a cell.

    Parameters
    ----------
    id
        Short name, in the words of the framework.
    statement
        What is taken for granted.
    equation
        The same as an equation.
    source
        By which habit of experiments or models it comes in.
    breaks
        What goes wrong when it fails.
    test
        What in data speaks against it.
    arm
        What must have been measured to test it.
    """

    id: str
    statement: str
    equation: str
    source: str
    breaks: str
    test: str
    arm: str


STATIONARY_CONTROLS = Assumption(
    id="control stationarity",
    statement="Unedited cells in the maintenance medium do not change in law with time.",
    equation="F(∅, m₀, t) μ₀ = μ₀ for all t",
    source="controls of one time, or pooled over times, serve as the reference of every harvest; a steady-state loss states it outright",
    breaks="drift of the culture is read as an effect of the edit, and a steady-state loss pulls the law to a wrong fixed point",
    test="means of unedited cells differ between times, within batches",
    arm="unedited cells in the maintenance medium at two times or more in one batch",
)
SETTLED = Assumption(
    id="settled at harvest",
    statement="Cells have reached the steady state of their edit when harvested.",
    equation="F(c, t) x = F(c, ∞) x at the time t of harvest",
    source="one harvest per edit, and a map from unedited to edited cells without a clock",
    breaks="a transient is taken for the final state, so that effects of slow genes are too small and other times are predicted wrongly",
    test="effects of the same edits at the last two times, each against controls of its time, differ",
    arm="the same edits beside unedited cells at a later time",
)
TIME_INDEPENDENT = Assumption(
    id="effect independent of time",
    statement="An edit has the same effect at every harvest.",
    equation="F(p, t) x − F(∅, t) x is the same for all t",
    source="models that never see time, trained on cells of several times or asked about another time",
    breaks="early and late responses are averaged, and direct effects cannot be told from what follows from them",
    test="effects of the same edits at all times, each against controls of its time, differ",
    arm="the same edits beside unedited cells at two times or more",
)
COMMUTING = Assumption(
    id="commuting order",
    statement="The order of edits and media does not matter.",
    equation="F(c₂, τ) ∘ F(c₁, τ) = F(c₁, τ) ∘ F(c₂, τ)",
    source="a condition is written as a set of labels instead of a sequence of steps",
    breaks="protocols that differ only in their order get one prediction; commitment and priming are invisible",
    test="means of the same steps harvested in both orders, within batches, differ",
    arm="the same edit and medium in both orders, harvested after the same total time in one batch",
)
ADDITIVE = Assumption(
    id="additive combinations",
    statement="Effects of edits add up on the observed scale.",
    equation="F(a+b) x − F(∅) x = [F(a) x − F(∅) x] + [F(b) x − F(∅) x]",
    source="a prediction is a sum over edits, in genes or in a latent space",
    breaks="synergy, buffering and epistasis are missed, which are why combinations are made",
    test="the interaction, double − both singles + control, differs from zero",
    arm="pairs of edits beside both single edits and unedited cells, in one medium at one time",
)
START_INDEPENDENT = Assumption(
    id="effect independent of starting state",
    statement="An edit shifts every state by the same amount.",
    equation="F(p) x − x = δ(p) for all x",
    source="one shift per edit is learned and applied to any cell",
    breaks="cells in another state respond by another amount, as where the pathway is not expressed",
    test="effects of one edit in two starting states differ",
    arm="the same edits, each beside unedited cells, in a second cell state or line",
)
MEDIUM_INDEPENDENT = Assumption(
    id="medium-independent effect",
    statement="An edit has the same effect in every medium.",
    equation="F(p, m) x − F(∅, m) x is the same for all m",
    source="the medium is left out of the model, or enters as one more term of a sum",
    breaks="edits of a receptor look inert without its ligand, and are predicted inert with it",
    test="effects of the same edits in two media, each against controls of its medium, differ",
    arm="the same edits beside unedited cells in two media at one time",
)
INSTANTANEOUS = Assumption(
    id="instantaneous edit",
    statement="An edit acts in full from the moment it is made.",
    equation="efficacy(t) = e for all t > 0",
    source="the clock starts at transduction or addition of the drug",
    breaks="delivery, cutting and turnover of protein already made are read as slow dynamics: half-lives come out too long",
    test="the course of the target's product after the edit",
    arm="harvests within hours of the edit, with the target's protein measured",
)
FULL_EFFICACY = Assumption(
    id="full efficacy",
    statement="Every cell assigned to an edit carries it in full.",
    equation="P(edit works | guide assigned) = 1",
    source="a cell's label, the guide read in it, stands for what was done to it",
    breaks="cells that escaped dilute every effect by their share, and make the edited population a mixture",
    test="the target's counts in edited cells are more uneven than thinned counts of controls, as a mixture with unedited cells is",
    arm="edits that lower the target's own transcript, with counts deep enough to see it; or genotypes read in the same cells",
)
NO_SELECTION = Assumption(
    id="no growth selection or bottleneck",
    statement="Edited cells are harvested in proportion to those that were edited.",
    equation="dN(p)/dt = r N(p) with one r for all p",
    source="harvested cells stand for all edited cells",
    breaks="survivors are those that responded least, and rare edits rest on a handful of founders",
    test="shares of edits among the cells change between times, beyond counting noise",
    arm="numbers of cells, or guide counts, of every edit at two times or more, best with replicates",
)
BATCH_BALANCED = Assumption(
    id="batch not confounded with edits",
    statement="Each batch holds controls beside its edits.",
    equation="Y = μ(c) + β(b) + ε with every c beside ∅ in some b",
    source="cells of all batches are pooled, or integrated before effects are taken",
    breaks="the batch's offset is taken for the effect of the edits that stand in it alone",
    test="unedited cells are counted in each batch that holds edited ones: a property of the design",
    arm="unedited cells in every batch",
)
NO_INTERACTION = Assumption(
    id="no cell–cell interaction",
    statement="A cell's drift does not depend on other cells.",
    equation="dxᵢ/dt = f(xᵢ, c), without xⱼ",
    source="cells of a pool are treated as independent samples",
    breaks="ligands of one edit's cells act on all cells of the pool, so that effects shrink and controls move",
    test="effects of one edit at different shares in the culture differ",
    arm="the same edit alone (arrayed) and in the pool, or at two densities",
)
NO_CELL_CYCLE = Assumption(
    id="no cell-cycle confounding",
    statement="Edits do not change the share of cells in each phase of the cycle.",
    equation="P(phase | p) = P(phase | ∅)",
    source="means are compared without regard to phase",
    breaks="an edit that arrests the cycle seems to regulate every periodic gene",
    test="shares of phases, from marker genes, differ between edit and control",
    arm="S and G2/M marker genes on the panel, or DNA content of the same cells",
)
ACYCLIC = Assumption(
    id="acyclic regulation",
    statement="The regulatory network has no feedback.",
    equation="x = A x + c with A strictly triangular in some order of genes",
    source="structural causal models on a directed acyclic graph",
    breaks="homeostasis and switches cannot be represented; an edge takes the sign or direction that the loop gives it",
    test="edits of two genes that each move the other",
    arm="edits of both genes of each suspected loop, settled",
)
DEPTH_INDEPENDENT = Assumption(
    id="depth independent of edit",
    statement="Sequencing depth does not depend on the edit.",
    equation="ℓ ⊥ p | b",
    source="counts are normalised by their sum before edits are compared",
    breaks="edits that change the cell's RNA content move all genes of low count in one direction",
    test="log depth of edited cells and of controls, within batches, differs",
    arm="unedited cells in the batches of the edits; spike-ins tell content from capture",
)
ONE_ATTRACTOR = Assumption(
    id="one attractor per edit",
    statement="All cells of one edit go to the same state.",
    equation="limₜ F(p, t) x = x*(p) for all x",
    source="the mean over cells stands for the response",
    breaks="the mean of two fates is a state that no cell is in",
    test="edited cells, settled, fall into more groups than their controls",
    arm="single cells of the edit at a late time, beside unedited cells",
)
SHARED_RESPONSE = Assumption(
    id="shared response",
    statement="An unseen edit does what the training edits do on average.",
    equation="F(q) x − F(∅) x is drawn around the mean of F(p) x − F(∅) x over edits p",
    source="baselines of the mean, and every model that shrinks to it",
    breaks="an edit with an effect of its own is predicted as the common one (stress, failure to differentiate)",
    test="effects of training edits are unlike each other: the error of the mean on held-out edits",
    arm="more edits of the same kind, to hold out",
)
ALIKE_EDITS = Assumption(
    id="alike edits",
    statement="Edits of genes that are alike do alike things.",
    equation="cov[F(q) x, F(p) x] grows with k(q, p), over edits p and q",
    source="kernels between edits from complexes, pathways, networks, co-expression or embeddings, and every model that is given an embedding of genes",
    breaks="an edit of a subunit with a part of its own is predicted as the rest of its complex",
    test="left-out edits are predicted worse with the kernel than by the mean of edits, or no better than with its genes permuted",
    arm="edits of two or more members of each complex or pathway, to hold out",
)
NORMAL_LAW = Assumption(
    id="jointly normal controls",
    statement="An edit moves genes as the controls' covariance moves them with the target.",
    equation="F(j) x − x = Σ₍·ⱼ₎ Σ₍ⱼⱼ₎⁻¹ Δxⱼ",
    source="prediction by conditioning on the target's value in unedited cells",
    breaks="correlation through a common cause is taken for the effect of an edit",
    test="predicted and measured effects of edits differ: the error on held-out edits",
    arm="edits of genes that correlate in unedited cells",
)
KNOWN_WIRING = Assumption(
    id="wiring",
    statement="Effects travel along a sparse network, or one given as prior.",
    equation="∂f(g)/∂x(j) = 0 outside the network",
    source="regulons, graphs of gene ontology or co-expression, sparsity penalties",
    breaks="effects that travel by unknown or unmeasured genes go along wrong edges, and unseen edits are predicted wrongly",
    test="the error on held-out edits with the prior, without it, and with its labels permuted",
    arm="edits of the prior's regulators, to hold out",
)
SMOOTH = Assumption(
    id="smooth course",
    statement="Between harvested times and doses the response changes steadily.",
    equation="F(c, t) x is close to linear between neighbouring t",
    source="interpolation in time and dose",
    breaks="pulses, overshoots and thresholds between harvests are missed",
    test="the error on a harvested time or dose left out between two others",
    arm="harvests and doses between those made",
)

ASSUMPTIONS: tuple[Assumption, ...] = (
    STATIONARY_CONTROLS,
    SETTLED,
    TIME_INDEPENDENT,
    COMMUTING,
    ADDITIVE,
    START_INDEPENDENT,
    MEDIUM_INDEPENDENT,
    INSTANTANEOUS,
    FULL_EFFICACY,
    NO_SELECTION,
    BATCH_BALANCED,
    NO_INTERACTION,
    NO_CELL_CYCLE,
    ACYCLIC,
    DEPTH_INDEPENDENT,
    ONE_ATTRACTOR,
    SHARED_RESPONSE,
    ALIKE_EDITS,
    NORMAL_LAW,
    KNOWN_WIRING,
    SMOOTH,
)
