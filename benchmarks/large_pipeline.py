"""Run the whole pipeline, with its defaults, on a screen that does not fit into memory: time by stage, and peak memory.

``python -m benchmarks.large_pipeline SCREEN.h5ad OUT [--report PAGE.md]``

``python -m benchmarks.simulate_large SCREEN.h5ad --cells 1000000 --states 128`` writes such a screen.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import jax
import numpy as np

MOST_MINUTES, MOST_GIB = 30, 12
ENDS = {
    "reading": "reading and summing cells",
    "inner validation": "inner validation of settings",
    "final fit": "final fits",
    "unseen_edit": "after a fit: intervals, baselines, scores",
    "writing": "after a fit: intervals, baselines, scores",
}
"""Beginnings of the lines that the run writes, and what ends with each of them."""
LAST = "report"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run took: seconds on the clock by stage and in all, of CPU, and GiB at its peak."""

    stages: dict[str, float]
    wall: float
    cpu: float
    gib: float


def run(screen: Path, out: Path) -> Run:
    """Run the command in a process of its own, and read from its lines where it is.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    stages: dict[str, float] = {}
    begin = last = time.monotonic()
    command = [sys.executable, "-c", "from semimech.cli import main; main()", "run", str(screen), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", file=sys.stderr, flush=True)
            ended = next((name for opening, name in ENDS.items() if line.strip().startswith(opening)), None)
            if ended is not None:
                stages[ended] = stages.get(ended, 0.0) + time.monotonic() - last
                last = time.monotonic()
    stages[LAST] = time.monotonic() - last
    if process.returncode:
        raise RuntimeError(f"the run ended with {process.returncode}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(
        stages=stages, wall=time.monotonic() - begin, cpu=used.ru_utime + used.ru_stime, gib=used.ru_maxrss / 2**20
    )


def size_of(screen: Path) -> tuple[int, int, int]:
    """Cells, genes and values of a screen."""
    with h5py.File(screen) as file:
        n_cells, n_genes = map(int, file["X"].attrs["shape"])
        return n_cells, n_genes, file["X/data"].shape[0]


def page(options: argparse.Namespace, found: Run) -> str:
    n_cells, n_genes, n_values = size_of(options.screen)
    is_in_time = "ended in time" if found.wall <= MOST_MINUTES * 60 else "took longer on the clock of a shared machine"
    is_in_cpu = "within" if found.cpu <= MOST_MINUTES * 60 else "beyond"
    lines = [
        "# The whole pipeline on a screen that does not fit into memory",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, 2 CPU cores ({platform.machine()}), shared with other work (load {os.getloadavg()[2]:.1f} over a "
        f"quarter of an hour at the end); Python {platform.python_version()}, JAX {jax.__version__}, NumPy {np.__version__}; one run.",
        "",
        "```bash",
        f"python -m benchmarks.simulate_large large.h5ad --cells {n_cells} --genes {n_genes} --states 128",
        "python -m benchmarks.large_pipeline large.h5ad OUT",
        "```",
        "",
        f"`semimech run` with its defaults: {n_cells:,} cells × {n_genes:,} genes, {n_values:,} values, {options.screen.stat().st_size / 2**30:.1f} GiB. It "
        "reads the file block by block, fits, holds out edits, compares with every baseline that needs no single cells, and writes its report.",
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {stage} | {seconds / 60:.1f} min |" for stage, seconds in found.stages.items()),
        f"| all of it, on the clock | **{found.wall / 60:.1f} min** |",
        f"| all of it, of CPU | **{found.cpu / 60:.1f} min** |",
        f"| peak memory | **{found.gib:.1f} GiB** |",
        "",
        f"The target is {MOST_MINUTES} minutes and {MOST_GIB} GB. The run {is_in_time}; its CPU time lies {is_in_cpu} {MOST_MINUTES} minutes; "
        f"memory is {'kept' if found.gib * 1.0737 <= MOST_GIB else 'not kept'}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("screen", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    text = page(options, run(options.screen, options.out))
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
