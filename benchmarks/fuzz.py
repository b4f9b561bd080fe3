"""Does any file make us crash, hang or write? Random AnnData structures, and damage to their bytes.

``python -m benchmarks.fuzz --cases 10000 --cache FOLDER`` goes on where it stopped, for ``--minutes`` at most, and writes
``results/fuzz.md``. Each structure is one case, and its file damaged in four ways four more. Groups of cases run in processes of their own with
little memory to spare: a crash of a library below Python, or a hang, costs the case at which it happened, and the group goes on with other cases.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

import hypothesis
import hypothesis.strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fuzzed import MUTATIONS, damage, outcome, structures, written

from semimech.data import walked

RESULTS = Path(__file__).resolve().parent / "results"
STRUCTURES, DAMAGES = 100, 4
"""Structures of a group, and ways in which the file of each is damaged."""
PATIENCE, MEMORY = 20.0, 8 << 30
"""Seconds that one case may take, and bytes of address space of a group."""
FOUND = ("read", "refused")


def group(seed: int, n_structures: int, file: Path) -> None:
    """Run some cases; each outcome is a line of the file as soon as it is known, and each case a line before it begins."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    walked.PATIENCE = 5.0

    def say(**line) -> None:
        with file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def one(case) -> None:
        data, damages = case
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "screen.h5ad"
            if not written(data, path):
                say(mutation="none", outcome="not writable")
                return
            content = path.read_bytes()
            for mutation, place, number in [("none", 0, 0), *damages]:
                damaged = damage(content, mutation, place / 1000, number)
                path.write_bytes(damaged)
                file.with_suffix(".h5ad").write_bytes(damaged)
                say(begins=mutation)
                start = time.time()
                found = outcome(path)
                say(mutation=mutation, outcome=found, seconds=time.time() - start)
                if found not in FOUND:
                    file.with_suffix(f".wrong{file.stat().st_size}.h5ad").write_bytes(damaged)
        say(structure=1)

    ways = st.tuples(st.sampled_from(MUTATIONS[1:]), st.integers(0, 999), st.integers(0, 10_000))
    options = hypothesis.settings(
        max_examples=n_structures,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    cases = st.tuples(structures(), st.lists(ways, min_size=DAMAGES, max_size=DAMAGES))
    hypothesis.seed(seed)(options(hypothesis.given(cases)(one)))()


def run_group(number: int, cache: Path) -> None:
    """Run a group that is not there yet, in as many processes as it takes; files that go wrong are kept beside it."""
    file, part = cache / f"{number:04d}.jsonl", cache / f"{number:04d}.part"
    if file.exists():
        return
    part.write_text("")
    for attempt in range(20):
        left = STRUCTURES - part.read_text().count('"structure"') - part.read_text().count("not writable")
        if left <= 0:
            break
        process = multiprocessing.get_context("spawn").Process(target=group, args=(100 * number + attempt, left, part))
        process.start()
        seen = -1
        while process.is_alive() and part.stat().st_size != seen:
            seen = part.stat().st_size
            process.join(PATIENCE)
        end = "hung" if process.is_alive() else f"died with exit code {process.exitcode}" if process.exitcode else ""
        process.kill()
        if not end:
            break
        begun = [json.loads(line) for line in part.read_text().splitlines() if "begins" in line]
        kept = cache / f"{number:04d}-{attempt}.h5ad"
        if begun:
            part.with_suffix(".h5ad").replace(kept)
        line = {"mutation": begun[-1]["begins"] if begun else "none", "outcome": f"{end}, {kept.name}"}
        with part.open("a") as out:
            out.write(json.dumps(line) + "\n")
    part.with_suffix(".h5ad").unlink(missing_ok=True)
    part.replace(file)


def outcomes(cache: Path) -> list[dict]:
    """All cases so far."""
    files = sorted([*cache.glob("*.jsonl"), *cache.glob("*.part")])
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if "outcome" in line]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--cache", type=Path, required=True)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    start = time.time()
    number = 0
    while time.time() - start < 60 * options.minutes:
        rows = outcomes(options.cache)
        if sum(row["outcome"] != "not writable" for row in rows) >= options.cases:
            break
        run_group(number, options.cache)
        number += 1
    rows = outcomes(options.cache)
    made = [row for row in rows if row["outcome"] != "not writable"]
    counts = collections.Counter(
        (row["mutation"], row["outcome"] if row["outcome"] in FOUND else "WRONG") for row in made
    )
    wrong = collections.Counter(row["outcome"] for row in made if row["outcome"] not in FOUND)
    lines = [
        f"| {m} | " + " | ".join(str(counts[m, o]) for o in (*FOUND, "WRONG")) + " |"
        for m in sorted({m for m, _ in counts})
    ]
    slow = max((row.get("seconds", 0.0) for row in rows), default=0.0)
    failures = [f"- {n} × {what}" for what, n in wrong.most_common(20)] or ["- none"]
    page = "\n".join(
        [
            "# Does any file make us crash, hang or write?",
            "",
            f"- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work.",
            f"- Command: `python -m benchmarks.fuzz --cases {options.cases} --cache FOLDER`; the seed of a group is a hundred times its number.",
            f"- {len(made)} cases; the slowest took {slow:.1f} s. Another {len(rows) - len(made)} structures anndata does not write, and they are not counted.",
            f"- {sum(row.get('seconds', 0.0) for row in made) / 60:.0f} minutes of checking and reading; a case that takes {PATIENCE:.0f} s counts as a hang, and {MEMORY >> 30} GiB of address space are all there is.",
            "",
            "Each case is a random AnnData structure, written and then damaged or not, checked and read. Damage: the file ends early, 1 to 40 bits flipped, or",
            "64 bytes zeroed, anywhere in it. *Refused* is our error with words; *wrong* is any",
            "other exception, a refusal of what passed the check, a crash, a hang, or a change in the folder.",
            "",
            "| damage | read | refused | wrong |",
            "|---|---|---|---|",
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
