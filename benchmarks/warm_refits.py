"""Warm refits against fits from nothing: time, and whether they end at the same predictions.

``python -m benchmarks.warm_refits --worlds 2`` writes ``results/warm_refits.md``.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.campaign_worlds import CONFIG, wired
from semimech.fit import FittedModel, fit
from semimech.fit.problem import edited_genes

RESULTS = Path(__file__).parent / "results"
GRID = replace(CONFIG, sparsities=(0.003, 0.03, 0.3), n_members=4)
"""As the defaults are: three sparsities to choose among, four members."""
SIZES = (10, 20, 40)


def one_world(seed: int) -> list[dict[str, float]]:
    """Seconds and errors after 20 and 40 edits, begun from the model of 10."""
    bench = wired(seed)
    data, truth = bench.dataset, bench.truth
    assert truth is not None
    order = np.random.default_rng([seed, 3]).permutation(len(data.conditions) - 1) + 1
    held, own = order[: len(order) // 4], edited_genes(data)
    targets = tuple(sorted({e.gene for c in data.conditions for e in c.edits}))
    first: FittedModel | None = None
    rows = []
    for size in SIZES:
        made = data.subset(np.isin(np.arange(len(data.conditions)), [0, *order[len(held) : len(held) + size]]))
        models, seconds = {}, {}
        for name in ("cold", "warm") if first else ("cold",):
            for _ in range(2):  # the first call compiles
                began = time.perf_counter()
                warm = first if name == "warm" else None
                models[name] = fit(made, GRID, prior=bench.prior, targets=targets, warm=warm)
                seconds[name] = time.perf_counter() - began
        if first is None:
            first = models["cold"]
            continue
        asked = [data.conditions[row] for row in held]
        base = np.where(own[held], np.nan, (truth[held] - truth[0]) ** 2)
        guess = {name: model.predict_conditions(asked).mean for name, model in models.items()}
        error = {n: np.nanmean(np.where(own[held], np.nan, (g - truth[held]) ** 2)) for n, g in guess.items()}
        apart = np.nanmean(np.where(own[held], np.nan, (guess["warm"] - guess["cold"]) ** 2))
        row = {"world": seed, "edits": size, "apart": apart / np.nanmean(base)}
        for name in models:
            row |= {f"{name} s": seconds[name], f"{name} error": error[name] / np.nanmean(base)}
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    return rows


def page(table: pd.DataFrame, first: int) -> str:
    """The results as text."""
    ratio = table["cold s"] / table["warm s"]
    lines = [
        "# Warm refits",
        "",
        f"- {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 cores shared with other work, one of them used. Command: `python -m benchmarks.warm_refits --first {first} --worlds {table['world'].nunique()}`.",
        f"- The *wired* worlds of `campaigns.md`; {len(GRID.sparsities)} sparsities, {GRID.n_folds} folds, {GRID.n_members} members, {GRID.n_steps} steps. Warm: begun from the model of {SIZES[0]} edits. Seconds of the second call; errors on held-out edits and the",
        "  mean squared difference of both predictions, over the error of no change.",
        "",
        "| world | edits | cold, s | warm, s | cold / warm | error cold | error warm | predictions apart |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row, times in zip(table.to_dict("records"), ratio, strict=True):
        lines.append(
            f"| {row['world']:.0f} | {row['edits']:.0f} | {row['cold s']:.1f} | {row['warm s']:.1f} | {times:.1f} | {row['cold error']:.3f} | {row['warm error']:.3f} | {row['apart']:.3f} |"
        )
    change = 100 * (table["warm error"] / table["cold error"] - 1.0)
    lines += [
        "",
        f"Warm refits take 1 / {ratio.median():.1f} of the time (median; {ratio.min():.1f} to {ratio.max():.1f}), and their error on held-out edits changes by {change.mean():+.1f} % on average, from {change.min():+.1f} to {change.max():+.1f} % in {len(table)} pairs of fits.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    rows: list[dict[str, float]] = []
    for seed in range(given.first, given.first + given.worlds):
        rows += one_world(seed)
        (given.out / "warm_refits.md").write_text(page(pd.DataFrame(rows), given.first), encoding="utf-8")


if __name__ == "__main__":
    main()
