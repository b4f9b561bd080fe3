"""Do the levers that ``semimech design levers`` puts first bring the most, once they are bought?

Definitions, settled before any world was scored:

* A lever *delivers* what the mean squared error on held-out edits (genes that are not edited, against the true means) falls by when what its budget buys is
  added to the screen, or a network or a term to the model. Deliveries are repeated, each time with a new screen of the same design (the same cells with each lever, and
  those bought beside them), other false edges and another seed of the fit: what is foretold is an expectation, and the luck of one screen is none of it.
* Two levers are *told apart* if the mean over repeats of the difference of what they deliver is significant by a paired t-test (two-sided, 5 %).
* The predicted ranking *agrees* in a world if at least three quarters of the pairs told apart stand in it in the right order. A world where no pair is told apart says nothing.
* The *first* lever is right if no other is told apart from it by delivering more.

``python -m benchmarks.levers --worlds 30 --cache FOLDER`` goes on from the worlds in the folder, and writes ``results/levers.md`` and its table.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks.lab import CELL_SD, CONFIG, N_BATCHES, conditions_of, draw_world, pooled, true_means
from benchmarks.levers_page import page
from semimech import Dataset, fit
from semimech._files import replacing
from semimech.data.split import Split
from semimech.design import levers, purchases
from semimech.design.purchases import Costs
from semimech.experiment import Condition
from semimech.fit import FitConfig
from semimech.fit.problem import own_genes
from semimech.model import PriorNetwork
from semimech.simulate import World

RESULTS = Path(__file__).resolve().parent / "results"
N_TESTED, REPEATS, BATCH_SD, FALSE_SHARE = 6, 8, 0.1, 0.2
DAYS = ((2, 4), (1, 2, 4))
HIDDEN = 8
BUDGET = 2.0
"""What each lever may cost, in units of all edited cells to train on."""
SETTINGS = replace(CONFIG, sparsities=(0.1,), borrowing="none")
"""Settings of fits that take a third of a second."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The screen of a world: cells of each edited condition, controls of each day, edits to train on, and days."""

    cells: int
    controls: int
    trained: int
    days: tuple[int, ...]


