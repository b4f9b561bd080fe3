"""An edit in a medium in which it was not made, both seen apart: simulated worlds, HPN-DREAM8, fission yeast.

``python -m benchmarks.edit_medium --cache FOLDER`` fits what is not in the folder yet, and writes ``results/edit_medium.md`` and
its table. Predictions are free roll-outs: nothing of the held-out course is shown.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks import sets
from benchmarks.order_matters import ratio
from benchmarks.sets_yeast import read_yeast, stressed_mutant
from benchmarks.steady_state_loss import write_table
from benchmarks.steady_state_tasks import FAST, LEAN
from semimech import FitConfig, fit
from semimech.data import CellSystem, Dataset, Split, dataset_from_means, log1p_scale
from semimech.evaluate import ROLL_OUT, Method, baseline_methods, run_benchmark
from semimech.experiment import Condition, parse_experiment
from semimech.simulate import Measurement, WorldRecipe, random_world, true_values

RESULTS = Path(__file__).resolve().parent / "results"
MODEL, NEURAL = "semi-mechanistic", "Neural ODE"
N_GENES, N_EDITS, N_CELLS, N_TRUTH_CELLS = 16, 8, 300, 2048
MEDIA, HOURS = ("M1", "M2", "M3"), (12, 24, 48)
RECIPE = WorldRecipe(
    n_genes=N_GENES,
    n_regulators=N_GENES,
    mean_sites=2.0,
    strength=3.0,
    max_sites=5,
    expression=320.0,
    expression_spread=0.8,
    media=MEDIA,
    medium_spread=1.5,
)
SIMULATED = FitConfig(max_step_hours=12.0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A data set, what is held out, and how the model is fitted to it.

    Parameters
    ----------
    dataset
        All conditions.
    split
        What is held out.
    config
        Settings of both laws.
    """

    dataset: Dataset
    split: Split
    config: FitConfig


