"""The page and the figure of `benchmarks.speed`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

RESULTS = Path(__file__).resolve().parent / "results"
DEVICE = "speed_device"


def summary(seconds: pd.DataFrame, reference: str, errors: Mapping[str, float]) -> pd.DataFrame:
    """Median milliseconds of each method, and the median and middle half of its ratio to the reference in the same turn."""
    rows = []
    for name in seconds:
        ratio = seconds[name] / seconds[reference]
        low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        rows.append(
            {
                "method": name,
                "milliseconds": 1e3 * seconds[name].median(),
                "ratio": middle,
                "low": low,
                "high": high,
                "error": errors.get(str(name), np.nan),
                "turns": len(seconds),
            }
        )
    return pd.DataFrame(rows)


def exponents(curves: pd.DataFrame) -> pd.Series:
    """Slope of the logarithm of time over that of size, from the larger half of the sizes: small ones are overhead."""
    found = {}
    for what, rows in curves.groupby("what", sort=False):
        large = rows.sort_values("size").iloc[len(rows) // 2 - 1 :]
        found[what] = np.polyfit(np.log(large["size"]), np.log(large["seconds"]), 1)[0]
    return pd.Series(found)


def write(
    tables: Mapping[str, pd.DataFrame],
    curves: pd.DataFrame | None,
    *,
    machine: str,
    command: str,
    peak: float,
    seconds: float,
) -> None:
    """Write the page, and the figure and table of growth where it was measured."""
    lines = [
        "# Speed",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine}; JAX {jax.__version__}; {seconds:.0f} s in all; peak memory {peak:.1f} GiB.",
        "",
        "```bash",
        f"python -m benchmarks.speed {command}".rstrip(),
        "```",
        "",
        "Laws are drawn (seed 0); every method takes the loss and its gradient of the same law, in turns; times are medians of the",
        "turns, ratios medians of the ratios within a turn, with their middle half. *Error* is the root mean square error of the",
        "states relative to how far these move, against Tsit5 with a tolerance of 1e-6.",
    ]
    for title, table in tables.items():
        solver = (
            f" Integrator chosen by step halving for an error of 1e-3: {table['solver'].iloc[0]}."
            if "solver" in table
            else ""
        )
        lines += ["", f"## {title}", "", f"{table['turns'].iloc[0]} turns.{solver}", ""]
        lines += ["| method | ms | times the first | error |", "|---|---|---|---|"]
        for row in table.itertuples():
            shown = "" if np.isnan(row.error) else f"{row.error:.1e}"
            lines.append(
                f"| {row.method} | {row.milliseconds:.1f} | {row.ratio:.2f} ({row.low:.2f}–{row.high:.2f}) | {shown} |"
            )
    if curves is not None:
        curves.to_csv(RESULTS / "speed_growth.tsv", sep="\t", index=False)
    if (RESULTS / "speed_growth.tsv").exists():
        lines += _growth(pd.read_csv(RESULTS / "speed_growth.tsv", sep="\t"))
        lines += [] if curves is not None else ["", "Growth is of an earlier run."]
    lines += _devices()
    (RESULTS / "speed.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _growth(curves: pd.DataFrame) -> list[str]:
    slopes = exponents(curves)
    figure, axes = plt.subplots(figsize=(8.4, 4.2), layout="constrained")
    for what, rows in curves.groupby("what", sort=False):
        axes.loglog(rows["size"], 1e3 * rows["seconds"], "o-", label=f"{what}: exponent {slopes[what]:.2f}")
    axes.set_xlabel("size")
    axes.set_ylabel("step with gradient, ms")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "speed.png", dpi=150)
    plt.close(figure)
    rows = [f"| {what} | {slope:.2f} |" for what, slope in slopes.items()]
    text = "A step as one size grows; exponents from the larger half of the sizes (a full matrix grows with the square of the genes)."
    return [
        "",
        "## Growth",
        "",
        text,
        "",
        "| in | exponent |",
        "|---|---|",
        *rows,
        "",
        "![Time of a step as sizes grow](speed.png)",
    ]


def _devices() -> list[str]:
    """Steps on other devices, if they were measured, and how far their results are from those of the processor."""
    files = sorted(RESULTS.glob(f"{DEVICE}_*.tsv"))
    if not files:
        return []
    tables = pd.concat([pd.read_csv(file, sep="\t") for file in files])
    lines = [
        "",
        "## Devices",
        "",
        "`python -m benchmarks.speed --device FILE` on each; products in float32 (`highest`) unless said.",
        "",
    ]
    columns = list(tables.columns)
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in tables.itertuples(index=False):
        lines.append("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row) + " |")
    return lines
