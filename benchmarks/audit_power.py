"""How often diagnostics see an assumption that is false by a moderate amount, by the number of cells.

python -m benchmarks.audit_power --sets 25
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.audit_worlds import VIOLATIONS, Size, make_screen
from semimech.assumptions import ASSUMPTIONS
from semimech.assumptions.diagnostics.audit import find
from semimech.assumptions.diagnostics.evidence import LEVEL

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "audit_power.md"
TABLE = RESULTS.with_suffix(".tsv")
PICTURE = ROOT / "docs" / "audit_power.svg"
CELLS = (10, 20, 40, 80, 160)
WANTED = 0.8


def seen(violated: str, cells: int, strength: float, seeds: range) -> pd.DataFrame:
    """Whether an assumption that is false is seen in each of some screens."""
    (asked,) = (a for a in ASSUMPTIONS if a.id == violated)
    rows = []
    for seed in seeds:
        screen = make_screen(Size(cells=cells), seed=seed, violated=violated, strength=strength)
        (finding,) = find(screen, [asked], seed=1_000_000 + seed)
        row = {"assumption": violated, "strength": strength, "cells": cells, "seed": seed, "p": finding.p_value}
        rows.append(row | {"verdict": finding.verdict, "announced": finding.power})
    return pd.DataFrame(rows)


def study(strength: float, n_sets: int) -> pd.DataFrame:
    """Screens of growing size, for each assumption until all of them show that it is false."""
    tables = []
    for violated in VIOLATIONS:
        for cells in CELLS:
            start = time.perf_counter()
            part = seen(violated, cells, strength, range(5000, 5000 + n_sets))
            tables.append(part)
            share = (part["p"] <= LEVEL).mean()
            print(f"{violated}, {cells} cells: {share:.0%}, {time.perf_counter() - start:.0f} s", flush=True)
            if share == 1.0:
                break
    return pd.concat(tables, ignore_index=True)


def curve(found: pd.DataFrame) -> pd.DataFrame:
    """Share of screens in which each false assumption is seen, with 95 % intervals; once it was always seen it stays so."""
    rows = []
    for (assumption, cells), part in found.groupby(["assumption", "cells"], sort=False):
        alarm = part["p"] <= LEVEL
        interval = binomtest(int(alarm.sum()), len(part)).proportion_ci()
        row = {"assumption": assumption, "cells": cells, "sets": len(part), "seen": alarm.mean()}
        row |= {"lower": interval.low, "upper": interval.high, "fails": (part["verdict"] == "fails").mean()}
        rows.append(row)
    return pd.DataFrame(rows)


def enough(part: pd.DataFrame) -> str:
    """Cells at which four of five screens show it, between those tried on the logarithmic scale."""
    above = np.flatnonzero(part["seen"].to_numpy() >= WANTED)
    if not len(above):
        return f"more than {part['cells'].max()}"
    last = int(above[0])
    if not last:
        return f"{part['cells'].iloc[0]} or fewer"
    low, high = part.iloc[last - 1], part.iloc[last]
    share = (WANTED - low["seen"]) / (high["seen"] - low["seen"])
    return f"about {np.exp(np.log(low['cells']) + share * np.log(high['cells'] / low['cells'])):.0f}"


def draw(table: pd.DataFrame, path: Path) -> None:
    """The curves as a picture."""
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    for number, (assumption, part) in enumerate(table.groupby("assumption", sort=False)):
        cells, share = part["cells"].to_numpy(), part["seen"].to_numpy()
        more = [c for c in CELLS if c > cells[-1] and share[-1] == 1.0]
        style = {"color": f"C{number}", "marker": "os^vDPX*"[number], "linewidth": 1.5, "markersize": 5}
        axes.plot(np.append(cells, more), np.append(share, np.ones(len(more))), label=assumption, **style)
    axes.axhline(WANTED, color="0.5", linewidth=0.8, linestyle="--")
    axes.axhline(LEVEL, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(
        xscale="log", xlabel="edited cells per condition and batch (2 batches)", ylabel="share of screens with p ≤ 0.05"
    )
    axes.set_xticks(CELLS, [str(c) for c in CELLS])
    axes.minorticks_off()
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    plt.rcParams["svg.hashsalt"] = "semimech"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=25)
    parser.add_argument("--strength", type=float, default=1.0)
    options = parser.parse_args()
    start = time.perf_counter()
    table = curve(study(options.strength, options.sets))
    table.to_csv(TABLE, sep="\t", index=False, float_format="%.3g")
    draw(table, PICTURE)
    lines = [
        "# Power of the audit's diagnostics",
        "",
        f"- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work, {time.perf_counter() - start:.0f} s.",
        f"- Command: `python -m benchmarks.audit_power --sets {options.sets}`; seeds 5000 to {4999 + options.sets} for each size.",
        "- Screens of `benchmarks/audit_worlds.py`: 60 genes, 10 CRISPRi edits and 2 pairs, 2 batches, two times, two media, both orders. Cells are edited ones per condition",
        "  and batch; unedited ones are three times as many.",
        "- Violations of moderate size: a fold change of 1.65 in the 4 or so genes that an edit moves (for control stationarity: of the genes that drift), of 0.6 in depth, of 0.37",
        "  in the numbers of a third of the edits, or 30 % of escapers. Pairs are two, each at two times; orders of steps two.",
        "- Per cent of screens with p ≤ 0.05 (95 % interval), and in brackets with the verdict `fails` of this assumption looked at alone. Empty: all were seen with fewer.",
        "",
        f"| assumption | {' | '.join(f'{c} cells' for c in CELLS)} | 80 % at |",
        f"|---|{'---|' * (len(CELLS) + 1)}",
    ]
    for assumption, part in table.groupby("assumption", sort=False):
        cells = {
            row[
                "cells"
            ]: f"{100 * row['seen']:.0f} ({100 * row['lower']:.0f} to {100 * row['upper']:.0f}) [{100 * row['fails']:.0f}]"
            for row in part.to_dict("records")
        }
        lines.append(f"| {assumption} | {' | '.join(cells.get(c, '') for c in CELLS)} | {enough(part)} |")
    lines += ["", f"Picture: `docs/{PICTURE.name}`; table: `{TABLE.name}`."]
    RESULTS.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
