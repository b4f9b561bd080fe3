"""What a fitted model says beyond its predictions: edges, half-lives, what a prediction is made of, and why."""

from semimech.interpret.borrowed import borrowed_from
from semimech.interpret.edges import Recovery, recovery, signed_edges
from semimech.interpret.explanation import Explanation, explain
from semimech.interpret.graphml import write_graphml
from semimech.interpret.half_lives import half_lives
from semimech.interpret.parts import PARTS, decompose, shares
from semimech.interpret.scm import scm_table, to_scm

__all__ = [
    "PARTS",
    "borrowed_from",
    "Explanation",
    "Recovery",
    "decompose",
    "explain",
    "half_lives",
    "recovery",
    "scm_table",
    "shares",
    "signed_edges",
    "to_scm",
    "write_graphml",
]
