"""What models take for granted."""

from semimech.assumptions.catalogue import ASSUMPTIONS, Assumption

__all__ = ["ASSUMPTIONS", "Assumption"]
