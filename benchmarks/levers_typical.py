"""What levers typically bring, for `semimech.design.beliefs`: the constants, from worlds in which every lever was bought and that are not scored.

``python -m benchmarks.levers_typical`` prints them, from ``results/levers_typical.tsv``. Its rows are what `benchmarks.levers` foretold and delivered in worlds 0 to 11 (deliveries alone: what was
foretold there came from fewer simulated screens) and 200 to 209; ``--cache FOLDER`` makes it anew from a folder with such worlds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from semimech._files import replacing
from semimech.design.beliefs import STRETCH, Typical, believed

RESULTS = Path(__file__).resolve().parent / "results" / "levers_typical.tsv"
COLUMNS = ["world", "lever", "gain", "fall_data", "fall_world", "spread", "without_noise", "error", "delivered"]
_LEAST = 0.25
"""Least share of the squared error of what is foretold that is no spread of edits and screens."""


def typical_of(table: pd.DataFrame) -> dict[str, Typical]:
    """The constants of every lever, means over worlds as least squares weigh them by the gain.

    Parameters
    ----------
    table
        One row per world and lever; ``spread`` is NaN where only what was delivered counts.
    """
    found = {}
    for lever, part in table.groupby("lever", sort=True):
        gain, share = part["gain"], part["delivered"] / part["error"]
        fall = float((share * gain).sum() / (gain**2).sum())
        spread = float(np.sqrt(((share - fall * gain) ** 2).mean() / (gain**2).mean()))
        told = part[part["spread"].notna()]
        off = ((told[["fall_data", "fall_world"]].mean(axis=1) - told["delivered"]) / told["error"]) ** 2
        known = (told["spread"] / told["error"]) ** 2
        doubt = max(float(off.mean() - known.mean()), _LEAST * float(off.mean())) / float((told["gain"] ** 2).mean())
        found[str(lever)] = Typical(fall=fall, spread=spread, doubt=float(np.sqrt(doubt)))
    return found


def stretch_of(table: pd.DataFrame) -> float:
    """By how much more than their standard deviations worlds err whose constants are from the others: root mean square."""
    ratios = []
    for world, part in table[table["spread"].notna()].groupby("world"):
        others = typical_of(table[table["world"] != world])
        told = believed(part, error=float(part["without_noise"].iloc[0]), level=0.9, typical=others)
        sd = (told["upper"] - told["lower"]) / (2 * STRETCH * norm.ppf(0.95))
        ratios.append(((told["fall"] - told["delivered"]) / sd) ** 2)
    return float(np.sqrt(pd.concat(ratios).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    if given.cache is not None:
        tables = [pd.read_csv(file, sep="\t") for file in sorted(given.cache.glob("world-*.tsv"))]
        table = pd.concat(tables, ignore_index=True)
        table["delivered"] = table.filter(regex=r"^delivered_\d+$").mean(axis=1)
        with replacing(RESULTS) as temporary:
            table[COLUMNS].to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    table = pd.read_csv(RESULTS, sep="\t")
    print(f"STRETCH = {stretch_of(table):.1f}")
    for lever, typical in typical_of(table).items():
        print(
            f'    "{lever}": Typical(fall={typical.fall:.3f}, spread={typical.spread:.3f}, doubt={typical.doubt:.3f}),'
        )


if __name__ == "__main__":
    main()
