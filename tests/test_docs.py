"""The documentation is true: its examples run, its links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from semimech._version import __version__
from semimech.data.schema import FIELDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUNNABLE = re.compile(r"<!-- run -->\s*\n```(bash|python)\n(.*?)```", re.S)
SECONDS = 300
DOCTESTED = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "src").rglob("*.py"))
    if re.search(r"^ *>>> (?!.*# doctest: \+SKIP)", path.read_text(encoding="utf-8"), re.M)
]


def examples(page: Path) -> list[tuple[str, str]]:
    """Language and code of the blocks marked with ``<!-- run -->``, in order."""
    return RUNNABLE.findall(page.read_text(encoding="utf-8"))


def run(language: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one example with the programs of this environment, in a folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = ["bash", "-euo", "pipefail", "-c", code] if language == "bash" else [sys.executable, "-c", code]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("page", [p for p in PAGES if examples(p)], ids=lambda p: p.name)
def test_the_examples_of_a_page_run_one_after_the_other(page, tmp_path):
    for language, code in examples(page):
        done = run(language, code, tmp_path)
        assert done.returncode == 0, f"{page.name}: this example failed\n{code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("module", DOCTESTED)
def test_the_examples_of_a_module_give_what_they_show(module):
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_links_of_a_page_lead_to_files(page):
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_mark_to_run_stands_before_an_example(page):
    marks = re.findall(r"^<!-- run -->", page.read_text(encoding="utf-8"), re.M)
    assert len(marks) == len(examples(page))


def test_every_field_of_the_files_stands_in_the_schema_page():
    page = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
    assert not [field.name for field in FIELDS if f"`{field.name}`" not in page]


def test_the_version_of_the_citation_is_that_of_the_package():
    version = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert version is not None
    assert version[1] == __version__
