"""Stream a simulated screen from disk, and compare with reading the file sequentially and doing nothing.

``python -m benchmarks.streaming --cells 500000 1000000 2000000 --zarr 200000 [--folder DIR] [--report PAGE.md]``

Each size runs in a process of its own, so that its peak of memory is its own. Set ``OPENBLAS_NUM_THREADS=1``, so that CPU time of the reading thread
is that of reading.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import brentq

from semimech._h5ad import any_strings
from semimech.data import read, stream
from semimech.data.stored import BLOCK, opened

N_EDITS = 30
N_BATCHES = 4
DAYS = (2, 4)
CONTROL_SHARE = 0.1
DENSITY = 0.1
CELLS_DRAWN = 20_000
CHUNK = 1 << 16
REPEATS = 3
TARGET = 0.6
TARGET_CELLS = 2_000_000
OLDER = (
    "Two million cells were measured with older code alone, which took 1.3 times the CPU time beside reading (2026-11-27, the same two cores, load 4.5; 399 million values, 1.20 GiB as h5ad with lzf): plain "
    "12.4 s (8.2 of CPU), streamed 30.9 s (20.5), **36%** (35%–43%) on the clock and 40% of CPU time, missed; peak memory 0.93 GiB."
)
"""What was measured at the size of the target, while no newer code was."""


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


def as_zarr(path: Path) -> Path:
    """The same screen as a folder, as AnnData writes it."""
    folder = path.with_suffix(".zarr")
    with any_strings(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Writing zarr v2", UserWarning)
        ad.read_h5ad(path).write_zarr(folder)
    path.unlink()
    return folder


def read_through(path: Path) -> None:
    """Read all values and their columns in order, as many at a time as streaming does, and forget them."""
    with opened(path) as file:
        for first in range(0, file["X/data"].shape[0], BLOCK):
            for part in ("data", "indices"):
                file["X"][part][first : first + BLOCK]


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Seconds on the clock, of CPU in all threads, and in this one."""
    wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    work()
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "own": time.thread_time() - own,
    }


def streamed(path: Path) -> dict[str, float]:
    """Times of streaming; ``apart`` is what it would take on the clock with a core for each of its two threads."""
    passes: list[dict[str, float]] = []
    original = stream.pass_through

    def watched(*given, **named):
        found = []
        passes.append(timed(lambda: found.append(original(*given, **named))))
        return found[0]

    stream.pass_through = watched
    try:
        whole = timed(lambda: read(path, streamed=True))
    finally:
        stream.pass_through = original
    outside = whole["own"] - sum(each["own"] for each in passes)
    return whole | {"apart": outside + sum(max(each["own"], each["cpu"] - each["own"]) for each in passes)}


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(path: Path) -> dict[str, object]:
    """Both ways in turn; the first reading of each is timed as well, the file having just been written."""
    begin = peak_gib()
    found: dict[str, list] = {"plain": [], "streamed": []}
    for _ in range(REPEATS):
        found["plain"].append(timed(lambda: read_through(path)))
        found["streamed"].append(streamed(path))
    return found | {"begin_gib": begin, "peak_gib": peak_gib()}


def growth(n_cells: list[int], seconds: list[float]) -> float:
    """Exponent of the growth of seconds in cells, by least squares of logarithms."""
    return float(np.polyfit(np.log(n_cells), np.log(seconds), 1)[0])


def median(row: dict, way: str, clock: str) -> float:
    return statistics.median(times[clock] for times in row[way])


def shares(row: dict, of_plain: str, of_streamed: str) -> list[float]:
    """Rate of streaming over that of plain reading, of each pair."""
    pairs = zip(row["plain"], row["streamed"], strict=True)
    return [plain[of_plain] / streamed[of_streamed] for plain, streamed in pairs]


def spread(found: list[float]) -> str:
    return f"**{statistics.median(found):.0%}** ({min(found):.0%}–{max(found):.0%})"


def line(row: dict) -> str:
    return (
        f"| {row['kind']} | {row['cells']:,} | {row['values'] / 1e6:,.0f} | {row['file_gib']:.2f} "
        f"| {median(row, 'plain', 'wall'):.1f} ({median(row, 'plain', 'cpu'):.1f}) "
        f"| {median(row, 'streamed', 'wall'):.1f} ({median(row, 'streamed', 'cpu'):.1f}) "
        f"| {spread(shares(row, 'wall', 'wall'))} | {spread(shares(row, 'cpu', 'cpu'))} | {spread(shares(row, 'cpu', 'apart'))} "
        f"| {row['peak_gib']:.2f} |"
    )


