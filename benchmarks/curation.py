"""How many planted faults `semimech check` names, alone and in pairs, and how often it alarms on clean screens.

python benchmarks/curation.py --seeds 10 --pairs 630 --cache pairs.tsv

Pairs are kept in the file of ``--cache`` as they are done, and not done again.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from small_faults import FAULTS, KEYS, Fault, clean, plant

from semimech.data import check


def found(faults: tuple[Fault, ...], seed: int) -> set[tuple[str, str]] | None:
    """What is named in a clean screen with these faults; ``None`` if one leaves no place for the next."""
    data, keys = clean(seed), dict(KEYS)
    try:
        for fault in faults:
            data = plant(fault, data)
            keys |= dict(fault.keys)
    except Exception:  # noqa: BLE001 - whatever a planter raises where an earlier fault took away what it needs
        return None
    table = check(data, **keys)
    table = table[table["severity"] != "ok"]
    return set(zip(table["check"], table["severity"], strict=True))


def pairs_told(n_pairs: int, cache: Path | None) -> pd.DataFrame:
    """Whether each fault of each pair is named, in a random order of pairs."""
    pairs = list(itertools.combinations(FAULTS, 2))
    order = np.random.default_rng(0).permutation(len(pairs))[:n_pairs]
    rows = [] if cache is None or not cache.exists() else pd.read_csv(cache, sep="\t").to_dict("records")
    done = {row["pair"] for row in rows}
    for i in order:
        if i in done:
            continue
        named = found(pairs[i], 0)
        for fault, beside in (pairs[i], pairs[i][::-1]):
            is_named = named is not None and (fault.check, fault.severity) in named
            rows.append(
                {
                    "pair": int(i),
                    "fault": fault.name,
                    "beside": beside.name,
                    "is_made": named is not None,
                    "is_named": is_named,
                }
            )
        if cache is not None:
            pd.DataFrame(rows).to_csv(cache, sep="\t", index=False)
    table = pd.DataFrame(rows)
    return table[table["pair"].isin(order)].astype({"is_made": bool, "is_named": bool})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.time()
    alarms = {seed: found((), seed) for seed in range(arguments.seeds)}
    print(
        f"clean screens with an alarm\t{sum(map(bool, alarms.values()))} of {len(alarms)}\t{[*filter(None, alarms.values())]}"
    )
    for seed in range(min(arguments.seeds, 2)):
        missed = [f.name for f in FAULTS if (f.check, f.severity) not in (found((f,), seed) or set())]
        print(
            f"faults named alone, seed {seed}\t{len(FAULTS) - len(missed)} of {len(FAULTS)}\tmissed: {missed}",
            flush=True,
        )
    told = pairs_told(arguments.pairs, arguments.cache)
    made = told[told["is_made"]]
    missed = made[~made["is_named"]]
    print(
        f"faults named in pairs\t{len(made) - len(missed)} of {len(made)}; {(~told['is_made']).sum() // 2} pairs cannot be planted"
    )
    for fault, beside in missed.groupby("fault")["beside"]:
        print(f"missed\t{fault}\tbeside: {'; '.join(beside)}")
    print(f"seconds\t{time.time() - start:.0f}")


if __name__ == "__main__":
    main()
