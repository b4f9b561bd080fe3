"""The benchmark over real sets: the model, every simple baseline and peers on the same held-out edits, times and combinations.

``python -m benchmarks.real_sets run --cache FOLDER`` fits and scores, one file per task and group of methods, and goes on
from what is there; ``… render --cache FOLDER`` writes the page, the figure and the table of what is finished; ``… export
--cache FOLDER`` writes tasks for peers with environments of their own (`benchmarks.peers`), whose predictions the next run scores.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import pandas as pd

from benchmarks.sets import shared_data
from benchmarks.steady_state_loss import write_table
from semimech._errors import DataError

RESULTS = Path(__file__).resolve().parent / "results"
TABLE = "real_sets.tsv.gz"
EXCHANGE = "exchange"
"""Folder inside the cache where tasks lie for peers, and what these predict."""


def run(cache: Path, *, n_seeds: int, minutes: float, only: str, groups: str) -> None:
    """Do all groups of all tasks that have no file yet, until the time is up.

    Parameters
    ----------
    cache
        Folder of the files.
    n_seeds
        Rounds of seeds.
    minutes
        No group is begun later than this.
    only
        Tasks whose name begins so; several with commas.
    groups
        Groups of methods, with commas; all if empty.

    Raises
    ------
    DataError
        If the real data are not there.
    """
    from benchmarks.peers.exchange import methods_of
    from benchmarks.real_sets_scores import score_group
    from benchmarks.real_sets_tasks import plans

    root = _data()
    cache.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for plan in plans(root, n_seeds=n_seeds):
        task, files = None, methods_of(cache / EXCHANGE / plan.name)
        for group in (*plan.groups, *files):
            file = cache / f"{plan.name}--{group.replace(' ', '_')}.tsv"
            is_asked = plan.name.startswith(tuple(only.split(","))) and (not groups or group in groups.split(","))
            if file.exists() or not is_asked:
                continue
            if time.monotonic() - began > 60 * minutes:
                return
            task = task or plan.make()
            task = replace(task, methods={**task.methods, **files})
            start = time.process_time()
            scores = score_group(task, group)
            seconds = time.process_time() - start
            write_table(scores.assign(task=plan.name, group=group, seconds=seconds), file)
            print(f"{file.stem}\t{seconds:.0f} s of CPU", file=sys.stderr, flush=True)
            jax.clear_caches()  # every set compiles its own programs, and a process may map only so many


def export(cache: Path, *, n_seeds: int) -> None:
    """Write tasks for peers that need environments of their own.

    Raises
    ------
    DataError
        If the real data are not there.
    """
    from benchmarks import real_sets_tasks

    real_sets_tasks.export(_data(), n_seeds=n_seeds, folder=cache / EXCHANGE)


def _data() -> Path:
    """Folder of the real data."""
    root = shared_data()
    if root is None:
        raise DataError("no real data: set SEMIMECH_SHARED_DATA to their folder")
    return root


def render(cache: Path, results: Path, *, note: str = "") -> None:
    """Write the page, its figure and its scores from what is finished."""
    from benchmarks.real_sets_figure import draw
    from benchmarks.real_sets_page import page

    scores = pd.concat([pd.read_csv(file, sep="\t") for file in sorted(cache.glob("*.tsv"))], ignore_index=True)
    results.mkdir(parents=True, exist_ok=True)
    draw(scores, results / "real_sets.png")
    write_table(scores, results / TABLE)
    (results / "real_sets.md").write_text(page(scores, note=note))


def main(arguments: list[str] | None = None) -> None:
    """Run, export or render."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "export", "render"])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the scores of single tasks")
    parser.add_argument("--seeds", type=int, default=5, help="rounds of seeds")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing later than this")
    parser.add_argument("--only", default="", help="only tasks whose name begins so; several with commas")
    parser.add_argument("--groups", default="", help="only these groups of methods, with commas")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the page")
    parser.add_argument("--note", default="", help="what else was special about the run, for the page")
    given = parser.parse_args(arguments)
    if given.what == "run":
        run(given.cache, n_seeds=given.seeds, minutes=given.minutes, only=given.only, groups=given.groups)
    elif given.what == "export":
        export(given.cache, n_seeds=given.seeds)
    else:
        render(given.cache, given.results, note=given.note)


if __name__ == "__main__":
    main()
