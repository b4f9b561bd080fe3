"""What models take for granted, and what a query takes for granted."""

from semimech.assumptions.catalogue import ASSUMPTIONS, Assumption
from semimech.assumptions.coverage import Coverage, Harvested

__all__ = ["ASSUMPTIONS", "Assumption", "Coverage", "Harvested"]
