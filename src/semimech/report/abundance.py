"""The page on a screen of abundances: bottleneck, drift, and the genes that drift does not explain."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from semimech._files import replacing
from semimech.abundance import AbundanceScreen, Survivors
from semimech.report.blocks import Block, Gallery, Paragraph, Picture, Points, Reference, References, Section, Table
from semimech.report.plots import plot_abundance, plot_bottleneck, plot_drift
from semimech.report.write import render_page

_SHOWN = 30
_FALSE_DISCOVERIES = 0.05
_NO_DISPERSION = 1e-5
"""Where the search for a dispersion ends, none was found."""
_LEAST_P = 1e-10
_REFERENCES = (
    Reference(
        text="Y. Benjamini, Y. Hochberg. Controlling the false discovery rate. Journal of the Royal Statistical Society B 57, 289–300, 1995.",
        address="https://doi.org/10.1111/j.2517-6161.1995.tb02031.x",
    ),
    Reference(
        text="S. Abel, P. Abel zur Wiesch, H.-H. Chang, B. M. Davis, M. Lipsitch, M. K. Waldor. Sequence tag-based analysis of microbial population dynamics. Nature Methods 12, 223–226, 2015. "
        "Founders from the drift of tags.",
        address="https://doi.org/10.1038/nmeth.3253",
    ),
)


def write_abundance(
    screen: AbundanceScreen, path: str | Path, *, title: str = "Abundance screen", survivors: Survivors | None = None
) -> None:
    """Write the page as one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    screen
        What was estimated.
    path
        Where the file shall stand.
    title
        Its heading.
    survivors
        What cells of the same edits say, if there are any.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    growth = () if survivors is None else (_growth(survivors),)
    parts = (_result(screen), _bottleneck(screen), _genes(screen), *growth, _reading())
    with replacing(path) as temporary:
        temporary.write_text(render_page(title, parts), encoding="utf-8")


def _result(screen: AbundanceScreen) -> Section:
    genes, founders = screen.genes, screen.founders
    found = genes[genes["fdr"] <= _FALSE_DISCOVERIES]
    gained, lost = int((found["effect"] > 0).sum()), int((found["effect"] < 0).sum())
    n_neutral = int(screen.guides["neutral"].sum())
    points = [
        (
            "Genes",
            f"{len(found)} of {len(genes)} at a false-discovery rate of 5 %: {gained} make their cells more abundant, {lost} less.",
        ),
        (
            "Bottleneck",
            f"{_number(founders['founders'].min())} to {_number(founders['founders'].max())} effective founders, told from {n_neutral} neutral guides.",
        ),
    ]
    if left_out := screen.left_out_in_words():
        points.append(("Left out", f"{left_out}."))
    excess = founders[founders["spread_p"] < 0.05]["sample"]
    if len(excess):
        points.append(
            (
                "Beyond drift",
                f"neutral guides vary more than founders explain in {len(excess)} of {len(founders)} samples; the tests allow for it.",
            )
        )
    shared = screen.agreement.to_numpy()[np.triu_indices(len(screen.agreement), 1)]
    if len(shared) and shared.mean() > 2.0 / math.sqrt(n_neutral):
        points.append(
            (
                "Before the samples parted",
                f"residuals of neutral guides agree between samples (mean correlation {shared.mean():.2f}): founders drawn apart would not. The library drifted before, or the "
                "reference is not what was transplanted; the tests allow for it.",
            )
        )
    blocks: tuple[Block, ...] = (
        Points(items=tuple(points)),
        Gallery(
            pictures=(
                Picture(figure=plot_abundance(screen), alt="Change of abundance of the clearest genes in each sample"),
            ),
            caption="The clearest genes, means of their guides, against neutral cells. Points are samples (animals), lines run through their means.",
        ),
    )
    return Section(id="result", title="Result", blocks=blocks)


