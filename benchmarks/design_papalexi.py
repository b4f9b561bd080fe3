"""Predicted standard errors of effects in Papalexi's screen, against bootstraps over its cells and over its replicates.

``python -m benchmarks.design_papalexi`` writes ``results/design_papalexi.md`` and ``.png``.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.design_errors import markdown
from benchmarks.sets import shared_data
from semimech.data import Dataset, dataset_from_anndata
from semimech.design import (
    Components,
    Layout,
    effect_variance,
    estimate_components,
    estimate_effects,
    groups_of,
    layout_of,
)

RESULTS = Path(__file__).parent / "results"
EXPRESSED = 0.05
"""Least mean, log1p CP10k, of the genes that are judged."""


def read_screen() -> Dataset:
    """The screen, each cell with the target of its leading guide."""
    root = shared_data()
    if root is None:
        sys.exit("the shared data are not there: set SEMIMECH_SHARED_DATA to their folder")
    data = ad.read_h5ad(root / "papalexi_eccite" / "papalexi_lowmoi.h5ad")
    best = np.asarray(data.obsm["grna_counts"].argmax(axis=1)).ravel()
    data.obs["target"] = np.asarray(data.uns["grna_target"])[best]
    return dataset_from_anndata(data, name="papalexi")


def resampled_means(
    dataset: Dataset, layout: Layout, row: np.ndarray, n: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Means of conditions in batches, cells drawn anew within each."""
    values = np.asarray(dataset.cells.values.todense(), dtype=np.float32)
    group = row * len(layout.batches) + dataset.cells.batch
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=layout.cells.size)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    drawn = []
    for _ in range(n):
        table = np.zeros((layout.cells.size, values.shape[1]))
        for g in np.flatnonzero(sizes):
            table[g] = values[order[starts[g] + rng.integers(0, sizes[g], sizes[g])]].mean(axis=0)
        drawn.append(table.reshape(*layout.cells.shape, -1))
    return drawn


def predicted(layout: Layout, parts: list[Components]) -> dict[str, np.ndarray]:
    """Variance of each effect and gene."""
    variance = [effect_variance(layout, part) for part in parts]
    return {name: np.stack([getattr(v, name) for v in variance], axis=1) for name in ("naive", "within")}


def of_replicates(means: np.ndarray, layout: Layout, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Variance of effects over replicates drawn anew, times R/(R−1) for drawing from few."""
    n_batches = len(layout.batches)
    drawn: dict[str, list[np.ndarray]] = {"naive": [], "within": []}
    for _ in range(n):
        chosen = rng.integers(0, n_batches, n_batches)
        again = Layout(
            conditions=layout.conditions,
            batches=tuple(map(str, range(n_batches))),
            cells=layout.cells[:, chosen],
            control=layout.control,
        )
        found = estimate_effects(means[:, chosen], again, Components(cell=1.0))
        for name, values in drawn.items():
            values.append(getattr(found, name))
    return {name: np.var(values, axis=0) * n_batches / (n_batches - 1) for name, values in drawn.items()}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstraps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    began, rng = time.perf_counter(), np.random.default_rng(options.seed)
    dataset = read_screen()
    layout, groups = groups_of(dataset)
    found = estimate_components(groups, dataset.genes)
    kept = np.flatnonzero((dataset.mean.mean(axis=0) > EXPRESSED) & (found.table["cell"] > 0).to_numpy())
    plain = Components(cell=1.0)
    effects = [
        estimate_effects(means[:, :, kept], layout, plain)
        for means in resampled_means(dataset, layout, layout_of(dataset)[1], options.bootstraps, rng)
    ]
    by_cells = {name: np.var([getattr(e, name) for e in effects], axis=0, ddof=1) for name in ("naive", "within")}
    by_replicates = of_replicates(groups.table()[:, :, kept], layout, options.bootstraps * 3, rng)
    rows, figures = [], {}
    each = [found.of_gene(gene) for gene in np.array(dataset.genes)[kept]]
    own = np.maximum(groups.cell_variance()[:, kept], 1e-9)
    for against, how, parts, measured in (
        ("cells", "one variance of cells for all edits", [Components(cell=c.cell) for c in each], by_cells),
        ("cells", "each edit its own variance of cells", [Components(cell=column) for column in own.T], by_cells),
        ("replicates", "cells, replicates, replicate × edit", each, by_replicates),
    ):
        told = predicted(layout, parts)
        for name in ("naive", "within"):
            ratio = np.sqrt(told[name].mean(axis=0) / measured[name].mean(axis=0))
            whole = np.sqrt(
                np.mean(told[name] / told[name].mean(axis=0)) / np.mean(measured[name] / told[name].mean(axis=0))
            )
            figures[against, name] = np.sqrt(told[name].mean(axis=0)), np.sqrt(measured[name].mean(axis=0))
            rows.append(
                {
                    "bootstrap over": against,
                    "predicted from": how,
                    "estimator": name,
                    "ratio, all genes": float(whole),
                    "median gene": float(np.median(ratio)),
                    "5 % of genes below": float(np.quantile(ratio, 0.05)),
                    "5 % above": float(np.quantile(ratio, 0.95)),
                    "genes within 0.9 to 1.1": float(((ratio > 0.9) & (ratio < 1.1)).mean()),
                }
            )
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    for axes, against in zip(figure.subplots(1, 2), ("cells", "replicates"), strict=True):
        x, y = figures[against, "within"]
        axes.loglog(x, y, ".", markersize=4, color="#0072B2")
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color="#1a1a1a", linewidth=0.8)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="predicted standard error, within batches", ylabel=f"bootstrap over {against}")
    figure.savefig(RESULTS / "design_papalexi.png", dpi=130)
    typical = found.typical
    pooled = float(np.median(pd.Series(layout.cells[1:].sum(axis=1))))
    page = f"""# Predicted standard errors on Papalexi's screen

- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work, {time.perf_counter() - began:.0f} s.
- Command: `python -m benchmarks.design_papalexi --bootstraps {options.bootstraps} --seed {options.seed}`.
- {layout.cells.sum()} cells, {len(layout.conditions) - 1} edits (median {pooled:g} cells), {layout.cells[0].sum()} controls, {len(layout.batches)} replicates;
  {len(kept)} genes with a mean above {EXPRESSED:g} (log1p CP10k). Effects by the weights of cells alone, so that both sides are one estimator.
- A typical gene: variance of cells {typical.cell:.3g}, of replicates {typical.batch:.2g}, of replicate × edit {typical.interaction:.2g}.

Predicted over bootstrap standard error, of a gene: root of the mean variance over edits. Wanted: 0.9 to 1.1.

{markdown(pd.DataFrame(rows))}

Over cells: cells drawn anew within edit and replicate, so that only the variance of cells is asked. Edits differ in the spread of their cells:
one variance for all is off by more than a tenth for a fifth of the genes, each edit's own is not.
Over replicates: three replicates drawn with replacement, the variance times 3/2; the prediction takes cells, replicates and replicate × edit together. Three replicates
tell the variance of one gene's effects with an error of the size of itself, so single genes scatter widely and only the ratio over all genes means much.

![Per gene](design_papalexi.png)
"""
    RESULTS.joinpath("design_papalexi.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main(sys.argv[1:])
