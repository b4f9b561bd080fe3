"""What others read of our predictions, and how pertpy assigns guides; prints tables of tab-separated values.

``python benchmarks/peers/interoperability.py PREDICTION.h5ad SCREEN.h5ad`` runs pertpy's distances and cell-eval, whichever is installed, on a
file that ``semimech predict`` wrote and on the counts it was trained on; needs no semimech.
``python -m benchmarks.peers.interoperability guides`` simulates 300 cells with six guides and assigns them by each method of `semimech.data.assign_guides`;
needs ``semimech[guides]``. Results: ``results/interoperability.md``.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from importlib.util import find_spec

import anndata as ad
import numpy as np
import pandas as pd

DISTANCES = ("mse", "mean_absolute_error", "euclidean", "pearson_distance", "cosine_distance", "edistance")


def by_pertpy(prediction: ad.AnnData) -> pd.DataFrame:
    """Distance of each predicted edit from the predicted controls."""
    import pertpy as pt

    prediction.layers["predicted"] = prediction.X
    distances = {
        name: pt.tl.Distance(name, layer_key="predicted").onesided_distances(
            prediction, groupby="perturbation", selected_group="control", show_progressbar=False
        )
        for name in DISTANCES
    }
    return pd.DataFrame(distances).drop(index="control")


def by_cell_eval(prediction: ad.AnnData, screen: ad.AnnData) -> pd.DataFrame:
    """Every metric of cell-eval but those of differential expression, which test cells; a prediction is a mean."""
    import scanpy as sc
    from cell_eval import MetricsEvaluator

    sc.pp.normalize_total(screen, target_sum=1e4)
    sc.pp.log1p(screen)
    with tempfile.TemporaryDirectory() as folder:
        evaluator = MetricsEvaluator(
            adata_pred=prediction,
            adata_real=screen,
            control_pert="control",
            pert_col="perturbation",
            num_threads=1,
            outdir=folder,
            skip_de=True,
        )
        return evaluator.compute(profile="anndata", break_on_error=True, write_csv=False)[1].to_pandas()


def guides() -> pd.DataFrame:
    """Cells of 300 whose guides are told right, and seconds, by method; one cell in twenty has two guides, one in seven an ambient UMI of each."""
    from semimech.data import assign_guides

    rng = np.random.default_rng(0)
    carried = np.eye(6, dtype=bool)[rng.integers(0, 6, 300)]
    carried[np.arange(15), (carried[:15].argmax(axis=1) + 1) % 6] = True
    counts = rng.poisson(np.where(carried, 40 * rng.lognormal(0, 0.5, (300, 1)), 0.15))
    data = ad.AnnData(
        np.ones((300, 1)), obsm={"guide_counts": counts}, uns={"guide_names": [f"g{i}" for i in range(6)]}
    )
    rows = []
    for method in ("threshold", "mixture"):
        start = time.time()
        found = assign_guides(data, {f"g{i}": f"G{i}" for i in range(6)}, method=method)
        right = int((found.carried == carried).all(axis=1).sum())
        rows.append({"method": method, "cells right": right, "of": 300, "seconds": round(time.time() - start, 1)})
    return pd.DataFrame(rows)


def main() -> None:
    warnings.simplefilter("ignore")
    if sys.argv[1:] == ["guides"]:
        print(guides().to_csv(sep="\t", index=False))
        return
    paths = sys.argv[1:]
    if find_spec("pertpy"):
        print(by_pertpy(ad.read_h5ad(paths[0])).to_csv(sep="\t", float_format="%.4g"))
    if find_spec("cell_eval"):
        print(by_cell_eval(*map(ad.read_h5ad, paths)).to_csv(sep="\t", float_format="%.4g", index=False))


if __name__ == "__main__":
    main()