def _bottleneck(screen: AbundanceScreen) -> Section:
    rows = tuple(
        (
            str(row["sample"]),
            _number(row["founders"]),
            f"{_number(row['lower'])} to {_number(row['upper'])}",
            f"{row['dispersion']:.2g}" if row["dispersion"] > _NO_DISPERSION else "0",
            f"{row['spread_p']:.2g}",
            f"{row['lost']:.0f} of {row['n_barcodes']:.0f}",
        )
        for row in screen.founders.to_dict("records")
    )
    table = Table(
        caption="Founders of each sample, from its neutral guides.",
        head=(
            "Sample",
            "Effective founders",
            f"{screen.founders['level'].iloc[0]:.0%} interval",
            "Dispersion beside them",
            "p of that",
            "Neutral guides lost",
        ),
        rows=rows,
    )
    pictures = [Picture(figure=plot_bottleneck(screen), alt="Effective founders of each sample with intervals")]
    pictures += [
        Picture(figure=plot_drift(screen, s), alt=f"Change of guides against reads before, {s}")
        for s in screen.changes.columns[:5]
    ]
    caption = (
        "Rare guides scatter most: a few founders each. What scatters at every abundance alike is no drift of founders."
    )
    return Section(
        id="bottleneck", title="Bottleneck", blocks=(table, Gallery(pictures=tuple(pictures), caption=caption))
    )


def _genes(screen: AbundanceScreen) -> Section:
    scale = 1.0 if screen.unit == "ln per hour" else math.log(2.0)
    unit = "growth per hour (ln)" if screen.unit == "ln per hour" else "log₂ fold change"
    rows = tuple(
        (
            str(row["gene"]),
            f"{row['effect'] / scale:.3g}",
            f"{row['lower'] / scale:.3g} to {row['upper'] / scale:.3g}",
            f"{row['guides']:.0f}",
            _small(row["p"]),
            _small(row["fdr"]),
        )
        for row in screen.genes.head(_SHOWN).to_dict("records")
    )
    table = Table(
        caption=f"The {len(rows)} clearest of {len(screen.genes)} genes; genes.tsv has all of them.",
        head=("Gene", f"Effect, {unit}", "Interval", "Guides", "p", "False-discovery rate"),
        rows=rows,
    )
    return Section(id="genes", title="Genes", blocks=(table,))


def _growth(found: Survivors) -> Section:
    """Abundance beside what the expression of edits says of it, and how far effects on expression are those of survivors."""
    moved = np.sqrt(((found.corrected - found.harvested) ** 2).mean(axis=1))
    size = np.sqrt((found.harvested**2).mean(axis=1))
    rows = tuple(
        (edit, f"{row.measured:.2f} ± {row.standard_error:.2f}", f"{row.predicted:.2f}", f"{a:.3f}", f"{b:.3f}")
        for edit, row, a, b in zip(found.edits, found.growth.itertuples(), size, moved, strict=True)
    )
    text = (
        f"With probability {found.credence:.2g} growth follows the expression of edits; then it explains {max(found.explained, 0.0):.0%} of what the abundances of edits left out differ by. Effects on expression are "
        "freed of survivor bias as far as that is likely: expression.tsv has each with its interval, weights.tsv the growth that each gene adds."
    )
    table = Table(
        caption="Natural logarithm of abundance at the last harvest over unedited cells, and what the other edits' growth and this edit's expression say of it; effects are root mean squares over genes.",
        head=("Edit", "Measured", "From expression", "Effect as harvested", "Survivors' part of it"),
        rows=rows,
    )
    return Section(id="growth", title="Growth and expression", blocks=(Paragraph(text=text), table))


def _reading() -> Section:
    text = (
        "Effective founders are cells with equal clones that would make neutral guides drift as much as they did; heads are more, since clones differ in size. A guide's residual is "
        "where its count stands in the law of that drift; a gene's p-value says how often the mean residual of as many neutral guides stands as far out. Intervals of effects carry drift and the guides' "
        "own differences; intervals of single genes are not adjusted for having been picked."
    )
    return Section(id="reading", title="How to read it", blocks=(Paragraph(text=text), References(items=_REFERENCES)))


def _number(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}" if math.isfinite(value) else "no upper end"


def _small(p: float) -> str:
    return f"{p:.2g}" if p >= _LEAST_P else f"below {_LEAST_P:.0e}"
