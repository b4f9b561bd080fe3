"""What a data set says of the assumptions that it can test."""

from semimech.assumptions.diagnostics.audit import Audit, audit, audit_screen, find_family
from semimech.assumptions.diagnostics.finding import Finding, Verdict
from semimech.assumptions.diagnostics.training import audit_training, violation_note

__all__ = ["Audit", "Finding", "Verdict", "audit", "audit_screen", "audit_training", "find_family", "violation_note"]
