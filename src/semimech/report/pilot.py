"""The pilot report: three stages on one page each, in plain words, with a picture and a verdict."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from semimech._files import replacing
from semimech.report.blocks import Block, Gallery, Heading, Paragraph, Picture, Points, Section, Table, Verdict
from semimech.report.plots.style import INK, LOOKS, MUTED, SMALL, head, label, panel
from semimech.report.write import render_page

_TITLES = (
    ("stage-data", "1 Is the experiment good enough?"),
    ("stage-mechanism", "2 Does mechanism help here?"),
    ("stage-value", "3 What would it save?"),
)
_BADGES = {"go": "go", "not yet": "later", "no": "stop"}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage of a pilot found.

    Parameters
    ----------
    verdict
        ``"go"``, ``"not yet"`` or ``"no"``.
    reasons
        Why, in words.
    mends
        What to do.
    numbers
        Figures behind it.
    assumptions
        What it rests on.
    """

    verdict: str
    reasons: tuple[str, ...]
    mends: tuple[str, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PilotContent:
    """What a pilot report tells.

    Parameters
    ----------
    title
        Name of the data.
    verdict
        Of all stages together.
    stages
        Those that could be judged, in order.
    reliability
        Of each response: columns ``perturbation, hours, reliability``.
    scores
        Held-out errors: columns ``size, predictor, perturbation, value``.
    sizes
        Training edits at each ``size``.
    sensitivity
        What the saved edits are worth as prices change (`semimech.design.sensitivity`).
    """

    title: str
    verdict: str
    stages: tuple[Stage, ...]
    reliability: pd.DataFrame
    scores: pd.DataFrame
    sizes: tuple[float, ...]
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)


def as_json(content: PilotContent) -> str:
    """The verdicts and their figures for a machine; what is not a number is null."""
    names = ("data", "mechanism", "value")
    stages = {
        name: {
            "verdict": stage.verdict,
            "reasons": list(stage.reasons),
            "mends": list(stage.mends),
            "assumptions": list(stage.assumptions),
            "numbers": {key: value if math.isfinite(value) else None for key, value in stage.numbers.items()},
        }
        for name, stage in zip(names, content.stages, strict=False)
    }
    prices = json.loads(content.sensitivity.replace([np.inf, -np.inf], np.nan).to_json(orient="records"))
    told = {"title": content.title, "verdict": content.verdict, "stages": stages, "sensitivity": prices}
    return json.dumps(told, indent=2)


def pilot_sections(content: PilotContent) -> tuple[Section, ...]:
    """A summary, and a page for each stage."""
    changes = [mend for stage in content.stages if stage.verdict != "go" for mend in stage.mends]
    summary: list[Block] = [
        Verdict(result=_BADGES[content.verdict], text=_overall(content)),
        Heading(text="What would change the verdict"),
        Points(items=tuple(("", text) for text in dict.fromkeys(changes)) or (("", "Nothing that was found."),)),
    ]
    pages = [Section(id="verdict", title="Verdict", blocks=tuple(summary))]
    for number, (id, title) in enumerate(_TITLES):
        if number < len(content.stages):
            pages.append(Section(id=id, title=title, blocks=_page(content, number)))
        else:
            reason = "Not judged: the stage before it has to be mended first."
            pages.append(Section(id=id, title=title, blocks=(Paragraph(text=reason),)))
    return tuple(pages)


def write_pilot(content: PilotContent, out: Path) -> tuple[Path, ...]:
    """Write ``pilot.html`` and ``pilot.json``, and ``pilot.pdf`` where there is a Chromium.

    Raises
    ------
    ConfigError
        If the folder cannot be written to.
    """
    page, data = out / "pilot.html", out / "pilot.json"
    with replacing(page) as temporary:
        temporary.write_text(render_page(f"Pilot: {content.title}", pilot_sections(content)), encoding="utf-8")
    with replacing(data) as temporary:
        temporary.write_text(as_json(content), encoding="utf-8")
    printed = _print(page, out / "pilot.pdf")
    return (page, data, *([printed] if printed else []))


