"""Clones whose cells differ at the start, seen twice: the cell operator on each clone, against no change, the mean of clones and what the edit does on average.

``python -m benchmarks.clone_states --worlds 8`` writes ``results/clone_states.md``.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, PRNGKeyArray

from benchmarks.founders import markdown
from semimech import FitConfig, FittedModel, fit, parse_experiment
from semimech.abundance import advance_clones
from semimech.data import dataset_from_anndata
from semimech.experiment import Context, Edit
from semimech.simulate import (
    Measurement,
    ScreenDesign,
    World,
    WorldRecipe,
    random_world,
    screen_experiments,
    simulate_screen,
)
from semimech.simulate.kinetics import CellState, advance
from semimech.simulate.measurement import draw_batches, expected_log1p
from semimech.simulate.population import CHUNK, stationary_cells
from semimech.simulate.presets import choose_edits
from semimech.simulate.screen import measure

RESULTS = Path(__file__).resolve().parent / "results"
FIRST_WORLD = 702  # two worlds before it were looked at while this was made
GENES, EDITS, DAYS = 40, 8, (0.5, 1, 3)
CLONES, CELLS, SISTERS = 24, 10, 100
NICHE, AWAY_HOURS = "niche", 96.0
SEEN_HOURS, LATER_HOURS = 3.0, (9.0, 21.0, 45.0)
MEASUREMENT = Measurement(library_mean=4000.0)


def world_of(number: int) -> tuple[World, FittedModel, tuple[str, ...]]:
    """A world, a law fitted to its screen (edits, and the niche), and its edits."""
    keys = jax.random.split(jax.random.key(number), 3)
    recipe = WorldRecipe(
        n_genes=GENES, n_regulators=14, mean_sites=3.0, strength=3.0, extrinsic=0.1, media=(NICHE,), medium_spread=1.0
    )
    world = random_world(recipe, key=keys[0])
    singles, _ = choose_edits(world, EDITS, 0, key=keys[1])
    edits = [(Edit(gene=gene),) for (gene,) in singles]
    experiments = (*screen_experiments(edits, DAYS), *screen_experiments([()], DAYS, medium=NICHE))
    design = ScreenDesign(
        experiments=experiments, cells=60, control_cells=200, n_batches=1, escaper_share=0.0, measurement=MEASUREMENT
    )
    screen = simulate_screen(world, design, n_truth_cells=2, key=keys[2])
    model = fit(dataset_from_anndata(screen), FitConfig(seed=number, steady_state="none"))
    return world, model, tuple(gene for (gene,) in singles)


def live(world: World, cells: CellState, context: Context, hours: float, key: PRNGKeyArray) -> CellState:
    """Cells after some hours, each with noise of its own."""
    n, parts = cells.mrna.shape[-1], []
    effects = jax.tree.map(lambda v: np.repeat(v, CHUNK, axis=-1), world.effects([context]))
    for piece, first in enumerate(range(0, n, CHUNK)):
        rows = np.arange(first, first + CHUNK) % n
        chunk = jax.tree.map(lambda part, rows=rows: part[..., rows], cells)
        own = jax.random.fold_in(key, piece)
        parts.append(advance(world.kinetics, effects, chunk, hours, noise_shape=(CHUNK,), key=own))
    return jax.tree.map(lambda *p: np.concatenate(p, axis=-1)[..., :n], *parts)


def founders(world: World, key: PRNGKeyArray) -> CellState:
    """Single cells that found clones: half of them come from the niche."""
    stay_key, away_key = jax.random.split(key)
    cells = stationary_cells(world, CLONES, key=stay_key)
    away = live(world, cells, Context(medium=NICHE), AWAY_HOURS, away_key)
    return jax.tree.map(lambda a, b: np.where(np.arange(CLONES) % 2 == 0, a, b), cells, away)


def observed(world: World, cells: CellState, rng: np.random.Generator) -> Float[np.ndarray, "cell gene"]:
    """Cells as sequenced, log1p CP10k."""
    batches = draw_batches(MEASUREMENT, 1, GENES, rng=rng)
    batches = replace(batches, depth=np.ones_like(batches.depth), gene_fold=np.ones_like(batches.gene_fold))
    states = np.asarray(cells.mrna).T * world.kinetics.expression
    counts = measure(states, np.zeros(len(states), int), batches, MEASUREMENT, rng).toarray()
    return np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))


def true_mean(world: World, cells: CellState, clone: np.ndarray) -> Float[np.ndarray, "clone gene"]:
    """Means of clones without noise of measurement."""
    shown = expected_log1p(MEASUREMENT.cp10k(np.asarray(cells.mrna).T * world.kinetics.expression), MEASUREMENT)
    return np.array([shown[clone == c].mean(axis=0) for c in range(CLONES)])


def one_world(number: int) -> pd.DataFrame:
    """Squared errors of the means of clones, at each later time, without and with an edit made when the clones were seen."""
    world, model, edits = world_of(number)
    keys = iter(jax.random.split(jax.random.key(10_000 + number), 40))
    rng = np.random.default_rng(number)
    clone = np.repeat(np.arange(CLONES), SISTERS)
    start = jax.tree.map(lambda part: part[..., clone], founders(world, next(keys)))
    seen = live(world, start, Context(), SEEN_HOURS, next(keys))
    taken = np.flatnonzero(np.arange(len(clone)) % SISTERS < CELLS)
    rest = np.flatnonzero(np.arange(len(clone)) % SISTERS >= CELLS)
    values = observed(world, jax.tree.map(lambda part: part[..., taken], seen), rng)
    names = [f"clone{c:02d}" for c in clone[taken]]
    raw = np.array([values[clone[taken] == c].mean(axis=0) for c in range(CLONES)])
    rows = []
    for edit in (None, *edits[:2]):
        cells, passed = jax.tree.map(lambda part: part[..., rest], seen), 0.0
        context = Context() if edit is None else Context(edits=(Edit(gene=edit),))
        for hours in LATER_HOURS:
            cells, passed = live(world, cells, context, hours - passed, next(keys)), hours
            truth = true_mean(world, cells, clone[rest])
            # Of other clones the same number of cells were sequenced later.
            sisters = np.flatnonzero(np.arange(len(rest)) % (SISTERS - CELLS) < CELLS)
            later = observed(world, jax.tree.map(lambda part, s=sisters: part[..., s], cells), rng)
            later = np.array([later[clone[rest][sisters] == c].mean(axis=0) for c in range(CLONES)])
            others = (later.sum(axis=0) - later) / (CLONES - 1)
            before = (raw.sum(axis=0) - raw) / (CLONES - 1)
            protocol = f"wait {hours}h" if edit is None else f"edit {edit} > wait {hours}h"
            found = advance_clones(model, values, names, protocol, key=next(keys))
            whole = parse_experiment(f"{protocol} > harvest").conditions["harvest"]
            unedited = parse_experiment(f"wait {hours}h > harvest").conditions["harvest"]
            change = np.subtract(*model.predict_conditions([whole, unedited]).mean)
            guesses = {
                "operator on each clone": found.later,
                "no change of the clone": found.earlier,
                "no change, as measured": raw,
                "clone + what the edit does on average": found.earlier + change,
                "other clones later": others,
                "clone + change of other clones": found.earlier + others - before,
            }
            own = np.array([gene != edit for gene in world.genes])
            covered = ((found.lower <= truth) & (truth <= found.upper))[:, own].mean()
            for name, guess in guesses.items():
                rows.append(
                    {
                        "world": number,
                        "task": "unedited" if edit is None else "edited when seen",
                        "edit": edit or "",
                        "hours": hours,
                        "predictor": name,
                        "mse": float(((guess - truth)[:, own] ** 2).mean()),
                        "covered": float(covered) if name == "operator on each clone" else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors by task and time, and the operator's over each other's with an interval over worlds."""
    shown = []
    for (task, hours), part in rows.groupby(["task", "hours"], sort=False):
        wide = part.groupby(["world", "predictor"], sort=False)["mse"].mean().unstack("predictor")
        own = wide["operator on each clone"]
        line = {"clones": task, "hours later": f"{hours:g}", "operator, mean squared error": f"{own.mean():.4f}"}
        for name in wide.columns.drop("operator on each clone"):
            ratio = np.log(own / wide[name]).to_numpy()
            rng = np.random.default_rng(0)
            means = ratio[rng.integers(0, len(ratio), (4000, len(ratio)))].mean(axis=1)
            low, high = np.exp(np.quantile(means, [0.025, 0.975]))
            line[f"over {name}"] = f"{np.exp(ratio.mean()):.2f} [{low:.2f}, {high:.2f}]"
        shown.append(line | {"90 % interval covers": f"{part['covered'].mean():.0%}"})
    return pd.DataFrame(shown)


