"""How often diagnostics raise a false alarm where assumptions are true.

python -m benchmarks.audit_calibration --sets 100
python -m benchmarks.audit_calibration --escapers 120

Each of five designs is simulated as often as asked, so that each diagnostic is held against 500 data sets. Escapers cannot be told in one of them: the second command holds full efficacy alone against
a sixth design, and adds a line. `benchmarks.audit_power` is the other side.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.audit_worlds import Size, make_screen
from semimech.assumptions.catalogue import FULL_EFFICACY
from semimech.assumptions.diagnostics import audit_screen
from semimech.assumptions.diagnostics.audit import find
from semimech.assumptions.diagnostics.evidence import LEVEL

RESULTS = Path(__file__).parent / "results" / "audit_calibration.md"
SIZES = {
    "40 cells, 2 batches": Size(),
    "20 cells, 3 batches": Size(cells=20, batches=3),
    "13 cells, 4 batches": Size(cells=13, batches=4),
    "40 cells, 2 batches, depth 600, dispersion 1": Size(depth=600.0, dispersion=1.0),
    "80 cells, 1 batch, dispersion 0.2": Size(cells=80, batches=1, dispersion=0.2),
}
OF_ESCAPERS = {"60 cells, 2 batches (escapers alone)": Size(cells=60)}
BAND = (0.03, 0.07)
"""Rates of false alarms that are wanted."""


def null(name: str, seeds: range) -> pd.DataFrame:
    """p-values and verdicts of every diagnostic where every assumption is true; draws of the audit are independent of those of the data."""
    rows = []
    for seed in seeds:
        for finding in audit_screen(make_screen(SIZES[name], seed=seed), seed=1_000_000 + seed).findings:
            if finding.comparisons:
                row = {"design": name, "seed": seed, "assumption": finding.assumption.id}
                rows.append(row | {"p": finding.p_value, "p_adjusted": finding.p_adjusted, "verdict": finding.verdict})
    return pd.DataFrame(rows)


def null_of_escapers(name: str, seeds: range) -> pd.DataFrame:
    """p-values and verdicts of full efficacy alone."""
    rows = []
    for seed in seeds:
        (finding,) = find(make_screen(OF_ESCAPERS[name], seed=seed), [FULL_EFFICACY], seed=1_000_000 + seed)
        row = {"design": name, "seed": seed, "assumption": finding.assumption.id}
        rows.append(row | {"p": finding.p_value, "p_adjusted": np.nan, "verdict": finding.verdict})
    return pd.DataFrame(rows)


def rate(alarms: pd.Series) -> str:
    """A share with its 95 % interval, in per cent (Clopper & Pearson 1934)."""
    found = binomtest(int(alarms.sum()), len(alarms)).proportion_ci()
    return f"{100 * alarms.mean():.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def summary(found: pd.DataFrame) -> list[str]:
    """Rates over all designs, and in each."""
    tested = found[np.isfinite(found["p"])]
    lines = [
        "| assumption | data sets | p ≤ 0.05, % (95 % interval) | within 3 to 7 % | p ≤ 0.5, % | verdict fails, % | holds, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for assumption, part in tested.groupby("assumption", sort=False):
        alarm = part["p"] <= LEVEL
        verdicts = [f"{100 * (part['verdict'] == v).mean():.1f}" for v in ("fails", "holds")]
        is_within = "yes" if BAND[0] <= alarm.mean() <= BAND[1] else "**no**"
        cells = [assumption, len(part), rate(alarm), is_within, f"{100 * (part['p'] <= 0.5).mean():.0f}", *verdicts]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    sets = found.groupby(["design", "seed"])
    any_alarm = sets.apply(lambda part: bool((part["p"] <= LEVEL).any()), include_groups=False)
    any_fails = sets["verdict"].apply(lambda verdicts: bool((verdicts == "fails").any()))
    lines += [
        "",
        f"Some p ≤ 0.05 in {rate(any_alarm)} % of data sets; some verdict `fails`, which is adjusted for all assumptions tested together, in {rate(any_fails)} %.",
        "",
        "Per cent with p ≤ 0.05 in each design:",
        "",
    ]
    by_design = tested.assign(alarm=100.0 * (tested["p"] <= LEVEL)).pivot_table(
        index="assumption", columns="design", values="alarm", sort=False
    )
    lines += [f"| assumption | {' | '.join(by_design.columns)} |", f"|---|{'---|' * len(by_design.columns)}"]
    for assumption, row in by_design.iterrows():
        lines.append(f"| {assumption} | {' | '.join('–' if np.isnan(v) else f'{v:.0f}' for v in row)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=100, help="data sets of each design")
    parser.add_argument(
        "--escapers", type=int, default=0, help="hold full efficacy alone against this many data sets, and add a line"
    )
    options = parser.parse_args()
    start = time.perf_counter()
    if options.escapers:
        for name in OF_ESCAPERS:
            found = null_of_escapers(name, range(options.escapers))
            tested = found[np.isfinite(found["p"])]
            line = f"Full efficacy, {name}: p ≤ 0.05 in {rate(tested['p'] <= LEVEL)} % of {len(tested)} data sets (`--escapers {options.escapers}`, {time.perf_counter() - start:.0f} s)."
            RESULTS.write_text(RESULTS.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
            print(line)
        return
    tables = []
    for name in SIZES:
        tables.append(null(name, range(options.sets)))
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    head = [
        "# Calibration of the audit's diagnostics",
        "",
        f"- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work, {time.perf_counter() - start:.0f} s.",
        f"- Command: `python -m benchmarks.audit_calibration --sets {options.sets}`; seeds 0 to {options.sets - 1} in each design.",
        "- Screens of `benchmarks/audit_worlds.py`: 60 genes, 10 CRISPRi edits and 2 pairs, two times, two media, both orders; correlated",
        "  over-dispersed counts, batch effects; every assumption is true. Cells are per condition and batch, unedited ones three times as many.",
        "- Whether edits stand beside controls is a property of the design without a test; it held in all.",
        "- Power: [audit_power.md](audit_power.md).",
        "",
    ]
    lines = summary(pd.concat(tables, ignore_index=True))
    RESULTS.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
