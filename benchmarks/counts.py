"""The law of counts: recovery on simulated counts, batch effects, Papalexi's cells held out, and fits by depth.

``python -m benchmarks.counts --seeds 3`` writes ``results/counts.md``; what `benchmarks.count_fits` measured is put in.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import nbinom, norm, poisson

from benchmarks.count_fits_page import fits_page
from benchmarks.design_errors import markdown
from benchmarks.sets import shared_data
from semimech.data import Dataset, dataset_from_anndata
from semimech.data.count_groups import group_counts
from semimech.data.count_law import CountLaw, batch_factors, count_law, law_of
from semimech.data.dispersion import estimate_dispersion

RESULTS = Path(__file__).resolve().parent / "results"
DEPTHS = (500, 2000, 5000, 20000)
N_GENES, N_EDITS, N_BATCHES, N_CELLS, N_CONTROLS = 300, 10, 3, 600, 2000


def simulate(depth: float, seed: int, *, batch_spread: float, is_confounded: bool = False):
    """Counts of a panel: dispersions from 1/50 to 1/0.2, log-normal libraries; and the truth behind them."""
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0, 1.0, N_GENES)
    effect = np.exp(0.5 * rng.normal(size=(N_EDITS + 1, N_GENES)) * (rng.random((N_EDITS + 1, N_GENES)) < 0.3))
    effect[0] = 1.0
    expression = 1e4 * share / share.sum() * effect
    theta = np.exp(rng.uniform(np.log(0.2), np.log(50), N_GENES))
    condition = np.repeat(np.arange(N_EDITS + 1), [N_CONTROLS] + [N_CELLS] * N_EDITS)
    batch = rng.integers(0, N_BATCHES, len(condition))
    if is_confounded:  # nine tenths of the cells of an edit stand in one batch
        moved = (condition > 0) & (rng.random(len(condition)) < 0.85)
        batch[moved] = condition[moved] % N_BATCHES
    factor = np.exp(batch_spread * rng.normal(size=(N_BATCHES, N_GENES)))
    factor /= np.exp(np.log(factor).mean(axis=0))
    library = depth * np.exp(0.35 * rng.normal(size=len(condition)) - 0.06)
    mean = library[:, None] / 1e4 * factor[batch] * expression[condition]
    counts = rng.poisson(mean * rng.gamma(theta, 1 / theta, mean.shape)).astype(float)
    return counts, 1e4 / library, condition, batch, expression, 1 / theta, factor


def law_of_counts(counts, unit, condition, batch) -> CountLaw:
    is_control = np.arange(condition.max() + 1) == 0
    groups = group_counts(sp.csr_matrix(counts), unit, condition=condition, batch=batch)
    dispersion = estimate_dispersion(groups)
    stratum = np.zeros(len(is_control), dtype=int)
    batches = batch_factors(
        groups, is_control=is_control, stratum=stratum, dispersion=dispersion.value, n_batches=N_BATCHES
    )
    return law_of(groups, batches, dispersion, is_control=is_control)


def recovery(depth: float, seed: int) -> dict[str, float]:
    """Errors and coverage at one depth; what no estimator could beat stands beside (Cramér-Rao, a normal error's median)."""
    counts, unit, condition, batch, expression, alpha, factor = simulate(depth, seed, batch_spread=0.3)
    start = time.process_time()
    law = law_of_counts(counts, unit, condition, batch)
    seconds = time.process_time() - start
    lower, upper = law.interval()
    told = sum(
        (1 / unit[condition == c]).sum()
        * expression[c]
        / (1 + alpha * expression[c] * (1 / unit[condition == c]).mean())
        for c in range(1, N_EDITS + 1)
    )
    best = np.median(0.6745 / np.sqrt(told / N_EDITS))
    error = np.abs(law.expression / expression - 1)
    spread = np.abs(law.dispersion.value / alpha - 1)
    return {
        "depth": depth,
        "mean: controls": np.median(error[0]),
        f"mean: {N_CELLS} cells": np.median(error[1:]),
        "no estimator below": float(best),
        "dispersion": np.median(spread),
        "of counts above 1": np.median(spread[(counts.mean(axis=0) > 1)]),
        "mean in 90 % interval": float(((lower <= expression) & (expression <= upper)).mean()),
        "dispersion in 90 % interval": float(
            ((law.dispersion.lower <= alpha) & (alpha <= law.dispersion.upper)).mean()
        ),
        "batch factor": np.median(np.abs(law.batches.factor / factor - 1)),
        "CPU seconds": seconds,
    }


def batch_bias(depth: float, seed: int) -> dict[str, float]:
    """How much of the batches' bias stands in log effects, by the naive contrast and by the operator."""
    counts, unit, condition, batch, expression, _, factor = simulate(depth, seed, batch_spread=0.4, is_confounded=True)
    law = law_of_counts(counts, unit, condition, batch)
    true = np.log(expression[1:] / expression[0])
    total = np.stack(
        [counts[condition == c].sum(axis=0) / (1 / unit[condition == c]).sum() for c in range(N_EDITS + 1)]
    )
    with np.errstate(divide="ignore"):
        naive = np.log(total[1:] / total[0]) - true
        operator = np.log(law.expression[1:] / law.expression[0]) - true
    shares = np.stack([np.bincount(batch[condition == c], minlength=N_BATCHES) for c in range(N_EDITS + 1)])
    through = np.log(shares / shares.sum(axis=1, keepdims=True) @ factor)
    due = through[1:] - through[0]
    kept = np.isfinite(naive) & np.isfinite(operator)
    slope = [float((e * due)[kept].sum() / (due**2)[kept].sum()) for e in (naive, operator)]
    return {
        "depth": depth,
        "naive": slope[0],
        "operator": slope[1],
        "RMS error, naive": float(np.sqrt((naive[kept] ** 2).mean())),
        "RMS error, operator": float(np.sqrt((operator[kept] ** 2).mean())),
    }


def read_papalexi() -> Dataset | None:
    """Papalexi's screen, each cell with the target of its leading guide."""
    root = shared_data()
    if root is None:
        return None
    data = ad.read_h5ad(root / "papalexi_eccite" / "papalexi_lowmoi.h5ad")
    best = np.asarray(data.obsm["grna_counts"].argmax(axis=1)).ravel()
    data.obs["target"] = np.asarray(data.uns["grna_target"])[best]
    return dataset_from_anndata(data, name="papalexi")


def held_out_likelihood(data: Dataset, seed: int) -> pd.Series:
    """Log-probability per cell of the counts of a fifth of the cells, by laws estimated from the others.

    The normal law of log1p values has a mean and variance per condition and gene, batch offsets removed, and gives a count the mass
    between the halves beside it: it is not charged for being continuous.
    """
    rng = np.random.default_rng(seed)
    cells, n = data.cells, len(data.cells.batch)
    is_test = rng.random(n) < 0.2
    counts = cells.counts(np.arange(n)).toarray()
    train = np.flatnonzero(~is_test)
    groups = group_counts(
        sp.csr_matrix(counts[train]), cells.unit[train], condition=cells.condition[train], batch=cells.batch[train]
    )
    dispersion = estimate_dispersion(groups)
    keys = {key: i for i, key in enumerate(dict.fromkeys(map(data.system.comparison, data.conditions)))}
    stratum = np.array([keys[data.system.comparison(c)] for c in data.conditions])
    n_batches = int(cells.batch.max()) + 1
    found = batch_factors(
        groups, is_control=data.is_control, stratum=stratum, dispersion=dispersion.value, n_batches=n_batches
    )
    law = law_of(groups, found, dispersion, is_control=data.is_control)
    expression = (law.counts + 0.5) / (law.exposed + 0.5 / law.expression[data.is_control].mean(axis=0).clip(1e-3))
    test = np.flatnonzero(is_test)
    mean = found.factor[cells.batch[test]] * expression[cells.condition[test]] / cells.unit[test, None]
    y, r = counts[test], 1 / dispersion.value
    total = {"negative binomial": nbinom.logpmf(y, r, r / (r + mean)).sum(axis=1)}
    total["Poisson"] = poisson.logpmf(y, mean).sum(axis=1)
    offset = np.zeros((n_batches, counts.shape[1])) if cells.batch_offset is None else cells.batch_offset
    value = np.log1p(counts * cells.unit[:, None]) - offset[cells.batch]
    centre, spread = np.zeros_like(expression), np.ones_like(expression)
    pooled = value[train].var(axis=0) + 1e-4
    for c in range(len(data.conditions)):
        mine = train[cells.condition[train] == c]
        centre[c] = value[mine].mean(axis=0)
        spread[c] = np.sqrt((len(mine) * value[mine].var(axis=0) + 4 * pooled) / (len(mine) + 4))
    centre, spread = centre[cells.condition[test]] + offset[cells.batch[test]], spread[cells.condition[test]]
    edge = lambda counts: (np.log1p(np.maximum(counts, 0) * cells.unit[test, None]) - centre) / spread
    upper, lower = norm.cdf(edge(y + 0.5)), np.where(y > 0, norm.cdf(edge(y - 0.5)), 0.0)
    total["normal on log1p"] = np.log(np.maximum(upper - lower, 1e-12)).sum(axis=1)
    return pd.Series({name: float(each.mean()) for name, each in total.items()})


def strongest(data: Dataset) -> pd.Series:
    """Distance of each edit from controls over other genes, beyond chance, in standard deviations of cells at the median depth."""
    law = count_law(data)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.log((law.counts + 0.5) / law.exposed)
        error = 1 / (law.counts + 0.5) + law.batch_variance
    control = np.flatnonzero(data.is_control)[0]
    per_cell = 1 / (np.median(1 / data.cells.unit) * law.expression[control] + 1e-6) + law.dispersion.value
    squared = ((shift - shift[control]) ** 2 - error - error[control]) / per_cell
    for row, condition in enumerate(data.conditions):
        for edit in condition.edits:
            if edit.gene in data.genes:
                squared[row, data.genes.index(edit.gene)] = 0.0
    names = [c.perturbation for c in data.conditions]
    return pd.Series(np.sqrt(np.maximum(squared.sum(axis=1), 0)), index=names).sort_values(ascending=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found = (
        pd.DataFrame([recovery(d, s) for d in DEPTHS for s in range(options.seeds)])
        .groupby("depth")
        .mean()
        .reset_index()
    )
    bias = (
        pd.DataFrame([batch_bias(d, s) for d in DEPTHS for s in range(options.seeds)])
        .groupby("depth")
        .mean()
        .reset_index()
    )
    data = read_papalexi()
    papalexi = "The shared data are not there."
    if data is not None:
        likelihood = pd.DataFrame([held_out_likelihood(data, s) for s in range(options.seeds)])
        summary = pd.DataFrame(
            {
                "law": likelihood.columns,
                "log-probability per cell": likelihood.mean().to_numpy(),
                "range over splits": np.ptp(likelihood.to_numpy(), axis=0),
            }
        )
        far = strongest(data).head(8)
        papalexi = (
            f"{markdown(summary)}\n\nStrongest edits (distance from controls in standard deviations of cells, own gene left out): "
            + ", ".join(f"{n} {v:.2f}" for n, v in far.items())
            + "."
        )
    page = f"""# Fits on counts

- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work.
- Commands: `python -m benchmarks.counts --seeds {options.seeds}`, `python -m benchmarks.count_fits --worlds 3`.

## Recovery on simulated counts

{N_GENES} genes, dispersions from 1/50 to 1/0.2, {N_BATCHES} batches whose factors have a spread of 0.3, {N_CONTROLS} controls, {N_EDITS} edits of {N_CELLS} cells. Medians over
genes of relative errors, means over {options.seeds} seeds.

{markdown(found)}

## Bias by batches

Edits of which nine tenths stand in one batch, factors with a spread of 0.4. *naive*, *operator*: slope of the error of log effects on the bias that batches would give: 1 is all
of it, 0 none.

{markdown(bias)}

## Cells of Papalexi's screen, held out

A fifth of the cells at random, {options.seeds} splits.

{papalexi}

{fits_page()}
"""
    RESULTS.joinpath("counts.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