def page(rows: pd.DataFrame, minutes: float) -> str:
    worlds = sorted(rows["world"].unique())
    return (
        "\n\n".join(
            [
                "# Where the cells of a clone will be",
                f"`python -m benchmarks.clone_states --worlds {len(worlds)}`, {datetime.date.today()}, 2 cores shared with other work, {minutes:.0f} minutes; worlds {worlds[0]} to {worlds[-1]}, made once; the two before were looked at while this was made.",
                f"A law (`semimech.fit`, defaults) is fitted to a screen of {EDITS} knockouts on days {', '.join(map(str, DAYS))} and of the medium “{NICHE}”, {GENES} genes. Then {CLONES} clones of single cells, every second from {AWAY_HOURS / 24:g} days in the niche, are put into the maintenance medium; "
                f"{CELLS} cells of each are sequenced {SEEN_HOURS:g} hours later, when two edits may be made, and its sisters {', '.join(f'{h:g}' for h in LATER_HOURS)} hours after that. Errors are against the mean of {SISTERS - CELLS} sisters without noise of measurement, without the edited gene.",
                "“No change” is the clone's mean when seen, shrunk as the operator's start is; “as measured” is not. “Clone + what the edit does on average” adds the law's change of unedited cells by the edit; the last two see other clones at the later time, which the operator does not.",
                "Ratios below 1: the operator is better; geometric mean over worlds [95 % bootstrap over worlds].",
                markdown(table(rows)),
                "These clones remember transcripts, proteins and slow factors of the cell, nothing else, and half of them come from a medium that the law was trained on: what a clone keeps by its chromatin or its place is in no law, so the gain bounds what to expect of others from above. "
                "Two of the worlds' columns see the later harvest of other clones, which for a clone's own later state is not to be had in advance.",
            ]
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--first", type=int, default=FIRST_WORLD)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    began, rows = time.time(), []
    for number in range(options.first, options.first + options.worlds):
        rows.append(one_world(number))
        print(f"{number}: {time.time() - began:.0f} s", file=sys.stderr, flush=True)
        jax.clear_caches()
        done = pd.concat(rows, ignore_index=True)
        done.to_csv(options.results / "clone_states.tsv", sep="\t", index=False, float_format="%.5g")
        (options.results / "clone_states.md").write_text(page(done, (time.time() - began) / 60), encoding="utf-8")


if __name__ == "__main__":
    main()
