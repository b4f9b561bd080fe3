"""Whether intervals of unseen edits are better where they know what the weights of known edges leave open (`semimech.fit.weights`).

``python -m benchmarks.weight_intervals --worlds 5 --first 61``; with SEMIMECH_SHARED_DATA set, DREAM4's networks of ten genes as well.
The page goes to benchmarks/results.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pandas as pd

from benchmarks.parts import RESULTS
from benchmarks.steady_state_tasks import dream4
from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit import FitConfig, fit
from semimech.fit.weights import KnownWeights
from semimech.model import PriorNetwork
from semimech.simulate import STUDY_KINDS, prior_network, simulate_study, study_world

LEVEL = 0.9
HEAD = """# Intervals that know what the weights of known edges leave open

- {when}; one core of 2 shared with other work, {minutes} minutes. Command: `python -m benchmarks.weight_intervals --worlds {worlds} --first {first}`; the seed of a world is its number. Worlds 60 to 64, 70 and 71 were looked at
  while the form was settled; no other.
- Simulated: the four kinds of the steady-state study, 24 genes, 5,000 UMI, 16 knock-outs measured on days 1 to 4, eight unseen ones asked for; default settings; prior network of all true edges and 20 % false ones, or the same
  with the names of its genes permuted. DREAM4: networks 1 to 3 of ten genes, two unseen knock-outs in each of five splits, prior of all true edges and 20 % false ones, each network one group in the intervals.
- The same laws with and without `KnownWeights.left_open` in calibration and in prediction. Scored against what was measured of unseen edits, edited genes left out. Interval score of Gneiting and Raftery (2007): width, and twenty
  times what lies outside; less is better. Ratios are geometric means over worlds with a bootstrap interval over them.

"""
FOOT = """
Measured values that 90 % intervals hold, among the tenth of them of which the weights leave most open:
"""


@dataclass(frozen=True)
class Question:
    """One fit: what it learns from, what is asked, and what was measured of it."""

    group: str
    world: str
    train: Dataset
    prior: PriorNetwork
    targets: tuple[str, ...]
    asked: tuple[Condition, ...]
    measured: np.ndarray
    config: FitConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=5)
    parser.add_argument("--first", type=int, default=61)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    began, rows = time.monotonic(), []
    for question in questions(given.first, given.worlds):
        rows.append(compare(question))
        print(rows[-1], file=sys.stderr, flush=True)
        jax.clear_caches()
        table = pd.DataFrame(rows)
        table.to_csv(given.out / "weight_intervals.tsv", sep="\t", index=False, float_format="%.5g")
        head = HEAD.format(
            when=time.strftime("%Y-%m-%d"),
            minutes=round((time.monotonic() - began) / 60),
            worlds=given.worlds,
            first=given.first,
        )
        (given.out / "weight_intervals.md").write_text(head + page(table), encoding="utf-8")


def questions(first: int, n_worlds: int) -> Iterator[Question]:
    """Worlds of the study with a prior and with a shuffled one; DREAM4."""
    for seed in range(first, first + n_worlds):
        for number, kind in enumerate(STUDY_KINDS):
            world_key, data_key, prior_key = jax.random.split(jax.random.key(1000 * number + seed), 3)
            study = simulate_study(study_world(kind, key=world_key), key=data_key)
            edges, held = prior_network(study.world, key=prior_key), study.unseen_edit
            for group, table in (("true and 20 % false", edges), ("shuffled", shuffled(edges, seed))):
                yield Question(
                    group=f"simulated, {group}",
                    world=f"{kind} {seed}",
                    train=study.dataset.subset(study.train),
                    prior=PriorNetwork(edges=table),
                    targets=study.world.genes,
                    asked=tuple(study.dataset.conditions[row] for row in held),
                    measured=study.dataset.mean[held],
                    config=FitConfig(max_step_hours=24.0, seed=seed),
                )
    if root := os.environ.get("SEMIMECH_SHARED_DATA"):
        for network in (1, 2, 3):
            for seed in range(5):
                task = dream4(Path(root), 10, network, seed, {})
                split, data = task.splits[0], task.dataset
                assert task.workshop.prior is not None
                yield Question(
                    group="DREAM4 size 10, true and 20 % false",
                    world=f"network {network}",
                    train=data.subset(split.train),
                    prior=PriorNetwork(edges=task.workshop.prior),
                    targets=data.genes,
                    asked=tuple(data.conditions[row] for row in split.test),
                    measured=data.mean[split.test],
                    config=FitConfig(seed=seed),
                )


def shuffled(edges: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same table with the names of its genes permuted: as many edges and hubs, and no knowledge."""
    names = sorted({*edges["source"], *edges["target"]})
    other = dict(zip(names, np.random.default_rng(seed).permutation(names), strict=True))
    return edges.assign(source=edges["source"].map(other), target=edges["target"].map(other))


def compare(question: Question) -> dict[str, object]:
    """Scores of the intervals with and without what the weights leave open."""
    genes = question.train.genes
    other = ~np.array([[gene in {edit.gene for edit in c.edits} for gene in genes] for c in question.asked])
    row: dict[str, object] = {"group": question.group, "world": question.world}
    is_open = other
    for name in ("with", "without"):
        with contextlib.ExitStack() as stack:
            if name == "without":
                nothing = lambda self, conditions, change: np.zeros_like(change)
                stack.enter_context(mock.patch.object(KnownWeights, "left_open", nothing))
            model = fit(question.train, question.config, prior=question.prior, targets=question.targets)
            found = model.predict_conditions(question.asked)
        if name == "with":
            left = model._weights.left_open(list(question.asked), found.mean - model.fit.control)
            is_open = other & (left > np.quantile(left[other], 1 - 0.1))
            row["doubt"] = float(model.fit.unseen.doubt)
        outside = np.maximum(found.lower - question.measured, question.measured - found.upper)
        width = found.upper - found.lower
        row |= {
            f"score {name}": float((width + 2 / (1 - LEVEL) * np.maximum(outside, 0.0))[other].mean()),
            f"covered {name}": float((outside <= 0)[other].mean()),
            f"covered {name}, open": float((outside <= 0)[is_open].mean()) if is_open.any() else np.nan,
            f"width {name}": float(width[other].mean()),
        }
    return row


def page(table: pd.DataFrame) -> str:
    """One row per group, and coverage by what is open."""
    lines = [
        "| prior network | fits | interval score, ratio to that without [95 %] | better in | covered with | without | mean width, ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    more = ["| prior network | most open, with | without |", "|---|---|---|"]
    rng = np.random.default_rng(0)
    for group, part in table.groupby("group", sort=False):
        logs = np.log(part["score with"] / part["score without"]).groupby(part["world"]).mean().to_numpy()
        draws = np.exp(logs[rng.integers(0, len(logs), (4000, len(logs)))].mean(axis=1))
        low, high = np.quantile(draws, [0.025, 0.975])
        width = np.exp(np.log(part["width with"] / part["width without"]).mean())
        better = int((part["score with"] < part["score without"]).sum())
        shown = {name: f"{100 * part[name].mean():.1f} %" for name in part if name.startswith("covered")}
        lines.append(
            f"| {group} | {len(part)} | {np.exp(logs.mean()):.2f} [{low:.2f}, {high:.2f}] | {better} of {len(part)} | "
            f"{shown['covered with']} | {shown['covered without']} | {width:.2f} |"
        )
        more.append(f"| {group} | {shown['covered with, open']} | {shown['covered without, open']} |")
    return "\n".join([*lines, FOOT, *more]) + "\n"


if __name__ == "__main__":
    main()
