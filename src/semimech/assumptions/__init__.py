"""What models take for granted, and what a query takes for granted."""

from semimech.assumptions.catalogue import ASSUMPTIONS, Assumption
from semimech.assumptions.coverage import Coverage, Harvested
from semimech.assumptions.families import FAMILIES, Family, Paper, relying

__all__ = ["ASSUMPTIONS", "FAMILIES", "Assumption", "Coverage", "Family", "Harvested", "Paper", "relying"]
