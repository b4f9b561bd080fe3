"""What a data set says of the assumptions that it can test."""

from semimech.assumptions.diagnostics.audit import Audit, audit, audit_screen, find_family
from semimech.assumptions.diagnostics.finding import Finding, Verdict

__all__ = ["Audit", "Finding", "Verdict", "audit", "audit_screen", "find_family"]