def _print(page: Path, pdf: Path) -> Path | None:
    browser = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)
    if browser is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "pilot.pdf"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={made}"]
        try:
            subprocess.run([browser, *options, page.resolve().as_uri()], capture_output=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            return None
        if not made.exists():
            return None
        with replacing(pdf) as temporary:
            temporary.write_bytes(made.read_bytes())
    return pdf


def _overall(content: PilotContent) -> str:
    if content.verdict == "go":
        return "Go: the data are good, mechanism lowers the error on held-out edits, and it saves experiments."
    weakest = next(s for s in content.stages if s.verdict == content.verdict or s.verdict != "go")
    lead = "No: a predictor without mechanism does better here. " if content.verdict == "no" else "Not yet: "
    return lead + "; ".join(weakest.reasons) + "."


def _page(content: PilotContent, number: int) -> tuple[Block, ...]:
    stage = content.stages[number]
    blocks: list[Block] = [Verdict(result=_BADGES[stage.verdict], text="; ".join(stage.reasons) + ".")]
    if number == 0 and len(content.reliability):
        caption = (
            "How much of each measured response is no noise. Left of the line, a response cannot be told from noise."
        )
        blocks.append(_gallery(plot_reliability(content.reliability), "Histogram of reliability", caption))
    if number == 1 and len(content.scores):
        caption = (
            "Each point is an edit that training had not seen. Below the line, mechanism is nearer to the measurement."
        )
        blocks.append(_gallery(plot_pairs(content.scores), "Errors with against without mechanism", caption))
    if number == 2 and len(content.scores):
        caption = "Mean squared error on held-out edits after training on half of the edits and on all of them."
        blocks.append(_gallery(plot_curves(content.scores, content.sizes), "Learning curves", caption))
    if stage.mends:
        blocks += [Heading(text="What to mend"), Points(items=tuple(("", mend) for mend in stage.mends[:8]))]
    if stage.assumptions:
        blocks += [Heading(text="What it rests on"), Points(items=tuple(("", a) for a in stage.assumptions))]
    if stage.numbers:
        rows = tuple((name.replace("_", " "), f"{value:.3g}") for name, value in stage.numbers.items())
        blocks.append(Table(caption="Figures behind the verdict", head=("figure", "value"), rows=rows))
    if number == 2 and len(content.sensitivity):
        blocks.append(_prices(content.sensitivity))
    return tuple(blocks)


def _prices(table: pd.DataFrame) -> Table:
    """Money saved as each price is halved and doubled."""
    first = table.iloc[0]
    ends = " to ".join(_money(float(first[name])) for name in ("lower", "upper"))
    rows = tuple(
        (str(name), f"{float(value):g}", *(_money(float(each)) for each in money))
        for name, (value, *money) in table.set_index("price")[["value", "half", "given", "double"]].T.items()
    )
    return Table(
        caption=f"Money saved if one of your prices were half or double of what you gave; at the ends of the 90 % interval of the saving, with prices as given: {ends}.",
        head=("price of a", "as you gave it", "saved at half of it", "as given", "at double"),
        rows=rows,
    )


def _money(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) and abs(value) < 1e9 else "more than can be told"


def _gallery(figure: Figure, alt: str, caption: str) -> Gallery:
    return Gallery(pictures=(Picture(figure, alt),), caption=caption)


def plot_reliability(table: pd.DataFrame) -> Figure:
    """Histogram of the reliability of responses."""
    figure, axes = panel(2.6, top=0.55)
    values = table["reliability"].dropna().to_numpy()
    axes.hist(values, bins=np.linspace(0, 1, 21).tolist(), color=LOOKS[0].colour)
    axes.axvline(0.5, color=INK, linewidth=1)
    head(figure, "Reliability of responses", f"{len(values)} edited conditions, median {np.median(values):.2f}")
    label(axes, x="share that is no noise", y="conditions")
    return figure


def plot_pairs(scores: pd.DataFrame) -> Figure:
    """Error of each held-out edit, with mechanism against without, at the larger size."""
    last = scores[scores["size"] == scores["size"].max()]
    wide = last.pivot(index="perturbation", columns="predictor", values="value").dropna()
    without = next(name for name in wide if name != "semi-mechanistic")
    figure, axes = panel(3.4, top=0.55)
    axes.plot(wide[without], wide["semi-mechanistic"], "o", color=LOOKS[0].colour, markersize=4, alpha=0.8)
    low, high = float(wide.to_numpy().min()), float(wide.to_numpy().max())
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    won = int((wide["semi-mechanistic"] < wide[without]).sum())
    head(figure, "Squared error on held-out edits", f"mechanism is nearer for {won} of {len(wide)}")
    label(axes, x=f"without: {without}", y="with mechanism")
    return figure


def plot_curves(scores: pd.DataFrame, sizes: tuple[float, ...]) -> Figure:
    """Mean error against the number of training edits, one line for each predictor."""
    figure, axes = panel(2.8, top=0.55)
    for look, (name, part) in zip(LOOKS, scores.groupby("predictor", sort=False), strict=False):
        errors = part.groupby("size")["value"].mean()
        at = [sizes[int(size)] for size in errors.index]
        axes.plot(at, errors.to_numpy(), color=look.colour, marker=look.marker, linestyle=look.dashes, label=str(name))
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=SMALL)
    head(figure, "Error against training edits")
    label(axes, x="training edits", y="mean squared error")
    return figure
