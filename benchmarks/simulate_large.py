"""Simulate a screen that does not fit into memory to disk, and measure memory and rate.

``python -m benchmarks.simulate_large OUT.h5ad --genes 5000 --cells 1000000 [--report PAGE.md] [--delete]``
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import jax
import numpy as np

from semimech.experiment import Edit
from semimech.simulate import (
    Measurement,
    ScreenDesign,
    World,
    WorldRecipe,
    choose_edits,
    random_world,
    screen_experiments,
    stream_screen,
)

REGULATORS = 300
N_EDITS = 30
DAYS = (2, 4)
CONTROL_SHARE = 0.1


@dataclass(kw_only=True)
class Clock:
    """Seconds of each stage, and the memory at the end of each."""

    begin: float = field(default_factory=time.perf_counter)
    first_block: tuple[float, int] | None = None
    last_said: float = 0.0

    def elapsed(self) -> float:
        return time.perf_counter() - self.begin

    def block(self, done: int, total: int) -> None:
        now = self.elapsed()
        if self.first_block is None:
            self.first_block = (now, done)
        if now - self.last_said > 10 or done == total:
            self.last_said = now
            print(f"{now:7.1f} s  {done} of {total} cells  {peak_gib():.2f} GiB", file=sys.stderr, flush=True)


def peak_gib() -> float:
    """Largest resident memory of this process until now, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def make_design(n_genes: int, n_cells: int, key: jax.Array) -> tuple[World, ScreenDesign]:
    """A whole-transcriptome screen of single knockouts on two days, with as near to the wanted cells as divides evenly."""
    world_key, edit_key = jax.random.split(key)
    recipe = WorldRecipe(n_genes=n_genes, n_regulators=REGULATORS, mean_sites=3.0, strength=3.0, extrinsic=0.15)
    world = random_world(recipe, key=world_key)
    singles, _ = choose_edits(world, N_EDITS, 0, key=edit_key)
    control = round(CONTROL_SHARE * n_cells / len(DAYS))
    design = ScreenDesign(
        experiments=screen_experiments([tuple(Edit(gene=g) for g in genes) for genes in singles], DAYS),
        cells=round((n_cells - len(DAYS) * control) / (N_EDITS * len(DAYS))),
        control_cells=control,
        n_batches=4,
        measurement=Measurement(library_mean=2500.0),
    )
    return world, design


def looks_right(path: Path) -> dict[str, float]:
    """Read the file back in pieces: mean library and share of zeros of the first cells, and sizes."""
    with h5py.File(path) as file:
        ends = file["X/indptr"][:]
        n_genes = int(file["X"].attrs["shape"][1])
        first = file["X/data"][: ends[min(2000, len(ends) - 1)]]
        n_first = min(2000, len(ends) - 1)
        return {
            "cells": len(ends) - 1,
            "genes": n_genes,
            "values": int(ends[-1]),
            "umi": first.sum() / n_first,
            "zeros": 1 - ends[-1] / (len(ends) - 1) / n_genes,
        }


def page(options: argparse.Namespace, clock: Clock, seconds: dict[str, float], found: dict[str, float]) -> str:
    cells = found["cells"]
    rate = (cells - clock.first_block[1]) / (clock.elapsed() - clock.first_block[0])
    whole = seconds["world"] + seconds["pool"] + 1e6 / rate
    rows = [
        ("cells × genes", f"{cells:,.0f} × {found['genes']:,.0f}"),
        ("conditions", f"{N_EDITS} knockouts and unedited cells on days {DAYS[0]} and {DAYS[1]}, 4 batches"),
        ("states per condition", f"{options.states}"),
        ("mean UMI per cell, share of zeros", f"{found['umi']:,.0f}, {found['zeros']:.3f}"),
        ("world drawn", f"{seconds['world']:.0f} s"),
        ("pool of states and truth, until the first block of cells", f"{seconds['pool']:.0f} s"),
        ("cells drawn and written", f"{seconds['cells']:.0f} s"),
        ("rate of drawing and writing", f"**{rate:,.0f} cells per second**"),
        ("all of it", f"{seconds['all']:.0f} s"),
        ("peak memory (`resource.getrusage`)", f"**{peak_gib():.2f} GiB**"),
        ("file", f"{found['gib']:.2f} GiB, {found['values']:,.0f} values"),
    ]
    if cells < 1e6:
        rows.append(
            ("10⁶ cells at this rate (extrapolated, not run)", f"{whole:.0f} s, {found['gib'] * 1e6 / cells:.1f} GiB")
        )
    lines = [
        "# Simulating a screen that does not fit into memory",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {os.cpu_count()} CPU cores ({platform.machine()}), of which "
        f"{len(os.sched_getaffinity(0))} used, shared with other work; seed {options.seed}; Python {platform.python_version()}, "
        f"JAX {jax.__version__}, NumPy {np.__version__}.",
        "",
        "```bash",
        f"python -m benchmarks.simulate_large {shlex.join([Path(options.out).name, *sys.argv[2:]])}",
        "```",
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
        "Cells of a condition take the states of a pool, each time with a library, a batch and counts of their own; see "
        "`semimech.simulate.stream_screen`. A dense matrix of 32-bit counts of this size would take "
        f"{cells * found['genes'] * 4 / 2**30:.1f} GiB.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--genes", type=int, default=5000)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--states", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--delete", action="store_true", help="delete the file when it has been looked at")
    options = parser.parse_args()
    clock = Clock()
    world_key, screen_key = jax.random.split(jax.random.key(options.seed))
    world, design = make_design(options.genes, options.cells, world_key)
    drawn = clock.elapsed()
    stream_screen(world, design, options.out, n_states=options.states, key=screen_key, progress=clock.block)
    done = clock.elapsed()
    seconds = {"world": drawn, "pool": clock.first_block[0] - drawn, "cells": done - clock.first_block[0], "all": done}
    found = looks_right(options.out) | {"gib": options.out.stat().st_size / 2**30}
    text = page(options, clock, seconds, found)
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    if options.delete:
        options.out.unlink()


if __name__ == "__main__":
    main()
