"""Does the estimated number of founders, with its interval, meet the truth of simulated bottlenecks?

``python -m benchmarks.founders --repeats 6`` writes ``results/founders.md``. The simulation shares no code with the estimator: founders are multinomial, a
clone grows by division at random times (a Yule process, so its size is geometric) or in step, reads are Dirichlet-multinomial or multinomial.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import math
import multiprocessing
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from semimech.abundance.bottleneck import counted_shares, estimate_founders

RESULTS = Path(__file__).parent / "results"
FOUNDERS = (10, 100, 1_000, 10_000, 100_000)
BARCODES = (50, 300, 2_000)
DEPTHS = (10_000, 100_000, 1_000_000)
GROWTH = ("in step", "at random")
SPREAD = (0.0, 0.05)
ARMS = ("all estimated", "dispersion known")
GENERATIONS = 12.0
LIBRARY_SD, LIBRARY_DEPTH = 0.7, 1_000_000


def simulate(
    founders: int, barcodes: int, depth: int, growth: str, spread: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Counts before and after, and the effective number of founders."""
    share = rng.lognormal(0.0, LIBRARY_SD, barcodes)
    share /= share.sum()
    before = rng.multinomial(LIBRARY_DEPTH, share)
    founded = rng.multinomial(founders, share)
    cells = founded.astype(float)
    effective = float(founders)
    if growth == "at random":
        chance = 2.0**-GENERATIONS
        cells = np.zeros(barcodes)
        has = founded > 0
        cells[has] = founded[has] + rng.negative_binomial(founded[has], chance)
        effective = founders / (2.0 - chance)
    final = cells / cells.sum()
    if spread:
        amplified = final * rng.gamma(1.0 / spread, spread, barcodes)
        final = amplified / amplified.sum()
    return before, rng.multinomial(depth, final), effective


def one(task: tuple[int, int, int, int, str, float, str]) -> dict[str, object]:
    """Simulate and estimate once."""
    seed, founders, barcodes, depth, growth, spread, arm = task
    code = [seed, founders, barcodes, depth, GROWTH.index(growth), int(1000 * spread)]
    before, after, truth = simulate(founders, barcodes, depth, growth, spread, np.random.default_rng(code))
    start = time.process_time()
    known = {"dispersion": spread} if arm == "dispersion known" else {}
    found = estimate_founders(after.astype(float), counted_shares(before.astype(float)), **known)
    return {
        "founders": founders,
        "barcodes": barcodes,
        "depth": depth,
        "growth": growth,
        "spread": spread,
        "arm": arm,
        "seed": seed,
        "truth": truth,
        "estimate": found.founders,
        "lower": found.lower,
        "upper": found.upper,
        "spread_p": found.spread_p,
        "seconds": time.process_time() - start,
    }


