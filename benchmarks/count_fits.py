"""A fit on counts against a fit on pseudobulks, by depth: error against the noise-free truth of simulated screens.

``python -m benchmarks.count_fits --worlds 3`` writes ``results/count_fits.tsv``, which `benchmarks.counts` puts into its page. Each fit is
scored on observed means and on logarithms of states, in screens with batch effects and without: what decides which likelihood wins.
``python -m benchmarks.count_fits --estimates`` writes ``results/count_estimates.tsv``: how far measured log fold changes are from the truth,
by the law of counts and by means of log1p, without any fit.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from semimech import FitConfig, fit
from semimech.data import Dataset, dataset_from_anndata
from semimech.data.count_law import count_law
from semimech.experiment import Edit
from semimech.simulate import Measurement, ScreenDesign, WorldRecipe, random_world, screen_experiments, simulate_screen

RESULTS = Path(__file__).resolve().parent / "results"
DEPTHS = (200, 500, 2000, 5000, 20000)
N_GENES, N_EDITS, N_CELLS, N_CONTROLS, N_TRUTH = 30, 10, 60, 300, 1500
CONFIG = FitConfig(steady_state="none", sparsities=(0.01, 0.1), n_folds=3, n_members=2)
LIKELIHOODS = ("pseudobulk", "counts")
BATCH_SPREADS = (0.2, 0.0)
MEASURES = ("means", "logs")
"""Squared error of observed means, of log1p of normalised counts; and of logarithms of the states they stand for."""


def screens(number: int, depth: float, batch_spread: float) -> tuple[Dataset, Dataset]:
    """A screen in three batches, and the same conditions of many cells without batch effects: the truth at this depth."""
    keys = jax.random.split(jax.random.key(number), 3)
    world = random_world(WorldRecipe(n_genes=N_GENES, n_regulators=N_GENES // 2), key=keys[0])
    edits = [(Edit(gene=g, kind="crispri", efficacy=0.9),) for g in world.genes[:N_EDITS]]
    designs = (
        ScreenDesign(
            experiments=screen_experiments(edits, (1, 2, 4)),
            cells=cells,
            control_cells=controls,
            measurement=Measurement(
                library_mean=depth, dispersion=0.3, batch_gene_spread=batch, batch_depth_spread=batch
            ),
        )
        for cells, controls, batch in ((N_CELLS, N_CONTROLS, batch_spread), (N_TRUTH, N_TRUTH, 0.0))
    )
    found = (
        simulate_screen(world, design, n_truth_cells=8, key=key) for design, key in zip(designs, keys[1:], strict=True)
    )
    return tuple(dataset_from_anndata(each, edit_kind="crispri", name=f"world {number}") for each in found)


def logs(data: Dataset, mean: np.ndarray) -> np.ndarray:
    """Logarithms of the states behind observed means, with a fiftieth of the median state added."""
    least = 0.02 * float(np.median(data.scale.to_state(data.mean[data.is_control])))
    return np.log(np.maximum(data.scale.to_state(mean), 0.0) + least)


def score(number: int, depth: float, batch_spread: float, likelihood: str) -> list[dict[str, object]]:
    """Squared error over other genes relative to that of no change: seen conditions, a later day of seen edits, unseen edits."""
    data, truth = screens(number, depth, batch_spread)
    genes = [c.edits[0].gene if c.edits else "" for c in data.conditions]
    names = sorted(set(genes) - {""})
    unseen, late = names[:3], names[3:6]
    task = np.array(
        [
            "control"
            if not g
            else "unseen edit"
            if g in unseen
            else "later day"
            if g in late and c.hours == 96
            else "seen"
            for g, c in zip(genes, data.conditions, strict=True)
        ]
    )
    train = data.subset(np.flatnonzero(np.isin(task, ["control", "seen"])))
    start = time.process_time()
    model = fit(train, replace(CONFIG, likelihood=likelihood, seed=number))
    seconds = time.process_time() - start
    own = np.array([[g == column for column in data.genes] for g in genes])
    control = np.stack([truth.matched_control(c) for c in truth.conditions])
    order = [truth.index[c] for c in data.conditions]
    real, unchanged = truth.mean[order], control[order]
    said = {"law alone": model.by_law(data.conditions), "prediction": model.predict_conditions(data.conditions).mean}
    said["measured"] = data.mean
    rows = []
    for name in ("seen", "later day", "unseen edit"):
        kept = (task == name)[:, None] & ~own
        for measure, of, of_truth in zip(MEASURES, (lambda d, x: x, logs), (real, logs(truth, real)), strict=True):
            no_change = float(((of(truth, unchanged) - of_truth)[kept] ** 2).mean())
            for what, mean in said.items():
                error = float(((of(data, mean) - of_truth)[kept] ** 2).mean()) / no_change
                rows.append({"task": name, "what": what, "measure": measure, "error": error})
    common = {"world": number, "depth": depth, "batches": batch_spread, "likelihood": likelihood, "seconds": seconds}
    return [common | row for row in rows]


def estimates(number: int, depth: float) -> list[dict[str, object]]:
    """Mean squared error of measured log fold changes of other genes: 60 cells per condition against 1,500, no batch effects."""

    def by_counts(data: Dataset) -> np.ndarray:
        expression = count_law(data).expression
        return np.log(expression + 0.02 * float(np.median(expression[data.is_control])))

    data, truth = screens(number, depth, 0.0)
    order = [truth.index[c] for c in data.conditions]
    other = np.array([[bool(c.edits) and c.edits[0].gene != gene for gene in data.genes] for c in data.conditions])
    rows = []
    for name, estimate in (("counts", by_counts), ("means", lambda data: logs(data, data.mean))):
        change = [v - v[d.is_control].mean(axis=0) for d in (data, truth) for v in (estimate(d),)]
        error = float(((change[0] - change[1][order])[other] ** 2).mean())
        rows.append({"world": number, "depth": depth, "estimate": name, "error": error})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--estimates", action="store_true")
    arguments = parser.parse_args()
    if arguments.estimates:
        found = [row for n in range(arguments.worlds) for depth in DEPTHS for row in estimates(n, depth)]
        pd.DataFrame(found).to_csv(RESULTS / "count_estimates.tsv", sep="\t", index=False, float_format="%.5g")
        return
    file, rows = RESULTS / "count_fits.tsv", []
    for number, batch_spread, depth, likelihood in itertools.product(
        range(arguments.worlds), BATCH_SPREADS, DEPTHS, LIKELIHOODS
    ):
        rows += score(number, depth, batch_spread, likelihood)
        print(*list(rows[-1].values())[:5], flush=True)
        jax.clear_caches()
        pd.DataFrame(rows).to_csv(file, sep="\t", index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