def simulated(number: int) -> Case:
    """Eight edits in three media: two media of each are held out in turn, scored against the truth."""
    world_key, data_key, truth_key = jax.random.split(jax.random.key(number), 3)
    world = random_world(RECIPE, key=world_key)
    edits = world.genes[:N_EDITS]
    pairs = [(gene, medium) for gene in ("", *edits) for medium in ("", *MEDIA)]
    conditions = [_asked(gene, medium, hours) for gene, medium in pairs for hours in HOURS]
    measurement = Measurement(outside=1e4 - RECIPE.expression)
    measured, truth = (
        np.log1p(true_values(world, conditions, measurement=measurement, n_cells=n, key=key).mean)
        for n, key in ((N_CELLS, data_key), (N_TRUTH_CELLS, truth_key))
    )
    turn = np.random.default_rng(number).permutation(N_EDITS * len(MEDIA))
    held = {(edits[i // len(MEDIA)], MEDIA[i % len(MEDIA)]) for i in turn[: len(turn) // 3]}
    is_held = np.repeat([pair in held for pair in pairs], len(HOURS))
    data = dataset_from_means(
        world.genes,
        conditions,
        np.where(is_held[:, None], truth, measured),
        scale=log1p_scale(),
        standard_error=np.full(measured.shape, 0.03),
        n=np.full(len(measured), N_CELLS),
        system=CellSystem(name="edit and medium", media=MEDIA),
        name=f"simulated {number}",
    )
    split = Split(name="unseen_edit_medium", train=np.flatnonzero(~is_held), test=np.flatnonzero(is_held))
    return Case(dataset=data, split=split, config=SIMULATED)


def hpn(root: Path, line: str, number: int) -> Case:
    """A fifth of the pairs of inhibitor and ligand, all times; five hold-outs ask each pair once."""
    case = sets.read_hpn(root, line)
    folds = sets.combination_folds(case)
    order = np.random.default_rng(number // 5).permutation(len(folds))
    test = np.sort(np.concatenate([folds[i].test for i in order[number % 5 :: 5]]))
    train = np.setdiff1d(np.arange(len(case.dataset.conditions)), test)
    return Case(
        dataset=case.dataset,
        split=Split(name="unseen_edit_medium", train=train, test=test, seed=number),
        config=FitConfig(**{**LEAN, **FAST}),
    )


def yeast(root: Path) -> Case:
    """The deletion of atf21 under stress."""
    data = read_yeast(root)
    return Case(dataset=data, split=stressed_mutant(data), config=FitConfig(half_life_hours=0.5, max_step_hours=0.25))


def cases(n_worlds: int, n_folds: int) -> Iterator[tuple[str, str, Callable[[], Case]]]:
    """Group, name and maker of every case."""
    for number in range(n_worlds):
        yield "simulated", f"simulated-{number}", partial(simulated, number)
    root = sets.shared_data()
    if root is None:
        return
    yield "fission yeast", "yeast", partial(yeast, root)
    for number in range(n_folds):
        for line in ("BT20", "MCF7"):
            yield f"HPN {line}", f"hpn-{line}-{number}", partial(hpn, root, line, number)


def score(case: Case, seed: int) -> pd.DataFrame:
    """Mean squared error of every method on every held-out condition, without the edited gene and with it."""
    configs = {MODEL: replace(case.config, seed=seed), NEURAL: replace(case.config, seed=seed, law="neural")}
    learned = [
        Method(name=name, fit=lambda train, _, config=config: fit(train, config)) for name, config in configs.items()
    ]
    result = run_benchmark((*learned, *baseline_methods()), case.dataset, (case.split,), seed=seed)
    table = result.scores[(result.scores["mode"] == ROLL_OUT) & (result.scores["metric"] == "mse")]
    return table[["predictor", "perturbation", "medium", "hours", "scope", "value"]].dropna(subset="value")


def page(table: pd.DataFrame) -> str:
    """The results as text."""
    lines = [
        "# An edit in a medium in which it was not made, both seen apart",
        "",
        f"- Date {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 CPU cores shared with other work, {table.groupby('case')['seconds'].first().sum():.0f} s.",
        "- Command: `python -m benchmarks.edit_medium --cache FOLDER`; the number of a case is the seed of its world or folds and of its fits.",
        f"- *Simulated*: worlds of {N_GENES} genes, {N_EDITS} knockouts × {len(MEDIA)} media × {', '.join(map(str, HOURS))} h, {N_CELLS} cells per condition, a third of the",
        "  pairs held out and scored against the truth. *HPN*: inhibitor × ligand, a fifth of the pairs held out at all times, logarithm. *Fission yeast*: the",
        "  deletion of atf21 under sorbitol from the wild type under sorbitol and the mutant before, 200 genes, five times; one deletion, so no interval.",
        "- Settings: the defaults for simulated worlds; two members, 150 steps and half-lives of 0.2 h for HPN; half-lives of 0.5 h for yeast. Nothing was tuned on held-out pairs of",
        "  the numbers shown, but the way of composing parts was developed while looking at hold-out 0 of both HPN lines.",
        "",
        "Ratio of mean squared errors without the edited gene, free roll-out: geometric mean over worlds, or over held-out pairs, [95 % bootstrap interval], cases won.",
    ]
    rng = np.random.default_rng(0)
    part = table[table["scope"] == "excl"]
    for learned in (MODEL, NEURAL):
        lines += ["", f"## {learned}", "", "| against | " + " | ".join(part["group"].unique()) + " |"]
        lines.append("|---|" + "---|" * part["group"].nunique())
        for other in [m for m in part["predictor"].unique() if m != learned]:
            cells = [_cell(of_group, learned, other, rng) for _, of_group in part.groupby("group", sort=False)]
            if any(cell != "–" for cell in cells):
                lines.append(f"| {other} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "What was found:",
        "",
        "* In simulation the model ties with the additive prediction and ridge: both parts were measured, and in the logarithm these effects are close to additive. On HPN it ties with",
        "  additive and beats ridge on BT20, and on MCF7 it is behind both by about a seventh, a tie with additive and a loss to ridge. Held-out pairs in training decide how much of the law's interaction and of the",
        "  parts' residuals to believe (`semimech.fit.compose`), and on MCF7 what they say does not hold for others: on hold-outs 0, 1, 2 the shares of the interaction were .36, .71, .11 and those of the parts 0, .15, .25, where the",
        "  pairs asked would have given 0, .36, .68 and 0, 0, .44, and an error lower by 6, 13 and 18 %. The additive prediction, with all of the parts and no interaction, is ahead on one of these three (.028 against .031) and behind on two (.081 against .071, .026 against .021).",
        "* On fission yeast every prediction that moves the mutant away from the wild type under stress is worse than leaving it there. The change of the mutant before the stress is mostly noise",
        "  of three cultures (the additive prediction, which adds it, loses too). The model does worse: from seven conditions of 200 genes it learns a law that never comes to rest (seed 0, all four members; the",
        "  largest eigenvalue of the drift at the unedited state is 0.5 to 4 per hour, decay 1.2 to 1.8), so what it says of the settled mutant and wild type is where an endless iteration was stopped, and differs between",
        "  calls: the parts do not add up to what was measured of them. The fit says so in its notes. A penalty on the drift of settled states brought the error to 1.4 to 6.4 times the additive one by its weight and unit,",
        "  never below it; the one of 1.4 raised the error in three of four simulated worlds (by 3 % in the mean). It was left out.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is missing, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the scores of single cases")
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5, help="hold-outs of each line of HPN")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    given.cache.mkdir(parents=True, exist_ok=True)
    found = []
    for group, name, make in cases(given.worlds, given.folds):
        file = given.cache / f"{name}.tsv"
        if not file.exists():
            start = time.monotonic()
            scores = score(make(), seed=int(name.rpartition("-")[2]) if name[-1].isdigit() else 0)
            write_table(scores.assign(group=group, case=name, seconds=time.monotonic() - start), file)
            print(f"{name}\t{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            jax.clear_caches()
        found.append(pd.read_csv(file, sep="\t"))
        table = pd.concat(found, ignore_index=True)
        given.results.mkdir(parents=True, exist_ok=True)
        write_table(table, given.results / "edit_medium.tsv.gz")
        (given.results / "edit_medium.md").write_text(page(table))


def _cell(table: pd.DataFrame, method: str, reference: str, rng: np.random.Generator) -> str:
    """Units are worlds where there are several, else pairs; a single pair has no interval."""
    is_simulated = table["group"].iloc[0] == "simulated"
    unit = table["case"] if is_simulated else table["perturbation"] + " × " + table["medium"]
    scores = table.assign(world=unit, method=table["predictor"], mse=table["value"])
    if reference not in set(scores["method"]) or method not in set(scores["method"]):
        return "–"
    both = scores[scores["method"].isin([method, reference])]
    value, low, high, won = ratio(both, method, reference, rng)
    n = both["world"].nunique()
    return f"{value:.2f}" if n == 1 else f"{value:.2f} [{low:.2f}, {high:.2f}], {won}/{n}"


def _asked(gene: str, medium: str, hours: float) -> Condition:
    steps = [f"edit {gene}"] * bool(gene) + [f"medium {medium}"] * bool(medium)
    return parse_experiment(" > ".join([*steps, f"wait {hours}h", "harvest"])).conditions["harvest"]


if __name__ == "__main__":
    main()
