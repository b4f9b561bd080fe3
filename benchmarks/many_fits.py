"""A sweep of 64 small fits in one process, on one and on two workers of a Dask cluster, and with a worker killed on the way.

``python -m benchmarks.many_fits [--repeats 3] [--report PAGE.md]``
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import distributed
import jax
import pandas as pd
from distributed import Client, LocalCluster

from semimech import FitConfig
from semimech.data import read
from semimech.data.split import unseen_edit
from semimech.evaluate import Known, sweep

SPARSITIES = (0.003, 0.03, 0.1, 0.3)
N_SEEDS = 8
N_FOLDS = 2
N_FITS = len(SPARSITIES) * N_SEEDS * N_FOLDS
TARGET = 1.7
SETTINGS = FitConfig(steady_state="none", n_members=2, n_folds=2, n_steps=60, validation_steps=60, pooling="none")


def made_screen(folder: Path) -> Known:
    """A simulated screen of 25 genes, 6 knockouts and 2 pairs."""
    path = folder / "screen.h5ad"
    shape = ["--genes", "25", "--edits", "6", "--doubles", "2", "--cells", "12", "--control-cells", "60"]
    subprocess.run(
        [sys.executable, "-c", "from semimech.cli import main; main()", "simulate", *shape, "--out", str(path)],
        check=True,
    )
    return Known(dataset=read(path))


def timed(known: Known, folder: Path, client: Client | None, say: Callable[[str], None] | None = None) -> dict:
    """All fits into a new folder: seconds on the clock, from the first to the last file."""
    arms = {f"sparsity {s}": replace(SETTINGS, sparsities=(s,)) for s in SPARSITIES}
    splits = {seed: unseen_edit(known.dataset, n_folds=N_FOLDS, seed=seed) for seed in range(N_SEEDS)}
    before, begin = cpu_seconds(client), time.perf_counter()
    scores = sweep(known, arms, splits, folder, client=client, say=say)
    seconds, after = time.perf_counter() - begin, cpu_seconds(client)
    assert len(list(folder.iterdir())) == N_FITS
    busiest = max(after[each] - before.get(each, 0.0) for each in after)
    return {"seconds": seconds, "busiest": busiest, "scores": scores, "load": os.getloadavg()[0]}


def cpu_seconds(client: Client | None) -> dict[str, float]:
    """CPU time that each process has used which fits."""
    return {"here": time.process_time()} if client is None else client.run(time.process_time)


def largest_difference(scores: pd.DataFrame, other: pd.DataFrame) -> float:
    """Largest difference of any score, relative to the largest of its metric; NaN where only one has a value."""
    keys = ["predictor", "split", "fold", "seed", "condition", "metric", "scope", "mode"]
    both = scores.set_index(keys)["value"].to_frame("one").join(other.set_index(keys)["value"].rename("other"))
    assert len(both) == len(scores) == len(other) and (both["one"].isna() == both["other"].isna()).all()
    size = both["one"].abs().groupby("metric").transform("max")
    return float(((both["one"] - both["other"]).abs() / size).max())


def killer(client: Client) -> Callable[[str], None]:
    """Kills a worker once ten fits are done."""
    pid, done = next(iter(client.run(os.getpid).values())), []

    def kill(text: str) -> None:
        done.append(text)
        if len(done) == 10:
            os.kill(pid, signal.SIGKILL)

    return kill


def measure(repeats: int, folder: Path) -> dict[str, list[dict]]:
    known = made_screen(folder)
    found: dict[str, list[dict]] = {"this process": [], "1 worker": [], "2 workers": [], "2 workers, 1 killed": []}
    clusters = {n: LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0") for n in (1, 2)}
    clients = {n: Client(cluster, set_as_default=False) for n, cluster in clusters.items()}
    try:
        # Every process compiles, or reads compiled programs, before it is timed.
        for place, client in (("here", None), *clients.items()):
            timed(known, folder / f"first {place}", client)
        for repeat in range(repeats):
            for name, client in (("this process", None), ("1 worker", clients[1]), ("2 workers", clients[2])):
                found[name].append(timed(known, folder / f"{name} {repeat}", client))
                print(name, round(found[name][-1]["seconds"], 1), file=sys.stderr, flush=True)
        found["2 workers, 1 killed"].append(timed(known, folder / "killed", clients[2], killer(clients[2])))
    finally:
        for each in (*clients.values(), *clusters.values()):
            each.close()
    return found


def page(found: dict[str, list[dict]]) -> str:
    reference = found["this process"][0]["scores"]
    rows, medians = [], {}
    for name, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        medians[name] = statistics.median(seconds)
        differs = max(largest_difference(reference, run["scores"]) for run in runs)
        loads = [run["load"] for run in runs]
        rows.append(
            f"| {name} | {medians[name]:.1f} ({min(seconds):.1f}–{max(seconds):.1f}) | {N_FITS / medians[name]:.2f} "
            f"| {statistics.median(run['busiest'] for run in runs):.1f} | {differs:.1e} | {min(loads):.1f}–{max(loads):.1f} |"
        )
    ratios = [one["seconds"] / two["seconds"] for one, two in zip(found["1 worker"], found["2 workers"], strict=True)]
    ratio = statistics.median(ratios)
    shares = [one["busiest"] / two["busiest"] for one, two in zip(found["1 worker"], found["2 workers"], strict=True)]
    lines = [
        "# Many fits at once",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, 2 cores ({platform.machine()}); Python {platform.python_version()}, JAX {jax.__version__}, "
        f"distributed {distributed.__version__}.",
        "",
        "```bash",
        f"python -m benchmarks.many_fits {shlex.join(sys.argv[1:])}",
        "```",
        "",
        f"{N_FITS} fits to a simulated screen of 25 genes: {len(SPARSITIES)} sparsities × {N_SEEDS} seeds × {N_FOLDS} folds, by `semimech.evaluate.sweep`, every worker a process of one "
        "thread. Medians and ranges of runs in turn, in processes that have their programs; from the call to the last file. *Difference* is the largest of any score to those of this process, "
        "relative to the largest score of its metric. In the last row a worker is killed (`SIGKILL`) after ten fits, and another started in its place.",
        "",
        "| where | seconds | fits per second | CPU seconds of the busiest process | difference | load of the machine |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Two workers are **{ratio:.2f} times** as fast as one ({min(ratios):.2f}–{max(ratios):.2f} of pairs); the target is {TARGET}, "
        f"{'reached' if ratio >= TARGET else 'not reached'}. The load counts other work on the machine too: with two other busy processes, "
        f"one worker has two thirds of a core and two have half a core each, so that two can be 1.5 times as fast at most. By CPU time of the busiest process, which other work hardly "
        f"changes, two workers are {statistics.median(shares):.2f} times as fast ({min(shares):.2f}–{max(shares):.2f}).",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if jax.config.jax_compilation_cache_dir is None:
            jax.config.update("jax_compilation_cache_dir", f"{folder}/programs")
        text = page(measure(options.repeats, Path(folder)))
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
