"""Do intervals of the variance between guides cover it where guides stand at one harvest, and at three?

``python -m benchmarks.guide_intervals`` writes ``results/guide_intervals.md``; seconds.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import numpy as np

from semimech.design import guide_component, pool_groups

RESULTS = Path(__file__).resolve().parent / "results"
EDITS, GUIDES, CELLS, GENES, BETWEEN = 15, 3, 30, 400, 0.3
CASES = {
    "one harvest": (1, True),
    "three harvests, guides alike": (3, True),
    "three harvests, guides unlike": (3, False),
}


def of_screen(harvests: int, *, is_alike: bool, rng: np.random.Generator) -> tuple[float, float, float]:
    """Coverage of 90 % intervals over genes, mean estimate over the truth, and median width over it, of one screen."""
    pairs = EDITS * GUIDES
    same = np.tile(np.arange(pairs), harvests)
    of_guide = np.repeat(np.arange(EDITS * harvests), GUIDES)
    does = np.sqrt(BETWEEN) * rng.standard_normal((pairs * harvests, GENES))
    guide = np.repeat(np.arange(pairs * harvests), CELLS)
    values = (does[same] if is_alike else does)[guide] + rng.standard_normal((len(guide), GENES))
    groups = pool_groups(
        values, condition=guide, batch=np.zeros(len(guide), int), n_conditions=pairs * harvests, n_batches=1
    )
    found = guide_component(groups, of_guide, tuple(f"g{i}" for i in range(GENES)), same=same)
    inside = (found["guide_lower"] <= BETWEEN) & (found["guide_upper"] >= BETWEEN)
    width = (found["guide_upper"] - found["guide_lower"]).median()
    return float(inside.mean()), float(found["guide"].mean()) / BETWEEN, float(width) / BETWEEN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screens", type=int, default=20)
    given = parser.parse_args()
    began, rows = time.perf_counter(), []
    for name, (harvests, is_alike) in CASES.items():
        each = np.array(
            [of_screen(harvests, is_alike=is_alike, rng=np.random.default_rng(seed)) for seed in range(given.screens)]
        )
        held, ratio, width = each.mean(axis=0)
        rows.append(f"| {name} | {100 * held:.1f} % ± {100 * each[:, 0].std(ddof=1):.1f} | {ratio:.3f} | {width:.2f} |")
    lines = [
        "# Intervals of the variance between guides",
        "",
        f"- Date {time.strftime('%Y-%m-%d')}; {platform.machine()}, one core of 2 shared with other work, {time.perf_counter() - began:.0f} s.",
        f"- Command: `python -m benchmarks.guide_intervals --screens {given.screens}`; seeds 0 to {given.screens - 1}.",
        f"- {given.screens} screens of {EDITS} edits by {GUIDES} guides, {CELLS} cells of each at each harvest, {GENES} genes; variance of cells 1, between guides {BETWEEN}.",
        "",
        "| guides | 90 % intervals that hold it, and standard deviation over screens | mean estimate / truth | median width / truth |",
        "|---|---|---|---|",
        *rows,
        "",
        "A guide of one edit is taken to do the same at all harvests. Where it does not, three harvests tell as much as three times the guides, and intervals are too wide.",
    ]
    (RESULTS / "guide_intervals.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
