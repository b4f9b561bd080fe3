"""The report in a real browser: it is drawn, and fits a desk and a phone."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import report_example as example
from PIL import Image

from semimech.report import write_report

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=4000",
)


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium to open the report with: install the package 'chromium'")
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(example.content(size={"n_genes": 16, "n_edits": 4}), path)
    return path


def open_in(browser: str, page: Path, *arguments: str) -> str:
    """Open a page and return what the browser prints."""
    command = [browser, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", *arguments, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def framed(report: Path, width: int) -> Path:
    """The report in a frame as narrow as a phone, which a window cannot be, beside its measured widths."""
    page = report.with_name(f"frame{width}.html")
    inside = html.escape(report.read_text(encoding="utf-8").replace("<details>", "<details open>"))
    page.write_text(
        f'<body style="margin:0"><iframe id="f" style="border:0;width:{width}px;height:3000px" srcdoc="{inside}"></iframe>'
        '<p id="size"></p><script>f.onload = () => { const d = f.contentDocument; size.textContent = '
        "`wide ${d.documentElement.scrollWidth} high ${d.documentElement.scrollHeight} "
        "broken ${[...d.images].filter(i => !i.naturalWidth).length} of ${d.images.length}`; }</script>",
        encoding="utf-8",
    )
    return page


@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_is_drawn_and_nothing_sticks_out(browser, report, width):
    page = framed(report, width)
    image = page.with_suffix(".png")
    said = open_in(browser, page, f"--window-size={max(width, 500)},3000", f"--screenshot={image}", "--dump-dom")
    wide, high, broken, images = map(int, re.findall(r"wide (\d+) high (\d+) broken (\d+) of (\d+)", said)[-1])
    assert wide <= width
    assert high > 3000
    assert (broken, images > 10) == (0, True)
    drawn = Image.open(image).convert("L").crop((0, 0, width, 3000))
    ink = sum(drawn.histogram()[:128]) / (drawn.width * drawn.height)
    assert 0.01 < ink < 0.5