def setting_of(number: int) -> Setting:
    """Screens in which different things are scarce."""
    rng = np.random.default_rng([7, number])
    return Setting(
        cells=int(rng.choice([8, 16, 32, 64])),
        controls=int(rng.choice([15, 50, 150])),
        trained=int(rng.choice([5, 8, 12])),
        days=DAYS[int(rng.integers(len(DAYS)))],
    )


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A world that can be measured, with the same cells each time and new ones beyond them.

    Parameters
    ----------
    world
        Where the cells live.
    number
        Of the world: its seed.
    known
        True means of all conditions that can be measured.
    """

    world: World
    number: int
    known: dict[Condition, np.ndarray]

    def truth(self, conditions: Sequence[Condition]) -> np.ndarray:
        """True means, condition by gene."""
        return np.stack([self.known[condition] for condition in conditions])

    def cells(self, condition: Condition, number: int, repeat: int) -> np.ndarray:
        """Errors of cells of a screen; the first of more cells are the same."""
        name = [ord(letter) for letter in f"{condition.perturbation}{condition.hours:g}"]
        rng = np.random.default_rng([self.number, repeat, *name])
        return CELL_SD * rng.standard_normal((number, len(self.world.genes)))

    def measure(self, conditions: Sequence[Condition], cells: np.ndarray, repeat: int) -> Dataset:
        """Measure numbers of cells of conditions; each repeat is another screen."""
        condition = np.repeat(np.arange(len(cells)), cells)
        batch = np.concatenate([(np.arange(n) + k) % N_BATCHES for k, n in enumerate(cells)])
        rng = np.random.default_rng([self.number, repeat])
        shift = BATCH_SD * rng.standard_normal((N_BATCHES, len(self.world.genes)))
        error = np.concatenate([self.cells(c, n, repeat) for c, n in zip(conditions, cells, strict=True)])
        values = self.truth(conditions)[condition] + (shift - shift.mean(axis=0))[batch] + error
        return pooled(self.world.genes, conditions, values, condition=condition, batch=batch, rng=rng, name="screen")

    def network(self, repeat: int) -> PriorNetwork:
        """The true edges as a database has them: a fifth of what it lists is false."""
        rng, true = np.random.default_rng([self.number, repeat]), self.world.network[["source", "target", "sign"]]
        n_false = round(len(true) * FALSE_SHARE / (1 - FALSE_SHARE))
        names = {column: rng.choice(self.world.genes, n_false) for column in ("source", "target")}
        false = pd.DataFrame({**names, "sign": rng.choice([-1, 1], n_false)})
        listed = pd.concat([true, false[false["source"] != false["target"]]])
        return PriorNetwork(edges=listed.drop_duplicates(["source", "target"], ignore_index=True))


def one_world(number: int, config: FitConfig = SETTINGS, repeats: int = REPEATS) -> pd.DataFrame:
    """What is foretold of each lever, and what it delivers."""
    setting, rng = setting_of(number), np.random.default_rng(number)
    world = draw_world(jax.random.key(number))
    grid = np.array([0.0, *setting.days])
    gap = int(np.argmax(np.diff(grid)))  # where one more harvest would be
    possible = conditions_of(world.genes, sorted({*setting.days, float(grid[gap : gap + 2].mean())}))
    mean = true_means(world, possible, key=jax.random.key(number))
    bench = Bench(world=world, number=number, known=dict(zip(possible, mean, strict=True)))
    genes = rng.permutation(bench.world.genes)[: N_TESTED + setting.trained]
    tested = set(genes[:N_TESTED])
    conditions = [
        c for c in conditions_of(bench.world.genes, setting.days) if c.is_control or c.edits[0].gene in set(genes)
    ]
    cells = np.array([setting.controls if c.is_control else setting.cells for c in conditions])
    data = bench.measure(conditions, cells, 0)
    is_tested = np.array([not c.is_control and c.edits[0].gene in tested for c in conditions])
    split = Split(
        name="unseen_edit",
        train=np.flatnonzero(~is_tested),
        test=np.flatnonzero(is_tested),
        held_out=tuple(sorted(tested)),
    )
    began = time.perf_counter()
    budget = BUDGET * float(cells[split.train][~data.is_control[split.train]].sum())
    told = levers(data, split, config, budget=budget, rng=np.random.default_rng(number))
    found = told.table.set_index("lever")
    foretold = time.perf_counter() - began
    test = [conditions[row] for row in split.test]
    truth, keep = bench.truth(test), ~own_genes(test, bench.world.genes)
    train = data.subset(split.train)
    screens = {p.lever: p.screening for p in purchases(data, split, Costs(), budget)}

    def error(
        lever: str | None, repeat: int, *, prior: PriorNetwork | None = None, settings: FitConfig = config
    ) -> float:
        screen = screens.get(lever or "")
        made, n = (train.conditions, train.n_cells) if screen is None else (screen.conditions, np.asarray(screen.cells))
        bought = replace(bench.measure(made, n, repeat), cells=None)  # a fit to means needs none but for findings
        model = fit(bought, replace(settings, seed=repeat), prior=prior)
        return float(((model.predict_conditions(test).mean - truth) ** 2)[keep].mean())

    falls: dict[str, list[float]] = {lever: [] for lever in found.index}
    now = []
    for repeat in range(1, repeats + 1):
        now.append(error(None, repeat))
        for lever in found.index:
            prior = bench.network(repeat) if lever == "prior" else None
            settings = replace(config, residual_hidden=HIDDEN) if lever == "learned residual" else config
            falls[lever].append(now[-1] - error(lever, repeat, prior=prior, settings=settings))
    table = found[["gain", "fall_data", "fall_world", "spread"]].reset_index()
    for repeat in range(repeats):
        table[f"delivered_{repeat}"] = [falls[lever][repeat] for lever in table["lever"]]
    seconds = {"seconds_foretold": foretold, "seconds": time.perf_counter() - began}
    return table.assign(
        world=number,
        error=np.mean(now),
        without_noise=told.without_noise,
        **{name: str(value) for name, value in vars(setting).items()},
        **seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=30)
    parser.add_argument("--first", type=int, default=200, help="number of the first world")
    parser.add_argument("--minutes", type=float, default=1e9, help="no new world is begun after that")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    began = time.perf_counter()
    for number in range(given.first, given.first + given.worlds):
        file = given.cache / f"world-{number}.tsv"
        if not file.is_file() and time.perf_counter() - began < 60 * given.minutes:
            table = one_world(number)
            with replacing(file) as temporary:
                table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
            if number % 5 == 4:  # worlds share compiled programs, but many fill the process's memory maps
                jax.clear_caches()
            print(number, f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    files = [given.cache / f"world-{number}.tsv" for number in range(given.first, given.first + given.worlds)]
    table = pd.concat([pd.read_csv(file, sep="\t") for file in files if file.is_file()], ignore_index=True)
    given.results.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.results / "levers.tsv", sep="\t", index=False, float_format="%.6g")
    (given.results / "levers.md").write_text(page(table, SETTINGS))


if __name__ == "__main__":
    main()