def summary(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Error, coverage and width of intervals."""
    rows = rows.assign(
        error=(rows["estimate"] / rows["truth"] - 1.0).abs(),
        covered=(rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"]),
        bounded=np.isfinite(rows["upper"]),
        width=np.log(rows["upper"] / rows["lower"].clip(lower=0.1)).replace(np.inf, np.nan),
    )
    grouped = rows.groupby(by, sort=False)
    return pd.DataFrame(
        {
            "n": grouped.size(),
            "median error": grouped["error"].median().map("{:.1%}".format),
            "90 % of errors below": grouped["error"].quantile(0.9).map("{:.1%}".format),
            "bias (median ratio)": (rows["estimate"] / rows["truth"])
            .groupby([rows[b] for b in by], sort=False)
            .median()
            .map("{:.3f}".format),
            "90 % interval covers": grouped["covered"].mean().map("{:.1%}".format),
            "bounded": grouped["bounded"].mean().map("{:.0%}".format),
            "upper over lower end (median of bounded)": np.exp(grouped["width"].median()).map("{:.2f}".format),
            "median seconds": grouped["seconds"].median().map("{:.2f}".format),
        }
    ).reset_index()


def markdown(table: pd.DataFrame) -> str:
    head = "| " + " | ".join(map(str, table.columns)) + " |\n|" + "---|" * table.shape[1]
    return "\n".join([head, *("| " + " | ".join(map(str, row)) + " |" for row in table.to_numpy())])


def page(rows: pd.DataFrame, repeats: int, seconds: float) -> str:
    null = rows[(rows["spread"] == 0) & (rows["arm"] == "all estimated")]
    excess = rows[(rows["spread"] > 0) & (rows["arm"] == "all estimated")]
    power = (excess["spread_p"] < 0.05).groupby(excess["founders"] / excess["barcodes"] >= 10).mean()
    test = (
        f"Test of more spread than drift explains, at 5 %: {np.mean(null['spread_p'] < 0.05):.1%} of {len(null)} samples with founders alone; with a dispersion of "
        f"0.05, {power.get(True, float('nan')):.0%} of samples with ten or more founders per barcode, {power.get(False, float('nan')):.0%} of those with fewer, whose drift hides it."
    )
    return (
        "\n\n".join(
            [
                "# Founders of a bottleneck, estimated from neutral barcodes",
                f"`python -m benchmarks.founders --repeats {repeats}`, {datetime.date.today()}, 2 cores ({platform.machine()}), seeds 0 to {repeats - 1}; {len(rows)} samples, {_all_or_some(rows, repeats)}, "
                f"were done in {seconds / 60:.0f} minutes of a machine shared with other work.",
                f"{len(FOUNDERS)} numbers of founders × {len(BARCODES)} of barcodes × {len(DEPTHS)} depths × growth in step or at random × dispersion of the sequencing of 0 or 0.05. Shares of the "
                f"library: log-normal, sd {LIBRARY_SD}, read {LIBRARY_DEPTH:,} times. The truth is the effective number: founders, or half of them where clones grow at random (their sizes have a "
                "squared coefficient of variation of 1). Targets: median relative error at most 15 %, the 90 % interval covers 85 to 95 %.",
                "## All together",
                markdown(summary(rows, ["arm"])),
                "## By growth and dispersion",
                markdown(summary(rows, ["arm", "growth", "spread"])),
                "## By founders and barcodes (all estimated)",
                markdown(summary(rows[rows["arm"] == "all estimated"], ["founders", "barcodes"])),
                "## By founders per barcode",
                "The law of counts sums over founders where a barcode has few, and matches two moments where it has many; from 15 to 40 one fades into the other.",
                markdown(summary(_with_bands(rows), ["arm", "founders per barcode"])),
                "## By depth (all estimated)",
                markdown(summary(rows[rows["arm"] == "all estimated"], ["depth", "barcodes"])),
                "## The test",
                test,
                "## What the numbers say",
                "With *B* barcodes and nothing else between them the standard error of an estimated variance is √(2/*B*): 20 % of the founder number with 50 barcodes, 3 % with 2,000; half of the errors then exceed "
                "two thirds of that. Where reads are few per founder (100,000 founders read 10,000 times) drift is a small part of the spread of counts, and with a dispersion that has to be told from it founders "
                "are known as a lower bound only: the interval is unbounded, as it should be.",
                _verdict(rows),
                _weakest(rows),
            ]
        )
        + "\n"
    )


def _all_or_some(rows: pd.DataFrame, repeats: int) -> str:
    combinations = math.prod(map(len, (FOUNDERS, BARCODES, DEPTHS, GROWTH, SPREAD, ARMS)))
    return "all that there are" if len(rows) == repeats * combinations else "drawn at random from all"


def _weakest(rows: pd.DataFrame) -> str:
    """Combinations of founders and barcodes that miss a target, in words."""
    rows = rows[rows["arm"] == "all estimated"]
    error = (rows["estimate"] / rows["truth"] - 1.0).abs()
    covered = (rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])
    by = [rows["founders"], rows["barcodes"]]
    table = pd.DataFrame({"error": error.groupby(by).median(), "covered": covered.groupby(by).mean()})
    missed = table[(table["error"] > 0.15) | (table["covered"] < 0.85)]
    said = [
        f"{n:,} founders, {b:,} barcodes ({row.error:.0%}, {row.covered:.0%})"
        for (n, b), row in zip(missed.index, missed.itertuples(), strict=True)
    ]
    return (
        "Combinations with a median error above 15 % or a coverage below 85 % (in brackets), all estimated: "
        + ("; ".join(said) or "none")
        + ". The variance of clones and the dispersion can take part of the drift of each other's place."
    )


def _with_bands(rows: pd.DataFrame) -> pd.DataFrame:
    """With founders per barcode, in bands, lowest first."""
    per = rows["founders"] / rows["barcodes"]
    bands = pd.cut(per, [0.0, 1.0, 10.0, 100.0, math.inf], labels=["below 1", "2 to 5", "20 to 50", "200 and more"])
    return (
        rows.assign(**{"founders per barcode": bands.astype(str)})
        .iloc[np.argsort(per, kind="stable")]
        .sort_values("arm", kind="stable")
    )


def _verdict(rows: pd.DataFrame) -> str:
    """Which targets are met, over all samples and by founders per barcode."""
    rows = _with_bands(rows)
    rows = rows.assign(
        error=(rows["estimate"] / rows["truth"] - 1.0).abs(),
        covered=(rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"]),
    )
    said = []
    for arm, table in rows.groupby("arm", sort=False):
        error, covered = table["error"].median(), table["covered"].mean()
        bands = table.groupby("founders per barcode", sort=False)["covered"].agg(["mean", "sum", "size"])
        out = bands[(bands["mean"] < 0.85) | (bands["mean"] > 0.95)]
        held = "meets" if error <= 0.15 and 0.85 <= covered <= 0.95 else "misses"
        where = ", ".join(f"{b} ({r['sum']:.0f} of {r['size']:.0f})" for b, r in out.iterrows()) or "nowhere"
        said.append(
            f"{arm} {held} the targets over all samples (median error {error:.1%}, coverage {covered:.1%}); coverage lies outside 85 to 95 % at these founders per barcode: {where}"
        )
    return "With " + "; with ".join(said) + "."


def _until(results: Iterable[dict[str, object]], total: int, end: float) -> Iterator[dict[str, object]]:
    """Results until the time is up, with progress on standard error."""
    for number, result in enumerate(results, 1):
        print(f"\r{number} of {total}", end="", file=sys.stderr, flush=True)
        yield result
        if time.time() > end:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this, at a random part of all")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    start = time.time()
    tasks = list(itertools.product(range(options.repeats), FOUNDERS, BARCODES, DEPTHS, GROWTH, SPREAD, ARMS))
    np.random.default_rng(0).shuffle(tasks)
    end = start + 60.0 * options.minutes
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        rows = pd.DataFrame(_until(pool.imap_unordered(one, tasks), len(tasks), end))
    rows = rows.sort_values(["arm", "founders", "barcodes", "depth", "growth", "spread", "seed"])
    options.out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(options.out / "founders.tsv.gz", sep="\t", index=False, float_format="%.5g")
    (options.out / "founders.md").write_text(page(rows, options.repeats, time.time() - start), encoding="utf-8")


if __name__ == "__main__":
    main()