def beside_reading(row: dict) -> str:
    more = (median(row, "streamed", "cpu") - median(row, "plain", "cpu")) / row["values"] * 1e9
    return f"{more:.0f} ns ({row['kind']}, {row['cells']:,} cells; reading {median(row, 'plain', 'cpu') / row['values'] * 1e9:.0f} ns)"


def verdict(row: dict) -> str:
    """Which shares reach the target at the largest size: those measured, then the one that is computed."""

    def said(of_plain: str, of_streamed: str) -> str:
        found = statistics.median(shares(row, of_plain, of_streamed))
        return f"{found:.0%} {{}} ({'reached' if found >= TARGET else 'missed'})"

    clock, cpu, apart = said("wall", "wall"), said("cpu", "cpu"), said("cpu", "apart")
    lines = [
        f"The target is {TARGET:.0%} of the plain rate at {TARGET_CELLS / 1e6:.0f} million cells. Measured at {row['cells']:,} cells, it is {clock.format('on the clock of this shared machine')} and "
        f"{cpu.format('of CPU time')}. With a core for each thread it would be {apart.format('as computed')}; that was not measured."
    ]
    return "\n\n".join(lines + [OLDER] * (row["cells"] < TARGET_CELLS))


def page(options: argparse.Namespace, found: list[dict]) -> str:
    h5ad = [row for row in found if row["kind"] == "h5ad, lzf"]
    cells = [row["cells"] for row in h5ad]

    def exponent(way: str, clock: str) -> str:
        return f"{growth(cells, [median(row, way, clock) for row in h5ad]):.2f}" if len(cells) > 1 else "–"

    lines = [
        "# Reading a screen that does not fit into memory",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, 2 cores ({platform.machine()}), shared with other work (load "
        f"{os.getloadavg()[1]:.1f} over five minutes); seed {options.seed}; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"h5py {h5py.__version__}.",
        "",
        "```bash",
        f"OPENBLAS_NUM_THREADS=1 python -m benchmarks.streaming {shlex.join(a for a in sys.argv[1:])}",
        "```",
        "",
        f"Simulated counts, {options.genes:,} genes, {DENSITY:.0%} of them in a cell, csr: {N_EDITS} knockouts and {CONTROL_SHARE:.0%} controls on "
        f"{len(DAYS)} days in {N_BATCHES} batches. *Plain* reads values and columns in order, {BLOCK:,} at a time, and does nothing with them; *streamed* is "
        f"`semimech.read(path, streamed=True)` from the call to the data set, `obs` and covariances of controls included. Medians of {REPEATS}, the two in turn "
        "in one process per size; the file lies in the page cache. Seconds on the clock, in brackets of CPU in all threads. Shares are the rate of streaming over "
        "that of plain reading, median and range of pairs: on the clock, which here depends on who else computes; of CPU time; and, computed and not measured, of what the clock would say "
        "if each of the two threads, of which one reads and one adds, had a core: the longer of their CPU times while cells are read, and what stands outside.",
        "",
        "| file | cells | million values | GiB | plain, s (CPU) | streamed, s (CPU) | share, clock | share, CPU | share that would be, a core for each thread | peak memory, GiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *map(line, found),
        "",
        f"Growth of the streamed time in cells: exponent {exponent('streamed', 'wall')} ({exponent('streamed', 'cpu')} of CPU time); of plain reading "
        f"{exponent('plain', 'wall')} ({exponent('plain', 'cpu')}). Memory before reading: {found[-1]['begin_gib']:.2f} GiB.",
        "",
        *([verdict(max(h5ad, key=lambda row: row["cells"])), ""] if h5ad else []),
        "What streaming does beside reading costs " + "; ".join(map(beside_reading, found)) + " of CPU a value. "
        "The covariance of up to 20,000 controls costs the same however many cells there are beyond, and weighs most at the smallest sizes; the rest is sums of values and of their squares, "
        "logarithms, a hash of every cell, and `obs`. What memory grows by is what `obs` says of each cell.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--zarr", type=int, nargs="*", default=[], help="cells of screens that are stored as a folder")
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
    for kind, n_cells in [("h5ad, lzf", n) for n in options.cells] + [("zarr", n) for n in options.zarr]:
        path = options.folder / f"streaming_{n_cells}.h5ad"
        try:
            row = {"kind": kind, "cells": n_cells, "values": write_screen(path, n_cells, options.genes, options.seed)}
            path = as_zarr(path) if kind == "zarr" else path
            parts = path.rglob("*") if path.is_dir() else [path]
            row["file_gib"] = sum(part.stat().st_size for part in parts if part.is_file()) / 2**30
            command = [sys.executable, "-m", "benchmarks.streaming", "--measure", str(path)]
            found.append(row | json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        finally:
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    text = page(options, found)
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
