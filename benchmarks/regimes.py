"""Non-differentiating and differentiating worlds: held-out edits and times, the model against every baseline.

``python -m benchmarks.regimes --cache FOLDER`` fits and scores world by world, goes on from what is in the folder, and writes
``results/regimes.md`` and its tables after each world. A new folder is a new run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks.regimes_page import page
from benchmarks.regimes_populations import population_errors
from benchmarks.steady_state_loss import write_table
from semimech import FitConfig, FittedModel, fit
from semimech.baselines import fit_baseline
from semimech.data import Dataset, Split, read
from semimech.evaluate import CEILING, Method, baseline_methods, run_benchmark
from semimech.evaluate.score import ROLL_OUT
from semimech.fit.branching import BranchingModel, with_fates
from semimech.model import PriorNetwork
from semimech.predictor import AbstractPredictor
from semimech.simulate import (
    endoderm_differentiation,
    ipsc_maintenance,
    prior_network,
    simulate_screen,
    true_values,
    write_screen,
)
from semimech.simulate.fates import FATES
from semimech.simulate.presets_in_vivo import LINEAGES

RESULTS = Path(__file__).resolve().parent / "results"
REGIMES = {"non-differentiating": ipsc_maintenance, "differentiating": endoderm_differentiation}
SIZES = {"n_genes": 40, "n_edits": 9, "n_doubles": 0, "days": (1, 2, 4), "cells": 40, "control_cells": 200}
FIRST_WORLD = 120  # worlds before it were looked at while the fit was made
HELD_OUT = 3
HARVEST = "unseen_harvest"
N_TRUTH_CELLS = 256
MODEL, NEURAL, BRANCHING = "semi-mechanistic", "Neural ODE", "semi-mechanistic + fates"
WIRED = "semi-mechanistic + wiring"
POPULATIONS = ("OT interpolation", "time interpolation", MODEL, BRANCHING)


@dataclass
class Workshop:
    """Fits each law once to each training set, for the model as it is and for the one with fates.

    Parameters
    ----------
    seed
        Seed of every fit.
    wiring
        Known edges, for the model that is given them.
    """

    seed: int
    wiring: pd.DataFrame
    fitted: dict[tuple[str, bytes], AbstractPredictor] = field(default_factory=dict)

    def law(self, law: str, train: Dataset) -> FittedModel:
        """A fitted law."""
        config = FitConfig(law="neural" if law == NEURAL else "semi-mechanistic", seed=self.seed)
        prior = PriorNetwork(edges=self.wiring, use="mask") if law == WIRED else None
        return self._once(law, train, lambda: fit(train, config, prior=prior))

    def branching(self, name: str, train: Dataset) -> BranchingModel:
        """A predictor inside fates: a baseline, or a law."""
        inner = partial(self.law, name) if name in (MODEL, WIRED) else partial(fit_baseline, name)
        return self._once(f"{name} + fates", train, lambda: with_fates(train, inner, seed=self.seed))

    def baseline(self, name: str, train: Dataset) -> AbstractPredictor:
        """A fitted baseline."""
        return self._once(name, train, lambda: fit_baseline(name, train))

    def methods(self) -> tuple[Method, ...]:
        """Everything that is compared."""
        wrapped = [MODEL, WIRED, "no change", "gaussian conditioning"]
        return (
            *(
                Method(name=name, fit=lambda train, _, name=name: self.law(name, train))
                for name in (MODEL, WIRED, NEURAL)
            ),
            *(
                Method(name=f"{name} + fates", fit=lambda train, _, name=name: self.branching(name, train))
                for name in wrapped
            ),
            *baseline_methods(),
        )

    def populations(self, train: Dataset) -> dict[str, AbstractPredictor]:
        """The predictors whose populations are compared."""
        return {
            MODEL: self.law(MODEL, train),
            BRANCHING: self.branching(MODEL, train),
            **{name: self.baseline(name, train) for name in POPULATIONS[:2]},
        }

    def _once(self, name: str, train: Dataset, make: Callable[[], AbstractPredictor]) -> AbstractPredictor:
        key = (name, train.mean.tobytes())
        if key not in self.fitted:
            self.fitted[key] = make()
        return self.fitted[key]


def simulated(regime: str, number: int) -> tuple[Dataset, np.ndarray, pd.DataFrame]:
    """A screen as measured, the noise-free mean of each of its conditions in the observed scale, and edges as a database has them."""
    world_key, screen_key, truth_key, wiring_key = jax.random.split(jax.random.key(number), 4)
    world, design = REGIMES[regime](**SIZES, key=world_key)
    screen = simulate_screen(world, design, n_truth_cells=2, key=screen_key)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "screen.h5ad"
        write_screen(screen, file)
        data = read(file)
    truth = true_values(world, data.conditions, measurement=design.measurement, n_cells=N_TRUTH_CELLS, key=truth_key)
    return replace(data, name=f"{regime} {number}"), truth.observed, prior_network(world, key=wiring_key)


def held_out(data: Dataset, number: int) -> tuple[Split, Split]:
    """Three of the edited genes at all times; and one later harvest of each edit in each medium, the last or the one before.

    Where there are regulators of fate, one of the two is held out, in turns, and the other trains.
    """
    genes = sorted({edit.gene for condition in data.conditions for edit in condition.edits})
    fates = [gene for gene in (*FATES, *LINEAGES) if gene in genes]
    rng = np.random.default_rng(number)
    others = rng.permutation([gene for gene in genes if gene not in fates])
    chosen = ([fates[number % 2]] if fates else []) + others.tolist()
    asked = tuple(sorted(chosen[:HELD_OUT]))
    is_held = np.isin(data.perturbations, asked)
    is_missing = missing_harvests(data, rng)
    return (
        Split(name="unseen_edit", train=np.flatnonzero(~is_held), test=np.flatnonzero(is_held), held_out=asked),
        Split(name=HARVEST, train=np.flatnonzero(~is_missing), test=np.flatnonzero(is_missing)),
    )


def missing_harvests(data: Dataset, rng: np.random.Generator) -> np.ndarray:
    """Of each edit in each medium, the last harvest or the one before, one as often as the other."""
    courses = list(dict.fromkeys((c.edits, c.media) for c in data.conditions if c.edits))
    turn = rng.permutation(len(courses)) % 2
    times = sorted(set(data.hours[~data.is_control]))[-2:]
    missing = {(*course, times[odd]) for course, odd in zip(courses, turn, strict=True)}
    return np.array([(c.edits, c.media, c.hours) in missing for c in data.conditions])


def task_names(hours: pd.Series, split: Split, data: Dataset) -> np.ndarray:
    """What a split asks at each time, in words."""
    if split.name != HARVEST:
        return np.full(len(hours), "held-out edits")
    return np.where(hours == data.hours.max(), "held-out last time", "held-out inner time")


def one_world(
    regime: str, number: int, *, splits: Callable[[Dataset, int], Sequence[Split]] = held_out
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Squared errors against the truth, and errors of populations, of all methods in one world.

    Parameters
    ----------
    regime
        Name of the kind of world.
    number
        Seed of the world, of all noise and of the fits.
    splits
        What is held out.
    """
    data, truth, wiring = simulated(regime, number)
    workshop = Workshop(seed=number, wiring=wiring)
    scores, populations = [], []
    for split in splits(data, number):
        mean = data.mean.copy()
        mean[split.test] = truth[split.test]
        result = run_benchmark(workshop.methods(), replace(data, mean=mean), [split], seed=number)
        table = result.scores
        table = table[(table["metric"] == "mse") & (table["mode"] == ROLL_OUT) & (table["predictor"] != CEILING)]
        scores.append(table.assign(task=task_names(table["hours"], split, data)))
        if split.name == HARVEST:
            errors = population_errors(
                workshop.populations(data.subset(split.train)), data, split, rng=np.random.default_rng(number)
            )
            populations.append(errors.assign(task=task_names(errors["hours"], split, data)))
    columns = ["task", "fold", "predictor", "perturbation", "hours", "medium", "scope", "value", "reason"]
    where = {"regime": regime, "world": number}
    return pd.concat(scores)[columns].assign(**where), pd.concat(populations).assign(**where)


