"""Compare predictors on held-out edits: the model, a variant of it, and all baselines, on the same folds.

    python examples/compare_predictors.py screen.h5ad [--steps 200] [--folds 3]

Prints, tab-separated, the mean squared error of each on genes other than the edited ones, and its ratio to the best
baseline with a 95 % interval from a paired bootstrap over edits.
"""

import argparse
import sys

import numpy as np

import semimech
from semimech.data import Dataset
from semimech.data.split import unseen_edit
from semimech.evaluate import Method, baseline_methods, best_simple_baseline, compare, run_benchmark, summarise
from semimech.fit import FittedModel


def method(name: str, **settings: object) -> Method:
    """A model with settings of its own, under a name."""

    def fit(train: Dataset, seed: int) -> FittedModel:
        return semimech.fit(train, semimech.FitConfig(seed=seed, **settings))

    return Method(name=name, fit=fit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="AnnData file (.h5ad)")
    parser.add_argument("--steps", type=int, default=200, help="optimisation steps of each final fit")
    parser.add_argument("--folds", type=int, default=3, help="folds over the edited genes")
    asked = parser.parse_args()

    dataset = semimech.read(asked.data)
    steps = {"n_steps": asked.steps, "validation_steps": max(asked.steps // 2, 1)}
    models = [method("semi-mechanistic", **steps), method("without steady-state loss", steady_state="none", **steps)]
    splits = unseen_edit(dataset, n_folds=asked.folds, seed=0)
    say = lambda text: print(text, file=sys.stderr)
    scores = run_benchmark([*models, *baseline_methods()], dataset, splits, seed=0, progress=say).scores

    rng = np.random.default_rng(0)
    table = summarise(scores, rng=rng).query("metric == 'mse' and scope == 'excl' and mode == 'roll-out'")
    best = best_simple_baseline(scores)["unseen_edit"]
    ratio = compare(scores, metric="mse", reference=best, rng=rng).set_index("predictor")
    table = table.set_index("predictor")[["mean", "n_conditions"]].sort_values("mean")
    table = table.join(ratio[["estimate", "lower", "upper"]].add_prefix(f"ratio to {best}: "))
    table.to_csv(sys.stdout, sep="\t", float_format="%.4g")


if __name__ == "__main__":
    main()
