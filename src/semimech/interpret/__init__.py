"""What a fitted model says beyond its predictions: edges, half-lives, what a prediction is made of, and why."""

from semimech.interpret.edges import Recovery, recovery, signed_edges
from semimech.interpret.explanation import Explanation, explain
from semimech.interpret.half_lives import half_lives
from semimech.interpret.parts import PARTS, decompose, shares

__all__ = [
    "PARTS",
    "Explanation",
    "Recovery",
    "decompose",
    "explain",
    "half_lives",
    "recovery",
    "shares",
    "signed_edges",
]
