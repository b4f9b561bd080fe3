"""Does it pay to match the controls of a minibatch to the batches of its cells? Gradient variance and error on held-out truth.

``python -m benchmarks.batching --worlds 20`` writes ``results/batching.md``.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.design_errors import markdown
from semimech.data import Cells, CellSystem, Dataset, Minibatch, identity_scale, matched_minibatches
from semimech.experiment import Condition, parse_experiment

RESULTS = Path(__file__).parent / "results"
N_EDITS, N_BATCHES, N_GENES, CELLS, CONTROLS = 24, 6, 20, 60, 480
PER_STEP, N_CELLS, N_CONTROLS, STEPS = 8, 24, 24, 300
EFFECT = 0.3
"""Standard deviation of effects, in units of that of cells."""


def world(batch_variance: float, confounding: float, rng: np.random.Generator) -> tuple[Dataset, np.ndarray]:
    """A screen whose edits stand partly in batches of their own, and its true effects."""
    conditions: list[Condition] = [parse_experiment("wait 72h > harvest").conditions["harvest"]]
    for number in range(N_EDITS):
        conditions.append(parse_experiment(f"edit G{number} > wait 72h > harvest").conditions["harvest"])
    truth = np.vstack([np.zeros(N_GENES), EFFECT * rng.normal(size=(N_EDITS, N_GENES))])
    offset = np.sqrt(batch_variance) * rng.normal(size=(N_BATCHES, N_GENES))
    condition = np.concatenate([np.zeros(CONTROLS, int), np.repeat(np.arange(1, N_EDITS + 1), CELLS)])
    batch = rng.integers(0, N_BATCHES, len(condition))
    is_own = (condition > 0) & (rng.random(len(condition)) < confounding)
    batch[is_own] = condition[is_own] % N_BATCHES
    values = 5 + truth[condition] + offset[batch] + rng.normal(size=(len(condition), N_GENES))
    sums = np.zeros_like(truth)
    np.add.at(sums, condition, values)
    n = np.bincount(condition)
    dataset = Dataset(
        genes=tuple(f"G{i}" for i in range(N_GENES)),
        conditions=tuple(conditions),
        mean=sums / n[:, None],
        standard_error=np.ones_like(truth),
        n_cells=n,
        scale=identity_scale(),
        system=CellSystem(),
        cells=Cells(values=values, condition=condition, batch=batch),
    )
    return dataset, truth[1:]


def with_random_controls(draw: Minibatch, dataset: Dataset, rng: np.random.Generator) -> Minibatch:
    """The same cells beside unedited cells of any batch."""
    pool = np.flatnonzero(dataset.cells.condition == 0)
    return Minibatch(conditions=draw.conditions, cells=draw.cells, controls=rng.choice(pool, size=draw.controls.shape))


def gradient(theta: np.ndarray, draw: Minibatch, values: np.ndarray) -> np.ndarray:
    """Of half the squared error of each condition's change, which is what a fit to means takes its steps by."""
    change = values[draw.cells].mean(axis=1) - values[draw.controls].mean(axis=1)
    return theta[draw.conditions - 1] - change


def trial(batch_variance: float, confounding: float, seed: int) -> dict[str, dict[str, float]]:
    """Gradient variance at the truth, and squared error of effects after training, with either kind of minibatch."""
    dataset, truth = world(batch_variance, confounding, np.random.default_rng(seed))
    values = np.asarray(dataset.cells.values)
    found = {}
    for kind in ("matched", "random"):
        rng = np.random.default_rng(seed + 1)
        sizes = {"n_conditions": PER_STEP, "n_cells": N_CELLS, "n_controls": N_CONTROLS, "n_steps": STEPS}
        theta, mean, at_truth = np.zeros_like(truth), np.zeros_like(truth), []
        for step, each in enumerate(matched_minibatches(dataset, rng=rng, **sizes)):
            draw = each if kind == "matched" else with_random_controls(each, dataset, rng)
            at_truth.append(gradient(truth, draw, values))
            theta[draw.conditions - 1] -= 0.1 * gradient(theta, draw, values)
            mean += (theta - mean) / (step - STEPS // 2 + 1) if step >= STEPS // 2 else 0.0
        at_truth = np.stack(at_truth)
        found[kind] = {"gradient": float((at_truth**2).mean()), "error": float(((mean - truth) ** 2).mean())}
    return found


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=20)
    options = parser.parse_args(arguments)
    began, rows, rng = time.perf_counter(), [], np.random.default_rng(0)
    for batch_variance in (0.0, 0.01, 0.05, 0.2):
        for confounding in (0.0, 0.5, 1.0):
            trials = [trial(batch_variance, confounding, 10 * seed) for seed in range(options.worlds)]
            row: dict[str, object] = {"batch variance": batch_variance, "cells in the edit's own batch": confounding}
            for what in ("gradient", "error"):
                logs = np.array([np.log(t["matched"][what] / t["random"][what]) for t in trials])
                again = np.exp(rng.choice(logs, size=(4000, len(logs))).mean(axis=1))
                low, high = np.quantile(again, [0.025, 0.975])
                row[f"{what}, matched / random"] = f"{np.exp(logs.mean()):.3f} ({low:.3f} to {high:.3f})"
            rows.append(row)
    page = f"""# Matched minibatches against random ones

- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work, {time.perf_counter() - began:.0f} s.
- Command: `python -m benchmarks.batching --worlds {options.worlds}`; the seed of a world is ten times its number.
- {N_EDITS} edits of {CELLS} cells, {CONTROLS} controls in all of {N_BATCHES} batches, {N_GENES} genes; cells have variance 1, effects {EFFECT**2:g}. A share of each edit's cells stands in one batch of its
  own choice, the rest anywhere. Minibatches of {PER_STEP} edits × {N_CELLS} cells and {N_CONTROLS} controls each, {STEPS} steps, effects averaged over the last half.

`gradient` is the mean squared gradient at the true effects: noise and bias together. `error` is the squared error of the effects after training, against the truth. Ratios are geometric means over {options.worlds}
worlds with 95 % intervals of a paired bootstrap; below 1, matched minibatches are better.

{markdown(pd.DataFrame(rows))}
"""
    RESULTS.joinpath("batching.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main(sys.argv[1:])
