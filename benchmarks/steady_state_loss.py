"""The steady-state study: where does a steady-state loss lower the error on what was held out, and why.

``python -m benchmarks.steady_state_loss run --cache FOLDER`` fits and scores, one file per task, and goes on from
what is there; ``… render --cache FOLDER`` writes the page, the figure and the scores of all finished tasks;
``… restore --cache FOLDER`` unpacks the scores of the repository into a folder, for `run` to go on from them. ``run --cache NEW --treatments default`` fits
some treatments only, and ``render --cache FOLDER --newer NEW`` shows them in the place of the older ones.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).resolve().parent / "results"
KINDS = {".tsv": "steady_state_loss.tsv.gz", ".chosen": "steady_state_chosen.tsv.gz"}
SETTINGS = {
    "n_members": 4,
    "n_steps": 200,
    "validation_steps": 200,
    "checkpoint_every": 200,
    "n_folds": 3,
    "sparsities": (0.003, 0.03, 0.1, 0.3),
    "steady_state_weights": (0.25, 0.5, 1.0),
    "pooling": "none",
}


def run(
    cache: Path, *, n_seeds: int, minutes: float, only: str, n_jobs: int = 1, treatments: Sequence[str] = ()
) -> None:
    """Do all tasks that have no file yet, until the time is up.

    Parameters
    ----------
    cache
        Folder of the files.
    n_seeds
        Rounds of seeds.
    minutes
        No task is begun later than this (in one process).
    only
        Tasks whose name begins so.
    n_jobs
        Processes; with more than one, arms of a task that share no fit are fitted in several.
    treatments
        Only arms of these, and in one process; all if none is named.
    """
    from benchmarks.steady_state_jobs import Part, do_task, finished_tasks
    from benchmarks.steady_state_tasks import plans

    def keep(name: str, part: Part) -> None:
        file = cache / f"{name}.tsv"
        write_table(part.chosen.assign(task=name), file.with_suffix(".chosen"))
        write_table(part.scores.assign(seconds=part.seconds), file)
        print(f"{name}\t{part.seconds:.0f} s", file=sys.stderr, flush=True)

    cache.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    due = {
        plan.name: plan
        for plan in plans(n_seeds=n_seeds, settings=SETTINGS)
        if plan.name.startswith(only) and not (cache / f"{plan.name}.tsv").exists()
    }
    if n_jobs > 1 and not treatments:
        for name, part in finished_tasks(list(due), n_seeds=n_seeds, settings=SETTINGS, n_jobs=n_jobs):
            keep(name, part)
        return
    for name, plan in due.items():
        if time.monotonic() - began > 60 * minutes:
            break
        keep(name, do_task(plan, treatments=treatments))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write tab-separated text, compressed if its name ends so; a reader finds all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    os.close(handle)
    compression = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
    table.to_csv(name, sep="\t", index=False, float_format="%.5g", compression=compression)
    os.replace(name, path)


def read_cache(cache: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and chosen settings of all finished tasks."""
    files = sorted(cache.glob("*.tsv"))
    scores, chosen = (
        pd.concat([pd.read_csv(f.with_suffix(kind), sep="\t").assign(task=f.stem) for f in files], ignore_index=True)
        for kind in KINDS
    )
    return scores, chosen


def restore(cache: Path, results: Path) -> None:
    """Write the files of all tasks whose scores are in the results; a task that is in the cache stays as it is."""
    cache.mkdir(parents=True, exist_ok=True)
    for kind, name in reversed(KINDS.items()):  # the scores last: they mark a task as finished
        for task, part in pd.read_csv(results / name, sep="\t").groupby("task", sort=False):
            file = cache / f"{task}{kind}"
            if not file.exists():
                write_table(part, file)


def replaced(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Rows of the old table but for tasks and predictors that the new one has, and those of the new one."""
    keys = ["task", "predictor"]
    again = pd.MultiIndex.from_frame(new[keys])
    return pd.concat([old[~pd.MultiIndex.from_frame(old[keys]).isin(again)], new], ignore_index=True)


def render(cache: Path, results: Path, *, note: str = "", newer: Path | None = None) -> None:
    """Write the page, its figure and its scores from what is finished; what was fitted again stands in the place of the older."""
    from benchmarks.steady_state_figure import draw
    from benchmarks.steady_state_page import page

    scores, chosen = read_cache(cache)
    if newer is not None:
        scores, chosen = (replaced(old, new) for old, new in zip((scores, chosen), read_cache(newer), strict=True))
    results.mkdir(parents=True, exist_ok=True)
    draw(scores, results / "steady_state_loss.png")
    for table, name in zip((scores, chosen), KINDS.values(), strict=True):
        write_table(table, results / name)
    (results / "steady_state_loss.md").write_text(page(scores, chosen, SETTINGS, note=note))


def main(arguments: list[str] | None = None) -> None:
    """Run or render."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "render", "restore"])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the scores of single tasks")
    parser.add_argument("--seeds", type=int, default=10, help="rounds of seeds")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no task later than this")
    parser.add_argument("--only", default="", help="only tasks whose name begins so")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the page")
    parser.add_argument("--treatments", default="", help="only arms of these treatments, with commas")
    parser.add_argument(
        "--newer", type=Path, help="folder of tasks fitted again, whose rows replace those of the cache"
    )
    parser.add_argument("--note", default="", help="what else was special about the run, for the page")
    given = parser.parse_args(arguments)
    if given.what == "run":
        treatments = tuple(filter(None, given.treatments.split(",")))
        run(
            given.cache,
            n_seeds=given.seeds,
            minutes=given.minutes,
            only=given.only,
            n_jobs=given.jobs,
            treatments=treatments,
        )
    elif given.what == "restore":
        restore(given.cache, given.results)
    else:
        render(given.cache, given.results, note=given.note, newer=given.newer)


if __name__ == "__main__":
    main()
