"""What studies of an optional part share: worlds with and without what it stands for, errors with and without the part, a table and a page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"


def summary(rows: pd.DataFrame, *, by: dict[str, str]) -> pd.DataFrame:
    """Mean errors, their ratio with an interval over worlds, and worlds won; rows of a table by columns, each under a heading."""
    shown = []
    for values, table in rows.groupby(["world", *by], sort=False):
        kind, *others = values
        ratio = np.log(table["with"] / table["without"]).to_numpy()
        rng = np.random.default_rng(0)
        means = ratio[rng.integers(0, len(ratio), (4000, len(ratio)))].mean(axis=1)
        low, high = np.exp(np.quantile(means, [0.025, 0.975]))
        shown.append(
            {
                "worlds": f"{kind} ({len(table)})",
                **dict(zip(by.values(), others, strict=True)),
                "error without": f"{table['without'].mean():.4f}",
                "with": f"{table['with'].mean():.4f}",
                "ratio [95 %]": f"{np.exp(ratio.mean()):.2f} [{low:.2f}, {high:.2f}]",
                "worlds won": f"{int((ratio < 0).sum())} of {len(table)}",
            }
        )
    return pd.DataFrame(shown)


def run_worlds(
    name: str,
    description: str | None,
    kinds: Sequence[str],
    one_world: Callable[[str, int], list[dict[str, object]]],
    page: Callable[[pd.DataFrame, int, float], str],
) -> None:
    """Measure world after world, and write the table and the page after each."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--worlds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    began, rows = time.time(), []
    for seed in range(options.worlds):
        for kind in kinds:
            found = one_world(kind, seed)
            rows += found
            print(found, file=sys.stderr, flush=True)
            jax.clear_caches()
        table = pd.DataFrame(rows)
        table.to_csv(options.out / f"{name}.tsv", sep="\t", index=False, float_format="%.5g")
        (options.out / f"{name}.md").write_text(page(table, seed + 1, (time.time() - began) / 60), encoding="utf-8")
