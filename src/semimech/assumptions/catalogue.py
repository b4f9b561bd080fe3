"""What models take for granted: each assumption a record, and the tuple of all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A statement about the cell operator or the measurement that a method needs to be right.

    Parameters
    ----------
    id
        Short name, in the words of the framework.
    statement
        What is taken for granted.
    """

    id: str
    statement: str


STATIONARY_CONTROLS = Assumption(
    id="control stationarity", statement="Unedited cells in the maintenance medium do not change in law with time."
)
SETTLED = Assumption(
    id="settled at harvest", statement="Cells have reached the steady state of their edit when harvested."
)
COMMUTING = Assumption(id="commuting order", statement="The order of edits and media does not matter.")
ADDITIVE = Assumption(id="additive combinations", statement="Effects of edits add up on the observed scale.")
START_INDEPENDENT = Assumption(
    id="effect independent of starting state", statement="An edit shifts every state by the same amount."
)
MEDIUM_INDEPENDENT = Assumption(
    id="medium-independent effect", statement="An edit has the same effect in every medium."
)
INSTANTANEOUS = Assumption(id="instantaneous edit", statement="An edit acts in full from the moment it is made.")
FULL_EFFICACY = Assumption(id="full efficacy", statement="Every cell assigned to an edit carries it in full.")
NO_SELECTION = Assumption(
    id="no growth selection or bottleneck",
    statement="Edited cells are harvested in proportion to those that were edited.",
)
BATCH_BALANCED = Assumption(
    id="batch not confounded with edits", statement="Each batch holds controls beside its edits."
)
NO_INTERACTION = Assumption(id="no cell–cell interaction", statement="A cell's drift does not depend on other cells.")
NO_CELL_CYCLE = Assumption(
    id="no cell-cycle confounding", statement="Edits do not change the share of cells in each phase of the cycle."
)
ACYCLIC = Assumption(id="acyclic regulation", statement="The regulatory network has no feedback.")
DEPTH_INDEPENDENT = Assumption(
    id="depth independent of edit", statement="Sequencing depth does not depend on the edit."
)
ONE_ATTRACTOR = Assumption(id="one attractor per edit", statement="All cells of one edit go to the same state.")
SHARED_RESPONSE = Assumption(
    id="shared response", statement="An unseen edit does what the training edits do on average."
)
NORMAL_LAW = Assumption(
    id="jointly normal controls",
    statement="An edit moves genes as the controls' covariance moves them with the target.",
)
KNOWN_WIRING = Assumption(id="wiring", statement="Effects travel along a sparse network, or one given as prior.")
SMOOTH = Assumption(id="smooth course", statement="Between harvested times and doses the response changes steadily.")

ASSUMPTIONS: tuple[Assumption, ...] = (
    STATIONARY_CONTROLS,
    SETTLED,
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
    NORMAL_LAW,
    KNOWN_WIRING,
    SMOOTH,
)
