"""Stream a simulated screen from disk, and compare with reading the file sequentially and doing nothing.

``python -m benchmarks.streaming --cells 500000 1000000 2000000 --genes 2000 [--folder DIR] [--report PAGE.md]``

Each size runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import brentq

from semimech._h5ad import any_strings
from semimech.data import read
from semimech.data.stored import BLOCK

N_EDITS = 30
N_BATCHES = 4
DAYS = (2, 4)
CONTROL_SHARE = 0.1
DENSITY = 0.1
CELLS_DRAWN = 20_000
CHUNK = 1 << 16
REPEATS = 3
TARGET = 0.6


def write_screen(path: Path, n_cells: int, n_genes: int, seed: int) -> int:
    """Write a screen with csr counts, lzf; blocks of cells repeat what one block drew, its cells reordered each time."""
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0.0, 1.0, n_genes)
    # Counts are negative binomial, whose depth varies by a gamma law of shape 4: zero with probability (1 + rate / 4)^-4.
    rate = share * brentq(lambda fold: np.mean(1 - (1 + fold * share / 4) ** -4) - DENSITY, 0.0, 1.0)
    drawn = sp.vstack(
        [sp.csr_matrix(rng.poisson(rate * rng.gamma(4, 0.25, (500, 1)))) for _ in range(CELLS_DRAWN // 500)], "csr"
    )
    drawn = drawn[np.diff(drawn.indptr) > 0]
    edit = np.where(rng.random(n_cells) < CONTROL_SHARE, 0, rng.integers(1, N_EDITS + 1, n_cells))
    genes = [f"G{i}" for i in range(n_genes)]
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical.from_codes(edit, ["control", *genes[:N_EDITS]]),
            "day": rng.choice(DAYS, n_cells),
            "batch": pd.Categorical.from_codes(
                rng.integers(0, N_BATCHES, n_cells), [f"b{i}" for i in range(N_BATCHES)]
            ),
        },
        index=[f"c{i}" for i in range(n_cells)],
    )
    with h5py.File(path, "w", rdcc_nbytes=1 << 24) as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        with any_strings():
            for name, element in {"obs": obs, "var": pd.DataFrame(index=genes), "layers": {}}.items():
                ad.io.write_elem(file, name, element)
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n_cells, n_genes)})
        for part in ("data", "indices"):
            group.create_dataset(part, (0,), np.int32, maxshape=(None,), chunks=(CHUNK,), compression="lzf")
        ends = [np.zeros(1, dtype=np.int64)]
        for first in range(0, n_cells, drawn.shape[0]):
            rows = drawn[rng.permutation(drawn.shape[0])[: n_cells - first]]
            ends.append(ends[-1][-1] + rows.indptr[1:].astype(np.int64))
            for part in ("data", "indices"):
                group[part].resize((int(ends[-1][-1]),))
                group[part][int(ends[-2][-1]) :] = getattr(rows, part)
        group.create_dataset("indptr", data=np.concatenate(ends))
        return int(ends[-1][-1])


def read_through(path: Path) -> None:
    """Read all values and their columns in order, as many at a time as streaming does, and forget them."""
    with h5py.File(path) as file:
        for first in range(0, file["X/data"].shape[0], BLOCK):
            for part in ("data", "indices"):
                file["X"][part][first : first + BLOCK]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of CPU in all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(path: Path) -> dict[str, object]:
    """Both ways in turn; the first reading of each is timed as well, the file having just been written."""
    begin = peak_gib()
    plain, streamed = [], []
    for _ in range(REPEATS):
        plain.append(timed(lambda: read_through(path)))
        streamed.append(timed(lambda: read(path, streamed=True)))
    return {"plain": plain, "streamed": streamed, "begin_gib": begin, "peak_gib": peak_gib()}


def growth(n_cells: list[int], seconds: list[float]) -> float:
    """Exponent of the growth of seconds in cells, by least squares of logarithms."""
    return float(np.polyfit(np.log(n_cells), np.log(seconds), 1)[0])


def page(options: argparse.Namespace, found: list[dict]) -> str:
    def median(row: dict, way: str, clock: int) -> float:
        return statistics.median(times[clock] for times in row[way])

    rows, ratios = [], []
    for row in found:
        ratio = [p[0] / s[0] for p, s in zip(row["plain"], row["streamed"], strict=True)]
        ratios.append(statistics.median(ratio))
        rows.append(
            f"| {row['cells']:,} | {row['values'] / 1e6:,.0f} | {row['file_gib']:.2f} "
            f"| {median(row, 'plain', 0):.1f} ({median(row, 'plain', 1):.1f}) "
            f"| {median(row, 'streamed', 0):.1f} ({median(row, 'streamed', 1):.1f}) "
            f"| **{ratios[-1]:.0%}** ({min(ratio):.0%}–{max(ratio):.0%}) "
            f"| {median(row, 'plain', 1) / median(row, 'streamed', 1):.0%} | {row['peak_gib']:.2f} |"
        )
    cells = [row["cells"] for row in found]
    lines = [
        "# Reading a screen that does not fit into memory",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, 2 cores ({platform.machine()}), shared with other work (load "
        f"{os.getloadavg()[1]:.1f} over five minutes); seed {options.seed}; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"h5py {h5py.__version__}.",
        "",
        "```bash",
        f"python -m benchmarks.streaming {shlex.join(a for a in sys.argv[1:])}",
        "```",
        "",
        f"Simulated counts, {options.genes:,} genes, {DENSITY:.0%} of them in a cell, csr with lzf: {N_EDITS} knockouts and {CONTROL_SHARE:.0%} controls on "
        f"{len(DAYS)} days in {N_BATCHES} batches. *Plain* reads values and columns in order, {BLOCK:,} at a time, and does nothing with them; *streamed* is "
        f"`semimech.read(path, streamed=True)` from the call to the data set, `obs` and covariances of controls included. Medians of {REPEATS}, the two in turn "
        "in one process per size; the file lies in the page cache. Seconds on the clock, in brackets of CPU in all threads; the ratio is of clocks, median and range of pairs.",
        "",
        "| cells | million values | file, GiB | plain, s (CPU) | streamed, s (CPU) | streamed rate / plain rate | same of CPU | peak memory, GiB |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Growth of the streamed time in cells: exponent {growth(cells, [median(r, 'streamed', 0) for r in found]):.2f} "
        f"({growth(cells, [median(r, 'streamed', 1) for r in found]):.2f} of CPU time); of plain reading {growth(cells, [median(r, 'plain', 0) for r in found]):.2f} "
        f"({growth(cells, [median(r, 'plain', 1) for r in found]):.2f}). Memory before reading: {found[-1]['begin_gib']:.2f} GiB.",
        "",
        f"The target is {TARGET:.0%} of the plain rate at 2 million cells; {'it is reached' if ratios[-1] >= TARGET else 'it is not reached'} at the largest size here. "
        "The covariance of up to 20,000 controls costs the same however many cells there are beyond, and weighs most at the smallest sizes; the rest is sums of values and of their squares, "
        "logarithms, and `obs`. The next block is read while one is summed, which saves time only where a second core is free: with a core of its own for each, streaming takes the longer of the two "
        "and what stands outside them; where both share one with other work, the ratio falls towards that of CPU time. What memory grows by is what `obs` says of each cell.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folder", type=Path, default=Path("."), help="where the simulated files are written, and deleted"
    )
    parser.add_argument("--report", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    found = []
    for n_cells in options.cells:
        path = options.folder / f"streaming_{n_cells}.h5ad"
        try:
            row = {"cells": n_cells, "values": write_screen(path, n_cells, options.genes, options.seed)}
            row["file_gib"] = path.stat().st_size / 2**30
            command = [sys.executable, "-m", "benchmarks.streaming", "--measure", str(path)]
            found.append(row | json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        finally:
            path.unlink(missing_ok=True)
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    text = page(options, found)
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