def run(cache: Path, results: Path, *, n_worlds: int) -> None:
    """Do all worlds that have no file yet, and write the page after each."""
    cache.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    for number in range(FIRST_WORLD, FIRST_WORLD + n_worlds):
        for regime in REGIMES:
            file = cache / f"{regime}-{number}.tsv"
            if not file.exists():
                began = time.monotonic()
                scores, populations = one_world(regime, number)
                seconds = time.monotonic() - began
                write_table(populations, file.with_suffix(".populations"))
                write_table(scores.assign(seconds=seconds), file)
                print(f"{file.stem}\t{seconds:.0f} s", file=sys.stderr, flush=True)
                jax.clear_caches()
        render(cache, results)


def render(cache: Path, results: Path) -> None:
    """Write the page and the tables of what is finished."""
    files = sorted(cache.glob("*.tsv"))
    scores = pd.concat([pd.read_csv(f, sep="\t") for f in files], ignore_index=True)
    populations = pd.concat([pd.read_csv(f.with_suffix(".populations"), sep="\t") for f in files], ignore_index=True)
    mean = scores.drop(columns="seconds")
    keys = ["regime", "world", "task", "predictor", "perturbation", "medium", "scope"]
    mean = mean.groupby(keys, sort=False, dropna=False)["value"].mean().reset_index(name="mse")
    write_table(mean, results / "regimes.tsv.gz")
    write_table(populations, results / "regimes_populations.tsv")
    (results / "regimes.md").write_text(page(scores, populations, sizes=SIZES, n_held_out=HELD_OUT))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, or go on, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the scores of single worlds")
    parser.add_argument("--worlds", type=int, default=5, help="worlds of each regime")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the page")
    given = parser.parse_args(arguments)
    run(given.cache, given.results, n_worlds=given.worlds)


if __name__ == "__main__":
    main()
