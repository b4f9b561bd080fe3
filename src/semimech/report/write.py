"""From content to one HTML file that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2

from semimech._files import replacing
from semimech.report.blocks import Section
from semimech.report.content import ReportContent
from semimech.report.headline import headline
from semimech.report.sections import (
    assumption_section,
    budget_section,
    data_section,
    fit_section,
    held_out_section,
    mechanism_section,
    network_section,
    provenance_section,
    reference_section,
    score_section,
    sensitivity_section,
    trajectory_section,
)


def sections(content: ReportContent) -> tuple[Section, ...]:
    """The sections of a report, in order."""
    return (
        headline(content),
        data_section(content),
        score_section(content),
        budget_section(content),
        held_out_section(content),
        trajectory_section(content),
        fit_section(content),
        network_section(content),
        mechanism_section(content),
        assumption_section(content),
        sensitivity_section(content),
        provenance_section(content),
        reference_section(),
    )


def render(content: ReportContent) -> str:
    """The report as HTML: styles and figures inside, no script, nothing fetched."""
    return render_page(content.title, sections(content))


def render_page(title: str, parts: Sequence[Section]) -> str:
    """A page of sections as HTML."""
    folder = resources.files("semimech.report")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((folder / "report.html.j2").read_text(encoding="utf-8"))
    style = (folder / "report.css").read_text(encoding="utf-8")
    return template.render(title=title, sections=parts, style=style)


def write_report(content: ReportContent, path: str | Path) -> None:
    """Write a report as one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    content
        What the report tells.
    path
        Where the file shall stand; missing folders are made.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    text = render(content)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
