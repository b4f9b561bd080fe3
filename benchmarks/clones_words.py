"""What `benchmarks.clones` found, in words made from its tables."""

from __future__ import annotations

import numpy as np
import pandas as pd


def best_of(wide: pd.DataFrame) -> tuple[str, pd.Series]:
    """The baseline of least mean error, and semimech's error over it in each sample."""
    best = str(wide.drop(columns="semimech").mean().idxmin())
    return best, wide["semimech"] / wide[best]


def against_best(wide: pd.DataFrame, table: pd.DataFrame) -> str:
    """Geometric mean of ratios over samples, with the least and the most of held-out times: there are too few of these for an interval."""
    best, ratio = best_of(wide)
    n = table["time"].nunique()
    by_time = np.exp(np.log(ratio).groupby(table.groupby(wide.index.names)["time"].first()).mean())
    spread = f" ({by_time.min():.2f} to {by_time.max():.2f} over {n} times)" if n > 1 else " (one time)"
    return f"{np.exp(np.log(ratio).mean()):.2f}{spread}, {best}"


def said(rows: pd.DataFrame, clones: pd.DataFrame, in_liver: pd.DataFrame) -> str:
    """What the tables say, in words made from them."""
    tasks = []
    for keys, table in rows.groupby(["set", "kind"], sort=False):
        wide = table.pivot_table(index=["time", "lineage"], columns="method", values="rmse")
        tasks.append((f"{str(keys[0]).split()[0]} {keys[1]}", *best_of(wide)))
    for kind, table in in_liver.groupby("kind"):
        tasks.append((f"liver {kind}", *best_of(table.pivot(index="at", columns="method", values="rmse"))))
    ratio = {name: float(np.exp(np.log(r).mean())) for name, _, r in tasks}
    by_best: dict[str, list[str]] = {}
    for name, best, _ in tasks:
        by_best.setdefault(best, []).append(name)
    outcome = {
        "less error than the best": [f"{n} ({r:.2f})" for n, r in ratio.items() if r < 0.98],
        "as much, to two per cent": [n for n, r in ratio.items() if 0.98 <= r <= 1.02],
        "more": [f"{n} ({r:.2f})" for n, r in ratio.items() if r > 1.02],
    }
    moving = "; ".join(
        f"{row['set'].split()[0]}: {row['grow']} grow and {row['shrink']} shrink of {row['clones']}"
        for row in clones.to_dict("records")
    )
    zeros = rows[rows["method"] == "semimech"].groupby("set")["zeros"].mean()
    covers = pd.concat([table.groupby("kind")["covered"].mean() for _, table in rows.groupby("set")])
    return (
        "The best baseline is picked on the test samples: "
        + "; ".join(f"{best} ({', '.join(names)})" for best, names in by_best.items())
        + ". Against it semimech has "
        + "; ".join(f"{what}: {', '.join(names) or 'nowhere'}" for what, names in outcome.items())
        + ". The law holds all baselines but the trend, and weighs them by its variances. "
        f"Its 90 % intervals of counts of clones cover {covers.min():.0%} to {covers.max():.0%}. Two or three times are held out of each set, and the blood of one mouse is a few samples: no row says more than "
        "what happened there. In a followed clone a sample has no read in "
        + ", ".join(f"{share:.0%} ({str(name).split()[0]})" for name, share in zeros.items())
        + " of held-out counts, which the law can only call noise. Clones that move beyond it: "
        + moving
        + ". With one lineage (the mouse) a bias cannot be told from a size, nor growth of a clone from that of its lineage: bias and turnover are 0 there."
    )
