"""Whether the saving that is predicted from the first rounds is the one that campaigns then show: coverage of its 90 % interval.

``python -m benchmarks.campaign_value --first 500 --worlds 24`` writes ``results/campaign_value.md`` and ``.tsv``; ``--worlds 0`` the page of the table that is there.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.campaign_linear import CHOOSERS, LinearLab, play
from benchmarks.campaign_worlds import wired
from benchmarks.campaigns_page import needed
from semimech.design import Prices, saving
from semimech.design.value import FAR

RESULTS = Path(__file__).parent / "results"
EARLY = 3
"""Rounds from which a saving is predicted: 10, 20 and 30 edits, or the last two of them."""
STARTS, ORDERS, ROUNDS = 3, 6, 7
TOP = 1.0 - 1.0 / FAR
"""Saved share from which on no more is told than that it is so much or more."""


UNSTABLE = (
    "- In this run the network of the mean weights was propagated even where it is not stable, as in world 521, whose errors then rise with edits; the script now takes the propagation of "
    "`semimech.design.law_lessons`, which keeps it stable. Not played again since."
)


def one_world(seed: int) -> list[dict[str, object]]:
    """Predicted and shown savings of campaigns of one world that begin with other edits."""
    bench, rows = wired(seed), []
    for start in range(STARTS):
        lab = LinearLab(bench, 100 * seed + start)
        sizes, by_random = play(lab, CHOOSERS["random"], rounds=ROUNDS)
        others = [play(lab, CHOOSERS["random"], rounds=ROUNDS, stream=k)[1].mean(axis=1) for k in range(1, ORDERS + 1)]
        truth = np.mean(others, axis=0)  # the campaign from whose first rounds the saving is predicted is none of them
        for name in ("targeted", "uncertain", "degree"):
            _, method = play(lab, CHOOSERS[name], rounds=EARLY - 1)
            reached = float(method[-1].mean())
            n = needed(sizes.astype(float), truth, reached)
            shown = 1.0 - sizes[EARLY - 1] / min(n, sizes[-1])
            for k in (2, 3):
                part = slice(EARLY - k, EARLY)
                found = saving(sizes[part].astype(float), method[part], by_random[part], Prices())
                shown_too = min(max(shown, found.lower), found.upper) if not np.isfinite(n) else shown
                is_held = found.lower <= shown_too <= found.upper and (np.isfinite(n) or found.upper >= shown)
                rows.append(
                    {
                        "world": seed,
                        "start": start,
                        "strategy": name,
                        "sizes": k,
                        "own_apart": True,
                        "shown": shown,
                        "is_more": not np.isfinite(n),
                        "predicted": found.share,
                        "lower": found.lower,
                        "upper": found.upper,
                        "held": bool(is_held),
                    }
                )
    return rows


def covered(table: pd.DataFrame, rng: np.random.Generator) -> tuple[float, float, float]:
    """Share of intervals that held the truth, with a 95 % bootstrap over worlds."""
    by_world = table.groupby("world")["held"].agg(["sum", "count"]).to_numpy(float)
    drawn = by_world[rng.integers(0, len(by_world), (2000, len(by_world)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    return float(by_world[:, 0].sum() / by_world[:, 1].sum()), float(low), float(high)


def page(table: pd.DataFrame, seconds: float) -> str:
    """The results as text."""
    rng, n, first = np.random.default_rng(0), table["world"].nunique(), int(table["world"].min())
    truth = (
        f"the mean of {ORDERS} campaigns that are not the one predicted from"
        if "own_apart" in table
        else f"the mean of {ORDERS} campaigns, one of which is the one predicted from (in this run; no longer in the script), which may favour the prediction"
    )
    lines = [
        "# Is the predicted saving the one that campaigns show?",
        "",
        f"- {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 cores shared with other work, one of them used, {seconds:.0f} s.",
        f"- Command: `python -m benchmarks.campaign_value --first {first} --worlds {n}`; seeds {first} to {first + n - 1}, {STARTS} starts each. The interval was settled on worlds 0 to 9.",
        f"- The *wired* worlds of `campaigns.md`, with the law in closed form (`campaign_linear.py`) in the place of the fit. After {10 * EARLY} edits, `semimech.design.saving` predicts from the errors",
        f"  at the last two or three sizes which share of the edits a strategy saves against random choice. Shown: the number at which random choice gets there, {truth}.",
        "  Where it does not get there with all edits there are, the saving is *more than was shown*, and an interval that reaches beyond what that would save counts as right: easier to hold.",
        f"  Savings of {100 * TOP:.0f} % or more are told as that.",
        *([] if "own_apart" in table else [UNSTABLE]),
        "",
        "| sizes | strategy | shown, median | predicted, median | width of the interval, median | above 0 | from below 0 to the top | holds a saving that was shown [95 %] | more than was shown: holds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (k, name), part in table.groupby(["sizes", "strategy"]):
        seen, more = part[~part["is_more"]], part[part["is_more"]]
        width = (part["upper"] - part["lower"]).median()
        tells = f"{100 * (part['lower'] > 0).mean():.0f} % | {100 * says_nothing(part).mean():.0f} %"
        lines.append(
            f"| {k} | {name} | {part['shown'].median():.2f} | {part['predicted'].median():.2f} | {width:.2f} | {tells} | {percent(covered(seen, rng))} | {more['held'].sum()} of {len(more)} |"
        )
    seen, more = table[~table["is_more"]], table[table["is_more"]]
    every = covered(table, rng)
    failed = table[~table["held"]].groupby("world").size().sort_values(ascending=False)
    said = (
        "reached"
        if 0.85 <= every[1] and every[2] <= 0.95
        else "met by the share, and its interval is wider than the target"
        if 0.85 <= every[0] <= 0.95
        else "missed"
    )
    worst = f", {failed.iloc[0]} of them in world {failed.index[0]}" if len(failed) else ""
    lines += [
        "",
        f"Over all {len(table)} predictions {percent(every)}: the target of 85 to 95 % is {said}. Of the {len(seen)} savings that were shown {percent(covered(seen, rng))} are held; {len(table[~table['held']])} intervals fail{worst}.",
        "",
        f"They hold what is shown because they say little: {100 * (table['lower'] > 0).mean():.0f} % exclude that nothing is saved, and {100 * says_nothing(table).mean():.0f} % run from below 0 to the top, of which the pilot says that it cannot be told. Three rounds do not tell what is saved.",
    ]
    return "\n".join(lines) + "\n"


def says_nothing(table: pd.DataFrame) -> pd.Series:
    """Whether an interval runs from fewer edits than were made to the most that is told."""
    return (table["lower"] < 0) & (table["upper"] >= TOP)


def percent(told: tuple[float, float, float]) -> str:
    """A share and its interval."""
    return "{:.0f} % [{:.0f}, {:.0f}]".format(*(100 * each for each in told))


def main(arguments: list[str] | None = None) -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--worlds", type=int, default=24)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    file, told = given.out / "campaign_value.tsv", given.out / "campaign_value.md"
    if not given.worlds:
        seconds = float(re.findall(r"used, (\d+) s", told.read_text(encoding="utf-8"))[0])
        told.write_text(page(pd.read_csv(file, sep="\t"), seconds), encoding="utf-8")
        return
    began, rows = time.monotonic(), []
    for seed in range(given.first, given.first + given.worlds):
        rows += one_world(seed)
        print(f"world {seed}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(file, sep="\t", index=False, float_format="%.4g")
    told.write_text(page(table, time.monotonic() - began), encoding="utf-8")


if __name__ == "__main__":
    main()
