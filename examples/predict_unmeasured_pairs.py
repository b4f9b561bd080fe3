"""From your own AnnData to predictions: every pair of edited genes that the screen has not measured.

    python examples/predict_unmeasured_pairs.py screen.h5ad pairs.h5ad [--steps 200] [--hours 120]

Prints, tab-separated, the pair, the gene that it is predicted to change most, the change, and its 90 % interval.
"""

import argparse
from itertools import combinations

import anndata as ad
import numpy as np

import semimech
from semimech.data import dataset_from_anndata


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="AnnData file (.h5ad)")
    parser.add_argument("out", help="where predictions shall stand (.h5ad)")
    parser.add_argument("--steps", type=int, default=200, help="optimisation steps of the final fit")
    parser.add_argument("--hours", type=float, default=120.0, help="time between edit and harvest")
    asked = parser.parse_args()

    # Any AnnData object will do: filter cells or genes here. Columns with unusual names are named with
    # perturbation_key=, time_key=, batch_key= and medium_key=.
    adata = ad.read_h5ad(asked.data)
    dataset = dataset_from_anndata(adata, name=asked.data)
    config = semimech.FitConfig(n_steps=asked.steps, validation_steps=max(asked.steps // 2, 1))
    model = semimech.fit(dataset, config)

    measured = set(dataset.perturbations)
    edited = sorted({edit.gene for condition in dataset.conditions for edit in condition.edits})
    experiments = [
        semimech.parse_experiment(f"edit {a} > edit {b} > wait {asked.hours:g}h > harvest", id=f"{a}+{b}")
        for a, b in combinations(edited, 2)
        if f"{a}+{b}" not in measured
    ]
    control = semimech.parse_experiment(f"wait {asked.hours:g}h > harvest", id="control")
    predicted = model.predict([control, *experiments])
    predicted.write_h5ad(asked.out)

    change = predicted.X[1:] - predicted.X[0]
    print("pair", "gene", "change", "lower", "upper", sep="\t")
    for row, experiment in enumerate(experiments):
        others = [g not in experiment.id.split("+") for g in predicted.var["gene"]]
        gene = int(np.argmax(np.abs(change[row]) * others))
        ends = [predicted.layers[end][row + 1, gene] - predicted.X[0, gene] for end in ("lower", "upper")]
        numbers = (f"{number:.3f}" for number in (change[row, gene], *ends))
        print(experiment.id, predicted.var["gene"].iloc[gene], *numbers, sep="\t")


if __name__ == "__main__":
    main()
