"""Which harvests decide an assumption that the data left open: chosen to tell rivals apart, against other choices, in worlds whose order of steps matters.

``python -m benchmarks.telling_apart --first 700 --worlds 8`` writes ``results/telling_apart.md`` and ``.tsv``.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks.goal_design import CONFIG, N_TRUTH_CELLS, protocols
from benchmarks.order_matters import LATE, MEDIUM, RECIPE, SWITCH, measure, measured_world
from semimech import fit
from semimech.assumptions.catalogue import ADDITIVE, COMMUTING
from semimech.data import Dataset
from semimech.design import Limits, Pool, choose, choose_apart, independent_genes, make_pool
from semimech.design.apart import apart_of
from semimech.pipeline import fit_rivals

RESULTS = Path(__file__).parent / "results"
BATCH, N_RANDOM, SE = 10, 20, 0.02
ENOUGH = float(np.log(20.0))
"""Nats at which one model is told to be right: odds of twenty to one."""
RIGHT = {
    f"{COMMUTING.id} imposed": "the order of edit and medium",
    f"{ADDITIVE.id} imposed": "pairs that do not add up",
}
CHOOSERS = ("assumptions", "error", "information", "random")


def evidence(pool: Pool, apart: np.ndarray, seen: np.ndarray, scaled: np.ndarray, rows: list[int]) -> np.ndarray:
    """Nats for the model, and against a rival, after each harvest: log ratio of the two normal laws of the outcomes."""
    found = []
    for n in range(1, len(rows) + 1):
        at = rows[:n]
        variance = pool.covariance[np.ix_(at, at)] + pool.noise * np.eye(n)
        towards = (seen[at] - pool.mean[at]) * scaled
        inner = np.linalg.solve(variance, apart[at])
        found.append(0.5 * (apart[at] * inner).sum() - (towards * inner).sum())
    return np.array(found)


def one_world(number: int) -> pd.DataFrame:
    """What each choice of ten harvests says of each rival, in a world where all rivals are wrong."""
    world, data, prior, truth_key = measured_world(number, name="apart")
    steps = np.array([len(c.history) for c in data.conditions])
    data: Dataset = data.subset(steps == 1)  # no edit before a medium, and no pair
    model = fit(data, CONFIG, prior=prior)
    able = protocols(world.genes)
    rivals = fit_rivals(model, data, CONFIG, prior=prior, asked=able, assumptions=[COMMUTING.id, ADDITIVE.id])
    pool = make_pool(model, able, noise=SE**2)
    truth = measure(world, able, n_cells=N_TRUTH_CELLS, key=truth_key)
    rng = np.random.default_rng(number)
    seen = truth + SE * rng.standard_normal(truth.shape)
    n_independent = independent_genes(model, able)
    means = {name: ask(able) for name, ask in rivals.ask.items()}
    assert rivals.chance is not None
    of = apart_of(pool, means | {"another seed": rivals.chance(able)}, n_independent)
    variance = (pool.spread**2).mean(axis=0) + pool.noise
    scaled = np.sqrt(variance.mean() / variance * n_independent / len(variance))
    limits, rows = Limits(batch=BATCH), []
    for name, mean in means.items():
        chosen = {
            "assumptions": [
                [t.pick.row for t in choose_apart(pool, {name: mean}, limits, n_independent=n_independent)]
            ],
            "error": [[p.row for p in choose(pool, limits)]],
            "information": [[p.row for p in choose(pool, limits, criterion="information")]],
            "random": [rng.permutation(len(able))[:BATCH].tolist() for _ in range(N_RANDOM)],
        }
        nearer = ((truth - pool.mean) ** 2).mean() / ((truth - mean) ** 2).mean()
        for chooser, draws in chosen.items():
            for draw, picked in enumerate(draws):
                nats = evidence(pool, of[name], seen, scaled, picked)
                chance = evidence(pool, of["another seed"], seen, scaled, picked)
                for n in range(BATCH):
                    rows.append(
                        {
                            "world": number,
                            "rival": name,
                            "chooser": chooser,
                            "draw": draw,
                            "harvests": n + 1,
                            "nats": nats[n],
                            "by_chance": chance[n],
                            "error_ratio": nearer,
                            "independent": n_independent,
                        }
                    )
    return pd.DataFrame(rows)


def needed(nats: np.ndarray) -> float:
    """Harvests after which a rival is told to be wrong, for good; infinite if it is not."""
    short = np.flatnonzero(nats < ENOUGH)
    return 1.0 if not len(short) else float(short[-1] + 2) if short[-1] + 1 < len(nats) else np.inf


def page(table: pd.DataFrame, seconds: float) -> str:
    """The results as text."""
    n, first = table["world"].nunique(), int(table["world"].min())
    lines = [
        "# Which harvests decide an assumption that the data left open?",
        "",
        f"- {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 cores shared with other work, one of them used, {seconds:.0f} s.",
        f"- Command: `python -m benchmarks.telling_apart --first {first} --worlds {n}`; seeds are worlds, noise and random choices. Nothing was tuned on them.",
        f"- The worlds of `order_matters`: {RECIPE.n_genes} genes and a medium {MEDIUM}. Measured: unedited cells, each knockout alone and the medium alone, so that the data say nothing of orders and pairs.",
        f"  Possible: one or two knockouts {SWITCH} h before the medium or {SWITCH} h after it, harvested {', '.join(map(str, LATE))} h after the second step; ten harvests in one batch, standard error {SE}.",
        "- Rivals of the model (masked wiring, 20 % false edges): `commuting order imposed`, and `additive combinations imposed`. The order of steps counts in all of these worlds; pairs nearly add up in some (the error of the rival is then no larger). No world has a rival that is right, so false alarms are not measured, nor are expected nats held against those that came. A rival is told to be wrong after so many harvests if from then on the",
        f"  odds against it are twenty to one or more ({ENOUGH:.1f} nats by the two normal laws); random choice: {N_RANDOM} draws a world.",
        "",
    ]
    for name, what in RIGHT.items():
        part = table[table["rival"] == name]
        ratio = part.groupby("world")["error_ratio"].first()
        lines += [
            f"## {name}: {what}",
            "",
            f"Squared error of the model over that of the rival, all candidates: {ratio.median():.2f} ({ratio.min():.2f} to {ratio.max():.2f}).",
            "",
            "| choice | nats after 1 | 3 | 10 harvests (median) | told wrong after 1 | 3 | 10 harvests, share | told right (an error) after 10 | harvests needed, median |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for chooser in CHOOSERS:
            mine = part[part["chooser"] == chooser]
            wide = mine.pivot_table(index=["world", "draw"], columns="harvests", values="nats").to_numpy()
            need = np.median([needed(nats) for nats in wide])
            at = [0, 2, BATCH - 1]
            cells = [f"{np.median(wide[:, i]):.1f}" for i in at] + [
                f"{100 * (wide[:, i] >= ENOUGH).mean():.0f} %" for i in at
            ]
            cells += [
                f"{100 * (wide[:, -1] <= -ENOUGH).mean():.0f} %",
                f"{need:.0f}" if np.isfinite(need) else f"more than {BATCH}",
            ]
            lines.append(f"| {chooser} | " + " | ".join(cells) + " |")
        last = part[(part["chooser"] == "assumptions") & (part["harvests"] == BATCH)]["by_chance"]
        better = []
        for _, world in part.groupby("world"):
            of = {c: [needed(d["nats"].to_numpy()) for _, d in w.groupby("draw")] for c, w in world.groupby("chooser")}
            better.append(np.median(of["assumptions"]) < np.median(of["random"]))
        lines += [
            "",
            f"Fewer harvests than the median of random choice in {int(np.sum(better))} of {n} worlds. Where the rival is the same model with another seed, the ten harvests tell {last.median():+.1f} nats ({last.min():+.1f} to {last.max():+.1f}): what chance does.",
            "",
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=700)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", action="store_true", help="write the page of the table that is there")
    given = parser.parse_args(arguments)
    file = given.out / "telling_apart.md"
    if given.page:
        seconds = float(re.findall(r"used, (\d+) s", file.read_text(encoding="utf-8"))[0])
        file.write_text(page(pd.read_csv(given.out / "telling_apart.tsv", sep="\t"), seconds), encoding="utf-8")
        return
    began, found = time.monotonic(), []
    for number in range(given.first, given.first + given.worlds):
        found.append(one_world(number))
        jax.clear_caches()
        table = pd.concat(found, ignore_index=True)
        table.to_csv(given.out / "telling_apart.tsv", sep="\t", index=False, float_format="%.5g")
        file.write_text(page(table, time.monotonic() - began), encoding="utf-8")
        print(f"world {number}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
