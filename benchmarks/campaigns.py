"""Campaigns in simulated worlds of 200 genes, rounds of ten edits: how many edits each strategy needs for the error of random choice.

``python -m benchmarks.campaigns --family wired --first 500 --worlds 6 --cache FOLDER`` plays, and goes on from what is in the folder; each call writes
``results/campaigns.tsv.gz`` and ``campaigns.md`` anew. Strategies were settled on worlds 0 to 9; worlds from 500 on are scored.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import jax
import pandas as pd

from benchmarks.campaign_worlds import CONFIG, FAMILIES, SE
from benchmarks.campaigns_page import page
from semimech.design import Campaign, run_campaign

RESULTS = Path(__file__).parent / "results"
STRATEGIES = (
    "random",
    "lessons",
    "targeted",
    "error",
    "uncertain",
    "diverse",
    "badge",
    "fused",
)
ROUNDS, MORE_RANDOM = 4, 6


def one_world(family: str, seed: int, strategies: tuple[str, ...], cache: Path) -> pd.DataFrame:
    """Errors of every round, the variance of measurement taken off."""
    bench = FAMILIES[family](seed)
    tables = []
    is_random = [s == "random" for s in strategies]
    for at, rounds in ((False, ROUNDS), (True, MORE_RANDOM)):
        names = tuple(s for s, it in zip(strategies, is_random, strict=True) if it == at)
        if not names:
            continue
        plan = Campaign(strategies=names, start=10, batch=10, rounds=rounds, seeds=(seed,))
        known = {"prior": bench.prior, "kinship": bench.kinship}
        tables.append(run_campaign(bench.dataset, plan, CONFIG, folder=cache / f"{family}-{seed}", **known))
    table = pd.concat(tables, ignore_index=True).assign(family=family)
    for column in ("error", "no_change"):
        table[column] -= SE**2
    return table


def main(arguments: list[str] | None = None) -> None:
    """Play, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=tuple(FAMILIES))
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--worlds", type=int, default=0)
    parser.add_argument("--strategy", nargs="*", default=STRATEGIES)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    file = options.out / "campaigns.tsv.gz"
    for seed in range(options.first, options.first + options.worlds):
        began = time.monotonic()
        table = one_world(options.family, seed, tuple(options.strategy), options.cache)
        jax.clear_caches()
        table["seconds"] = time.monotonic() - began
        table["own_left_out"] = True  # of what an edit teaches; before, its own gene counted
        if file.exists():
            before = pd.read_csv(file, sep="\t")
            table = pd.concat([before[(before["family"] != options.family) | (before["seed"] != seed)], table])
        table.to_csv(file, sep="\t", index=False, float_format="%.5g")
        print(f"{options.family} {seed}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        (options.out / "campaigns.md").write_text(page(table), encoding="utf-8")
    if not options.worlds:
        (options.out / "campaigns.md").write_text(page(pd.read_csv(file, sep="\t")), encoding="utf-8")


if __name__ == "__main__":
    main()
