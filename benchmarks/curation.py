"""How many planted faults `semimech check` names, alone and in pairs, and how often it alarms on clean screens.

python benchmarks/curation.py --seeds 10 --pairs 60
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from pathlib import Path

import numpy as np

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
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        return None
    table = check(data, **keys)
    table = table[table["severity"] != "ok"]
    return set(zip(table["check"], table["severity"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=60)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.time()
    alarms = {seed: found((), seed) for seed in range(arguments.seeds)}
    print(
        f"clean screens with an alarm\t{sum(map(bool, alarms.values()))} of {len(alarms)}\t{[*filter(None, alarms.values())]}"
    )
    for seed in (0, 1):
        missed = [f.name for f in FAULTS if (f.check, f.severity) not in (found((f,), seed) or set())]
        print(
            f"faults named alone, seed {seed}\t{len(FAULTS) - len(missed)} of {len(FAULTS)}\tmissed: {missed}",
            flush=True,
        )
    pairs = list(itertools.combinations(FAULTS, 2))
    rng = np.random.default_rng(0)
    counted, missed, unmade = 0, [], 0
    for i in rng.permutation(len(pairs))[: arguments.pairs]:
        named = found(pairs[i], 0)
        if named is None:
            unmade += 1
            continue
        for fault in pairs[i]:
            counted += 1
            if (fault.check, fault.severity) not in named:
                missed.append(f"{fault.name} [beside {next(f.name for f in pairs[i] if f is not fault)}]")
    print(
        f"faults named in pairs\t{counted - len(missed)} of {counted} ({unmade} pairs cannot be planted)\tmissed: {missed}"
    )
    print(f"seconds\t{time.time() - start:.0f}")


if __name__ == "__main__":
    main()
