"""Small simulated guide screens, without code of the package."""

from __future__ import annotations

import numpy as np
import pandas as pd


def bottlenecked(share, *, founders, reads, variable=False, spread=0.0, growth=0.0, rng):
    """Reads after multinomial founders, growth in step or by division at random times, and sequencing."""
    founded = rng.multinomial(founders, share)
    cells = founded.astype(float)
    if variable:
        has = founded > 0
        cells[has] += rng.negative_binomial(founded[has], 2.0**-10)
    cells = cells * np.exp(growth)
    if spread:
        cells = cells * rng.gamma(1.0 / spread, spread, len(cells))
    return rng.multinomial(reads, cells / cells.sum())


def library(n, rng, sd=0.7):
    """Shares of barcodes."""
    weight = rng.lognormal(0.0, sd, n)
    return weight / weight.sum()


def guide_screen(seed=0, *, n_genes=40, guides=4, n_neutral=80, founders=20_000, hours=(0, 48, 96), effects=None):
    """Counts and sample sheet of a screen; effects are growth per hour of genes by name."""
    rng = np.random.default_rng(seed)
    effects = effects or {}
    genes = [f"g{i}" for i in range(n_genes) for _ in range(guides)] + ["non-targeting"] * n_neutral
    share = library(len(genes), rng)
    rate = np.array([effects.get(g, 0.0) for g in genes])
    table = pd.DataFrame({"sgRNA": [f"s{i}" for i in range(len(genes))], "gene": genes})
    table["before"] = rng.multinomial(300 * len(genes), share)
    rows = [("before", "reference", hours[0], "", "")]
    for animal, at in enumerate(hours[1:]):
        name = f"after{at}"
        table[name] = bottlenecked(
            share, founders=founders, reads=200 * len(genes), variable=True, growth=rate * at, rng=rng
        )
        rows.append((name, "sample", at, str(animal), "tumour"))
    return table, pd.DataFrame(rows, columns=["sample", "role", "hours", "animal", "tissue"])
