"""Does any file make us crash, hang or write? Random AnnData structures, and damage to their bytes.

``python -m benchmarks.fuzz --cases 10000 --cache FOLDER`` goes on where it stopped, for ``--minutes`` at most, and writes
``results/fuzz.md``. Cases run in groups of 100, each in a process of its own, so that a crash of a library below Python, or a hang, costs one
group, which is then counted by the case at which it stood.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from pathlib import Path

import hypothesis
import hypothesis.strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fuzzed import MUTATIONS, damage, outcome, structures, written

RESULTS = Path(__file__).resolve().parent / "results"
GROUP, PATIENCE = 100, 300.0
"""Cases in a group, and seconds that it may take."""
CASES = st.tuples(structures(), st.sampled_from(MUTATIONS), st.floats(0, 1), st.integers(0, 10_000))


def group(number: int, file: Path) -> None:
    """Run one group of cases; each outcome is a line of the file as soon as it is known."""
    lines: list[str] = []

    def one(case) -> None:
        data, mutation, place, seed = case
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "screen.h5ad"
            if not written(data, path):
                lines.append(json.dumps({"mutation": mutation, "outcome": "not writable"}))
            else:
                path.write_bytes(damage(path.read_bytes(), mutation, place, seed))
                start = time.time()
                lines.append(
                    json.dumps({"mutation": mutation, "outcome": outcome(path), "seconds": time.time() - start})
                )
        file.with_suffix(".part").write_text("\n".join(lines))

    options = hypothesis.settings(
        max_examples=GROUP,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.seed(number)(options(hypothesis.given(CASES)(one)))()
    file.with_suffix(".part").replace(file)


def run_group(number: int, cache: Path) -> None:
    """Run a group that is not there yet in a process of its own."""
    file = cache / f"{number:04d}.jsonl"
    if file.exists():
        return
    process = multiprocessing.get_context("spawn").Process(target=group, args=(number, file))
    process.start()
    process.join(PATIENCE)
    end = "hung" if process.is_alive() else f"died with exit code {process.exitcode}" if process.exitcode else ""
    process.kill()
    if end:
        part = file.with_suffix(".part")
        done = part.read_text().splitlines() if part.exists() else []
        file.write_text(
            "\n".join([*done, json.dumps({"mutation": "unknown", "outcome": f"{end} after case {len(done)}"})])
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--cache", type=Path, required=True)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    start = time.time()
    for number in range(-(-options.cases // GROUP)):
        if time.time() - start > 60 * options.minutes:
            break
        run_group(number, options.cache)
    rows = [
        json.loads(line) for file in sorted(options.cache.glob("*.jsonl")) for line in file.read_text().splitlines()
    ]
    good = ("read", "refused", "not writable")
    counts = collections.Counter(
        (row["mutation"], row["outcome"] if row["outcome"] in good else "WRONG") for row in rows
    )
    wrong = collections.Counter(row["outcome"] for row in rows if row["outcome"] not in good)
    lines = [
        f"| {m} | " + " | ".join(str(counts[m, o]) for o in (*good, "WRONG")) + " |"
        for m in sorted({m for m, _ in counts})
    ]
    slow = max((row.get("seconds", 0.0) for row in rows), default=0.0)
    failures = [f"- {n} × {what}" for what, n in wrong.most_common(20)] or ["- none"]
    page = "\n".join(
        [
            "# Does any file make us crash, hang or write?",
            "",
            f"- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work.",
            f"- Command: `python -m benchmarks.fuzz --cases {options.cases} --cache FOLDER`; the seed of a group is its number.",
            f"- {len(rows)} cases of {options.cases}; the slowest took {slow:.1f} s.",
            "",
            "Each case is a random AnnData structure, written and then damaged or not, checked and read. *Refused* is our error with words; *wrong* is any",
            "other exception, a refusal of what passed the check, a crash, a hang, or a change in the folder.",
            "",
            "| damage | read | refused | not writable by anndata | wrong |",
            "|---|---|---|---|---|",
            *lines,
            "",
            "What went wrong:",
            "",
            *failures,
            "",
        ]
    )
    RESULTS.joinpath("fuzz.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
