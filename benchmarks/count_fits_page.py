"""The part of ``results/counts.md`` that compares fits on counts with fits on pseudobulks, from what `benchmarks.count_fits` measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.design_errors import markdown

RESULTS = Path(__file__).resolve().parent / "results"
# Written by hand of the tables as they are in results/: a rerun calls for these words to be read again.
FOUND = """A ratio within a tenth of 1 is a tie: there are three worlds. At 200 UMI per cell counts win by 11 to 27 %, except for whole unseen edits, which are a tie by the law alone with batch effects (.93) and in the *prediction*. At 500 they win without batch effects, by
17 to 35 % (the prediction of unseen edits is a tie); with them it is a tie, but for the law alone on unseen edits, where counts lose by 45 % (in two of three worlds). At 2,000 it is a tie, but for the law alone with batch effects on unseen edits (.84) and on a later day (.89), where counts win.
From 5,000 UMI on pseudobulks win, by up to 30 %, or it is a tie. For whole unseen edits the *prediction*, after pooling and residuals, is a tie at every depth (within 6 %), and about no better than no change: ten edits do not tell of an eleventh without wiring.

The scale of the score does not make the difference: ratios on logarithms of states differ from those on means by .06 at most, .01 at the median. Batch effects move it at some depths: without them counts win more clearly at 500 UMI, lose less at 5,000, and lose more clearly at 20,000. That counts win at low depth
goes along with what the cells tell: of the same cells the law of counts measures a fold change with two thirds of the squared error of means at 200 UMI, and with nine tenths at 20,000 (last table). That pseudobulks win at high depth does not; how the two losses weigh
conditions and genes may have to do with it, which was not tested. So: `likelihood="counts"` below some 500 UMI per cell, pseudobulks above some 5,000; between them it is a tie but for few cases."""


def fits_table(batches: float) -> str:
    """Mean error of fits by depth, in how many worlds the fit on counts is better, and its share of the error on logarithms of states."""
    table = pd.read_csv(RESULTS / "count_fits.tsv", sep="\t")
    table = table[(table["what"] != "measured") & (table["batches"] == batches)]
    rows = []
    for (depth, task, what), each in table.groupby(["depth", "task", "what"], sort=False):
        wide, logs = (
            each[each["measure"] == m].pivot_table(index="world", columns="likelihood", values="error")
            for m in ("means", "logs")
        )
        rows.append(
            {
                "task": task,
                "of": what,
                "depth": depth,
                "pseudobulk": wide["pseudobulk"].mean(),
                "counts": wide["counts"].mean(),
                "counts better in": f"{int((wide['counts'] < wide['pseudobulk']).sum())} of {len(wide)}",
                "winner": "counts" if wide["counts"].mean() < wide["pseudobulk"].mean() else "pseudobulk",
                "ratio": wide["counts"].mean() / wide["pseudobulk"].mean(),
                "ratio on logs": logs["counts"].mean() / logs["pseudobulk"].mean(),
            }
        )
    return markdown(pd.DataFrame(rows).sort_values(["of", "task", "depth"]))


def estimates_table() -> str:
    """Error of measured log fold changes by depth, without a fit."""
    table = pd.read_csv(RESULTS / "count_estimates.tsv", sep="\t")
    wide = table.pivot_table(index="depth", columns="estimate", values="error").reset_index()
    return markdown(wide.assign(ratio=wide["counts"] / wide["means"]))


def fits_page() -> str:
    """The section, as Markdown."""
    return f"""## A fit on counts against a fit on pseudobulks

Simulated screens, three worlds: 30 genes, 10 CRISPRi edits, three days, 60 cells per condition, 300 controls, three batches (factors with a spread of 0.2, or none), dispersion 0.3. Squared
error against the same conditions in 1,500 cells without batch effects, edited genes left out, relative to that of no change. Three edits are held out whole
(*unseen edit*), three on their last day (*later day*). *Ratio* is that of the errors, counts to pseudobulks; *on logs*, of errors of logarithms of states instead of means of log1p.

{FOUND}

With batch effects:

{fits_table(0.2)}

Without batch effects:

{fits_table(0.0)}

### What goes along with it

Mean squared error of measured log fold changes, no model fitted, no batch effects (`python -m benchmarks.count_fits --estimates`): *counts* by the law of counts, *means* by means of log1p of normalised counts; *ratio*, counts to means.

{estimates_table()}
"""
