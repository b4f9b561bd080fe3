"""From tidy tables to one self-contained HTML."""

from semimech.report.content import ReportContent
from semimech.report.write import render, write_report

__all__ = ["ReportContent", "render", "write_report"]
