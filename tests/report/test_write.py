"""The report is one file that needs nothing else, and says so where it has nothing to say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import report_example as example

from semimech._errors import ConfigError
from semimech.report import render, write_report

TITLE = "Screen <script>alert(1)</script> & more"
NOTE = "moment < point & none"
HEADINGS = (
    "Result",
    "Data",
    "Scores",
    "Error budget",
    "Held-out predictions",
    "Courses over time",
    "Fit and choices",
    "Learned network",
    "Mechanism and half-lives",
    "Assumptions",
    "Sensitivity",
    "How to do it again",
    "References",
)


class Page(HTMLParser):
    """Collects what a page refers to and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def content():
    return example.content(size={"n_genes": 16, "n_edits": 4}, title=TITLE, notes=(NOTE,))


@pytest.fixture(scope="module")
def text(content) -> str:
    return render(content)


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_nothing_is_fetched_and_nothing_runs(text, page):
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.all("img"))
    assert not re.search(r"@import|url\(\s*['\"]?(?!#|data:)", text)
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]


def test_addresses_stand_only_in_citations(page):
    links = [link["href"] for link in page.all("a")]
    assert [link for link in links if not link.startswith("#")]
    assert all(link.startswith(("#", "https://")) for link in links)
    assert "https://arxiv.org/abs/2501.19178" in links


def test_every_entry_of_the_contents_leads_to_its_section(page):
    entries = [link["href"][1:] for link in page.all("a") if link["href"].startswith("#")]
    assert entries == [section["id"] for section in page.all("section")]


def test_all_sections_have_their_headings(text):
    assert tuple(re.findall(r"<h2>(.*?)</h2>", text)) == HEADINGS


def test_every_image_has_a_text_that_stands_for_it_and_every_figure_a_caption(text, page):
    assert len(page.all("img")) > 10
    assert all(len(image["alt"]) > 15 for image in page.all("img"))
    assert text.count("<figure") == text.count("<figcaption>")


def test_a_phone_is_told_the_width(page):
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")


def test_names_from_the_data_cannot_break_the_page(page):
    assert TITLE in page.words
    assert NOTE in page.words


def test_a_report_without_tables_says_what_is_missing(content):
    nothing = pd.DataFrame()
    names = (
        "scores",
        "comparisons",
        "held_out",
        "history",
        "selection",
        "trajectories",
        "network",
        "parts",
        "half_lives",
    )
    bare = dict.fromkeys(names, nothing) | {
        "findings": None,
        "assumptions": (),
        "notes": (),
        "settings": "",
        "versions": {},
    }
    text = render(example.content(dataset=content.dataset, **bare))
    assert tuple(re.findall(r"<h2>(.*?)</h2>", text)) == HEADINGS
    for words in (
        "No model was compared",
        "No checks of the data",
        "No split could be scored",
        "No held-out predictions",
        "No courses were predicted",
        "Neither the course of the loss",
        "no regulatory network",
        "neither mechanism nor half-lives",
        "names no assumption",
    ):
        assert words in text


def test_the_same_content_gives_the_same_small_file(content, text, tmp_path):
    path = tmp_path / "results" / "report.html"
    write_report(content, path)
    assert path.read_text(encoding="utf-8") == text
    assert path.stat().st_size < 5_000_000
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(content, text, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr("semimech.report.write.render", lambda content: text)
    monkeypatch.setattr(Path, "write_text", _fail)
    with pytest.raises(ConfigError, match="no space"):
        write_report(content, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def _fail(path: Path, text: str, **_: str) -> None:
    """A disk that fills up half-way."""
    path.write_bytes(text[:100].encode())
    raise OSError(28, "no space left")
